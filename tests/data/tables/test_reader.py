from __future__ import annotations

import bz2
import gzip
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from tests.data.tables.reading import SIZES, read, read_chunks, refuse, write

ROWS = [['Good, "really"', "5"], ["Schön\nund gut", "1"], ["NA", ""]]
"""A text and a label; a comma, quotes, a line's end, and what others would take for missing."""

FILES = {
    "a.csv": 'text,stars\n"Good, ""really""",5\n"Schön\nund gut",1\nNA,\n',
    "a.tsv": 'text\tstars\n"Good, ""really"""\t5\n"Schön\nund gut"\t1\nNA\t\n',
    "a.jsonl": (
        '{"text": "Good, \\"really\\"", "stars": 5}\n\n'
        '{"stars": 1, "text": "Schön\\nund gut", "more": []}\n{"text": "NA", "stars": null}\n'
    ),
    "a.json": (
        '{"text": ["Good, \\"really\\"", "Schön\\nund gut", "NA"],\n "stars": ["5", 1, null]}'
    ),
}
WANTED = ("text", "stars")


def pack_zip(content: bytes) -> bytes:
    import io

    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("inner/table", content)
    return packed.getvalue()


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".BZ2": bz2.compress,
    ".xz": lzma.compress,
    ".zip": pack_zip,
    ".zst": lambda content: pyarrow.compress(content, "zstd", asbytes=True),
}


@pytest.mark.parametrize("rows", SIZES)
@pytest.mark.parametrize("suffix", PACKED)
@pytest.mark.parametrize("name", [*FILES, "a.parquet"])
def test_every_format_gives_the_same_texts_packed_or_not(
    tmp_path: Path, name: str, suffix: str, rows: int
) -> None:
    path = tmp_path / f"{name}{suffix}"
    if name == "a.parquet":
        columns = {"stars": [5, 1, None], "text": [text for text, _ in ROWS]}
        pyarrow.parquet.write_table(pyarrow.table(columns), path, row_group_size=2)
        content = path.read_bytes()
    else:
        content = FILES[name].encode()
    write(path, PACKED[suffix](content))
    assert read(path, WANTED, quoting="minimal", rows=rows) == ROWS


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("name", FILES)
def test_marks_of_encodings_are_honoured(tmp_path: Path, name: str, codec: str) -> None:
    path = write(tmp_path / name, FILES[name].encode(codec))
    assert read(path, WANTED, quoting="minimal") == ROWS
    assert read(path, WANTED, quoting="minimal", encoding="cp1252") == ROWS


@pytest.mark.parametrize("name", FILES)
def test_another_encoding_is_what_it_is_said_to_be(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, FILES[name].encode("cp1252"))
    assert read(path, WANTED, quoting="minimal", encoding="cp1252") == ROWS
    said = refuse(path, WANTED, quoting="minimal")
    assert "is not utf-8 in line " in said
    assert "(byte 0xf6)" in said
    assert "Schön" in said
    assert "data.encoding=windows-1252" in said


@pytest.mark.parametrize("rows", SIZES)
def test_a_byte_of_another_encoding_is_found_far_into_a_file(tmp_path: Path, rows: int) -> None:
    content = b"text,label\n" + b"\xc3\xa9,1\n" * 40_000 + b"\xe9,1\n" + b"a,1\n" * 40_000
    said = refuse(write(tmp_path / "a.csv", content), rows=rows)
    assert "is not utf-8 in line 40002 (byte 0xe9)" in said


def test_by_request_a_character_takes_the_place_of_what_is_no_text(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", b"text,label\nSch\xf6n,x\na\0b,y\n")
    assert read(path, encoding_errors="replace") == [["Sch\ufffdn", "x"], ["a\ufffdb", "y"]]


def test_nul_is_refused_with_its_line_and_its_column(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", 'text,label\n"a\nb",x\nc\0,y\n')
    assert refuse(path) == ": line 4, 'text': 'c\\x00' has NUL, which no text has."


@pytest.mark.parametrize("name", FILES)
def test_a_column_that_is_not_there_is_named_with_the_nearest(tmp_path: Path, name: str) -> None:
    said = refuse(write(tmp_path / name, FILES[name]), ("text", "star"), quoting="minimal")
    assert said.startswith(" has no column 'star'. It has: text, stars")
    assert said.endswith(" Did you mean 'stars'?")


def test_what_is_missing_is_missing_in_every_format(tmp_path: Path) -> None:
    for name, content in FILES.items():
        found = read(
            write(tmp_path / name, content), WANTED, quoting="minimal", missing=("NA", "5")
        )
        assert found == [[ROWS[0][0], ""], ROWS[1], ["", ""]]


# --- what it is, and not what it is called -----------------------------------------------------


def test_a_parquet_file_of_another_name_is_said_and_then_read(tmp_path: Path) -> None:
    table = pyarrow.table({"text": ["a"], "label": ["x"]})
    path = tmp_path / "a.csv"
    pyarrow.parquet.write_table(table, path)
    said = " is a parquet by its content, and not csv. Read it with data.format=parquet."
    assert refuse(path) == said
    assert read(path, format="parquet") == [["a", "x"]]
    write(path, gzip.compress(path.read_bytes()))
    assert refuse(path) == said
    assert read(path, format="parquet") == [["a", "x"]]


def test_a_table_that_is_called_a_workbook_is_said(tmp_path: Path) -> None:
    path = write(tmp_path / "a.xlsx", "text,label\na,x\n")
    assert refuse(path).startswith(" is no workbook by its content. If it is text: data.format=csv")
    assert read(path, format="csv") == [["a", "x"]]


def test_a_web_page_is_no_table(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "<!DOCTYPE html>\n<html><body>text,label</body></html>\n")
    assert " is a web page: download the raw file" in refuse(path)


def test_files_that_are_cut_off_or_not_there_are_said(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv.gz", gzip.compress(b"text,label\na,x\n" * 100)[:-9])
    assert " is damaged or incomplete gzip (" in refuse(path)
    assert refuse(tmp_path / "b.csv") == " cannot be read: No such file or directory."
    assert refuse(tmp_path).startswith(" is a folder, not a file")


def test_more_than_may_be_unpacked_is_refused_with_the_setting(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv.gz", gzip.compress(b"text,label\n" + b"a,x\n" * 300_000))
    said = refuse(path, max_unpacked_mb=1)
    assert said.startswith(" has more than 1 MB when it is unpacked")
    assert said.endswith("data.max_unpacked_mb=2.")
    assert len(read(path, max_unpacked_mb=2)) == 300_000


# --- rows --------------------------------------------------------------------------------------


def test_columns_are_joined_with_a_space(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "title,body,stars\na,b,1\n,c,2\nd,,3\n")
    (rows,) = read_chunks(path, ("body", "title"))
    assert rows.join_texts(("title", "body")) == ["a b", " c", "d "]
    assert rows.join_texts(("body",)) == ["b", "c", ""]


def test_the_first_places_of_rows_are_shown(tmp_path: Path) -> None:
    (rows,) = read_chunks(write(tmp_path / "a.csv", "text,label\n" + "a,x\n" * 9))
    assert rows.format_places([0, 3]) == "line 2, line 5"
    shown = "line 2, line 3, line 4, line 5, line 6"
    assert rows.format_places(range(5)) == shown
    assert rows.format_places(range(7)) == f"{shown} and 2 more"


def test_without_strictness_a_value_is_an_error_of_its_row(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", '{"text": "a"}\n{"text": [1, 2]}\n{\n{"text": "b"}\n')
    (rows,) = read_chunks(path, ("text",), strict=False)
    assert rows.columns["text"] == ["a", "", "", "b"]
    assert rows.problems[1].startswith("line 2, 'text': ['1', '2'] is a list of 2 values")
    assert rows.problems[2].startswith("line 3: it is not JSON (")
    assert len(rows) == 4
