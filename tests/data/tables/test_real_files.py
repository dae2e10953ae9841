"""What real files are like: each is read rightly, or refused with what reads it."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tagifai.config.schema import TableConfig
from tagifai.data import blocks, datasets
from tagifai.data.dataset_store import Dataset
from tagifai.data.tables import delimited
from tagifai.data.tables.chunks import Reading
from tagifai.data.tables.options import ReadOptions
from tagifai.data.tables.reader import TableFile, read_rows
from tagifai.data.tables.values import read_label_names
from tagifai.exceptions import BundleError, DataError
from tagifai.utils.state.drafts import get_umask
from tests.data.tables.reading import iterate_chunks, read, refuse, write

ROWS = [["a;b", "x"], ['c "d"', "y"]]


# --- advice works when it is followed ------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "advice", "options", "rows"),
    [
        ('"text";"label"\n"a;b";"x"\n"c ""d""";"y"\n', "data.delimiter=';'",
         {"delimiter": ";"}, ROWS),
        ('text;label\n"a;b";x\n"c ""d""";y\n', "data.delimiter=';'", {"delimiter": ";"}, ROWS),
        ('text\tlabel\n"a;b"\tx\n"c ""d"""\ty\n', "data.delimiter=tab", {"delimiter": "\t"}, ROWS),
        ("text^label\na;b^x\n", "data.delimiter='^'", {"delimiter": "^"}, ROWS[:1]),
        ('text,label\n"a;b",x\n"c \\"d\\"",y\n', "data.escape='\\'", {"escape": "\\"}, ROWS),
        ("text,label\na\\,b,x\n", "data.escape='\\'", {"escape": "\\"}, [["a,b", "x"]]),
        ("text,label\n'a,b',x\n", "data.quotechar=\"'\"", {"quotechar": "'"}, [["a,b", "x"]]),
        ('{"text": "a;b", "label": "x"}\n', "data.format=jsonl", {"format": "jsonl"}, ROWS[:1]),
        ('[{"text": "a;b", "label": "x"}]\n', "data.format=json", {"format": "json"}, ROWS[:1]),
    ],
)  # fmt: skip
def test_the_advice_reads_the_file(
    tmp_path: Path, content: str, advice: str, options: dict[str, Any], rows: list[list[str]]
) -> None:
    path = write(tmp_path / "a.csv", content)
    said = refuse(path)
    assert advice in said
    assert "quoting=none" not in said
    assert read(path, **options) == rows


def test_without_names_a_first_row_is_never_taken_for_names(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "good film,pos\nbad one,neg\nso so,meh\n")
    said = refuse(path, ("0", "1"))
    assert "data.header=false reads it as data, data.header=true as the names" in said
    assert len(read(path, ("0", "1"), header=False)) == 3
    assert len(read(path, ("0", "1"), header=True)) == 2
    # A column that is found by its name shows that there are names.
    assert read(path, ("0", "pos")) == [["bad one", "neg"], ["so so", "meh"]]


# --- rows ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("head", ["text,label", "\ufefftext,label", "text, label ", " text,label"])
def test_a_header_that_joined_files_have_between_is_left_out(tmp_path: Path, head: str) -> None:
    path = write(tmp_path / "a.csv", f"text,label\na,x\n{head}\nb,y\n")
    notes = Counter[str]()
    found = [row for some in iterate_chunks(path, notes=notes) for row in some.columns["text"]]
    assert found == ["a", "b"]
    assert notes["Rows that repeat the header and were left out"] == 1


def test_delimiters_at_the_ends_of_rows_are_left_out_if_nothing_follows(tmp_path: Path) -> None:
    notes = Counter[str]()
    path = write(tmp_path / "a.csv", "text,label\na,x,\nb,y\nc,x,,\n")
    list(iterate_chunks(path, notes=notes))
    assert read(path) == [["a", "x"], ["b", "y"], ["c", "x"]]
    assert notes["Rows with delimiters at their ends, which were left out"] == 2
    assert "line 2 has 4 fields" in refuse(write(tmp_path / "b.csv", "text,label\na,x,,y\n"))


@pytest.mark.parametrize("kind", ["label_text", "fasttext", "jsonl"])
def test_line_ends_of_old_macs_are_refused_where_a_line_is_a_row(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path / "a", "pos good\rneg bad\r")
    assert "as old Macs wrote them" in refuse(path, format=kind)


def test_many_rows_with_a_problem_are_counted_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = Counter[str]()
    count = delimited._count_lines
    monkeypatch.setattr(
        delimited, "_count_lines", lambda row: counted.update(["rows"]) or count(row)
    )
    path = write(tmp_path / "a.csv", "text,label\n" + "a\0,x\n" * 60_000)
    found = [*iterate_chunks(path, strict=False, rows=60_000)]
    # Where each asked for its line by counting all before it, these took a minute.
    assert counted["rows"] <= 60_001
    assert found[-1].problems[max(found[-1].problems)].startswith("line 60001, 'text'")


def test_a_quote_that_never_ends_takes_no_more_memory_than_the_longest_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tagifai.data.tables.delimited.LONGEST", 1000)
    path = write(tmp_path / "a.csv", 'text,label\n"a,x\n' + "b,y\n" * 1000)
    assert refuse(path).startswith(": a field that begins in line 2 has more than 1,000 characters")


# --- files ---------------------------------------------------------------------------------------


def load(tmp_path: Path, *paths: str) -> Dataset:
    source = TableConfig(name="mine", path=[str(tmp_path / path) for path in paths])
    return datasets.load(source, tmp_path / "stores")


def test_parts_are_by_the_names_of_the_files_of_a_glob_too(tmp_path: Path) -> None:
    for part in ("train", "test"):
        write(tmp_path / "g" / f"{part}.csv", f"text,label\n{part},x\nb,y\n")
    for paths in (["g/*.csv"], ["g/train.csv", "g/test.csv"], ["g"]):
        assert load(tmp_path, *paths).manifest["parts"] == ["test", "train"], paths


def test_a_file_that_has_another_part_by_now_makes_another_data_set(tmp_path: Path) -> None:
    for part in ("train", "dev"):
        write(tmp_path / "g" / f"{part}.csv", f"text,label\n{part},x\nb,y\n")
    assert load(tmp_path, "g").manifest["parts"] == ["train", "val"]
    (tmp_path / "g" / "dev.csv").rename(tmp_path / "g" / "test.csv")
    assert load(tmp_path, "g").manifest["parts"] == ["test", "train"]


def test_documents_in_deeper_folders_and_what_is_no_document_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "a" / "pos" / "more" / "1.txt", "good")
    write(tmp_path / "a" / "neg" / "1.txt", "bad")
    with pytest.raises(DataError, match=r"pos/more is a folder within that of a label"):
        load(tmp_path, "a")
    write(tmp_path / "b" / "pos" / "1.txt", b"%PDF-1.4 \n")
    write(tmp_path / "b" / "neg" / "1.txt", "bad")
    with pytest.raises(DataError, match=r"pos/1\.txt is a PDF"):
        load(tmp_path, "b")


def test_a_code_that_has_two_names_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "m.txt", "0\tneg\n1\tpos\n0\tother\n")
    with pytest.raises(DataError, match=r"^m: line 3: the code '0' is there twice\.$"):
        read_label_names(path, "m")


def test_one_file_of_several_may_have_no_rows_and_is_noted(tmp_path: Path) -> None:
    write(tmp_path / "g" / "a.csv", "text,label\na,x\nb,y\n")
    write(tmp_path / "g" / "b.csv", "text,label\n")
    found = load(tmp_path, "g")
    assert (found.manifest["rows"], found.notes) == (2, ["Files without rows: 1."])


def test_rows_above_the_names_are_said(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "My reviews,\n,\ntext,label\na,x\n")
    assert refuse(path).endswith("Row 3 has it: take away the rows above that one.")


def test_lines_that_are_objects_of_lists_are_rows(tmp_path: Path) -> None:
    line = '{"text": ["a", "b"], "label": ["x", "y"]}\n'
    assert "whole table in JSON. Read it with data.format=json" in refuse(
        write(tmp_path / "a.jsonl", "\n" + line)
    )
    said = refuse(write(tmp_path / "b.jsonl", line * 2))
    assert said.startswith(": line 1, 'text': ['a', 'b'] is a list of 2 values")


def test_a_pipe_is_given_as_standard_input(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.csv")
    assert refuse(tmp_path / "a.csv") == " is a pipe: give - and pipe it in."


# --- whoever wrote the file, or the bundle -------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"encoding": "hex"}, {"encoding": 5}, {"delimiter": "ab"}, {"quotechar": None},
        {"text": []}, {"missing": 5}, {"max_unpacked_mb": 10**9}, {"max_unpacked_ratio": 10**9},
        {"encoding_errors": "ignore"},
        {"format": "x"},
        {"setting": "data"}, {"header": "yes"}, {"label": 5}, {"columns": [5]},
    ],
)  # fmt: skip
def test_what_a_bundle_says_of_tables_is_checked_as_a_configuration_is(
    change: dict[str, Any],
) -> None:
    with pytest.raises(BundleError, match=r"^tagger\.json does not say how tables are read"):
        ReadOptions.from_document(ReadOptions().to_document() | change)


def test_a_wrong_byte_is_said_of_the_file_that_has_it(tmp_path: Path) -> None:
    for texts, labels, named in ((b"a\n\xe9\n", b"x\ny\n", "t"), (b"a\nb\n", b"x\n\xe9\n", "l")):
        paths = {"t": write(tmp_path / "t", texts), "l": write(tmp_path / "l", labels)}
        file = TableFile(paths["t"], "t", labels=TableFile(paths["l"], "l", format="labels"))
        with pytest.raises(DataError, match=rf"^{named} is not utf-8 in line 2 \(byte 0xe9\)"):
            list(read_rows(file, Reading(ReadOptions(), ("text", "label"))))


def test_a_position_keeps_a_column_as_a_name_does(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "key , text,label\n7,a,x\n")
    for name in ("0", "key"):
        (found,) = iterate_chunks(path, ("text",), keep=(name,))
        assert found.kept == {name: ["7"]}


def test_a_text_that_is_what_its_only_column_is_called_is_a_text(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "text\ngreat\ntext\nbad\n")
    assert read(path, ("text",)) == [["great"], ["text"], ["bad"]]


def test_two_processes_that_make_the_same_rows_leave_one_table(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "text,label\na,x\nb,y\n")
    first = load(tmp_path, "a.csv")
    stamp = first.path.stat().st_ino
    source = TableConfig(name="mine", path=[str(tmp_path / "a.csv")], chunk_rows=1)
    again = datasets.load(source, tmp_path / "stores", force=True)
    assert (again.path, again.path.stat().st_ino) == (first.path, stamp)
    assert again.path.parent.stat().st_mode & 0o777 == 0o777 & ~get_umask()


def test_a_file_that_is_replaced_while_it_is_read_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.csv", "text,label\na,x\nb,y\n")
    write_table = blocks.write_table

    def replace_first(*args: Any) -> None:
        write_table(*args)
        write(path, "text,label\nother,x\nb,y\n")

    monkeypatch.setattr(blocks, "write_table", replace_first)
    assert load(tmp_path, "a.csv").table["text"].tolist() == ["a", "b"]
    monkeypatch.undo()
    assert load(tmp_path, "a.csv").table["text"].tolist() == ["other", "b"]


def test_utf8_that_is_read_as_something_else_is_noted(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "text,label\n“win £10,x\nb,y\n")
    notes = Counter[str]()
    list(iterate_chunks(path, notes=notes, encoding="cp1252"))
    assert notes == {"Lines that are UTF-8 and are read as cp1252": 1}
    notes.clear()
    path.write_bytes("text,label\n“win £10,x\nb,y\n".encode("cp1252"))
    assert read(path, encoding="cp1252", notes=notes) == [["“win £10", "x"], ["b", "y"]]
    assert not notes


def test_a_file_that_may_not_be_read_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "a.csv", "text,label\na,x\n")

    def refuse_reading(path: Path) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("tagifai.data.sources.compute_sha256", refuse_reading)
    with pytest.raises(DataError, match=r"a\.csv cannot be read: Permission denied\.$"):
        load(tmp_path, "a.csv")


def test_a_column_that_is_called_something_else_is_named_by_its_setting(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "text,category\na,x\n")
    assert refuse(path) == (
        " has no column 'label'. It has: text, category. Name the one that is meant:"
        " data.label=NAME."
    )


def test_a_point_is_the_whole_document(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", '[{"text": "a", "label": "x"}]')
    assert read(path, records=".") == [["a", "x"]]
