from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import optuna
import pytest
from hydra.core.config_loader import ConfigLoader
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf
from optuna.distributions import BaseDistribution
from optuna.pruners import NopPruner
from optuna.samplers import RandomSampler
from optuna.storages import InMemoryStorage
from optuna.trial import Trial, TrialState, create_trial

from tagifai.config import paths
from tagifai.config.schema import Config, check
from tagifai.config.schema.experiment import RandomOverSamplerConfig
from tagifai.sweeping import composition, results, studies
from tagifai.sweeping.grammar import parse_space
from tagifai.sweeping.plan import SearchPlan
from tagifai.sweeping.results import (
    IRRELEVANT_GROUPS,
    compute_difference,
    format_number,
    make_table,
    summarize_study,
    write_preset,
    write_results,
)
from tagifai.sweeping.studies import DIED, ERROR, Study, TrialCounts
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
    assert content.command == "tagifai experiment=s"
    assert kept(plan).files == [path]


def test_the_command_has_the_folders_that_the_search_was_given(
    planning: Planning, tmp_path: Path
) -> None:
    plan = planning(ALPHA, "paths.stores=a b", "seed=3")
    tried(plan, {"model.alpha": 0.25}, 0.5)
    results.write(plan)
    content = OmegaConf.load(plan.folder / "optimization_results.yaml")
    assert content.command == "tagifai experiment=s 'paths.stores=a b'"


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
    results.write(plan)
    tried(plan, {"model.alpha": 0.75}, 0.6)
    results.write(plan)
    preset = OmegaConf.load(tmp_path / "stores/presets/experiment/s.yaml")
    assert (presets(tmp_path), preset.model) == (["s"], {"C": None, "alpha": 0.75})


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
    assert OmegaConf.load(preset).model == {"C": None, "alpha": 0.3}


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
    monkeypatch.setenv("UV", "uv")
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
        "Train it:      uv run tagifai experiment=s 'paths.outputs=a b'",
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
    said = "1 complete, 1 pruned, 7 failed, 1 died and replaced; pruning saved about "
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


COMPLETE, PRUNED, FAIL = TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL
RUNNING = TrialState.RUNNING

SPACE = parse_space(
    {"vectorizer": "word,char"}, {"vectorizer=word": {"v.n": "interval(0.0,9.0)"}}, ["a=1"]
)
NAMED = "v.n [vectorizer=word]"


def study_of(*directions: str) -> Study:
    return studies.open_study(
        InMemoryStorage(), "s", directions or ["maximize"], RandomSampler(0), NopPruner()
    )


def add(
    study: Study,
    state: TrialState,
    values: Sequence[float] | None = None,
    *,
    seconds: float = 10,
    n: float = 1.5,
    attributes: Mapping[str, Any] | None = None,
) -> None:
    distributions: dict[str, BaseDistribution] = {
        p.name: p.distribution for p in SPACE.list_all_parameters()
    }
    trial = create_trial(
        state=state,
        values=values,
        params={"vectorizer": "word", NAMED: n},
        distributions=distributions,
        user_attrs=dict(attributes or {}),
    )
    began = datetime(2026, 1, 2)
    trial.datetime_start = began
    trial.datetime_complete = began + timedelta(seconds=seconds) if state.is_finished() else None
    study.optuna.add_trial(trial)


def numbers(trials: Sequence[optuna.trial.FrozenTrial]) -> list[int]:
    return [trial.number for trial in trials]


# --- what was found --------------------------------------------------------------------------


def test_the_best_is_the_highest_where_that_is_wanted() -> None:
    study = study_of("maximize")
    for value in (0.5, 0.75, 0.25):
        add(study, COMPLETE, [value])
    result = summarize_study(study, ["val_f1"])
    assert (numbers(result.best), numbers(result.top)) == ([1], [1, 0, 2])
    assert result.best[0].number == study.optuna.best_trial.number


def test_and_the_lowest_where_that_is() -> None:
    study = study_of("minimize")
    for value in (0.5, 0.75, 0.25):
        add(study, COMPLETE, [value])
    assert numbers(summarize_study(study, ["val_loss"]).top) == [2, 0, 1]


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_of_equal_values_the_first_is_the_best(direction: str) -> None:
    study = study_of(direction)
    for value in (0.5, 0.5, 0.5):
        add(study, COMPLETE, [value])
    result = summarize_study(study, ["val_f1"])
    assert (numbers(result.best), numbers(result.top)) == ([0], [0, 1, 2])
    assert result.best[0].number == study.optuna.best_trial.number


def test_the_best_five_are_shown() -> None:
    study = study_of("maximize")
    for value in range(7):
        add(study, COMPLETE, [float(value)])
    assert numbers(summarize_study(study, ["val_f1"]).top) == [6, 5, 4, 3, 2]


def test_only_complete_trials_are_among_them() -> None:
    study = study_of("maximize")
    add(study, PRUNED, [0.9])
    add(study, COMPLETE, [0.5])
    add(study, FAIL)
    add(study, RUNNING)
    assert numbers(summarize_study(study, ["val_f1"]).top) == [1]


def test_of_several_objectives_those_are_found_that_none_other_beats() -> None:
    study = study_of("maximize", "minimize")
    for values in ([0.5, 10], [0.9, 90], [0.4, 20], [0.7, 50]):
        add(study, COMPLETE, values)
    result = summarize_study(study, ["val_f1", "model_bytes"])
    assert numbers(result.best) == numbers(result.top) == [0, 1, 3]


@pytest.mark.parametrize("directions", [["maximize"], ["maximize", "minimize"]])
def test_without_a_complete_trial_nothing_is_found(directions: list[str]) -> None:
    study = study_of(*directions)
    add(study, FAIL, attributes={ERROR: "bad"})
    result = summarize_study(study, ["a", "b"][: len(directions)])
    assert (result.best, result.top, result.saved_seconds) == ([], [], 0.0)
    assert result.counts == TrialCounts(complete=0, pruned=0, failed=1, died=0, running=0)


def test_failures_are_gathered_by_their_reason_and_the_dead_are_none() -> None:
    study = study_of()
    add(study, FAIL, attributes={ERROR: "bad"})
    add(study, FAIL, attributes={DIED: "killed"})
    add(study, FAIL, attributes={ERROR: "worse"})
    add(study, FAIL, attributes={ERROR: "bad"})
    add(study, FAIL)
    result = summarize_study(study, ["val_f1"])
    assert result.failures == {"bad": [0, 3], "worse": [2], "no reason is known": [4]}
    assert (result.counts.failed, result.counts.died) == (4, 1)


def test_pruning_saves_what_is_left_to_the_mean_length_of_a_complete_trial() -> None:
    study = study_of()
    for seconds in (8, 12):
        add(study, COMPLETE, [0.5], seconds=seconds)
    for seconds in (2, 7, 15):
        add(study, PRUNED, seconds=seconds)
    add(study, FAIL, seconds=1, attributes={ERROR: "bad"})
    add(study, RUNNING)
    # Of 10 s: 8 and 3, and the last one was slower than others are.
    assert summarize_study(study, ["val_f1"]).saved_seconds == 11.0


def test_without_a_complete_trial_it_is_not_known_what_was_saved() -> None:
    study = study_of()
    add(study, PRUNED, seconds=2)
    assert summarize_study(study, ["val_f1"]).saved_seconds == 0.0


# --- as a table ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.85, "0.8500"),
        (0.123456, "0.1235"),
        (-0.5, "-0.5000"),
        (0.01, "0.0100"),
        (0.0099999, "0.01"),
        (0.001234567, "0.001235"),
        (1.23456e-6, "1.235e-06"),
        (0.0, "0.0000"),
        (1.0, "1.0000"),
        (9.0, "9.0000"),
        (10.0, "10"),
        (-10.0, "-10"),
        (123456.0, "123456"),
        (999999999.0, "999999999"),
        (1e9, "1e+09"),
        (9999.5, "9999.5000"),
        (12345.678, "1.235e+04"),
        (7, "7"),
        (True, "True"),
        ("char", "char"),
        (None, "None"),
    ],
)
def test_a_value_is_shown_in_brief(value: Any, text: str) -> None:
    assert format_number(value) == text


@given(st.floats(-1e300, 1e300))
def test_a_number_in_brief_is_short_and_about_the_number(value: float) -> None:
    assert len(format_number(value)) <= 11
    assert float(format_number(value)) == pytest.approx(value, rel=1e-2, abs=1e-12)


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
def test_what_is_no_finite_number_is_shown_too(value: float) -> None:
    assert format_number(value) == str(value)


def test_a_table_has_a_row_for_each_of_the_best_with_keys_in_place_of_names() -> None:
    study = study_of()
    add(study, COMPLETE, [0.5], n=0.00123)
    add(study, COMPLETE, [0.75], n=2.5)
    assert make_table(summarize_study(study, ["val_f1"]), SPACE) == (
        ["trial", "val_f1", "parameters"],
        [
            ["1", "0.7500", "vectorizer=word, v.n=2.5000"],
            ["0", "0.5000", "vectorizer=word, v.n=0.00123"],
        ],
    )


def test_with_several_objectives_it_has_a_column_for_each() -> None:
    study = study_of("maximize", "minimize")
    add(study, COMPLETE, [0.5, 1234])
    columns, table = make_table(summarize_study(study, ["val_f1", "model_bytes"]), SPACE)
    assert columns == ["trial", "val_f1", "model_bytes", "parameters"]
    assert table == [["0", "0.5000", "1234", "vectorizer=word, v.n=1.5000"]]


# --- as a file -------------------------------------------------------------------------------


def written(path: Path, study: Study, metrics: Sequence[str]) -> Any:
    result = summarize_study(study, metrics)
    write_results(path, result, SPACE, Path("/out/s"), "run.py experiment=s")
    return OmegaConf.to_container(OmegaConf.load(path))


def test_the_file_has_the_best_trial_and_the_command_that_trains_it(tmp_path: Path) -> None:
    study = study_of()
    add(study, COMPLETE, [0.5], n=0.25)
    add(study, COMPLETE, [0.1 + 0.2], attributes={"run_id": "abc"})
    add(study, COMPLETE, [0.75], n=2.5, attributes={"run_id": "def"})
    add(study, PRUNED)
    add(study, FAIL, attributes={DIED: "killed"})
    path = tmp_path / "optimization_results.yaml"
    assert written(path, study, ["val_f1"]) == {
        "name": "optuna",
        "study": "s",
        "metric": "val_f1",
        "best_value": 0.75,
        "best_params": {"vectorizer": "word", "v.n": 2.5},
        "trial": 2,
        "folder": "/out/s/2",
        "run_id": "def",
        "overrides": ["a=1", "vectorizer=word", "v.n=2.5"],
        "command": "run.py experiment=s",
        "trials": {"complete": 3, "pruned": 1, "failed": 0, "died": 1, "running": 0},
    }


def test_the_file_has_the_very_number(tmp_path: Path) -> None:
    study = study_of()
    add(study, COMPLETE, [0.1 + 0.2], n=1 / 3)
    content = written(tmp_path / "results.yaml", study, ["val_f1"])
    assert content["best_value"] == 0.1 + 0.2
    assert content["best_params"]["v.n"] == 1 / 3
    assert content["run_id"] is None


def test_with_several_objectives_it_has_all_solutions(tmp_path: Path) -> None:
    study = study_of("maximize", "minimize")
    add(study, COMPLETE, [0.5, 10], n=0.25)
    add(study, COMPLETE, [0.4, 20])
    add(study, COMPLETE, [0.9, 90], n=2.5, attributes={"run_id": "def"})
    content = written(tmp_path / "results.yaml", study, ["val_f1", "model_bytes"])
    assert content.keys() == {"name", "study", "metrics", "solutions", "trials"}
    assert content["metrics"] == ["val_f1", "model_bytes"]
    assert [s["trial"] for s in content["solutions"]] == [0, 2]
    assert content["solutions"][1] == {
        "values": [0.9, 90.0],
        "params": {"vectorizer": "word", "v.n": 2.5},
        "trial": 2,
        "folder": "/out/s/2",
        "run_id": "def",
        "overrides": ["a=1", "vectorizer=word", "v.n=2.5"],
    }


@pytest.mark.parametrize("directions", [["maximize"], ["maximize", "minimize"]])
def test_without_a_winner_it_has_the_counts(directions: list[str], tmp_path: Path) -> None:
    study = study_of(*directions)
    add(study, FAIL, attributes={ERROR: "bad"})
    assert written(tmp_path / "results.yaml", study, ["a", "b"][: len(directions)]) == {
        "name": "optuna",
        "study": "s",
        "trials": {"complete": 0, "pruned": 0, "failed": 1, "died": 0, "running": 0},
    }


def test_it_takes_the_place_of_an_earlier_one(tmp_path: Path) -> None:
    study = study_of()
    add(study, COMPLETE, [0.5])
    path = tmp_path / "results.yaml"
    written(path, study, ["val_f1"])
    add(study, COMPLETE, [0.75])
    assert written(path, study, ["val_f1"])["trial"] == 1
    assert list(tmp_path.iterdir()) == [path]


# --- as a preset -----------------------------------------------------------------------------


def test_a_preset_chooses_options_and_then_holds_values(tmp_path: Path) -> None:
    path = tmp_path / "presets" / "s.yaml"
    write_preset(path, "The first line.\nAnd another.", {"model": "sgd", "split": "x"}, {"seed": 3})
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
    write_preset(path, "", {}, {"data": names})
    assert OmegaConf.to_container(OmegaConf.load(path).data, resolve=True) == names


def test_equal_configurations_differ_by_nothing(config: Config) -> None:
    assert compute_difference(config, copy.deepcopy(config)) == {}


def test_a_configuration_differs_by_its_values_under_their_keys(config: Config) -> None:
    wanted = copy.deepcopy(config)
    wanted.seed = 7
    wanted.model.alpha = 0.5
    wanted.training.patience = 7
    wanted.data.accepted_tags = ["a"]
    assert compute_difference(wanted, config) == {
        "seed": 7,
        "data": {"accepted_tags": ["a"]},
        "training": {"patience": 7},
        "model": {"alpha": 0.5},
    }


def test_a_value_that_is_back_at_null_is_a_difference(config: Config) -> None:
    wanted = copy.deepcopy(config)
    wanted.training.patience = None
    assert compute_difference(wanted, config) == {"training": {"patience": None}}


def test_a_group_that_is_off_on_one_side_differs_as_a_whole(config: Config) -> None:
    on = replace(copy.deepcopy(config), sampling=RandomOverSamplerConfig())
    off = replace(copy.deepcopy(config), sampling=None)
    assert compute_difference(off, on) == {"sampling": None}
    assert compute_difference(on, off)["sampling"]["_target_"].startswith("imblearn.")


def test_arguments_of_an_open_option_are_differences(config: Config) -> None:
    wanted = replace(config, model={"_target_": "sklearn.X", "C": 10, "kept": 1})
    given = replace(config, model={"_target_": None, "kept": 1})
    assert compute_difference(wanted, given) == {"model": {"_target_": "sklearn.X", "C": 10}}


def test_what_has_no_influence_on_a_result_is_no_difference(config: Config) -> None:
    other = copy.deepcopy(config)
    other.tracking.uri = "http://other"
    other.console.verbosity = "quiet"
    other.paths.outputs = "/other"
    other.sweep.restart = True
    assert compute_difference(other, config) == {}


def test_from_nothing_everything_is_a_difference(config: Config) -> None:
    everything = compute_difference(config, None)
    assert everything["seed"] == 42
    assert everything["model"]["loss"] == "log_loss"
    assert not set(results.IRRELEVANT_GROUPS) & everything.keys()
