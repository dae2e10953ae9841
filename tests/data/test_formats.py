from __future__ import annotations

import gzip
from pathlib import Path

import pandas as pd
import pytest

from tagifai.data import formats
from tagifai.data.formats import FileFormat
from tagifai.exceptions import DataError

ROWS = [('Good, "really"', "5"), ("Schön\nund gut", "1"), ("NA", "")]
"""A text and a label; a comma, quotes, a line's end, and what pandas would take for missing."""

FILES = {
    "csv": 'text,stars\n"Good, ""really""",5\n"Schön\nund gut",1\nNA,\n',
    "tsv": 'text\tstars\n"Good, ""really"""\t5\n"Schön\nund gut"\t1\nNA\t\n',
    "jsonl": (
        '{"text": "Good, \\"really\\"", "stars": 5}\n\n'
        '{"stars": 1, "text": "Schön\\nund gut", "more": []}\n{"text": "NA", "stars": null}\n'
    ),
}


def read(path: Path, kind: str, *columns: str, **more: str) -> pd.DataFrame:
    found = formats.read_chunks(
        path,
        FileFormat(kind, **more),
        columns or ("text", "stars"),
        named=f"data.path: {path}",
    )
    return pd.concat(list(found), ignore_index=True)


def refused(path: Path, kind: str, *columns: str, **more: str) -> str:
    with pytest.raises(DataError) as caught:
        read(path, kind, *columns, **more)
    message = str(caught.value)
    assert message.startswith(f"data.path: {path}")
    return message


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "file"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.csv", "csv"),
        ("A.CSV", "csv"),
        ("https://host/a.tsv.gz", "tsv"),
        ("a.b.ndjson", "jsonl"),
        ("a.parquet", "parquet"),
        ("a.xlsx", None),
        ("csv", None),
    ],
)
def test_a_name_says_the_format(name: str, kind: str | None) -> None:
    assert formats.infer_from_name(name) == kind


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("zipped", [False, True])
def test_every_text_format_gives_the_same_texts(file: Path, kind: str, zipped: bool) -> None:
    content = FILES[kind].encode()
    file.write_bytes(gzip.compress(content) if zipped else content)
    table = read(file, kind)
    assert list(table.itertuples(index=False, name=None)) == ROWS
    assert [str(dtype) for dtype in table.dtypes] == ["str", "str"]


def test_parquet_gives_the_same_texts(file: Path) -> None:
    pd.DataFrame(
        {"stars": [5, 1, None], "text": [text for text, _ in ROWS]}
    ).convert_dtypes().to_parquet(file)
    assert list(read(file, "parquet").itertuples(index=False, name=None)) == ROWS


def test_a_byte_order_mark_is_no_part_of_the_first_column(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf" + FILES["csv"].encode())
    assert read(file, "csv")["text"].tolist()[0] == ROWS[0][0]


def test_encoding_and_delimiter_are_what_they_are_said_to_be(file: Path) -> None:
    file.write_bytes("text;stars\nSchön;1\n".encode("cp1252"))
    table = read(file, "csv", encoding="cp1252", delimiter=";")
    assert table.to_dict("list") == {"text": ["Schön"], "stars": ["1"]}


def test_numbers_and_truth_values_of_json_are_their_spelling(file: Path) -> None:
    file.write_text('{"text": 1.5, "stars": true}\n')
    assert read(file, "jsonl").to_dict("list") == {"text": ["1.5"], "stars": ["true"]}


# --- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", FILES)
def test_a_column_that_is_not_there_is_named_with_the_nearest(file: Path, kind: str) -> None:
    file.write_text(FILES[kind])
    assert "has no column 'star'. Did you mean 'stars'? It has: " in refused(file, kind, "star")


def test_a_parquet_column_that_is_not_there_is_named_with_the_nearest(file: Path) -> None:
    pd.DataFrame({"text": ["a"]}).to_parquet(file)
    assert "no column 'txt'. Did you mean 'text'? It has: text." in refused(file, "parquet", "txt")


def test_another_delimiter_is_thought_of_where_all_is_one_column(file: Path) -> None:
    file.write_text("text;stars\na;1\n")
    assert "Is the delimiter another one (data.delimiter)?" in refused(file, "csv")


@pytest.mark.parametrize("kind", FILES)
def test_an_empty_file_is_empty(file: Path, kind: str) -> None:
    file.write_text("\n")
    assert refused(file, kind) == f"data.path: {file} is empty."


def test_a_header_line_alone_has_no_rows(file: Path) -> None:
    file.write_text("text,stars\n")
    assert refused(file, "csv") == f"data.path: {file} has no rows."


def test_another_encoding_is_said_with_its_line_and_the_way_out(file: Path) -> None:
    file.write_bytes(b"text,stars\nok,1\nSch\xf6n,2\n")
    message = refused(file, "csv")
    assert "is not utf-8 in line 3 (byte 0xf6)" in message
    assert "data.encoding=cp1252; if only parts of it do, convert them first." in message


def test_utf_8_that_is_said_to_be_something_else_is_said_too(file: Path) -> None:
    file.write_text("text,stars\nSchön,1\n")
    assert "leave out data.encoding=ascii" in refused(file, "csv", encoding="ascii")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('text,stars\nok,1\n"never ends,2\nok,3\n', "a quoted field that begins in line 3 never"),
        ("text,stars\nok,1\na, b,2\n", "line 3 has 3 fields, and the header line has 2."),
        ('text,stars\n"two\nlines",1\na,b,c\n', "line 4 has 3 fields"),
    ],
)
def test_broken_quotes_are_said_with_their_line(file: Path, content: str, said: str) -> None:
    file.write_text(content)
    assert said in refused(file, "csv")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 2 is not JSON ("),
        ("[1]", "line 2 is not a JSON object with the columns as keys."),
        ('{"text": {"a": 1}, "stars": 1}', "line 2, 'text' is neither a text nor a number."),
    ],
)
def test_a_line_that_is_no_record_is_said_with_its_number(file: Path, line: str, said: str) -> None:
    file.write_text('{"text": "a", "stars": 1}\n' + line + "\n")
    assert said in refused(file, "jsonl")


def test_what_is_no_parquet_file_is_said(file: Path) -> None:
    file.write_text("text,stars\n")
    assert "is not a Parquet file: " in refused(file, "parquet")


def test_a_gzip_file_that_was_cut_off_is_said(file: Path) -> None:
    file.write_bytes(gzip.compress(b"text,stars\na,1\n" * 100)[:-9])
    assert "cannot be read: " in refused(file, "csv")


# --- a piece at a time -------------------------------------------------------------------------


def cut(path: Path, kind: str, rows: int | None, *columns: str) -> list[list[tuple[str, ...]]]:
    named = f"data.path: {path}"
    found = formats.read_chunks(
        path, FileFormat(kind), columns or ("text", "stars"), rows=rows, named=named
    )
    return [list(piece.itertuples(index=False, name=None)) for piece in found]


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("zipped", [False, True])
def test_pieces_have_so_many_rows_of_the_same_texts(file: Path, kind: str, zipped: bool) -> None:
    content = FILES[kind].encode()
    file.write_bytes(gzip.compress(content) if zipped else content)
    assert cut(file, kind, 2) == [ROWS[:2], ROWS[2:]]
    assert cut(file, kind, 3) == cut(file, kind, None) == [ROWS]


def test_pieces_of_parquet_have_so_many_rows(file: Path) -> None:
    pd.DataFrame(ROWS, columns=["text", "stars"]).to_parquet(file, row_group_size=1)
    assert [row for piece in cut(file, "parquet", 2) for row in piece] == ROWS
    assert max(map(len, cut(file, "parquet", 2))) <= 2


def test_a_column_of_json_may_come_late(file: Path) -> None:
    file.write_text('{"text": "a"}\n{"text": "b"}\n{"text": "c", "stars": 1}\n')
    assert cut(file, "jsonl", 2) == [[("a", ""), ("b", "")], [("c", "1")]]


def test_a_byte_that_is_of_another_encoding_is_found_far_into_the_file(file: Path) -> None:
    file.write_bytes(b"text,stars\n" + b"\xc3\xa9,1\n" * 400_000 + b"\xe9,1\n" + b"a,1\n" * 400_000)
    with pytest.raises(DataError, match=r"not utf-8 in line 400002 \(byte 0xe9\)"):
        cut(file, "csv", 1000)


def test_what_comes_before_a_broken_line_is_there(file: Path) -> None:
    file.write_text("text,stars\n" + "a,1\n" * 5 + "a,b,1\n")
    found = formats.read_chunks(file, FileFormat("csv"), ["text"], rows=2, named="x")
    assert next(found)["text"].tolist() == ["a", "a"]
    with pytest.raises(DataError, match="line 7 has 3 fields"):
        list(found)
