from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import BaseDistribution
from optuna.trial import TrialState, create_trial

from tagifai.sweeping import studies
from tagifai.sweeping.findings.results import (
    describe_failures,
    format_number,
    make_table,
    summarize_study,
)
from tagifai.sweeping.spaces.grammar import parse_space
from tagifai.sweeping.studies import DIED, ERROR, Study, TrialCounts

COMPLETE, PRUNED, FAIL = TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL
RUNNING = TrialState.RUNNING

SPACE = parse_space(
    {"vectorizer": "word,char"}, {"vectorizer=word": {"v.n": "interval(0.0,9.0)"}}, ["a=1"]
)
NAMED = "v.n [vectorizer=word]"


def study_of(*directions: str) -> Study:
    return studies.open_study(None, "s", directions or ["maximize"])


def add(
    study: Study,
    state: TrialState,
    values: Sequence[float] | None = None,
    *,
    seconds: float = 10,
    n: float = 1.5,
    attributes: Mapping[str, Any] | None = None,
    constraint: float | None = None,
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
    if constraint is not None:
        trial.set_constraint("model_bytes", constraint)
    began = datetime(2026, 1, 2)
    trial.datetime_start = began
    trial.datetime_complete = began + timedelta(seconds=seconds) if state.is_finished() else None
    study.optuna.add_trial(trial)


def numbers(trials: Sequence[optuna.trial.FrozenTrial]) -> list[int]:
    return [trial.number for trial in trials]


# --- what was found --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("direction", "values", "top"),
    [
        ("maximize", [0.5, 0.75, 0.25], [1, 0, 2]),
        ("minimize", [0.5, 0.75, 0.25], [2, 0, 1]),
        # Of equal values the first is the best.
        ("maximize", [0.5, 0.5, 0.5], [0, 1, 2]),
        ("minimize", [0.5, 0.5, 0.5], [0, 1, 2]),
        # Five are shown.
        ("maximize", [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [6, 5, 4, 3, 2]),
    ],
)
def test_the_best_are_found_in_their_order_and_the_first_is_optunas(
    direction: str, values: list[float], top: list[int]
) -> None:
    study = study_of(direction)
    for value in values:
        add(study, COMPLETE, [value])
    result = summarize_study(study, ["val_f1"])
    assert (numbers(result.best), numbers(result.top)) == (top[:1], top)
    assert result.best[0].number == study.optuna.best_trial.number


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


def test_what_was_told_from_an_equal_trial_is_never_the_best_in_its_place() -> None:
    one, two = study_of("maximize"), study_of("maximize", "minimize")
    for study, values in ((one, [0.5]), (two, [0.5, 10])):
        add(study, COMPLETE, values, attributes={"same_as": 1})
        add(study, COMPLETE, values)
        add(study, PRUNED, attributes={"same_as": 3})
    assert numbers(summarize_study(one, ["val_f1"]).top) == [1]
    result = summarize_study(two, ["val_f1", "model_bytes"])
    assert (numbers(result.best), result.told) == ([1], (1, 1))


def test_what_breaks_a_constraint_is_never_the_best() -> None:
    one, two = study_of("maximize"), study_of("maximize", "minimize")
    for study, better, worse in ((one, [0.9], [0.5]), (two, [0.9, 5], [0.5, 10])):
        add(study, COMPLETE, better, constraint=0.1)
        assert summarize_study(study, ["a", "b"][: len(better)]).best == []
        add(study, COMPLETE, worse, constraint=0.0)
    assert numbers(summarize_study(one, ["val_f1"]).top) == [1]
    result = summarize_study(two, ["val_f1", "model_bytes"])
    assert (numbers(result.best), result.broken) == ([1], 1)


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


def test_the_kinds_of_trials_are_counted_in_words() -> None:
    study = study_of()
    for _ in range(15):
        add(study, COMPLETE, [0.5])
    for _ in range(4):
        add(study, PRUNED, seconds=4)
    for state in (COMPLETE, COMPLETE, COMPLETE, PRUNED, PRUNED):
        add(study, state, [0.5] if state is COMPLETE else None, attributes={"same_as": 0})
    said = "24: 15 complete, 4 pruned, 5 the same as earlier ones"
    found = summarize_study(study, ["val_f1"])
    assert found.describe_counts(24) == f"{said}; pruning saved about 24 s"
    assert found.describe_counts(60).startswith("24 of 60: 15 complete, ")


@pytest.mark.parametrize(
    ("reasons", "said"),
    [
        (["bad."], "1 of 1 trials of 's' failed; the first reason: bad"),
        (
            ["bad", "worse", "bad", "odd", "worse"],
            "5 of 5 trials of 's' failed; the first reason: bad; others: worse (2); odd (1)",
        ),
        (
            list("abcdefg"),
            (
                "7 of 7 trials of 's' failed; the first reason: a; others: b (1); c (1); d (1);"
                " e (1); and 2 more"
            ),
        ),
    ],
)
def test_the_error_has_the_reasons_and_the_report(reasons: list[str], said: str) -> None:
    study = study_of()
    for reason in reasons:
        add(study, FAIL, attributes={ERROR: reason})
    result = summarize_study(study, ["val_f1"])
    assert describe_failures(result, None) == said
    shown = describe_failures(result, Path("/out/report.html"))
    assert shown == f"{said}. All of them are in /out/report.html"


# --- as a table ------------------------------------------------------------------------------


FLOATS = """
0.85 0.8500 | 0.123456 0.1235 | -0.5 -0.5000 | 0.01 0.0100 | 0.0099999 0.01 | 0.001234567 0.001235
1.23456e-6 1.235e-06 | 0.0 0.0000 | 1.0 1.0000 | 9.0 9.0000 | 10.0 10 | -10.0 -10 | 123456.0 123456
999999999.0 999999999 | 1e9 1e+09 | 9999.5 9999.5000 | 12345.678 1.235e+04 | inf inf | -inf -inf
nan nan
"""
"""Numbers and how they are shown."""


@pytest.mark.parametrize("pair", FLOATS.strip().replace("\n", "|").split("|"))
def test_a_number_is_shown_in_brief(pair: str) -> None:
    value, text = pair.split()
    assert format_number(float(value)) == text


@pytest.mark.parametrize("value", [7, True, "char", None])
def test_what_is_no_float_is_shown_as_it_is(value: Any) -> None:
    assert format_number(value) == str(value)


@given(st.floats(-1e300, 1e300))
def test_a_number_in_brief_is_short_and_about_the_number(value: float) -> None:
    assert len(format_number(value)) <= 11
    assert float(format_number(value)) == pytest.approx(value, rel=1e-2, abs=1e-12)


def test_a_table_has_a_row_for_each_of_the_best_with_keys_in_place_of_names() -> None:
    study = study_of()
    add(study, COMPLETE, [0.5], n=0.00123)
    add(study, COMPLETE, [0.75], n=2.5)
    assert make_table(summarize_study(study, ["val_f1"]), SPACE) == (
        ["val_f1", "trial", "settings"],
        [["0.7500", "1", "vectorizer=word n=2.5"], ["0.5000", "0", "vectorizer=word n=0.00123"]],
        {},
    )


def test_equal_trials_are_said_to_be_so_and_runs_have_short_ids() -> None:
    study = study_of()
    for value in (0.5, 0.75, 0.75):
        add(study, COMPLETE, [value], attributes={"run_id": "0123456789abcdef"})
    columns, rows, notes = make_table(summarize_study(study, ["val_f1"]), SPACE)
    assert columns[:3] == ["val_f1", "run", "trial"]
    assert [row[:3] for row in rows] == [
        ["0.7500", "01234567", "1"],
        ["0.7500", "01234567", "2"],
        ["0.5000", "01234567", "0"],
    ]
    assert notes == {"Equal": "trial 2 to trial 1, which was first"}


def test_with_several_objectives_it_has_a_column_for_each() -> None:
    study = study_of("maximize", "minimize")
    add(study, COMPLETE, [0.5, 1234])
    columns, table, _ = make_table(summarize_study(study, ["val_f1", "model_bytes"]), SPACE)
    assert columns == ["val_f1", "model_bytes", "trial", "settings"]
    assert table == [["0.5000", "1234", "0", "vectorizer=word n=1.5"]]
