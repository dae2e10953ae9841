from __future__ import annotations

from string import ascii_lowercase

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from tagifai.errors import DataError
from tagifai.labels import Indices, LabelEncoder
from tagifai.splits import Split, stratified

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
    return y, stratified(y, encoder, train_size, val_size, np.random.RandomState(seed))


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
    one = stratified(y, encoder, 0.7, 0.15, random_state)
    two = stratified(y, encoder, 0.7, 0.15, random_state)
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
    assert "Rows by class: a 9, b 1" in message
    assert "only 1 member" in message or "too few" in message
    assert "data.min_freq" in message
    assert "split.train_size" in message
    assert "split.val_size" in message


def test_the_error_counts_a_class_without_rows() -> None:
    y = np.array([0, 1])
    with pytest.raises(DataError, match="a 1, b 1, c 0"):
        stratified(y, LabelEncoder(("a", "b", "c")), 0.7, 0.15, np.random.RandomState(0))


def test_a_class_that_the_first_cut_leaves_one_row_of_is_an_error() -> None:
    with pytest.raises(DataError, match="Rows by class: a 40, b 3"):
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
