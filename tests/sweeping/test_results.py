from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hydra.core.config_loader import ConfigLoader
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from optuna.trial import Trial, TrialState

from tagifai.config import paths
from tagifai.config.schema import Config, check
from tagifai.sweeping import composition, results
from tagifai.sweeping.plan import SearchPlan
from tagifai.sweeping.winners import IRRELEVANT_GROUPS
from tests.sweeping.conftest import Planning, kept, tried

ALPHA = {"model.alpha": "interval(0.0,1.0)"}
TWO = ("objective.metric=[val_f1,model_bytes]", "objective.direction=[maximize,minimize]")


def fail(plan: SearchPlan, reason: str) -> None:
    trial = plan.study.ask(100)
    assert trial is not None
    plan.study.tell(trial, TrialState.FAIL, None, reason)


def presets(tmp_path: Path) -> list[str]:
    return sorted(path.stem for path in (tmp_path / "stores/presets/experiment").glob("*"))


@pytest.fixture
def trained(loader: ConfigLoader, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that gives the configuration of `run.py experiment=<name>`."""

    def trained(name: str) -> Config:
        cfg = loader.load_configuration("config", [f"experiment={name}"], run_mode=RunMode.RUN)
        HydraConfig.instance().set_config(cfg)
        return paths.resolve(check(composition.strip_hydra_node(cfg)))

    return trained


def influence(config: Config) -> dict[str, Any]:
    return {key: value for key, value in asdict(config).items() if key not in IRRELEVANT_GROUPS}


# --- the file --------------------------------------------------------------------------------


def test_the_results_are_in_the_folder_of_the_search_and_kept_with_its_run(
    planning: Planning, tmp_path: Path
) -> None:
    plan = planning(ALPHA)
    tried(plan, {"model.alpha": 0.25}, 0.5)
    results.write(plan)
    path = tmp_path / "outputs" / "search" / "optimization_results.yaml"
    content = OmegaConf.load(path)
    assert (content.best_value, content.trial) == (0.5, 0)
    assert content.best_params == {"model.alpha": 0.25}
    assert content.folder == str(tmp_path / "outputs" / "search" / "0")
    assert content.command == "run.py experiment=s"
    assert kept(plan).files == [path]


def test_the_command_has_the_folders_that_the_search_was_given(
    planning: Planning, tmp_path: Path
) -> None:
    plan = planning(ALPHA, "paths.stores=a b", "seed=3")
    tried(plan, {"model.alpha": 0.25}, 0.5)
    results.write(plan)
    content = OmegaConf.load(plan.folder / "optimization_results.yaml")
    assert content.command == "run.py experiment=s 'paths.stores=a b'"


def test_without_a_winner_there_is_no_preset(planning: Planning, tmp_path: Path) -> None:
    plan = planning(ALPHA)
    fail(plan, "bad")
    results.write(plan)
    assert presets(tmp_path) == []
    assert kept(plan).metrics["trials/failed"] == 1.0
    assert "best.trial" not in kept(plan).tags


# --- the preset ------------------------------------------------------------------------------


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
    results.write(plan)
    assert presets(tmp_path) == ["s"]
    of_trial, _ = plan.compose(plan.space.make_overrides(plan.study.list_trials()[0].params))
    assert influence(trained("s")) == influence(of_trial)


def test_the_preset_says_what_it_is_and_holds_the_differences_only(
    planning: Planning, tmp_path: Path
) -> None:
    plan = planning({**ALPHA, "vectorizer": "tfidf_word,tfidf_char"}, composing=True)
    tried(plan, {"model.alpha": 0.25, "vectorizer": "tfidf_word"}, 0.5)
    tried(plan, {"model.alpha": 0.75, "vectorizer": "tfidf_word"}, 0.4)
    results.write(plan)
    text = (tmp_path / "stores/presets/experiment/s.yaml").read_text(encoding="utf-8")
    head, content = text.split("defaults:")
    first, second, third, fourth = head.splitlines()
    assert first == "# @package _global_"
    assert second == "# Trial 0 of the search 's', the best of 2: val_f1 0.5000."
    assert third.startswith("# Written by the search. It holds values, and they win over options")
    assert fourth == "# command line. Train it with: run.py experiment=s"
    assert OmegaConf.to_container(OmegaConf.create("defaults:" + content)) == {
        "defaults": [
            {"override /data": "sample"},
            {"override /preprocessing": "default"},
            {"override /split": "stratified"},
            {"override /vectorizer": "tfidf_word"},
            {"override /sampling": "random_over"},
            {"override /model": "sgd"},
            {"override /threshold": "auto"},
        ],
        "model": {"alpha": 0.25},
    }


def test_a_later_winner_takes_the_place_of_an_earlier_one(
    planning: Planning, tmp_path: Path
) -> None:
    plan = planning(ALPHA, composing=True)
    tried(plan, {"model.alpha": 0.25}, 0.5)
    results.write(plan)
    tried(plan, {"model.alpha": 0.75}, 0.6)
    results.write(plan)
    preset = OmegaConf.load(tmp_path / "stores/presets/experiment/s.yaml")
    assert (presets(tmp_path), preset.model) == (["s"], {"alpha": 0.75})


def test_with_several_objectives_each_trial_of_the_front_has_a_preset(
    planning: Planning, tmp_path: Path
) -> None:
    plan = planning(ALPHA, *TWO, composing=True)
    for alpha, *values in ((0.1, 0.5, 10), (0.2, 0.4, 20), (0.3, 0.9, 90)):
        tried(plan, {"model.alpha": alpha}, *values)
    results.write(plan)
    assert presets(tmp_path) == ["s-trial0", "s-trial2"]
    preset = tmp_path / "stores/presets/experiment/s-trial2.yaml"
    assert "val_f1 0.9000, model_bytes 90." in preset.read_text(encoding="utf-8")
    assert OmegaConf.load(preset).model == {"alpha": 0.3}


def extend(cfg: DictConfig, trial: Trial) -> None:
    trial.suggest_float("model.eta0", 0.1, 0.9)


def test_the_preset_has_what_a_function_has_added_to_the_space(
    planning: Planning, trained: Any
) -> None:
    plan = planning(ALPHA, extend=extend, composing=True)
    tried(plan, {"model.alpha": 0.25, "model.eta0": 0.75}, 0.5)
    results.write(plan)
    assert trained("s").model.eta0 == 0.75


# --- the run ---------------------------------------------------------------------------------


def test_the_run_of_the_search_has_the_counts_and_the_best(planning: Planning) -> None:
    plan = planning({**ALPHA, "vectorizer": "tfidf_word,tfidf_char"})
    tried(plan, {"model.alpha": 0.5, "vectorizer": "tfidf_word"}, 0.4)
    tried(plan, {"model.alpha": 0.25, "vectorizer": "tfidf_char"}, 0.75, run_id="abc")
    fail(plan, "bad")
    results.write(plan)
    assert kept(plan).metrics == {
        "trials/complete": 2.0,
        "trials/pruned": 0.0,
        "trials/failed": 1.0,
        "trials/died": 0.0,
        "seconds_saved_by_pruning": 0.0,
        "best_val_f1": 0.75,
    }
    assert kept(plan).tags == {
        "best.model.alpha": 0.25,
        "best.vectorizer": "tfidf_char",
        "best.trial": 1,
        "best.run_id": "abc",
        "trials": "3 of 10",
    }


def test_with_several_objectives_there_is_no_single_best(planning: Planning) -> None:
    plan = planning(ALPHA, *TWO)
    tried(plan, {"model.alpha": 0.5}, 0.4, 10)
    results.write(plan)
    assert not [name for name in kept(plan).metrics if name.startswith("best")]
    assert kept(plan).tags == {"trials": "1 of 10"}


# --- what a person sees ----------------------------------------------------------------------


def shown(plan: SearchPlan, capsys: pytest.CaptureFixture[str]) -> list[str]:
    results.show(plan, Path("report.html"))
    return [line.rstrip() for line in capsys.readouterr().out.splitlines() if line.strip()]


def test_the_best_are_shown_with_the_counts_and_the_ways_on(
    planning: Planning, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planning(ALPHA, "paths.outputs=a b")
    monkeypatch.setattr(plan.display, "program", ["uv", "run", "run.py"])
    tried(plan, {"model.alpha": 0.25}, 0.5)
    tried(plan, {"model.alpha": 0.5}, 0.75)
    assert shown(plan, capsys) == [
        "Study s: the best 2 of 2 trials",
        "trial   val_f1   parameters",
        "───────────────────────────────────",
        "    1   0.7500   model.alpha=0.5000",
        "    0   0.5000   model.alpha=0.2500",
        "Trials:        2 complete",
        "Report:        report.html",
        "Results:       outputs/search/optimization_results.yaml",
        "Train it:      uv run run.py experiment=s 'paths.outputs=a b'",
    ]


def test_every_state_is_counted_and_every_reason_is_said_with_some_of_its_trials(
    planning: Planning, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = planning(ALPHA)
    tried(plan, {"model.alpha": 0.25}, 0.5)
    for state in ("pruned", "dead"):
        trial = plan.study.ask(100)
        assert trial is not None
        if state == "pruned":
            plan.study.tell(trial, TrialState.PRUNED, None)
        else:
            plan.study.abandon(trial._trial_id, "killed")
    fail(plan, "worse")
    for _ in range(6):
        fail(plan, "bad")
    lines = shown(plan, capsys)
    (counts,) = [line for line in lines if line.startswith("Trials: ")]
    said = "1 complete, 1 pruned, 7 failed, 1 died and made up for; pruning saved about "
    assert counts.startswith(f"Trials:        {said}")
    assert "Failed:        1 (3): worse" in lines
    assert "Failed:        6 (4, 5, 6, 7, 8, ...): bad" in lines


def test_without_a_winner_there_is_no_table_and_nothing_to_train(
    planning: Planning, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = planning(ALPHA)
    fail(plan, "bad")
    assert shown(plan, capsys) == [
        "Trials:        0 complete, 1 failed",
        "Failed:        1 (0): bad",
        "Report:        report.html",
        "Results:       outputs/search/optimization_results.yaml",
    ]


def test_with_several_objectives_there_is_a_way_on_for_each_of_the_front(
    planning: Planning, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = planning(ALPHA, *TWO)
    tried(plan, {"model.alpha": 0.25}, 0.5, 10)
    tried(plan, {"model.alpha": 0.5}, 0.75, 20)
    lines = shown(plan, capsys)
    assert "    0   0.5000            10   model.alpha=0.2500" in lines
    assert [line.rpartition(" ")[2] for line in lines if line.startswith("Train it: ")] == [
        "experiment=s-trial0",
        "experiment=s-trial1",
    ]
