from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra_plugins.hydra_optuna_sweeper.config import OptunaSweeperConf
from omegaconf import DictConfig, OmegaConf

from tagifai.config.job import SEARCH_TARGET
from tagifai.sweeping import loop, sweeper
from tagifai.sweeping.sweeper import SearchSweeper, SearchSweeperConfig
from tests.app import environment
from tests.conftest import CONF


def sweeping(*overrides: str) -> DictConfig:
    with initialize_config_dir(str(CONF)):
        cfg = compose("config", list(overrides), return_hydra_config=True)
    found: DictConfig = cfg.hydra.sweeper
    return found


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAGIFAI_ROOT", str(tmp_path))
    monkeypatch.delenv("TAGIFAI_STORES", raising=False)


def test_hydra_finds_the_sweeper_by_its_entry_point() -> None:
    (entry,) = entry_points(group="hydra.plugins", name="tagifai-search")
    assert entry.load() is SearchSweeper
    assert SearchSweeper in Plugins.instance().discover(Sweeper)


def test_hydra_finds_the_sweeper_of_grids_in_place_of_its_own() -> None:
    (entry,) = entry_points(group="hydra.plugins", name="tagifai-grid")
    assert entry.load() is sweeper.GridSweeper
    assert sweeping()._target_ == "tagifai.sweeping.sweeper.GridSweeper"


def test_its_settings_are_an_option_of_the_sweepers() -> None:
    assert "tagifai.yaml" in ConfigStore.instance().list("hydra/sweeper")
    assert OmegaConf.get_type(sweeping("hydra/sweeper=tagifai")) is SearchSweeperConfig


def test_the_settings_are_those_of_the_stock_sweeper_and_more() -> None:
    stock = set(OptunaSweeperConf.__dataclass_fields__)
    ours = set(SearchSweeperConfig.__dataclass_fields__)
    assert ours - stock == {"pruner", "timeout", "when"}
    assert stock < ours


def test_without_more_said_they_are_tpe_and_the_median_in_a_database_of_the_stores(
    tmp_path: Path,
) -> None:
    settings = sweeping("hydra/sweeper=tagifai")
    assert settings._target_ == SEARCH_TARGET == "tagifai.sweeping.sweeper.SearchSweeper"
    assert settings.sampler._target_ == "optuna.samplers.TPESampler"
    assert settings.pruner._target_ == "optuna.pruners.MedianPruner"
    assert settings.storage == f"sqlite:///{tmp_path}/stores/studies.db"
    assert settings.direction is None  # the objective's
    assert (settings.n_trials, settings.n_jobs, settings.max_failure_rate) == (20, 2, 1.0)
    assert (settings.study_name, settings.timeout, settings.params, settings.when) == (None,) * 4


@pytest.mark.parametrize(
    ("overrides", "key", "value"),
    [
        (["objective.direction=minimize"], "direction", "minimize"),
        (
            ["objective.metric=[val_f1,model_bytes]", "objective.direction=[maximize,minimize]"],
            "direction",
            ["maximize", "minimize"],
        ),
        (["paths.stores=/other"], "storage", "sqlite:////other/studies.db"),
        (["hydra.sweeper.storage=null"], "storage", None),
        (["hydra.sweeper.storage='postgresql://h/d'"], "storage", "postgresql://h/d"),
        (["hydra.sweeper.timeout=5"], "timeout", 5.0),
        (["+hydra.sweeper.params={a: 'choice(1,2)'}"], "params", {"a": "choice(1,2)"}),
    ],
)
def test_a_setting_follows_what_is_said(overrides: list[str], key: str, value: Any) -> None:
    assert sweeping("hydra/sweeper=tagifai", *overrides)[key] == value


@pytest.mark.parametrize("preset", sorted(path.stem for path in (CONF / "sweep").glob("*.yaml")))
def test_a_preset_of_the_project_chooses_it_with_workers_of_joblib(preset: str) -> None:
    with initialize_config_dir(str(CONF)):
        cfg = compose("config", [f"sweep={preset}"], return_hydra_config=True)
    assert cfg.hydra.sweeper._target_ == SEARCH_TARGET
    assert cfg.hydra.runtime.choices["hydra/launcher"] == "joblib"
    every = {"best": 5, "reference": 5, "auto": None}  # which halves by rows instead
    assert cfg.objective.report_every == every.get(preset, 2)


@pytest.mark.parametrize(
    ("option", "target"),
    [("optuna", "plugins.stock.StockSweeper"), ("basic", "sweeper.GridSweeper")],
)
def test_the_stock_sweepers_can_be_chosen_as_well(option: str, target: str) -> None:
    assert sweeping(f"hydra/sweeper={option}")._target_ == f"tagifai.sweeping.{target}"


def test_it_hands_on_what_hydra_gave_it(monkeypatch: pytest.MonkeyPatch) -> None:
    handed: list[tuple[SearchSweeper, list[str]]] = []
    searched: Any = object()

    def search(*given: Any) -> Any:
        handed.append(given)
        return searched

    monkeypatch.setattr(loop, "run_search", search)
    context: Any = object()
    cfg = OmegaConf.create({"console": {"verbosity": "quiet", "style": "plain", "every": 1}})
    made = SearchSweeper(n_trials=5, params={"a": "choice(1,2)"})

    def function(_: Any) -> None:
        raise AssertionError("no job is run by the sweeper itself")

    made.setup(hydra_context=context, task_function=function, config=cfg)
    assert made.sweep(["a=1"]) is searched
    assert handed == [(made, ["a=1"])]
    assert made.settings == {"n_trials": 5, "params": {"a": "choice(1,2)"}}
    assert (made.context, made.function, made.master) == (context, function, cfg)


@pytest.mark.e2e
def test_loading_it_loads_nothing_that_takes_a_while() -> None:
    code = (
        "import sys, tagifai.sweeping.sweeper\n"
        "print(sorted({'optuna', 'sqlalchemy', 'mlflow', 'numpy', 'sklearn', 'pandas', 'joblib',"
        " 'tagifai.sweeping.loop'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout == "[]\n"


def test_its_module_holds_the_class_and_its_settings_only() -> None:
    own = [n for n, v in vars(sweeper).items() if getattr(v, "__module__", "") == sweeper.__name__]
    assert own == [
        *("SearchSweeperConfig", "SearchSweeper"),
        *("GridSweeper", "GridSweeperConfig"),
    ]
