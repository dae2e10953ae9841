from __future__ import annotations

import numpy as np
import pytest

from tagifai.config.schema import SplitConfig
from tagifai.data.splitting.stratified import Split
from tagifai.data.splitting.timed import TimeSplitter, cut_newest, parse_times
from tagifai.exceptions import DataError
from tagifai.preprocessing.labels import Indices, LabelEncoder

ENCODER = LabelEncoder(("a", "b"))


def splitter(times: list[float]) -> TimeSplitter:
    return TimeSplitter("split.by = 'day'", np.array(times, float), lambda row: f"day {times[row]}")


def split(times: list[float], y: Indices) -> tuple[TimeSplitter, Split]:
    made = splitter(times)
    return made, made.split(y, ENCODER, None, SplitConfig(), np.random.RandomState(0))


def test_the_oldest_rows_train_and_the_newest_are_the_test() -> None:
    times = np.random.RandomState(0).permutation(100).astype(float)
    made, found = split(times.tolist(), np.arange(100) % 2)
    assert [len(found.train), len(found.val), len(found.test)] == [70, 15, 15]
    assert times[found.train].max() < times[found.val].min()
    assert times[found.val].max() < times[found.test].min()
    assert made.list_notes(found) == [
        (
            "By time (split.by = 'day'): train day 0.0 to day 69.0, val day 70.0 to day 84.0,"
            " test day 85.0 to day 99.0."
        )
    ]


def test_rows_of_one_time_are_on_one_side() -> None:
    rows = np.arange(10)
    older, newest = cut_newest(rows, np.array([1, 1, 1, 1, 1, 2, 2, 2, 2, 3]), 0.2)
    assert (older.tolist(), newest.tolist()) == ([0, 1, 2, 3, 4, 5, 6, 7, 8], [9])


def test_rows_that_all_have_one_time_are_refused() -> None:
    with pytest.raises(
        DataError, match=r"10 rows .* have the same time, day 1.0, so none is older"
    ):
        split([1.0] * 10, np.arange(10) % 2)


def test_a_class_that_appears_only_later_is_named_with_the_time_and_the_way_out() -> None:
    with pytest.raises(DataError) as caught:
        split([*map(float, range(20))], np.array([0] * 18 + [1] * 2))
    said = str(caught.value)
    assert "because they appear only from day 18.0 on: b." in said
    assert "data.accepted_tags" in said
    assert "split=stratified" in said


def test_folds_are_scored_on_rows_newer_than_those_that_train() -> None:
    times = [*map(float, range(120))]
    made, found = split(times, np.arange(120) % 2)
    folds = made.make_folds(np.arange(120) % 2, ENCODER, found, 3, np.random.RandomState(0))
    rest = sorted([*found.train, *found.val])
    for fold in folds:
        assert fold.train.max() < fold.val.min()
        assert fold.test.tolist() == found.test.tolist()
    # The newer half of the rows is scored, each row once.
    scored = np.concatenate([fold.val for fold in folds])
    assert sorted(scored) == rest[len(rest) // 2 :]
    assert len(folds[0].train) == len(rest) // 2


def test_too_few_different_times_for_folds_are_refused() -> None:
    made, found = split([float(row // 30) for row in range(120)], np.arange(120) % 2)
    with pytest.raises(DataError, match="more than 5 different times"):
        made.make_folds(np.arange(120) % 2, ENCODER, found, 5, np.random.RandomState(0))


def test_repeats_by_seeds_have_the_same_rows() -> None:
    y = np.arange(40) % 2
    made, found = split([*map(float, range(40))], y)
    assert made.resplit_train_val(y, ENCODER, found, np.random.RandomState(3)) is found


@pytest.mark.parametrize(
    ("values", "order"),
    [
        (["2020-01-02", "2020-01-01T23:00", "2020-01-02 00:00:01"], [1, 0, 2]),
        (["2020-01-01T00:30+02:00", "2020-01-01T00:00Z"], [0, 1]),
        (["10", "9", "1e3"], [1, 0, 2]),
    ],
)
def test_iso_dates_and_numbers_are_times(values: list[str], order: list[int]) -> None:
    assert np.argsort(parse_times(values, ["x"] * len(values), "day")).tolist() == order


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (["2020-01-01", "31.12.2020"], "id r1 has '31.12.2020', which is no ISO date"),
        (["5", "soon"], "2 of 2 rows"),
        (["5", " ", ""], "2 of 3 rows have no value, such as the row with id r1"),
    ],
)
def test_what_is_no_time_is_one_error_with_the_row_and_the_count(
    values: list[str], said: str
) -> None:
    with pytest.raises(DataError) as caught:
        parse_times(values, [f"r{n}" for n in range(len(values))], "day")
    assert said in str(caught.value)
