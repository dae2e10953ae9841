from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tagifai.config.schema import GroupedSplitConfig, SplitConfig, TimeSplitConfig
from tagifai.data.splitting.factory import build_splitter, find_similar_rows
from tagifai.data.splitting.grouped import GroupSplitter
from tagifai.data.splitting.splitters import StratifiedSplitter
from tagifai.data.splitting.timed import TimeSplitter
from tagifai.exceptions import DataError

LONG = "a comparison of two detectors on real world videos, with tables"
RAW = [LONG, "something else", f"{LONG}.", "SAME", "same", "", ""]
TEXTS = [LONG, "something else", LONG, "same", "same", "", ""]
TABLE = pd.DataFrame(
    {
        "id": [str(n) for n in range(7)],
        "tag": list("abababa"),
        "data.user": ["u", "v", "w", "u", "x", "", ""],
        "created_on": [f"2020-01-0{7 - n}" for n in range(7)],
    }
)
ROWS = pd.DataFrame({"raw": RAW, "text": TEXTS})


def test_same_and_similar_texts_are_together_and_empty_ones_are_not() -> None:
    found = find_similar_rows([*RAW[:5], "x", "y"], TEXTS).tolist()
    assert found[0] == found[2]
    assert found[3] == found[4]
    assert len({*found}) == 5


def test_without_anything_asked_for_rows_are_stratified() -> None:
    assert isinstance(build_splitter(SplitConfig(), TABLE, ROWS), StratifiedSplitter)


def test_near_duplicates_that_are_kept_together_are_counted() -> None:
    found = build_splitter(SplitConfig(near_duplicates="together"), TABLE, ROWS)
    assert isinstance(found, GroupSplitter)
    assert found.groups[0] == found.groups[2]
    assert next(iter(found.notes)).startswith("6 rows whose text is that of another one")


def test_groups_and_near_duplicates_are_kept_together_both() -> None:
    split = GroupedSplitConfig(by="user", near_duplicates="together")
    found = build_splitter(split, TABLE, ROWS)
    assert isinstance(found, GroupSplitter)
    # Rows 0 and 3 are of one user, 0 and 2 as well as 3 and 4 have nearly the same text.
    assert len({int(found.groups[row]) for row in (0, 2, 3, 4)}) == 1
    assert "2 rows without a value are a group each" in found.notes[0]


def test_rows_that_are_kept_together_are_as_old_as_the_oldest() -> None:
    split = TimeSplitConfig(by="created_on", near_duplicates="together")
    found = build_splitter(split, TABLE, ROWS)
    assert isinstance(found, TimeSplitter)
    assert found.times[0] == found.times[2] == np.sort(found.times)[4]


def test_an_unknown_column_is_refused_with_the_known_ones() -> None:
    with pytest.raises(DataError) as caught:
        build_splitter(GroupedSplitConfig(by="usr"), TABLE, ROWS)
    assert "Did you mean 'user'? They have: id, user, created_on." in str(caught.value)


def test_a_column_without_any_value_is_refused() -> None:
    empty = TABLE.assign(**{"data.user": ""})
    with pytest.raises(DataError, match="no row has a value"):
        build_splitter(GroupedSplitConfig(by="user"), empty, ROWS)
