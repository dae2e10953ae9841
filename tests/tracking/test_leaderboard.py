from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest

from tagifai.exceptions import ConfigError
from tagifai.tracking import differences, leaderboard
from tests.frames import a_run, frame


def names(*runs: dict[str, Any]) -> dict[str, list[str]]:
    return differences.find_varying_settings(frame(*runs), "f1").to_dict("list")  # type: ignore[return-value]


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
    runs = [a_run(option, params__sampling=option) for option in ("None", "none")]
    assert names(*runs) == {}


def test_other_data_of_the_same_name_are_another_board_the_latest_first() -> None:
    runs = frame(a_run("a", 0.9), a_run("b", 0.1, digest="0123456789", start=9))
    boards = leaderboard.build_by_data(runs, "f1")
    assert list(boards) == ["data (01234567)", "data (d)"]
    assert [board.rows["mean"].tolist() for board in boards.values()] == [[0.1], [0.9]]


def test_rows_of_one_digest_are_one_board_whatever_they_were_called() -> None:
    runs = frame(a_run("a", 0.1, params__data__name="x"), a_run("b", 0.2, params__data__name="y"))
    assert len(leaderboard.build_by_data(runs, "f1")) == 1


def test_data_sets_whose_digests_begin_alike_are_two_boards() -> None:
    runs = frame(a_run("a", 0.9, digest="012345678"), a_run("b", 0.1, digest="012345679", start=9))
    boards = leaderboard.build_by_data(runs, "f1")
    assert list(boards) == ["data (012345679)", "data (012345678)"]
    assert [board.rows["mean"].tolist() for board in boards.values()] == [[0.1], [0.9]]


def test_runs_on_unknown_data_are_one_board() -> None:
    runs = frame(a_run("a", 0.9, digest=None), a_run("b", 0.1, digest=None, seed=2))
    (board,) = leaderboard.build_by_data(runs, "f1").items()
    assert (board[0], len(board[1].rows)) == ("unknown data", 1)


def test_a_baseline_need_be_in_one_board_only() -> None:
    runs = frame(
        a_run("a", 0.1, option="sgd", start=1),
        a_run("b", 0.1, option="nb"),
        a_run("c", 0.1, option="nb", digest="e"),
        a_run("d", 0.1, option="svc", digest="e"),
    )
    boards = leaderboard.build_by_data(runs, "f1", baseline="sgd")
    found = {name: (board.baseline, board.is_best) for name, board in boards.items()}
    assert found == {"data (d)": ("model=sgd", False), "data (e)": ("model=nb", True)}
    with pytest.raises(ConfigError, match="no row is named so"):
        leaderboard.build_by_data(runs, "f1", baseline="forest")


def test_beside_a_metric_of_validation_rows_is_that_of_test_rows() -> None:
    runs = frame(
        a_run("a", metrics__val_f1=0.5, metrics__test_f1=0.4),
        a_run("b", metrics__val_f1=0.7, metrics__test_f1=0.6, params__seed="2"),
    )
    board = leaderboard.build(runs, "val_f1", shown=["test_f1", "test_accuracy"])
    assert (board.shown, board.rows["test_f1"].tolist()) == (("test_f1",), [0.5])
    assert leaderboard.build(runs, "test_f1", shown=["test_f1"]).shown == ()


def test_parameters_of_the_objective_matter_to_the_objective_only() -> None:
    runs = frame(
        a_run("a", params__objective__repeats="1"), a_run("b", params__objective__repeats="3")
    )
    assert list(differences.find_varying_settings(runs, "test_f1")) == []
    assert list(differences.find_varying_settings(runs, "objective")) == ["objective.repeats"]


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
    first, *others = list(board.rows)
    assert (first, others[:2], others[-1]) == ("mean", ["std", "n"], "seconds")
    best, other = (board.rows.loc[f"model={name}"] for name in "ba")
    assert list(board.rows.index) == ["model=b", "model=a"]
    assert (best["n"], best["mean"], best["seconds"]) == (1, 0.9, 2.0)
    assert board.rows["std"].isna().tolist() == [True, False]
    # Deviations from 0.6 are 0.1 and 0.1: the square root of 0.02 / (2 - 1).
    assert other["std"] == pytest.approx(math.sqrt(0.02))
    assert (other["n"], other["mean"], other["seconds"]) == (2, pytest.approx(0.6), 3.0)


def test_further_metrics_have_their_means_and_one_that_no_run_has_is_left_out() -> None:
    runs = frame(*TWO_ROWS).assign(**{"metrics.test_accuracy": [0.25, 0.75, 1.0]})
    wanted = ("test_accuracy", "f1", "test_ece")
    board = leaderboard.build(runs, "f1", shown=wanted)
    assert board.shown == ("test_accuracy",)
    assert board.rows["test_accuracy"].to_dict() == {"model=b": 1.0, "model=a": 0.5}


def test_a_row_of_one_run_has_the_interval_of_its_test_rows_and_one_of_several_has_none() -> None:
    bounds = {"low": [0.3, 0.4, 0.8], "high": [0.7, 0.9, 0.95]}
    runs = frame(*TWO_ROWS).rename(columns={"metrics.f1": "metrics.test_f1"})
    runs = runs.assign(**{f"metrics.test_interval/f1/{name}": bounds[name] for name in bounds})
    rows = leaderboard.build(runs, "test_f1").rows
    assert (rows.loc["model=b", "test_low"], rows.loc["model=b", "test_high"]) == (0.8, 0.95)
    assert rows[["test_low", "test_high"]].isna().all(axis="columns").to_dict()["model=a"]


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


def test_without_a_baseline_rows_are_compared_with_the_first() -> None:
    board = leaderboard.build(frame(*TWO_ROWS), "f1")
    assert (board.baseline, board.is_best) == ("model=b", True)
    assert board.rows["compared_with"].dropna().to_dict() == {"model=a": "model=b"}
    # Seed 1 alone is a pair: 0.5 and 0.9.
    assert board.rows.loc["model=a", "difference"] == pytest.approx(-0.4)
    assert board.rows.loc["model=a", "reason"] == "their predictions are not on this machine"


def test_a_row_has_the_id_of_its_best_run() -> None:
    ids = [letter * 32 for letter in "abc"]
    runs = [
        a_run(i, value, seed=n)
        for n, (i, value) in enumerate(zip(ids, (0.5, 0.9, 0.1), strict=True))
    ]
    for maximize, best in ((True, ids[1]), (False, ids[2])):
        row = leaderboard.build(frame(*runs), "f1", maximize=maximize).rows.iloc[0]
        assert (row["run_id"], row["run"]) == (best, best[:8])


def test_the_rows_of_a_data_set_are_known_where_a_run_says_so() -> None:
    assert leaderboard.build(frame(a_run("a", 0.5, rows=1234)), "f1").data_rows == 1234
    assert leaderboard.build(frame(a_run("a", 0.5)), "f1").data_rows is None


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
        ("alpha=2.0", 1),
        ("model=sgd, alpha=1", 0),
        ("nb", 2),
        ("id", 0),
        ("0123456789abcdef", 2),
        ("01234567", 2),
    ],
)
def test_a_baseline_is_a_label_a_part_of_one_or_a_run(baseline: str, row: int) -> None:
    by_run = {"id": str(ROWS.index[0]), "0123456789abcdef": str(ROWS.index[2])}
    assert differences.find_baseline(baseline, ROWS, by_run) == ROWS.index[row]


def test_a_baseline_that_is_no_row_is_refused_with_the_labels_of_all() -> None:
    with pytest.raises(ConfigError) as error:
        differences.find_baseline("sg", ROWS, {})
    assert str(error.value) == (
        "task.baseline = 'sg': no row is named so. Give one of these, or the id of one of its runs:"
        " model=sgd, model.alpha=1; model=sgd, model.alpha=2; model=nb, model.alpha=-."
    )


def test_a_baseline_of_several_rows_is_refused_with_these() -> None:
    with pytest.raises(ConfigError, match="2 rows are named so") as error:
        differences.find_baseline("model=sgd", ROWS, {})
    assert "model.alpha=2" in str(error.value)
    assert "nb" not in str(error.value)


def test_a_long_list_of_labels_ends_after_twenty() -> None:
    rows = pd.DataFrame({"a": map(str, range(25))}, index=[f"a={n}" for n in range(25)])
    with pytest.raises(ConfigError, match=r"; a=19; and 5 more\.$"):
        differences.find_baseline("b", rows, {})
