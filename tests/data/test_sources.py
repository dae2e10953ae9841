from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from tagifai.config.schema import TableConfig
from tagifai.data import datasets
from tagifai.data.dataset_store import Dataset
from tagifai.data.sources import compute_sum, list_sources
from tagifai.exceptions import DataError
from tests.data.tables.reading import write

HEAD = "text,label\n"


class Site:
    """Files of one's own in a folder, and the data sets that are made of them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.stores = folder, folder / "stores"

    def write(self, files: Mapping[str, str | bytes]) -> None:
        for name, content in files.items():
            write(self.folder / name, content)

    def locate(self, value: Any) -> Any:
        if isinstance(value, list):
            return list(map(self.locate, value))
        return str(self.folder / value)

    def load(self, **settings: Any) -> Dataset:
        given = {
            key: self.locate(value) if key.endswith("path") else value
            for key, value in settings.items()
        }
        return datasets.load(TableConfig(**given), self.stores)

    def rows(self, **settings: Any) -> list[tuple[str, ...]]:
        """Return the texts, the tags and, where there are some, the parts of a data set."""
        table = self.load(**settings).table
        names = [name for name in ("text", "tag", "split") if name in table]
        return list(table[names].itertuples(index=False, name=None))

    def refuse(self, **settings: Any) -> str:
        with pytest.raises(DataError) as caught:
            self.load(**settings)
        assert not list(self.stores.glob("data/*"))
        return str(caught.value).replace(str(self.folder), "DIR")


@pytest.fixture
def mine(tmp_path: Path) -> Site:
    return Site(tmp_path)


def parquet(**columns: Any) -> bytes:
    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(pyarrow.table(columns), sink)
    return bytes(sink.getvalue())


# --- several files -----------------------------------------------------------------------------


def test_files_of_a_list_or_a_glob_follow_one_another(mine: Site) -> None:
    mine.write({"b.csv": HEAD + "b,y\n", "a.csv": HEAD + "a,x\n", "c.txt": "no table"})
    assert mine.rows(path=["b.csv", "a.csv"]) == [("b", "y"), ("a", "x")]
    assert mine.rows(path="*.csv") == [("a", "x"), ("b", "y")]


def test_each_file_of_a_list_has_the_format_that_its_name_says(mine: Site) -> None:
    mine.write({"a.csv": HEAD + "a,x\n", "b.jsonl": '{"text": "b", "label": "y"}\n'})
    mine.write({"c.parquet": parquet(text=["c"], label=["z"])})
    made = mine.load(path=["a.csv", "b.jsonl", "c.parquet"])
    assert made.table["text"].tolist() == ["a", "b", "c"]
    assert made.options["format"] == "csv"


def test_a_file_whose_name_has_a_glob_s_signs_is_that_file(mine: Site) -> None:
    mine.write({"a[1].csv": HEAD + "a,x\n", "a1.csv": HEAD + "b,y\n"})
    assert mine.rows(path="a[1].csv") == [("a", "x")]


def test_a_broken_file_of_several_is_named(mine: Site) -> None:
    mine.write({"a.csv": HEAD + "a,x\n", "b.csv": HEAD + "a,b,x\n"})
    said = mine.refuse(path=["a.csv", "b.csv"])
    assert said.startswith("data.path[1]: DIR/b.csv: line 2 has 3 fields")
    assert mine.refuse(path="c*.csv") == "data.path: no file matches DIR/c*.csv."


def test_files_for_parts_have_the_rows_of_these_parts(mine: Site) -> None:
    mine.write({name: HEAD + f"{name[0]},x\n" for name in ("a.csv", "b.csv", "c.csv", "d.csv")})
    made = mine.load(path=["a.csv", "b.csv"], val_path="c.csv", test_path="d.csv")
    assert made.table["split"].tolist() == ["train", "train", "val", "test"]
    assert made.manifest["parts"] == ["test", "train", "val"]
    assert [*made.manifest["tables"]] == ["path[0]", "path[1]", "val_path", "test_path"]


def test_without_train_rows_there_is_nothing_to_train_on(mine: Site) -> None:
    mine.write({"d/test.csv": HEAD + "a,x\n"})
    assert mine.refuse(path="d") == "data.path: DIR/d/test.csv: no train rows."


# --- folders of tables -------------------------------------------------------------------------


def test_a_folder_of_parquet_has_its_parts_by_the_names_of_its_files(mine: Site) -> None:
    names = {
        "train-00000-of-00002.parquet": ["a", "b"],
        "train-00001-of-00002.parquet": ["c", "d"],
        "validation-00000-of-00001.parquet": ["e"],
        "test-00000-of-00001.parquet": ["f"],
    }
    mine.write({f"d/{n}": parquet(text=t, label=["x"] * len(t)) for n, t in names.items()})
    mine.write({"d/README.md": "x", "d/.cache": "x"})
    made = mine.load(path="d")
    found = zip(made.table["text"], made.table["split"], strict=True)
    assert dict(found) == dict.fromkeys("abcd", "train") | {"e": "val", "f": "test"}
    assert made.options["format"] == "parquet"


def test_a_folder_of_tables_without_parts_is_one_table(mine: Site) -> None:
    mine.write({"d/1.csv": HEAD + "a,x\n", "d/2.CSV": HEAD + "b,y\n"})
    assert mine.rows(path="d") == [("a", "x"), ("b", "y")]


def test_a_folder_with_only_train_files_has_no_parts(mine: Site) -> None:
    mine.write({"d/train-0.csv": HEAD + "a,x\n", "d/train-1.csv": HEAD + "b,y\n"})
    assert mine.rows(path="d") == [("a", "x"), ("b", "y")]


def test_a_folder_whose_files_are_partly_of_parts_is_refused_with_the_way_out(mine: Site) -> None:
    mine.write({"d/train.csv": HEAD + "a,x\n", "d/more.csv": HEAD + "b,y\n"})
    said = mine.refuse(path="d")
    assert (
        "DIR/d has files of parts (train-…, test-…) and others (more.csv). Give the files" in said
    )


# --- folders of documents ----------------------------------------------------------------------


def test_a_folder_of_documents_has_the_names_of_its_folders_as_labels(mine: Site) -> None:
    mine.write({"d/pos/1.txt": "good\n", "d/neg/1.txt": "bad\n", "d/README": "x"})
    expected = [("bad\n", "neg"), ("good\n", "pos")]
    assert mine.rows(path="d") == expected
    made = mine.load(path="d", format="folder", id="path")
    assert made.table["id"].tolist() == ["neg/1.txt", "pos/1.txt"]
    assert made.options["format"] == "folder"


def test_folders_of_documents_for_parts_are_the_parts(mine: Site) -> None:
    for part in ("train", "test"):
        mine.write({f"d/{part}/pos/1.txt": f"good {part}", f"d/{part}/neg/1.txt": f"bad {part}"})
    assert mine.rows(path="d") == [
        *(("bad test", "neg", "test"), ("good test", "pos", "test")),
        *(("bad train", "neg", "train"), ("good train", "pos", "train")),
    ]


def test_an_empty_folder_is_said(mine: Site) -> None:
    (mine.folder / "d").mkdir()
    said = "data.path: DIR/d is a folder without tables, and without a folder of documents"
    assert mine.refuse(path="d").startswith(said)


def test_the_sum_of_a_folder_knows_names_and_contents(mine: Site) -> None:
    sums = set()
    for name, content in (("1.txt", "a"), ("2.txt", "a"), ("1.txt", "b")):
        mine.write({f"{name}{content}/pos/{name}": content})
        sums.add(compute_sum(mine.folder / f"{name}{content}"))
    assert len(sums) == 3
    mine.write({"d/pos/1.txt": "good", "d/neg/1.txt": "bad"})
    first = mine.load(path="d")
    assert not mine.load(path="d").fresh
    mine.write({"d/pos/2.txt": "fine"})
    again = mine.load(path="d")
    assert (first.fresh, again.fresh, len(again.table)) == (True, True, 3)


# --- parallel files ----------------------------------------------------------------------------


def test_texts_and_labels_of_parts_stand_in_files_of_their_own(mine: Site) -> None:
    for part in ("train", "val", "test"):
        mine.write({f"{part}_text.txt": f"{part} one\n{part}, two\n", f"{part}_labels": "0\n1\n"})
    mine.write({"mapping.txt": "0\tanger\n1\tvery glad\n"})
    pairs = {
        "text_path": "train_text.txt", "label_path": "train_labels",
        "val_text_path": "val_text.txt", "val_label_path": "val_labels",
        "test_text_path": "test_text.txt", "test_label_path": "test_labels",
    }  # fmt: skip
    made = mine.load(**pairs, label_names=str(mine.folder / "mapping.txt"))
    assert made.manifest["name"] == "train_text"
    assert made.table["text"].tolist()[2:4] == ["val one", "val, two"]
    assert made.table["tag"].tolist() == ["anger", "very glad"] * 3
    assert made.table["split"].tolist() == ["train", "train", "val", "val", "test", "test"]
    assert made.manifest["tables"]["label_path"]["rows"] is None
    # A label that changes makes another data set.
    mine.write({"test_labels": "0\n0\n"})
    assert mine.load(**pairs, label_names=str(mine.folder / "mapping.txt")).fresh


def test_one_pair_of_files_has_no_parts(mine: Site) -> None:
    mine.write({"texts": "a\nb\n", "labels": "x\ny\n"})
    assert mine.rows(text_path="texts", label_path="labels") == [("a", "x"), ("b", "y")]


def test_a_pair_of_files_that_do_not_match_is_refused(mine: Site) -> None:
    mine.write({"texts": "a\nb\n", "labels": "x\n"})
    said = "data.text_path: DIR/texts has 2 lines, and the file of its labels has 1."
    assert mine.refuse(text_path="texts", label_path="labels") == said


# --- rows inside of a document -----------------------------------------------------------------


def test_parts_inside_of_a_document_are_at_their_paths(mine: Site) -> None:
    content = {
        "train": [["a", "x"], ["b", "y"]],
        "dev": {"rows": [["c", "x"]]},
        "test": [["d", "y"]],
    }
    mine.write({"data_full.json": json.dumps(content)})
    places = {"val_records": "dev.rows", "test_records": "test"}
    found = mine.rows(path="data_full.json", columns=["text", "label"], records="train", **places)
    assert found == [
        *(("a", "x", "train"), ("b", "y", "train"), ("c", "x", "val"), ("d", "y", "test"))
    ]
    said = "the rows are inside of it. Say where: data.records=train or data.records=test."
    mine.stores = mine.folder / "other"
    assert mine.refuse(path="data_full.json").endswith(said)


# --- names of labels ---------------------------------------------------------------------------


def test_labels_have_the_names_that_are_given(mine: Site) -> None:
    mine.write({"a.csv": "text,code\na,1\nb,0\n", "m.json": '{"0": "neg", "1": "pos"}'})
    for names in ({"0": "neg", "1": "pos"}, ["neg", "pos"], str(mine.folder / "m.json")):
        assert mine.rows(path="a.csv", label="code", label_names=names) == [
            ("a", "pos"),
            ("b", "neg"),
        ]
    mine.write({"m.json": '{"0": "bad", "1": "pos"}'})
    made = mine.load(path="a.csv", label="code", label_names=str(mine.folder / "m.json"))
    assert made.manifest["tag_counts"] == {"pos": 1, "bad": 1}
    assert made.options["label_names"] == [["0", "bad"], ["1", "pos"]]


def test_a_file_of_names_that_is_not_there_is_refused(mine: Site) -> None:
    mine.write({"a.csv": "text,label\na,1\n"})
    said = mine.refuse(path="a.csv", label_names=str(mine.folder / "nowhere.txt"))
    assert said.startswith("data.label_names: there is no file DIR/nowhere.txt.")


# --- what is expected --------------------------------------------------------------------------


def test_a_file_that_is_not_there_is_refused_with_where_paths_start(mine: Site) -> None:
    assert mine.refuse(path="nowhere.csv") == (
        "data.path: there is no file DIR/nowhere.csv. Relative paths on the command line start at"
        " the working directory, those in YAML at the project's root."
    )


def test_of_a_device_no_sum_is_made(mine: Site) -> None:
    assert mine.refuse(path="/dev/zero") == "data.path: /dev/zero is a device, not a file."


def test_a_file_with_another_sum_is_refused_and_one_with_the_right_sum_is_taken(
    mine: Site,
) -> None:
    content = HEAD + "a,x\n"
    mine.write({"a.csv": content})
    assert "and data.sha256 expects 000" in mine.refuse(path="a.csv", sha256="0" * 64)
    assert mine.rows(path="a.csv", sha256=sha256(content.encode()).hexdigest()) == [("a", "x")]


def test_the_sources_of_a_table_are_listed_with_their_settings(mine: Site) -> None:
    source = TableConfig(path=["a.csv", "https://host/b.csv"], test_path="c.csv")
    found = list_sources(source)
    assert {key: file.part for key, file in found.items()} == {
        "path[0]": "train",
        "path[1]": "train",
        "test_path": "test",
    }
    assert found["path[1]"].named == "data.path[1]: https://host/b.csv"
