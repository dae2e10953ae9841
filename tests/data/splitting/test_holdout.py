from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from tagifai.config.schema import SplitConfig
from tagifai.data.splitting.holdout import Group, Holdout, choose_holdout
from tagifai.exceptions import DataError
from tagifai.preprocessing.labels import LabelEncoder

ENCODER = LabelEncoder(("a", "b"))


def choose(counts: Mapping[Group, int], most: int = 1000, seed: int = 1) -> Holdout:
    return choose_holdout(counts, ENCODER, SplitConfig(), most, np.random.RandomState(seed))


def roles(held: Holdout, parts: Sequence[str], y: Sequence[int], size: int) -> list[str]:
    """Return the roles of rows that come so many at a time."""
    seen, found = held.make_seen_counts(), []
    for first in range(0, len(y), size):
        piece = slice(first, first + size)
        found += held.assign_roles(parts[piece], np.array(y[piece]), seen).tolist()
    return found


def of_class(found: Sequence[str], y: Sequence[int], c: int) -> Counter[str]:
    return Counter(role for role, label in zip(found, y, strict=True) if label == c)


def test_each_class_has_its_share_in_each_part_rounded_down_and_one_row_at_least() -> None:
    y = [0] * 40 + [1] * 5
    held = choose({("train", 0): 40, ("train", 1): 5})
    found = roles(held, ["train"] * 45, y, 7)
    assert of_class(found, y, 0) == {"val": 6, "test": 6, "train": 28}
    assert of_class(found, y, 1) == {"val": 1, "test": 1, "train": 3}
    assert (held.train_counts, held.total_counts) == ((28, 3), (40, 5))


def test_a_part_has_no_more_rows_than_it_may_and_the_others_train() -> None:
    y = [0] * 4000 + [1] * 1000
    held = choose({("train", 0): 4000, ("train", 1): 1000}, most=50)
    found = roles(held, ["train"] * 5000, y, 512)
    assert of_class(found, y, 0) == {"val": 40, "test": 40, "train": 40, "": 3880}
    assert of_class(found, y, 1) == {"val": 10, "test": 10, "train": 10, "": 970}
    assert held.train_counts == (3920, 980)


@pytest.mark.parametrize("size", [1, 3, 100])
def test_the_rows_are_the_same_however_many_come_at_a_time(size: int) -> None:
    y, counts = [0, 1, -1] * 10, {("train", 0): 10, ("train", 1): 10}
    whole = roles(choose(counts), ["train"] * 30, y, 30)
    assert roles(choose(counts), ["train"] * 30, y, size) == whole
    assert of_class(whole, y, -1) == {"": 10}


def test_another_seed_chooses_other_rows() -> None:
    y, counts = [0, 1] * 50, {("train", 0): 50, ("train", 1): 50}
    assert len({tuple(roles(choose(counts, seed=s), ["train"] * 100, y, 100)) for s in (1, 2)}) == 2


def test_parts_that_the_data_say_are_kept_and_sampled_and_the_missing_one_is_cut() -> None:
    counts = {("train", 0): 20, ("train", 1): 20, ("test", 0): 30, ("test", 1): 10}
    y = [0] * 20 + [1] * 20 + [0] * 30 + [1] * 10
    parts = ["train"] * 40 + ["test"] * 40
    # Of the train rows 0.15 / (0.7 + 0.15) are for validation: 3 of 20.
    held = choose(counts, most=12)
    found = roles(held, parts, y, 9)
    assert Counter(found[:40]) == {"val": 6, "train": 12, "": 22}
    assert of_class(found[40:], y[40:], 0) == {"test": 9, "": 21}
    assert of_class(found[40:], y[40:], 1) == {"test": 3, "": 7}
    assert held.train_counts == (17, 17)


def test_a_class_that_is_too_small_is_refused_with_the_counts() -> None:
    with pytest.raises(DataError, match=r"b has no row left to train on. Rows by class: b 2, a 40"):
        choose({("train", 0): 40, ("train", 1): 2})


def test_a_class_without_train_rows_of_its_own_is_refused() -> None:
    with pytest.raises(DataError, match="1 of 2 classes have no train rows: b"):
        choose({("train", 0): 40, ("test", 0): 5, ("test", 1): 5})
