from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tagifai.config.schema import TableConfig
from tagifai.data import datasets
from tagifai.data.dataset_store import Dataset, find_by_digest, get_by_digest, list_manifests
from tagifai.exceptions import DataError
from tests.data.tables.reading import write


@pytest.fixture
def stores(tmp_path: Path) -> Path:
    return tmp_path / "stores"


def load(path: Path, content: str, stores: Path, **settings: Any) -> Dataset:
    return datasets.load(TableConfig(path=str(write(path, content)), **settings), stores)


def test_two_data_sets_of_one_name_both_stay(tmp_path: Path, stores: Path) -> None:
    first = load(tmp_path / "a" / "train.csv", "text,label\na,x\nb,y\n", stores)
    second = load(tmp_path / "b" / "train.csv", "text,label\nc,p\nd,q\n", stores)
    assert first.manifest["name"] == second.manifest["name"] == "train"
    assert first.path != second.path
    for made in (first, second):
        found = get_by_digest("train", made.digest, stores)
        assert found.table.equals(made.table)
        assert found.manifest == made.manifest
        assert not found.fresh
    assert len(list_manifests(stores)) == 2
    # Each of them is known again.
    assert not load(tmp_path / "a" / "train.csv", "text,label\na,x\nb,y\n", stores).fresh


def test_rows_that_other_settings_give_too_are_stored_once_and_stay_as_they_are(
    tmp_path: Path, stores: Path
) -> None:
    first = load(tmp_path / "t.csv", "text,label\na,x\nb,y\n", stores)
    content = first.path.read_bytes()
    second = load(
        tmp_path / "t.tsv", "label\tbody\nx\ta\ny\tb\n", stores, text="body", chunk_rows=1
    )
    assert (second.fresh, second.path, second.digest) == (True, first.path, first.digest)
    assert first.path.read_bytes() == content
    assert second.options["text"] == ["body"]
    found = get_by_digest("t", first.digest, stores)
    assert found.manifest == second.manifest
    assert found.manifest["tables"]["path"]["source"].endswith("t.tsv")
    assert [path.name for path in (stores / "data").iterdir()] == [first.path.parent.name]


def test_the_same_rows_of_another_name_are_another_data_set(tmp_path: Path, stores: Path) -> None:
    path = tmp_path / "a.csv"
    first = load(path, "text,label\na,x\n", stores, name="one")
    second = load(path, "text,label\na,x\n", stores, name="two")
    assert (first.digest, first.path != second.path) == (second.digest, True)
    assert [m["name"] for m in list_manifests(stores)] == ["one", "two"]


def test_a_data_set_that_is_gone_is_refused_and_nothing_is_made(stores: Path) -> None:
    with pytest.raises(DataError) as caught:
        get_by_digest("web", "0123456789abcdef", stores)
    assert str(caught.value) == (
        "The data set 'web' that the run was trained with (digest 0123456789ab…) is gone:"
        f" {stores}/data/web-0123456789ab. Make it again from the old files with task=elt, or score"
        " other rows with task.data=labelled.csv."
    )
    assert not stores.exists()


@pytest.mark.parametrize("name", ["rows.parquet", "manifest.json"])
def test_a_damaged_data_set_is_refused_and_left_as_it_is(
    tmp_path: Path, stores: Path, name: str
) -> None:
    made = load(tmp_path / "a.csv", "text,label\na,x\n", stores)
    path = made.path.parent / name
    path.write_text("changed")
    with pytest.raises(DataError, match=r"'a' that the run was trained with .* is damaged: "):
        get_by_digest("a", made.digest, stores)
    assert path.read_text() == "changed"


def test_another_digest_that_begins_alike_is_not_taken(tmp_path: Path, stores: Path) -> None:
    made = load(tmp_path / "a.csv", "text,label\na,x\n", stores)
    other = made.digest[:20] + "0" * 44
    assert find_by_digest("a", other, stores) is None
    assert find_by_digest("a", made.digest, stores) == replace(made, fresh=False)


def test_what_another_program_puts_there_is_not_listed(tmp_path: Path, stores: Path) -> None:
    write(stores / "data" / "x" / "manifest.json", json.dumps({"format": 2, "name": "x"}))
    write(stores / "data" / ".partial-1" / "rows.parquet", "")
    assert list_manifests(stores) == []
