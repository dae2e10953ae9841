from __future__ import annotations

import re
from string import ascii_lowercase
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from tagifai.data.splitting.stratified import (
    Split,
    make_folds,
    make_stratified,
    resplit_train_val,
    shorten_train,
)
from tagifai.data.splitting.stratified import make_predefined as as_given
from tagifai.exceptions import DataError
from tagifai.preprocessing.labels import Indices, LabelEncoder

quick = settings(max_examples=40)

# Classes of 10 rows or more, of which both cuts leave some for every part.
class_sizes = st.lists(st.integers(10, 40), min_size=2, max_size=4)
sizes = st.sampled_from([(0.7, 0.15), (0.6, 0.2), (0.5, 0.25), (0.4, 0.3)])
seeds = st.integers(0, 2**32 - 1)


def split(
    counts: list[int], train_size: float = 0.7, val_size: float = 0.15, seed: int = 0
) -> tuple[Indices, Split]:
    """Split rows of the classes "a", "b", ... with so many rows each."""
    y = np.repeat(np.arange(len(counts)), counts)
    encoder = LabelEncoder(tuple(ascii_lowercase[: len(counts)]))
    return y, make_stratified(y, encoder, train_size, val_size, np.random.RandomState(seed))


def test_every_part_has_its_share_of_every_class() -> None:
    y, parts = split([8, 12], train_size=0.5, val_size=0.25)
    assert np.bincount(y[parts.train]).tolist() == [4, 6]
    assert np.bincount(y[parts.val]).tolist() == [2, 3]
    assert np.bincount(y[parts.test]).tolist() == [2, 3]


def test_half_of_the_rest_is_half_despite_floats() -> None:
    assert 0.15 / (1 - 0.7) < 0.5
    _, parts = split([60, 40], train_size=0.7, val_size=0.15)
    assert [len(parts.train), len(parts.val), len(parts.test)] == [70, 15, 15]


def test_an_odd_row_of_the_rest_goes_to_test() -> None:
    _, parts = split([360, 80, 388, 127], train_size=0.7, val_size=0.15)
    assert [len(parts.train), len(parts.val), len(parts.test)] == [668, 143, 144]


def test_rows_are_positions_in_no_order() -> None:
    _, parts = split([50, 50])
    assert parts.train.tolist() != sorted(parts.train.tolist())


@quick
@given(class_sizes, sizes, seeds)
def test_the_parts_are_disjoint_and_cover_all_rows(
    counts: list[int], shares: tuple[float, float], seed: int
) -> None:
    y, parts = split(counts, *shares, seed)
    together = np.concatenate([parts.train, parts.val, parts.test])
    assert sorted(together.tolist()) == list(range(len(y)))


@quick
@given(class_sizes, sizes, seeds)
def test_each_cut_has_the_classes_in_proportion_within_one_row(
    counts: list[int], shares: tuple[float, float], seed: int
) -> None:
    y, parts = split(counts, *shares, seed)
    rest = np.concatenate([parts.val, parts.test])
    for part, whole in ((parts.train, np.arange(len(y))), (parts.val, rest), (parts.test, rest)):
        expected = np.bincount(y[whole]) * len(part) / len(whole)
        assert np.all(np.abs(np.bincount(y[part]) - expected) < 1)


@quick
@given(class_sizes, sizes, seeds)
def test_the_sizes_are_the_shares_within_one_row(
    counts: list[int], shares: tuple[float, float], seed: int
) -> None:
    y, parts = split(counts, *shares, seed)
    assert abs(len(parts.train) - shares[0] * len(y)) <= 1
    assert abs(len(parts.val) - shares[1] * len(y)) <= 1


@quick
@given(class_sizes, sizes, seeds)
def test_the_same_seed_gives_the_same_split(
    counts: list[int], shares: tuple[float, float], seed: int
) -> None:
    _, one = split(counts, *shares, seed)
    _, two = split(counts, *shares, seed)
    for name in ("train", "val", "test"):
        assert getattr(one, name).tolist() == getattr(two, name).tolist()


def test_another_seed_gives_another_split() -> None:
    _, one = split([50, 50], seed=1)
    _, two = split([50, 50], seed=2)
    assert set(one.train.tolist()) != set(two.train.tolist())


def test_the_two_cuts_draw_one_after_the_other_from_one_source() -> None:
    y, parts = split([30, 20], train_size=0.6, val_size=0.2, seed=5)
    source = np.random.RandomState(5)
    train, rest = train_test_split(np.arange(50), train_size=0.6, stratify=y, random_state=source)
    val, test = train_test_split(rest, train_size=0.5, stratify=y[rest], random_state=source)
    assert parts.train.tolist() == train.tolist()
    assert parts.val.tolist() == val.tolist()
    assert parts.test.tolist() == test.tolist()


def test_splitting_advances_the_source_of_randomness() -> None:
    y = np.repeat([0, 1], 50)
    encoder, random_state = LabelEncoder(("a", "b")), np.random.RandomState(0)
    one = make_stratified(y, encoder, 0.7, 0.15, random_state)
    two = make_stratified(y, encoder, 0.7, 0.15, random_state)
    assert set(one.train.tolist()) != set(two.train.tolist())


def test_the_split_does_not_touch_the_global_source_of_randomness() -> None:
    np.random.seed(1)
    before = np.random.get_state()[1].tolist()  # type: ignore[index]
    split([20, 20])
    assert np.random.get_state()[1].tolist() == before  # type: ignore[index]


def test_a_class_of_one_row_is_an_error_with_numbers_cause_and_way_out() -> None:
    with pytest.raises(DataError, match="cannot be split") as refused:
        split([9, 1], train_size=0.7, val_size=0.15)
    message = str(refused.value)
    assert "0.7 train, 0.15 validation" in message
    assert "Rows by class: b 1, a 9" in message
    assert "only 1 member" in message or "too few" in message
    assert "data.min_freq" in message
    assert "split.train_size" in message
    assert "split.val_size" in message


def test_the_reason_of_the_error_is_a_sentence_of_its_own() -> None:
    for counts in ([9, 1], [2, 2, 2, 2], [5, 5, 5, 2]):
        with pytest.raises(DataError, match="cannot be split") as refused:
            split(counts, train_size=0.7, val_size=0.15)
        assert re.search(r"[^.]\. Rows by class: ", str(refused.value))


def test_the_error_counts_a_class_without_rows() -> None:
    y = np.array([0, 1])
    with pytest.raises(DataError, match="c 0, a 1, b 1"):
        make_stratified(y, LabelEncoder(("a", "b", "c")), 0.7, 0.15, np.random.RandomState(0))


def test_a_class_that_the_first_cut_leaves_one_row_of_is_an_error() -> None:
    with pytest.raises(DataError, match="Rows by class: b 3, a 40"):
        split([40, 3])


def test_fewer_rows_than_classes_in_a_part_is_an_error() -> None:
    with pytest.raises(DataError, match="should be greater or equal to the number of classes"):
        split([2, 2, 2], train_size=0.4, val_size=0.3)


def test_no_rows_are_an_error() -> None:
    with pytest.raises(DataError, match="a 0, b 0"):
        split([0, 0])


@pytest.mark.parametrize(
    ("counts", "train_size", "val_size"),
    [([10, 7, 2], 0.3, 0.3), ([10, 7, 2], 0.8, 0.1), ([10, 20, 5], 0.7, 0.1)],
    ids=["none in train", "all in train", "none in validation"],
)
def test_a_class_that_is_rounded_out_of_a_part_is_an_error(
    counts: list[int], train_size: float, val_size: float
) -> None:
    with pytest.raises(DataError, match="every class in each part"):
        split(counts, train_size, val_size)


# --- cut again ---------------------------------------------------------------------------------


def encoder_of(counts: list[int]) -> LabelEncoder:
    return LabelEncoder(tuple(ascii_lowercase[: len(counts)]))


def cut(counts: list[int], again: int = 1, **first: Any) -> tuple[Indices, Split, Split]:
    """Return labels, the first cut and another one of its train and validation rows."""
    y, parts = split(counts, **first)
    return y, parts, resplit_train_val(y, encoder_of(counts), parts, np.random.RandomState(again))


def rows(*parts: Indices) -> list[int]:
    return sorted(np.concatenate(parts).tolist())


@quick
@given(class_sizes, sizes, seeds, seeds)
def test_another_cut_has_the_same_test_rows_and_the_others_in_the_same_sizes(
    counts: list[int], shares: tuple[float, float], seed: int, again: int
) -> None:
    _, one, two = cut(counts, again, train_size=shares[0], val_size=shares[1], seed=seed)
    assert two.test.tolist() == one.test.tolist()
    assert (len(two.train), len(two.val)) == (len(one.train), len(one.val))
    assert rows(two.train, two.val) == rows(one.train, one.val)


@quick
@given(class_sizes, sizes, seeds)
def test_another_cut_has_the_classes_in_proportion_within_one_row(
    counts: list[int], shares: tuple[float, float], again: int
) -> None:
    y, one, two = cut(counts, again, train_size=shares[0], val_size=shares[1])
    rest = np.concatenate([one.train, one.val])
    for part in (two.train, two.val):
        expected = np.bincount(y[rest]) * len(part) / len(rest)
        assert np.all(np.abs(np.bincount(y[part], minlength=len(counts)) - expected) < 1)


def test_another_cut_moves_rows_between_train_and_validation() -> None:
    _, one, two = cut([50, 50])
    assert set(two.val.tolist()) & set(one.train.tolist())
    assert set(two.val.tolist()) != set(one.val.tolist())


def test_equal_seeds_cut_alike_whatever_order_the_first_cut_had() -> None:
    y, one, two = cut([20, 14], again=3)
    turned = Split(one.train[::-1], one.val[::-1], one.test)
    again = resplit_train_val(y, encoder_of([20, 14]), turned, np.random.RandomState(3))
    assert (again.train.tolist(), again.val.tolist()) == (two.train.tolist(), two.val.tolist())
    _, _, other = cut([20, 14], again=4)
    assert set(other.val.tolist()) != set(two.val.tolist())


def test_cutting_again_advances_the_source_of_randomness() -> None:
    y, one = split([50, 50])
    source = np.random.RandomState(0)
    cuts = [resplit_train_val(y, encoder_of([50, 50]), one, source) for _ in range(2)]
    assert set(cuts[0].val.tolist()) != set(cuts[1].val.tolist())


def test_a_class_of_one_row_cannot_be_cut_again() -> None:
    y = np.array([0, 0, 0, 0, 0, 0, 1, 0, 1])
    parts = Split(np.array([0, 1, 2, 6]), np.array([3, 4]), np.array([5, 7, 8]))
    with pytest.raises(DataError, match="cannot be split") as refused:
        resplit_train_val(y, encoder_of([7, 2]), parts, np.random.RandomState(0))
    message = str(refused.value)
    assert "objective.repeats splits train and validation again, and " in message
    assert "Rows by class: b 2, a 7" in message
    assert "data.min_freq" in message


def test_a_class_that_another_cut_would_leave_no_validation_row_of_is_an_error() -> None:
    counts = [5, 16]
    y, one = split(counts, train_size=0.5, val_size=0.1, seed=871)
    assert np.bincount(y[one.val]).tolist() == [1, 1]
    with pytest.raises(DataError, match="every class in each part"):
        resplit_train_val(y, encoder_of(counts), one, np.random.RandomState(319))


# --- folds -------------------------------------------------------------------------------------


def folded(counts: list[int], n: int, seed: int = 1) -> tuple[Indices, Split, list[Split]]:
    """Return labels, the first cut and the folds of its train and validation rows."""
    y, parts = split(counts)
    return y, parts, make_folds(y, encoder_of(counts), parts, n, np.random.RandomState(seed))


@quick
@given(st.lists(st.integers(20, 40), min_size=2, max_size=4), st.integers(2, 5), seeds)
def test_each_row_but_the_test_rows_is_a_validation_row_once(
    counts: list[int], n: int, seed: int
) -> None:
    _, one, cuts = folded(counts, n, seed)
    assert len(cuts) == n
    assert rows(*(part.val for part in cuts)) == rows(one.train, one.val)
    for part in cuts:
        assert part.test.tolist() == one.test.tolist()
        assert rows(part.train, part.val) == rows(one.train, one.val)


@quick
@given(st.lists(st.integers(20, 40), min_size=2, max_size=4), st.integers(2, 5), seeds)
def test_folds_are_of_one_size_and_have_every_class_within_a_row(
    counts: list[int], n: int, seed: int
) -> None:
    y, one, cuts = folded(counts, n, seed)
    rest = np.concatenate([one.train, one.val])
    in_rest = np.bincount(y[rest])
    for part in cuts:
        in_val = np.bincount(y[part.val], minlength=len(counts))
        assert np.all(np.abs(in_val - in_rest / n) < 1)
        assert in_val.min() > 0
        assert np.bincount(y[part.train], minlength=len(counts)).min() > 0
    found = [len(part.val) for part in cuts]
    assert max(found) - min(found) <= len(counts)


def test_two_folds_of_a_few_rows_are_halves() -> None:
    y = np.array([0, 0, 1, 1, 0, 1])
    parts = Split(np.array([3, 0]), np.array([1, 2]), np.array([4, 5]))
    one, two = make_folds(y, LabelEncoder(("a", "b")), parts, 2, np.random.RandomState(0))
    assert rows(one.val, two.val) == [0, 1, 2, 3]
    for part in (one, two):
        assert sorted(y[part.val].tolist()) == sorted(y[part.train].tolist()) == [0, 1]
        assert part.test.tolist() == [4, 5]
    assert rows(one.train) == rows(two.val)


def test_equal_seeds_fold_alike_and_others_do_not() -> None:
    _, _, one = folded([30, 20], 3, seed=1)
    _, _, two = folded([30, 20], 3, seed=1)
    _, _, other = folded([30, 20], 3, seed=2)
    assert [part.val.tolist() for part in one] == [part.val.tolist() for part in two]
    assert [part.val.tolist() for part in one] != [part.val.tolist() for part in other]


def test_as_many_rows_of_a_class_as_folds_are_enough_and_fewer_are_an_error() -> None:
    y, encoder = np.array([0] * 6 + [1] * 4), LabelEncoder(("a", "b"))
    parts = Split(np.arange(0, 8), np.array([8]), np.array([9]))
    found = make_folds(y, encoder, parts, 3, np.random.RandomState(0))
    assert [int((y[part.val] == 1).sum()) for part in found] == [1, 1, 1]
    with pytest.raises(DataError) as refused:
        make_folds(y, encoder, parts, 4, np.random.RandomState(0))
    assert str(refused.value) == (
        "objective.repeats = 4 folds need 4 rows of each class outside the test rows; b has 3. Use"
        " fewer folds, objective.by=seeds, or raise data.min_freq so that rare tags get the"
        " fallback label."
    )


def test_a_class_that_is_among_the_test_rows_only_cannot_be_folded() -> None:
    y, encoder = np.array([0, 0, 1, 1, 2]), LabelEncoder(("a", "b", "c"))
    parts = Split(np.array([0, 2]), np.array([1, 3]), np.array([4]))
    with pytest.raises(DataError, match="c has 0"):
        make_folds(y, encoder, parts, 2, np.random.RandomState(0))


# --- parts that the data say themselves --------------------------------------------------------


def given_parts(parts: str, labels: str, seed: int = 0) -> Split:
    """Split rows by the first letters of their parts and by their labels, a letter each."""
    names = {"r": "train", "v": "val", "e": "test"}
    encoder = LabelEncoder.fit(labels)
    state = np.random.RandomState(seed)
    return as_given([names[p] for p in parts], encoder.encode(labels), encoder, 0.6, 0.2, state)


def test_parts_that_are_given_are_kept_in_their_order() -> None:
    found = given_parts("rverve", "aabbab")
    assert (found.train.tolist(), found.val.tolist(), found.test.tolist()) == (
        [0, 3], [1, 4], [2, 5],
    )  # fmt: skip


def test_a_part_that_is_missing_is_cut_from_the_train_rows_in_its_proportion() -> None:
    found = given_parts("r" * 40 + "e" * 4, "ab" * 22)
    assert found.test.tolist() == [40, 41, 42, 43]
    # A fifth for validation against three fifths for training.
    assert (len(found.train), len(found.val)) == (30, 10)
    assert sorted([*found.train, *found.val]) == list(range(40))
    assert sorted(found.val % 2) == [0] * 5 + [1] * 5


def test_without_both_other_parts_all_three_are_cut() -> None:
    found = given_parts("r" * 50, "ab" * 25)
    assert (len(found.train), len(found.val), len(found.test)) == (30, 10, 10)


def test_a_class_without_train_rows_is_an_error_that_names_it() -> None:
    with pytest.raises(DataError, match="1 of 2 classes have no train rows: b"):
        given_parts("rrve", "aabb")


def test_a_class_too_small_to_be_cut_is_an_error() -> None:
    with pytest.raises(DataError, match="the val rows have to be taken from the train rows, and"):
        given_parts("rrrrree", "aaaabba"[:7])


def test_fewer_train_rows_have_each_class_in_its_proportion_and_at_least_once() -> None:
    y = np.array([0] * 60 + [1] * 30 + [2] * 1 + [0] * 9)
    split = Split(np.arange(5, 100), np.arange(3), np.arange(3, 5))
    found = shorten_train(split, y, 20)
    assert np.bincount(y[found.train]).tolist() == [13, 6, 1]
    assert np.isin(found.train, split.train).all()
    assert (np.diff(found.train) > 0).all()
    assert found.train.max() > 90  # not the first ones of a class alone
    assert found.val is split.val
    assert shorten_train(split, y, None) is shorten_train(split, y, 95) is split
