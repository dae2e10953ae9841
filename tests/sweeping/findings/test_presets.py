from __future__ import annotations

import copy
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import OmegaConf

from tagifai.config import paths
from tagifai.config.job import strip_hydra_node
from tagifai.config.schema import Config, check
from tagifai.config.schema.experiment import RandomOverSamplerConfig
from tagifai.sweeping.findings import ending, presets
from tagifai.sweeping.findings.presets import IRRELEVANT_GROUPS, compute_difference
from tests.sweeping.conftest import CONF, Planning, tried

ALPHA = {"model.alpha": "interval(0.0,1.0)"}
TWO = ("objective.metric=[val_f1,model_bytes]", "objective.direction=[maximize,minimize]")


def names(tmp_path: Path) -> list[str]:
    return sorted(path.stem for path in (tmp_path / "stores/presets/experiment").glob("*"))


@pytest.fixture
def trained() -> Any:
    """A function that gives the configuration of `run.py experiment=<name>`."""

    def trained(name: str) -> Config:
        # The stores that it looks for presets in are those of the environment.
        loader = ConfigLoaderImpl(create_config_search_path(str(CONF)))
        cfg = loader.load_configuration("config", [f"experiment={name}"], run_mode=RunMode.RUN)
        HydraConfig.instance().set_config(cfg)
        return paths.resolve(check(strip_hydra_node(cfg)))

    return trained


def influence(config: Config) -> dict[str, Any]:
    return {key: value for key, value in asdict(config).items() if key not in IRRELEVANT_GROUPS}


@pytest.mark.parametrize(
    ("params", "when", "arguments", "values"),
    [
        (
            {"vectorizer": "tfidf_word,tfidf_char", "model.class_weight": "null,balanced"},
            {"vectorizer=tfidf_word": {"vectorizer.ngram_max": "range(1,4)"}},
            ["training.epochs=7", "seed=3", "sampling=none"],
            {
                "vectorizer": "tfidf_word",
                "model.class_weight": "balanced",
                "vectorizer.ngram_max [vectorizer=tfidf_word]": 3,
            },
        ),
        (
            {"threshold": "quantile,none", "preprocessing.stem": "true,false", **ALPHA},
            None,
            ["data.accepted_tags=[mlops,computer-vision]"],
            {"threshold": "none", "preprocessing.stem": True, "model.alpha": 1 / 3},
        ),
        (
            {"model": "sgd,custom"},
            {
                "model=custom": {
                    "model._target_": "sklearn.linear_model.LogisticRegression",
                    "+model.C": "interval(0.1,9.0)",
                }
            },
            ["objective.metric=val_loss", "objective.direction=minimize"],
            {"model": "custom", "+model.C [model=custom]": 2.5},
        ),
    ],
)
def test_the_preset_of_the_winner_makes_its_very_configuration(
    params: dict[str, Any],
    when: dict[str, Any] | None,
    arguments: list[str],
    values: dict[str, Any],
    planning: Planning,
    trained: Any,
    tmp_path: Path,
) -> None:
    plan = planning(params, *arguments, when=when, composing=True)
    tried(plan, values, 0.5)
    ending.write(plan)
    assert names(tmp_path) == ["s"]
    of_trial, _ = plan.compose(plan.space.make_overrides(plan.study.list_trials()[0].params))
    assert influence(trained("s")) == influence(of_trial)


def test_the_preset_says_what_it_is_and_holds_the_differences_only(
    planning: Planning, tmp_path: Path
) -> None:
    plan = planning({**ALPHA, "vectorizer": "tfidf_word,tfidf_char"}, composing=True)
    tried(plan, {"model.alpha": 0.25, "vectorizer": "tfidf_word"}, 0.5)
    tried(plan, {"model.alpha": 0.75, "vectorizer": "tfidf_word"}, 0.4)
    ending.write(plan)
    text = (tmp_path / "stores/presets/experiment/s.yaml").read_text(encoding="utf-8")
    head, content = text.split("defaults:")
    first, second, third, fourth = head.splitlines()
    assert first == "# @package _global_"
    assert second == "# Trial 0 of the search 's', the best of 2: val_f1 0.5000."
    assert third.startswith("# Written by the search. Its values win over options")
    assert fourth == "# command line. Train it with: tagifai experiment=s"
    assert OmegaConf.to_container(OmegaConf.create("defaults:" + content)) == {
        "defaults": [
            {"override /data": "sample"},
            {"override /preprocessing": "default"},
            {"override /split": "stratified"},
            {"override /vectorizer": "tfidf_word"},
            {"override /sampling": "none"},
            {"override /model": "sgd"},
            {"override /threshold": "none"},
        ],
        "model": {"C": None, "alpha": 0.25},
    }


def test_a_later_winner_takes_the_place_of_an_earlier_one(
    planning: Planning, tmp_path: Path
) -> None:
    plan = planning(ALPHA, composing=True)
    tried(plan, {"model.alpha": 0.25}, 0.5)
    ending.write(plan)
    tried(plan, {"model.alpha": 0.75}, 0.6)
    ending.write(plan)
    preset = OmegaConf.load(tmp_path / "stores/presets/experiment/s.yaml")
    assert (names(tmp_path), preset.model) == (["s"], {"C": None, "alpha": 0.75})


def test_with_several_objectives_each_trial_of_the_front_has_a_preset(
    planning: Planning, tmp_path: Path
) -> None:
    plan = planning(ALPHA, *TWO, composing=True)
    for alpha, *values in ((0.1, 0.5, 10), (0.2, 0.4, 20), (0.3, 0.9, 90)):
        tried(plan, {"model.alpha": alpha}, *values)
    ending.write(plan)
    assert names(tmp_path) == ["s-trial0", "s-trial2"]
    preset = tmp_path / "stores/presets/experiment/s-trial2.yaml"
    assert "val_f1 0.9000, model_bytes 90." in preset.read_text(encoding="utf-8")
    assert OmegaConf.load(preset).model == {"C": None, "alpha": 0.3}


def test_the_preset_has_what_a_function_has_added_to_the_space(
    planning: Planning, trained: Any
) -> None:
    plan = planning(ALPHA, composing=True)
    tried(plan, {"model.alpha": 0.25, "model.eta0": 0.75}, 0.5)
    ending.write(plan)
    assert trained("s").model.eta0 == 0.75


def test_a_preset_chooses_options_and_then_holds_values(tmp_path: Path) -> None:
    path = tmp_path / "presets" / "s.yaml"
    choices = {"model": "sgd", "split": "x"}
    presets.write(path, "The first line.\nAnd another.", choices, {"seed": 3})
    assert path.read_text(encoding="utf-8") == (
        "# @package _global_\n"
        "# The first line.\n"
        "# And another.\n"
        "defaults:\n"
        "- override /model: sgd\n"
        "- override /split: x\n"
        "seed: 3\n"
        "# The preset ends here.\n"
    )


def test_a_name_in_a_preset_is_looked_up_nowhere(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    names = {"text": ["${seed}", "true", "???"], "label": r"\\${x}", "label_names": {"01": "no"}}
    presets.write(path, "", {}, {"data": names})
    assert OmegaConf.to_container(OmegaConf.load(path).data, resolve=True) == names


def change(config: Config, changes: dict[str, Any]) -> Config:
    """Return a configuration with other values of settings or whole groups."""
    changed = copy.deepcopy(config)
    for key, value in changes.items():
        *way, name = key.split(".")
        node: Any = changed
        for part in way:
            node = getattr(node, part)
        setattr(node, name, value)
    return changed


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({}, {}),
        (
            {"seed": 7, "model.alpha": 0.5, "data.accepted_tags": ["a"]},
            {"seed": 7, "model": {"alpha": 0.5}, "data": {"accepted_tags": ["a"]}},
        ),
        # What is back at null is a difference, and a group that is off on one side as a whole.
        ({"training.patience": None}, {"training": {"patience": None}}),
        ({"sampling": RandomOverSamplerConfig()}, {"sampling": asdict(RandomOverSamplerConfig())}),
        # What has no influence on a result is none.
        (
            {
                "tracking.uri": "http://other",
                "console.verbosity": "quiet",
                "paths.outputs": "/other",
                "sweep.restart": True,
            },
            {},
        ),
    ],
)
def test_a_configuration_differs_by_its_values_under_their_keys(
    config: Config, changes: dict[str, Any], difference: dict[str, Any]
) -> None:
    assert compute_difference(change(config, changes), config) == difference


def test_a_group_that_is_off_differs_as_a_whole(config: Config) -> None:
    on = replace(config, sampling=RandomOverSamplerConfig())
    assert compute_difference(replace(config, sampling=None), on) == {"sampling": None}


def test_arguments_of_an_open_option_are_differences(config: Config) -> None:
    wanted = replace(config, model={"_target_": "sklearn.X", "C": 10, "kept": 1})
    given = replace(config, model={"_target_": None, "kept": 1})
    assert compute_difference(wanted, given) == {"model": {"_target_": "sklearn.X", "C": 10}}


def test_from_nothing_everything_is_a_difference(config: Config) -> None:
    everything = compute_difference(config, None)
    assert everything["seed"] == 42
    assert everything["model"]["loss"] == "log_loss"
    assert not set(IRRELEVANT_GROUPS) & everything.keys()
