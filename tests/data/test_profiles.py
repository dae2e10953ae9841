"""The profile of prepared rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tagifai.config.schema import PreprocessingConfig
from tagifai.data import blocks, profiles
from tagifai.data.dataset_store import Dataset
from tagifai.data.prepare import PreparedData, prepare_unsplit
from tagifai.data.splitting.stratified import Split

GOOD = "a very good film that I have seen twice already"
BAD = "the worst book of all that were written this year"

ROWS = [
    # id, text, label, part
    ("1", GOOD, "Pos", "train"),
    ("2", BAD, "Neg", "train"),
    ("3", f"{GOOD}!", "pos", "train"),
    ("4", GOOD, "pos", "train"),
    ("5", f"{BAD}s", "Neg", "val"),
    ("6", "http://example.com", "Neg", "val"),
    ("7", BAD, "Neg", "test"),
    ("8", f"{GOOD} at home", "Pos", "test"),
    ("9", "...", "Neg", "test"),
]


def prepare(rows: list[tuple[str, str, str, str]] = ROWS) -> PreparedData:
    ids, texts, tags, parts = zip(*rows, strict=True)
    table = pd.DataFrame({"id": ids, "text": texts, "tag": tags})
    # Of the defaults: lower case, letters and digits of ASCII, no links.
    prepared = prepare_unsplit(table, PreprocessingConfig(keep="A-Za-z0-9"))
    at = [np.flatnonzero(np.array(parts) == name) for name in ("train", "val", "test")]
    return PreparedData(**{**vars(prepared), "split": Split(*at)})


def store(folder: Path, rows: list[tuple[str, str, str, str]] = ROWS) -> Dataset:
    columns = dict(zip(("id", "text", "tag"), map(list, zip(*rows, strict=True)), strict=False))
    path = folder / "rows.parquet"
    blocks.write_table(path, [pa.table(columns)])
    return Dataset({}, path, fresh=True)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return store(tmp_path)


def test_a_profile_answers_what_is_asked_of_new_data(dataset: Dataset) -> None:
    profile = profiles.compute(prepare(), dataset, full=True)

    assert [row["id"] for row in profile["first_rows"]] == ["1", "2", "3"]
    assert profile["rows"] == profile["looked_at"] == 9
    assert profile["parts"] == {"train": 4, "val": 2, "test": 3}
    assert list(profile["classes"]) == ["Neg", "Pos", "pos"]
    assert profile["classes"]["Pos"] == {"rows": 2, "share": 2 / 9}
    assert profile["similar_labels"] == [
        {"labels": {"Pos": 2, "pos": 2}, "differ_in": "upper and lower case"}
    ]
    assert profile["length_characters"]["max"] == len(f"{GOOD} at home")
    assert profile["length_words"]["min"] == 1
    assert profile["scripts"] == {"Latin": 1}
    assert profile["deleted_letters"] == 0
    assert profile["junk"] == {
        "one repeated character": {"rows": 1, "example": "9"},
        "only a link": {"rows": 1, "example": "6"},
    }
    assert (profile["duplicates"], profile["duplicates_after_cleaning"]) == (2, 3)
    assert profile["empty_after_cleaning"] == 1
    assert profile["labelled_differently"] == 1
    assert profile["label_conflict"] == {"text": GOOD, "labels": ["Pos", "pos"]}
    assert profile["leaks"] == {"train and val": 0, "train and test": 1, "val and test": 0}
    json.dumps(profile)


def test_near_duplicates_are_not_those_that_are_counted_already(dataset: Dataset) -> None:
    near = profiles.compute(prepare(), dataset, full=True)["near_duplicates"]

    assert (near["texts"], near["looked_at"], near["found"]) == (7, 7, 3)
    # Row 7 is in train itself, and near to what is in val.
    assert near["leaks"] == {"train and val": 1, "train and test": 1, "val and test": 1}
    assert sorted(near) == ["example", "found", "leaks", "looked_at", "texts"]


def test_an_example_of_near_duplicates_begins_shortly_before_they_differ(dataset: Dataset) -> None:
    start = "x" * 500 + " once upon a time there was "
    rows = [("1", f"{start}a cat", "a", "train"), ("2", f"{start}a dog", "b", "train")]
    near = profiles.compute(prepare(rows), dataset, full=True)["near_duplicates"]
    assert set(near["example"]) == {f"…{(start + 'a ')[-20:]}{animal}" for animal in ("cat", "dog")}


def test_a_run_looks_for_near_duplicates_among_few_rows_only(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert profiles.compute(prepare(), dataset)["near_duplicates"]["found"] == 3
    monkeypatch.setattr(profiles, "MOST_QUICK_CHARACTERS", 100)
    assert profiles.compute(prepare(), dataset)["near_duplicates"] is None
    assert profiles.compute(prepare(), dataset, full=True)["near_duplicates"]["found"] == 3


def test_rows_that_cannot_be_split_have_a_profile(dataset: Dataset) -> None:
    table = pd.DataFrame({"id": ["1", "2"], "text": ["one text", "two texts"], "tag": ["a", "a"]})
    prepared = prepare_unsplit(table, PreprocessingConfig())
    profile = profiles.compute(prepared, dataset, full=True)
    assert (profile["parts"], profile["leaks"]) == ({}, {})
    assert profile["classes"] == {"a": {"rows": 2, "share": 1}}


@pytest.mark.parametrize("is_split", [True, False])
def test_the_first_rows_are_those_of_the_file(tmp_path: Path, is_split: bool) -> None:
    rows = [("1", "a\ttab", "x", "val"), ("2", "y" * 300, "y", "test"), *ROWS[2:]]
    prepared = prepare(rows[1:][::-1]) if is_split else None
    found: list[dict[str, Any]] = profiles.read_first_rows(store(tmp_path, rows), prepared)
    parts = ["unused", "test", "train"] if is_split else ["not split"] * 3
    assert [row["part"] for row in found] == parts
    assert [row["text"] for row in found] == [r"a\ttab", "y" * 200 + "…", f"{GOOD}!"]
    assert [row["label"] for row in found] == ["x", "y", "pos"]
