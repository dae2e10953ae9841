from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tagifai.exceptions import ConfigError
from tagifai.tracking import leaderboard
from tests.frames import a_run, frame


def names(*runs: dict[str, Any]) -> dict[str, list[str]]:
    return leaderboard.find_varying_settings(frame(*runs), "f1").to_dict("list")  # type: ignore[return-value]


# --- what the rows are called ------------------------------------------------------------------


def test_runs_that_differ_in_nothing_but_what_has_no_influence_have_no_names() -> None:
    runs = [
        a_run(f, seed=seed, params__paths__stores=f"/{f}", params__data__path=f"/{f}/t.csv")
        for seed, f in enumerate("ab")
    ]
    assert names(*runs) == {}


def test_a_parameter_that_differs_is_a_column_and_one_that_is_the_same_is_none() -> None:
    first = a_run("a", params__model__alpha="0.1", params__model__loss="l")
    second = a_run("b", params__model__alpha="0.2", params__model__loss="l")
    assert names(first, second) == {"model.alpha": ["0.1", "0.2"]}


def test_an_option_stands_for_the_parameters_that_follow_from_it() -> None:
    runs = (
        a_run("a", option="sgd", params__model__loss="log", params__model__alpha="1"),
        a_run("b", option="sgd", params__model__loss="log", params__model__alpha="2"),
        a_run("c", option="nb", params__model__alpha="1"),
    )
    assert names(*runs) == {"model": ["sgd", "sgd", "nb"], "model.alpha": ["1", "2", "1"]}


def test_an_option_of_one_group_does_not_hide_the_parameters_of_another() -> None:
    first = a_run("a", option="sgd", params__training__epochs="1")
    second = a_run("b", option="nb", params__training__epochs="2")
    assert names(first, second) == {"model": ["sgd", "nb"], "training.epochs": ["1", "2"]}


def test_a_missing_parameter_is_a_dash_and_no_option_is_the_option_none() -> None:
    assert names(a_run("a", params__model__c="1"), a_run("b")) == {"model.c": ["1", "-"]}
    assert names(a_run("a", params__model__c="None"), a_run("b")) == {}
    runs = [a_run(option, tags__option__sampling=option) for option in ("None", "none")]
    assert names(*runs) == {}


def test_other_data_of_the_same_name_are_another_row() -> None:
    assert names(a_run("a"), a_run("b", digest="0123456789")) == {"data.digest": ["d", "01234567"]}


def test_parameters_of_the_objective_matter_to_the_objective_only() -> None:
    runs = frame(
        a_run("a", params__objective__repeats="1"), a_run("b", params__objective__repeats="3")
    )
    assert list(leaderboard.find_varying_settings(runs, "test_f1")) == []
    assert list(leaderboard.find_varying_settings(runs, "objective")) == ["objective.repeats"]


def test_long_values_are_shortened_and_stay_different() -> None:
    long = ["x" * 100 + end for end in "ab"]
    (shown,) = names(*(a_run(text, params__data__words=text) for text in long)).values()
    assert shown[0] != shown[1]
    assert [len(text) for text in shown] == [33, 33]


# --- the figures -------------------------------------------------------------------------------


TWO_ROWS = (
    a_run("a1", 0.5, seed=1, option="a"),
    a_run("a2", 0.7, seed=2, option="a", seconds=4.0),
    a_run("b1", 0.9, seed=1, option="b"),
)


def test_runs_that_differ_in_their_seed_are_one_row_with_mean_and_deviation() -> None:
    board = leaderboard.build(frame(*TWO_ROWS), "f1")
    assert board.setting_columns == ("model",)
    assert list(board.rows) == ["model", "n", "mean", "std", "seconds"]
    best, other = (board.rows.loc[f"model={name}"] for name in "ba")
    assert list(board.rows.index) == ["model=b", "model=a"]
    assert (best["n"], best["mean"], best["seconds"]) == (1, 0.9, 2.0)
    assert board.rows["std"].isna().tolist() == [True, False]
    # Deviations from 0.6 are 0.1 and 0.1: the square root of 0.02 / (2 - 1).
    assert other["std"] == pytest.approx(math.sqrt(0.02))
    assert (other["n"], other["mean"], other["seconds"]) == (2, pytest.approx(0.6), 3.0)


def test_the_lowest_mean_is_first_where_less_is_better_and_equal_ones_go_by_name() -> None:
    assert leaderboard.build(frame(*TWO_ROWS), "f1", maximize=False).rows.index[0] == "model=a"
    equal = frame(a_run("1", 0.5, option="y"), a_run("2", 0.5, option="x"))
    assert list(leaderboard.build(equal, "f1").rows.index) == ["model=x", "model=y"]


def test_the_same_run_again_counts_once_and_the_latest_counts() -> None:
    again = a_run("again", 0.8, seed=2, option="a", start=5)
    board = leaderboard.build(frame(again, *TWO_ROWS), "f1")
    assert (board.rows.loc["model=a", "n"], board.duplicates) == (2, 1)
    assert board.rows.loc["model=a", "mean"] == pytest.approx(0.65)
    unknown = frame(*(a_run(name, 0.5, seed=None) for name in "ab"))
    assert leaderboard.build(unknown, "f1").duplicates == 0


def test_runs_that_do_not_differ_are_one_row_of_all() -> None:
    board = leaderboard.build(frame(a_run("a", 0.5, seed=1), a_run("b", 0.7, seed=2)), "f1")
    assert (list(board.rows.index), board.setting_columns) == (["all"], ())


@pytest.mark.parametrize("column", ["metrics.model_bytes", "metrics.objective/model_bytes"])
def test_the_size_of_a_model_is_a_column_where_a_run_knows_it(column: str) -> None:
    runs = frame(a_run("a", 0.5, option="a") | {column: "1000"}, a_run("b", 0.4, option="b"))
    sizes = leaderboard.build(runs, "f1").rows["model_bytes"]
    assert sizes["model=a"] == 1000
    assert math.isnan(sizes["model=b"])


def test_the_interval_of_three_pairs_is_as_computed_by_hand() -> None:
    # Mean 2, deviation 1; t for 2 degrees of freedom is 4.302653: 4.302653 / sqrt(3) = 2.484138.
    mean, low, high = leaderboard.compute_paired_t(np.array([1.0, 2.0, 3.0]), 0.95)
    assert mean == 2
    assert low == pytest.approx(-0.484138, abs=1e-6)
    assert high == pytest.approx(4.484138, abs=1e-6)


def test_a_lower_confidence_gives_a_narrower_interval() -> None:
    # Mean 0.5, deviation sqrt(0.5); t for 1 degree of freedom at 50 % is tan(pi / 4) = 1.
    assert leaderboard.compute_paired_t(np.array([0.0, 1.0]), 0.5) == pytest.approx((0.5, 0.0, 1.0))


@pytest.mark.parametrize("gains", [[], [1.0]])
def test_fewer_than_two_pairs_have_no_interval(gains: list[float]) -> None:
    assert all(map(math.isnan, leaderboard.compute_paired_t(np.array(gains), 0.95)))


def test_pairs_that_gain_the_same_have_an_interval_without_width() -> None:
    assert leaderboard.compute_paired_t(np.array([0.5, 0.5]), 0.95) == (0.5, 0.5, 0.5)


def ranked(*more: dict[str, Any], confidence: float = 0.95) -> leaderboard.Leaderboard:
    """Rows base (0.1, 0.2, 0.3 for the seeds 1 to 3) and what is given, base the baseline."""
    base = [a_run(f"base{n}", n / 10, seed=n, option="base") for n in (1, 2, 3)]
    return leaderboard.build(frame(*base, *more), "f1", baseline="base", confidence=confidence)


def test_differences_are_over_pairs_of_the_same_seed() -> None:
    # Gains 0.1 (seed 1) and 0.3 (seed 3); seed 9 has no partner. t(0.9, 1) = tan(0.45 pi).
    values = {3: 0.6, 1: 0.2, 9: 7.0}
    other = [a_run(f"o{n}", value, seed=n, option="o") for n, value in values.items()]
    board = ranked(*other, confidence=0.9)
    row = board.rows.loc["model=o"]
    half = math.tan(0.45 * math.pi) * 0.1
    assert (row["n"], row["pairs"], row["interval"]) == (3, 2, "paired t, 90 %")
    assert row["difference"] == pytest.approx(0.2)
    assert (row["low"], row["high"]) == (pytest.approx(0.2 - half), pytest.approx(0.2 + half))


def test_runs_on_other_data_or_of_unknown_seed_or_data_are_no_pairs() -> None:
    board = ranked(
        *(a_run(f"x{n}", 0.5, seed=n, option="x", digest="other") for n in (1, 2)),
        *(a_run(f"y{n}", 0.5, seed=n, option="y", digest=None) for n in (1, 2)),
        *(a_run(f"z{n}", 0.5, seed=None, option="z") for n in (1, 2)),
        a_run("one", 0.5, seed=1, option="one"),
    )
    others = board.rows[board.rows.index != board.baseline]
    counts = dict(zip(others["model"], others["pairs"], strict=True))
    assert counts == {"x": 0, "y": 0, "z": 0, "one": 1}
    assert others[["difference", "low", "high", "interval"]].isna().all(axis=None)


def test_the_baseline_has_no_difference_to_itself() -> None:
    board = ranked(a_run("o", 0.5, seed=1, option="o"))
    assert board.baseline == "model=base"
    assert board.rows.loc["model=base", ["difference", "low", "high", "pairs"]].isna().all()


def test_without_a_baseline_there_are_no_differences() -> None:
    assert "difference" not in leaderboard.build(frame(*TWO_ROWS), "f1").rows


# --- the baseline ------------------------------------------------------------------------------

ROWS = pd.DataFrame(
    {"model": ["sgd", "sgd", "nb"], "model.alpha": ["1", "2", "-"]},
    index=["model=sgd, model.alpha=1", "model=sgd, model.alpha=2", "model=nb, model.alpha=-"],
)


@pytest.mark.parametrize(
    ("baseline", "row"),
    [
        ("model=sgd, model.alpha=2", 1),
        ("model.alpha=2,model=sgd", 1),
        ("model.alpha=1", 0),
        ("nb", 2),
        ("id", 0),
    ],
)
def test_a_baseline_is_a_label_a_part_of_one_or_a_run(baseline: str, row: int) -> None:
    by_run = {"id": str(ROWS.index[0])}
    assert leaderboard.find_baseline(baseline, ROWS, by_run) == ROWS.index[row]


def test_a_baseline_that_is_no_row_is_refused_with_the_labels_of_all() -> None:
    with pytest.raises(ConfigError) as error:
        leaderboard.find_baseline("sg", ROWS, {})
    assert str(error.value) == (
        "task.baseline = 'sg': no row is named so. Give one of these, or the id of a run in it:"
        " model=sgd, model.alpha=1; model=sgd, model.alpha=2; model=nb, model.alpha=-."
    )


def test_a_baseline_of_several_rows_is_refused_with_these() -> None:
    with pytest.raises(ConfigError, match="2 rows are named so") as error:
        leaderboard.find_baseline("model=sgd", ROWS, {})
    assert "model.alpha=2" in str(error.value)
    assert "nb" not in str(error.value)


def test_a_long_list_of_labels_ends_after_twenty() -> None:
    rows = pd.DataFrame({"a": map(str, range(25))}, index=[f"a={n}" for n in range(25)])
    with pytest.raises(ConfigError, match=r"; a=19; and 5 more\.$"):
        leaderboard.find_baseline("b", rows, {})
