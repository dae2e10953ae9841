from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

import pytest
from optuna.samplers import GridSampler
from optuna.trial import TrialState

from tagifai.exceptions import ConfigError
from tagifai.sweeping.findings import advice, report
from tagifai.sweeping.findings.results import summarize_study
from tagifai.sweeping.plan import SearchPlan
from tagifai.sweeping.spaces import grammar
from tagifai.sweeping.spaces.grammar import parse_space
from tests.sweeping.conftest import Planning, tried

MIDDLE = {"model.alpha": "interval(0.0,1.0)"}


@pytest.fixture(autouse=True)
def _typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UV", raising=False)  # by which commands begin with "uv run"
    monkeypatch.setenv(
        "TAGIFAI_COMMAND", "tagifai -m sweep=mine model.alpha=0.5 sweep.restart=true"
    )


def suggested(plan: SearchPlan) -> str | None:
    return advice.suggest(plan, summarize_study(plan.study, plan.metrics))


# --- a wider range -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "value", "wider"),
    [
        ("interval(1.0,2.0)", 2.0, "interval(1.0,3.0)"),
        ("interval(1.0,2.0)", 1.96, "interval(1.0,3.0)"),
        ("interval(1.0,2.0)", 1.94, None),
        ("interval(1.0,2.0)", 1.01, "interval(0.0,2.0)"),
        ("interval(0.1,0.9)", 0.1, "interval(0.0,0.9)"),
        ("interval(0.0,1.0)", 0.0, None),  # what is above 0 stays there
        ("interval(-1.0,1.0)", -1.0, "interval(-3.0,1.0)"),
        ("tag(log,interval(0.1,1000))", 990.0, "tag(log,interval(0.1,10000.0))"),
        ("tag(log,interval(0.1,1000))", 600.0, None),
        ("tag(log,interval(0.1,1000))", 500.0, None),
        ("tag(log,interval(0.1,1000))", 0.12, "tag(log,interval(0.01,1000.0))"),
        ("range(3,8)", 7, "range(3,12)"),
        ("range(3,8)", 3, "range(1,8)"),
        ("range(1,4)", 1, None),
        ("range(1,4)", 2, None),
        ("range(0,9,2)", 8, "range(0,18,2)"),
        ("range(7,18,5)", 7, "range(2,22,5)"),
        ("range(0.5,2.0,0.5)", 1.5, "range(0.5,3.0,0.5)"),
        ("tag(log,int(interval(10,1000)))", 1000, "tag(log,int(interval(10,10000)))"),
        ("tag(log,int(interval(5,1000)))", 5, "tag(log,int(interval(1,1000)))"),
        ("choice(1,2,3)", 3, None),
        ("interval(2.0,2.0)", 2.0, None),
    ],
)
def test_the_end_of_a_range_that_the_best_sits_on_is_moved(
    given: str, value: Any, wider: str | None
) -> None:
    (parameter,) = parse_space({"model.x": given}, None, []).parameters
    found = advice.find_wider(parameter.distribution, value)
    assert (found and advice.format_range(found)) == wider
    if wider is not None and found is not None:
        (read,) = parse_space({"model.x": wider}, None, []).parameters
        assert read.distribution == found


def test_the_command_is_the_one_that_was_typed_with_the_wider_ranges(planning: Planning) -> None:
    params = {"model.alpha": "interval(0.5,1.0)", "model.x": "range(1,5)", "model.y": "range(1,5)"}
    plan = planning(params)
    tried(plan, {"model.alpha": 0.99, "model.x": 4, "model.y": 2}, 0.5)
    command = suggested(plan)
    assert command == (
        "tagifai -m sweep=mine 'model.alpha=interval(0.5,1.5)' 'model.x=range(1,8)' sweep.restart"
        "=true  # the best has model.alpha=0.99 and model.x=4, at the end of the space"
    )
    assert ("try next", command) in report.build(plan).summary
    # It works: what is typed replaces the space of the preset.
    words = shlex.split(command, comments=True)[3:]
    space = grammar.parse_space(params, None, [w for w in words if w.startswith("model.")])
    assert {p.key: p.get_extremes() for p in space.parameters} == {
        "model.alpha": [0.5, 1.5],
        "model.x": [1, 7],
        "model.y": [1, 4],
    }


def test_a_parameter_that_only_one_choice_has_is_widened_with_this_choice(
    planning: Planning,
) -> None:
    params = {"vectorizer": "word,char,none"}
    when: Mapping[str, Any] = {
        "vectorizer=word,char": {"vectorizer.kind": "a,b", "vectorizer.min": "range(2,6)"},
        "vectorizer.kind=a": {"vectorizer.n": "range(1,4)"},
    }
    plan = planning(params, when=when)
    names = {p.key: p.name for p in plan.space.list_all_parameters()}
    values = {"vectorizer": "word", "vectorizer.kind": "a", "vectorizer.min": 4, "vectorizer.n": 3}
    tried(plan, {names[key]: value for key, value in values.items()}, 0.5)
    command = suggested(plan)
    assert command is not None
    words = shlex.split(command, comments=True)
    assert sorted(words[4:]) == [
        "sweep.restart=true",
        "vectorizer.kind=a",
        "vectorizer.n=range(1,6)",
        "vectorizer=word",
    ]
    assert command.endswith("  # the best has vectorizer.n=3, at the end of the space")
    space = parse_space(params, when, [w for w in words if w.startswith("vectorizer")])
    assert [p.get_extremes() for p in space.list_all_parameters() if p.key == "vectorizer.n"] == [
        [1, 5]
    ]


def test_a_wider_range_that_is_refused_is_not_suggested(planning: Planning) -> None:
    def refuse(overrides: Any) -> Any:
        assert overrides == ["model.alpha=1.5"]
        raise ConfigError("too much")

    plan = planning({"model.alpha": "interval(0.5,1.0)"})
    tried(plan, {"model.alpha": 1.0}, 0.5)
    plan.compose = refuse
    assert suggested(plan) is None


# --- more trials -------------------------------------------------------------------------------


def fill(plan: SearchPlan, best: int) -> None:
    for number in range(10):
        tried(plan, {"model.alpha": 0.5}, 0.9 if number == best else 0.5)


def test_a_search_that_was_still_moving_goes_on(planning: Planning) -> None:
    plan = planning(MIDDLE)
    fill(plan, 9)
    assert suggested(plan) == (
        "tagifai -m sweep=mine model.alpha=0.5 hydra.sweeper.n_trials=20"
        "  # the best is trial 9 of 10: it was still moving"
    )


@pytest.mark.parametrize("reason", ["still", "not full", "failed", "finite"])
def test_otherwise_nothing_is_suggested(reason: str, planning: Planning) -> None:
    plan = planning(MIDDLE, n_trials=11 if reason == "not full" else 10)
    fill(plan, 6 if reason == "still" else 9)
    if reason == "failed":
        tried(plan, {}, state=TrialState.FAIL)
    if reason == "finite":
        plan.study.optuna.sampler = GridSampler({"model.alpha": [0.5]})
    assert suggested(plan) is None


@pytest.mark.parametrize("given", ["", "tagifai task=train"])
def test_without_the_command_of_the_search_there_is_none_to_suggest(
    given: str, planning: Planning, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAGIFAI_COMMAND", given)
    plan = planning(MIDDLE)
    fill(plan, 9)
    assert suggested(plan) is None


def test_a_folder_of_options_is_named_once(
    planning: Planning, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAGIFAI_COMMAND", "tagifai --config-dir own -m sweep=mine")
    monkeypatch.setenv("TAGIFAI_CONFIG_DIR", "own")
    plan = planning(MIDDLE)
    fill(plan, 9)
    command = suggested(plan)
    assert command is not None
    assert command.count("--config-dir") == 1


def test_several_objectives_have_no_one_best_to_go_on_from(planning: Planning) -> None:
    plan = planning(
        MIDDLE, "objective.metric=[val_f1,model_bytes]", "objective.direction=[maximize,minimize]"
    )
    tried(plan, {"model.alpha": 1.0}, 0.5, 10)
    assert suggested(plan) is None
