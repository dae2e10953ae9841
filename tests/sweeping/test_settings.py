from __future__ import annotations

from typing import Any

import pytest
from hydra_plugins.hydra_optuna_sweeper.config import Direction
from omegaconf import OmegaConf

from tagifai.exceptions import ConfigError
from tagifai.sweeping.settings import SearchSettings
from tests.sweeping.conftest import Searching

GIVEN: dict[str, Any] = {
    "sampler": {"_target_": "optuna.samplers.RandomSampler"},
    "pruner": None,
    "direction": "maximize",
    "storage": None,
    "study_name": None,
    "n_trials": 20,
    "n_jobs": 2,
    "max_failure_rate": 1.0,
    "timeout": None,
    "params": None,
    "when": None,
    "custom_search_space": None,
}


def made(**changed: Any) -> SearchSettings:
    return SearchSettings.from_hydra({**GIVEN, **changed})


@pytest.mark.parametrize(
    ("direction", "directions"),
    [
        ("minimize", ["minimize"]),
        (Direction.maximize, ["maximize"]),
        (["minimize", "maximize"], ["minimize", "maximize"]),
        ([Direction.minimize, Direction.maximize], ["minimize", "maximize"]),
        (OmegaConf.create(["maximize", "minimize"]), ["maximize", "minimize"]),
        (OmegaConf.create(["maximize"]), ["maximize"]),
    ],
)
def test_a_direction_is_a_text_one_of_the_stock_sweeper_or_a_list(
    direction: Any, directions: list[str]
) -> None:
    assert made(direction=direction).directions == directions


def test_nodes_of_the_configuration_become_plain_and_are_resolved() -> None:
    cfg = OmegaConf.create(
        {"low": 1, "pruner": {"_target_": "p", "n": "${low}"}, "params": {"a": "range(${low},5)"}}
    )
    found = made(pruner=cfg.pruner, params=cfg.params)
    assert type(found.pruner) is dict
    assert found.pruner == {"_target_": "p", "n": 1}
    assert found.params == {"a": "range(1,5)"}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("n_trials", 1), ("n_jobs", 1), ("max_failure_rate", 0.0), ("max_failure_rate", 1)),
        *(("timeout", 0.1), ("study_name", "a"), ("study_name", "Grüße_2.b-c")),
        ("storage", "sqlite:////x/studies.db"),
    ],
)
def test_what_is_in_its_range_is_kept(key: str, value: Any) -> None:
    assert getattr(made(**{key: value}), key) == value


@pytest.mark.parametrize(
    ("key", "values", "allowed"),
    [
        *((key, [0, -3], "a whole number of at least 1") for key in ("n_trials", "n_jobs")),
        ("max_failure_rate", [-0.1, 1.01, float("nan")], "a share from 0 to 1"),
        ("timeout", [0.0, float("nan")], "seconds above 0, or null"),
        ("study_name", ["a/b", "", "a b", ".a", "a\n"], "letters, digits, '.', '_' and '-'"),
        ("storage", [5, {"_target_": "x"}], "the URL of a database, or null"),
    ],
)
def test_what_is_out_of_its_range_is_refused_with_the_value_and_what_is_allowed(
    key: str, values: list[Any], allowed: str
) -> None:
    for value in values:
        with pytest.raises(ConfigError) as caught:
            made(**{key: value})
        assert str(caught.value) == f"hydra.sweeper.{key} = {value!r} is not allowed: {allowed}"


def test_without_a_preset_the_settings_are_those_of_the_plugin(searching: Searching) -> None:
    found = SearchSettings.from_hydra(searching().settings)
    assert found.sampler["_target_"] == "optuna.samplers.TPESampler"
    assert found.pruner is not None
    assert found.pruner["_target_"] == "optuna.pruners.MedianPruner"
    assert found.directions is None  # the objective's
    assert (found.n_trials, found.n_jobs, found.max_failure_rate) == (20, 2, 1.0)
    assert (found.study_name, found.timeout, found.params, found.when) == (None,) * 4
    assert found.storage is not None
    assert found.storage.startswith("sqlite:////")
    assert found.storage.endswith("/stores/studies.db")


def test_the_direction_follows_the_objective(searching: Searching) -> None:
    one = searching("objective.direction=minimize")
    two = searching(
        "objective.metric=[val_f1,model_bytes]", "objective.direction=[maximize,minimize]"
    )
    assert SearchSettings.from_hydra(one.settings).directions == ["minimize"]
    assert SearchSettings.from_hydra(two.settings).directions == ["maximize", "minimize"]


@pytest.mark.parametrize("preset", ["quick", "reference", "sgd", "text"])
def test_every_preset_of_the_project_has_settings_that_are_allowed(
    preset: str, searching: Searching
) -> None:
    found = SearchSettings.from_hydra(searching(f"sweep={preset}").settings)
    assert found.params
    assert found.n_trials >= 20
