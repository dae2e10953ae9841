from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagifai.config.schema import SplitConfig
from tagifai.data.splitting import grouped
from tagifai.data.splitting.grouped import GroupSplitter, merge_groups, number_groups
from tagifai.data.splitting.parts import PARTS
from tagifai.data.splitting.stratified import Split
from tagifai.exceptions import DataError
from tagifai.preprocessing.labels import Indices, LabelEncoder

ENCODER = LabelEncoder(("a", "b"))


def many_groups(groups: int, rows: int, seed: int = 0) -> tuple[Indices, Indices]:
    """Return labels and groups of rows."""
    random = np.random.RandomState(seed)
    return random.randint(2, size=rows), random.randint(groups, size=rows)


def split(
    y: Indices, groups: Indices, seed: int = 0, parts: list[str] | None = None
) -> tuple[GroupSplitter, Split]:
    splitter = GroupSplitter("split.by = 'user'", groups)
    return splitter, splitter.split(y, ENCODER, parts, SplitConfig(), np.random.RandomState(seed))


def sides(groups: Indices, found: Split) -> list[set[int]]:
    return [set(groups[getattr(found, name)].tolist()) for name in PARTS]


@settings(max_examples=25)
@given(st.integers(6, 60), st.integers(0, 1000))
def test_no_group_is_on_two_sides_and_every_row_is_on_one(groups: int, seed: int) -> None:
    y, of_row = many_groups(groups, 300, seed)
    _, found = split(y, of_row, seed)
    train, val, test = sides(of_row, found)
    assert not (train & val)
    assert not (train & test)
    assert not (val & test)
    rows = np.concatenate([found.train, found.val, found.test])
    assert sorted(rows.tolist()) == list(range(300))
    assert set(y[found.train]) == {0, 1}


def test_with_many_groups_the_parts_have_their_sizes_and_their_share_of_each_class() -> None:
    y, groups = many_groups(200, 2000)
    _, found = split(y, groups)
    sizes = [len(getattr(found, name)) / 2000 for name in PARTS]
    assert sizes == pytest.approx([0.7, 0.15, 0.15], abs=0.02)
    for name in PARTS:
        assert y[getattr(found, name)].mean() == pytest.approx(y.mean(), abs=0.03)


def test_a_seed_gives_the_same_groups_and_another_seed_others() -> None:
    y, groups = many_groups(50, 500)
    first, again, other = (split(y, groups, seed)[1] for seed in (1, 1, 2))
    assert first.test.tolist() == again.test.tolist()
    assert first.test.tolist() != other.test.tolist()


def test_the_only_group_of_a_class_trains() -> None:
    y = np.array([0] * 60 + [1] * 10)
    groups = np.array([*np.repeat(np.arange(12), 5), *[12] * 10])
    for seed in range(5):
        _, found = split(y, groups, seed)
        assert set(groups[y == 1]) <= set(groups[found.train])


def test_where_each_group_has_a_class_alone_the_error_says_the_way_out() -> None:
    with pytest.raises(DataError, match="a class has none left") as caught:
        split(np.repeat([0, 1], 10), np.repeat([0, 1], 10))
    assert "data.min_freq" in str(caught.value)
    assert "split=stratified" in str(caught.value)


def test_parts_of_the_data_stay_and_only_the_missing_one_is_taken_from_the_train_rows() -> None:
    y, groups = many_groups(40, 400)
    parts = ["test" if row % 4 == 0 else "train" for row in range(400)]
    splitter, found = split(y, groups, parts=parts)
    assert found.test.tolist() == list(range(0, 400, 4))
    train, val, _ = sides(groups, found)
    assert not train & val
    # Those of the data's own test rows are where the data have put them, which is said.
    assert "groups are in two of the parts" in splitter.list_notes(found)[-1]


def test_where_the_data_say_all_parts_there_is_nothing_to_split() -> None:
    y, groups = many_groups(10, 30)
    with pytest.raises(DataError, match="there is nothing to split"):
        split(y, groups, parts=["train", "val", "test"] * 10)


def test_repeats_and_folds_are_of_whole_groups_too() -> None:
    y, groups = many_groups(30, 300)
    splitter, found = split(y, groups)
    again = splitter.resplit_train_val(y, ENCODER, found, np.random.RandomState(7))
    assert again.val.tolist() != found.val.tolist()
    folds = splitter.make_folds(y, ENCODER, found, 4, np.random.RandomState(7))
    for cut in (again, *folds):
        assert cut.test.tolist() == found.test.tolist()
        train, val, test = sides(groups, cut)
        assert not (train & val)
        assert not (train & test)
        assert not (val & test)
    scored = np.concatenate([fold.val for fold in folds])
    assert sorted(scored) == sorted([*found.train, *found.val])


def test_more_folds_than_groups_are_refused() -> None:
    y, groups = many_groups(6, 60)
    splitter, found = split(y, groups)
    with pytest.raises(DataError, match="8 folds need 8 groups"):
        splitter.make_folds(y, ENCODER, found, 8, np.random.RandomState(0))


def test_groups_that_leave_a_fold_empty_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    y, groups = many_groups(8, 100)
    splitter, found = split(y, groups)

    def leave_one_empty(*_given: object) -> list[tuple[Indices, Indices]]:
        return [(np.arange(9), np.arange(9))] * 3

    monkeypatch.setattr(grouped, "split_into_folds", leave_one_empty)
    with pytest.raises(DataError, match=r"4 groups .* that there are fill 3\. Use"):
        splitter.make_folds(y, ENCODER, found, 4, np.random.RandomState(0))


def test_rows_without_a_value_are_a_group_each() -> None:
    assert number_groups(["x", "", "y", " ", "x"]).tolist() == [0, 1, 2, 3, 0]


def test_groups_that_share_a_row_become_one_by_a_chain() -> None:
    merged = merge_groups(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 2]))
    assert merged[0] == merged[1] == merged[2] != merged[3]
