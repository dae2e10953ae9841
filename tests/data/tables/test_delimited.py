from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest

from tagifai.data.tables.grid import FIRST_ROWS
from tagifai.exceptions import DataError
from tests.data.tables.reading import SIZES, iterate_chunks, read, read_chunks, refuse, write

HEAD = "text,label\n"


def test_every_field_is_the_text_that_it_is(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", HEAD + 'NA,null\n007,1.50\n"", nan\n a ,"b"\n')
    assert read(path) == [["NA", "null"], ["007", "1.50"], ["", " nan"], [" a ", "b"]]


def test_quotes_delimiters_and_line_ends_inside_fields_are_kept(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.csv", 'text,label\r\n"a ""b"", c\r\nd\re\n",x\r\nit "is" 5\'4",y\r\n'
    )
    assert read(path) == [['a "b", c\r\nd\re\n', "x"], ['it "is" 5\'4"', "y"]]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_line_end_ends_a_row(tmp_path: Path, end: str) -> None:
    path = write(tmp_path / "a.csv", end.join(["text,label", "a,x", "b,y", ""]))
    assert read(path) == [["a", "x"], ["b", "y"]]


def test_names_of_columns_are_stripped_in_the_file_and_in_the_settings(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "\ufeff text , label\na,x\n")
    assert read(path) == read(path, (" text", "label ")) == [["a", "x"]]


def test_columns_are_found_by_name_before_position(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "a,1,0\nx,y,z\n")
    assert read(path, ("0", "1", "2")) == [["z", "y", "z"]]
    path = write(tmp_path / "b.csv", "größe (en),レビュー,#$\nx,y,z\n")
    assert read(path, ("レビュー", "größe (en)", "#$", "0")) == [["y", "x", "z", "x"]]


# --- dialects ----------------------------------------------------------------------------------


@pytest.mark.parametrize("delimiter", [";", "|", "\t", "§", " "])
def test_the_delimiter_is_what_it_is_said_to_be(tmp_path: Path, delimiter: str) -> None:
    lines = [("text", "label"), ('"a, b"', "x")]
    path = write(tmp_path / "a.csv", "".join(delimiter.join(line) + "\n" for line in lines))
    assert read(path, delimiter=delimiter) == [["a, b", "x"]]


@pytest.mark.parametrize(("delimiter", "typed"), [(";", "';'"), ("|", "'|'"), ("\t", "tab")])
def test_another_delimiter_that_the_header_shows_is_said(
    tmp_path: Path, delimiter: str, typed: str
) -> None:
    path = write(tmp_path / "a.csv", f"text{delimiter}label\na, b{delimiter}x\n")
    assert refuse(path) == (
        f" has no column 'text'. It has: text{delimiter}label. The first line has {typed} between"
        f" its fields: data.delimiter={typed}."
    )


def test_a_line_at_the_top_that_says_the_delimiter_is_followed_and_noted(tmp_path: Path) -> None:
    notes: Counter[str] = Counter()
    path = write(tmp_path / "a.csv", "sep=;\r\ntext;label\r\na;x\r\nb;c;y\r\n")
    assert refuse(path, notes=notes).startswith(": line 4 has 3 fields, and the first row has 2.")
    assert notes == {"Lines at the top that say the delimiter": 1}


def test_quotes_are_characters_like_others_by_request(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", 'text\tlabel\n"I said\tx\nyou "said\ty\n"it"\tx\n')
    assert read(path, quoting="none") == [['"I said', "x"], ['you "said', "y"], ['"it"', "x"]]


def test_another_quote_and_an_escape_are_what_they_are_said_to_be(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "text,label\n'a, ''b'' \"c\"',x\n")
    assert read(path, quotechar="'") == [["a, 'b' \"c\"", "x"]]
    path = write(tmp_path / "b.csv", 'text,label\n"a \\"b\\", c",x\nd\\, e,y\n')
    assert read(path, escape="\\") == [['a "b", c', "x"], ["d, e", "y"]]
    path = write(tmp_path / "c.csv", 'text,label\n"a\\, \\\nb\\\\,x\n')
    assert read(path, escape="\\", quoting="none") == [['"a, \nb\\', "x"]]


# --- stray quotes ------------------------------------------------------------------------------

STRAY = 'text\tlabel\n"Hello there\tham\nI say"\tspam\n' + "a\tham\n" * 5


def test_fields_of_tsv_that_span_lines_are_refused_with_both_ways_out(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", "text\tlabel\nb\ty\n" + STRAY.partition("\n")[2])
    assert refuse(path) == (
        ": a quoted field that begins in line 3 spans 2 lines. If quotes are characters like"
        " others: data.quoting=none. If it is meant so: data.quoting=minimal."
    )
    assert len(read(path, quoting="none")) == 8


@pytest.mark.parametrize("name", ["a.csv", "a.txt"])
def test_tabs_make_a_tsv_of_any_file(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, STRAY)
    assert "begins in line 2 spans 2 lines" in refuse(path, format="csv", delimiter="\t")


def test_fields_of_csv_that_span_lines_are_noted_with_their_number(tmp_path: Path) -> None:
    notes: Counter[str] = Counter()
    path = write(tmp_path / "a.csv", HEAD + '"a\nb",x\nc,y\n"d\r\n\r\ne","x\n"\n')
    assert len(read(path, notes=notes)) == 3
    assert notes == {"Quoted fields that span lines": 2}
    notes.clear()
    path = write(tmp_path / "a.tsv", 'text\tlabel\n"a\nb"\tx\n')
    assert read(path, quoting="minimal", notes=notes) == [["a\nb", "x"]]
    assert notes == {"Quoted fields that span lines": 1}


@pytest.mark.parametrize("rows", SIZES)
@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('a,x\n"b,y\nc,x\n', ": a quoted field that begins in line 3 never ends."),
        ('a,x\n"b" b,y\nc,x\n', ": the quotes in line 3 are broken ("),
        ('"two\nlines",x\n\n"b\nc" b,y\n', ": the quotes in line 5 are broken ("),
        ("ok,x\na, b,y\n", ": line 3 has 3 fields, and the first row has 2. Is a field with the"),
        ('"two\nlines",x\r\na,b,c\n', ": line 4 has 3 fields"),
        ("a,x\n\n\nb\n", ": line 5 has 1 field, and the first row has 2. Is a line broken"),
        ("text,label\na,x\nb,y,z\n", ": line 4 has 3 fields"),
    ],
)
def test_what_is_wrong_is_said_with_its_line_however_much_is_read_at_a_time(
    tmp_path: Path, rows: int, content: str, said: str
) -> None:
    assert refuse(write(tmp_path / "a.csv", HEAD + content), rows=rows).startswith(said)


@pytest.mark.parametrize("rows", SIZES)
def test_delimiters_at_the_ends_of_rows_are_left_out_and_noted(tmp_path: Path, rows: int) -> None:
    notes: Counter[str] = Counter()
    path = write(tmp_path / "a.csv", HEAD + "a,x,\nb,y\nc,x,,\n")
    assert read(path, rows=rows, notes=notes) == [["a", "x"], ["b", "y"], ["c", "x"]]
    assert notes == {"Rows with delimiters at their ends, which were left out": 2}
    write(path, HEAD + "a,x,\nb,y\nc,d,x\n")
    assert refuse(path, rows=rows).startswith(": line 4 has 3 fields")


@pytest.mark.parametrize("rows", SIZES)
def test_lines_are_counted_far_into_a_file(tmp_path: Path, rows: int) -> None:
    begin = HEAD + '"a\nb",x\n' * (FIRST_ROWS + 10) + "\n"
    path = write(tmp_path / "a.csv", begin + "c,x\n" * 5 + "d,e,x\n")
    assert refuse(path, rows=rows).startswith(f": line {2 * (FIRST_ROWS + 10) + 8} has 3 fields")


def test_what_comes_far_before_a_broken_line_has_been_given_already(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", HEAD + "a,x\n" * (2 * FIRST_ROWS) + "a,b,x\n")
    seen: list[str] = []
    with pytest.raises(DataError, match=f"line {2 * FIRST_ROWS + 2} has 3 fields"):
        seen.extend(text for some in iterate_chunks(path, rows=10) for text in some.columns["text"])
    assert len(seen) >= FIRST_ROWS


# --- headers -----------------------------------------------------------------------------------


def test_a_table_without_a_header_is_read_by_names_or_positions(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", "ham\tHello there\nspam\tWin now\n")
    rows = [["Hello there", "ham"], ["Win now", "spam"]]
    assert read(path, ("1", "0"), header=False) == rows
    assert read(path, columns=("label", "text"), header=False) == rows
    assert read(path, columns=("label", "text")) == rows  # names are for what has none
    assert read(path, ("1", "label"), columns=("label", "text")) == rows


def test_names_take_the_place_of_a_header_by_request(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "x,y\na,b\n")
    assert read(path, columns=("text", "label"), header=True) == [["a", "b"]]


def test_too_few_names_are_said(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "a,b,c\n")
    said = refuse(path, columns=("text", "label"), header=False)
    assert said == ": data.columns names 2 columns, and line 1 has 3 fields."


@pytest.mark.parametrize("rows", SIZES)
def test_a_first_row_that_looks_like_data_is_not_taken_for_a_header(
    tmp_path: Path, rows: int
) -> None:
    path = write(tmp_path / "a.tsv", "ham\tHello there\nspam\tWin now\neggs\tNo\nham\tYes\n")
    said = refuse(path, rows=rows)
    assert said == (
        " has no column 'text'. It has: ham, Hello there. The first row looks like data ('ham' is"
        " there again in its column). Without a header it is read with data.header=false"
        " data.text=1 data.label=0 (from 0)."
    )
    said = refuse(path, ("1", "0"), rows=rows)
    assert "data.header=false reads it as data, data.header=true as the names" in said
    assert read(path, ("1", "0"), header=True, rows=rows)[0] == ["Win now", "spam"]


def test_a_long_first_cell_is_no_name(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "1,This is a review of several words\n2,So is this one\n")
    said = refuse(path)
    assert "('This is a review of several wo'… is no name)" in said
    assert "data.header=false data.text=1 data.label=0 (from 0)." in said


@pytest.mark.parametrize("rows", SIZES)
def test_headers_that_are_repeated_are_left_out_and_noted(tmp_path: Path, rows: int) -> None:
    notes: Counter[str] = Counter()
    path = write(tmp_path / "a.csv", HEAD + "a,x\n" + HEAD + HEAD + "b,y\nc\n")
    assert refuse(path, rows=rows, notes=notes).startswith(": line 6 has 1 field")
    path = write(tmp_path / "a.csv", HEAD + "a,x\n" + HEAD + HEAD + "b,y\n" + HEAD)
    notes.clear()
    assert read(path, rows=rows, notes=notes) == [["a", "x"], ["b", "y"]]
    assert notes == {"Rows that repeat the header and were left out": 3}


def test_a_header_of_the_names_that_are_given_is_none_of_the_rows(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", HEAD + "a,x\n")
    assert read(path, header=False, columns=("text", "label")) == [["a", "x"]]


def test_a_column_that_is_there_twice_is_refused_if_it_is_wanted_and_noted_otherwise(
    tmp_path: Path,
) -> None:
    path = write(tmp_path / "a.csv", "text,label,text\na,x,b\n")
    assert refuse(path) == (
        " has 2 columns 'text'. Say which by its position: data.text=0 or data.text=2."
    )
    assert refuse(path, setting="task").endswith(
        "'task.columns={text: 0}' or 'task.columns={text: 2}'."
    )
    notes: Counter[str] = Counter()
    assert read(path, ("2", "label"), notes=notes) == [["b", "x"]]
    assert notes == {"Columns with the name 'text'": 2}
    path = write(tmp_path / "b.csv", "text,note,label,note,\na,1,x,2,\n")
    assert read(path) == [["a", "x"]]


def test_a_column_that_is_not_there_is_named_with_the_nearest(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "text,stars\na,5\n")
    said = " has no column 'star'. It has: text, stars. Did you mean 'stars'?"
    assert refuse(path, ("text", "star")) == said
    many = ",".join(f"c{number}" for number in range(30))
    path = write(tmp_path / "b.csv", f"{many}\n{many}\n")
    assert "c18, c19 and 10 more." in refuse(path)


# --- shapes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", ["", "\n\r\n", "\ufeff"])
def test_an_empty_file_is_empty(tmp_path: Path, content: str) -> None:
    assert refuse(write(tmp_path / "a.csv", content)) == " is empty."


@pytest.mark.parametrize("content", [HEAD, "text,label", HEAD + "\n\n", HEAD + HEAD])
def test_a_header_alone_has_no_rows(tmp_path: Path, content: str) -> None:
    assert refuse(write(tmp_path / "a.csv", content)) == " has no rows."


@pytest.mark.parametrize("rows", SIZES)
def test_blank_lines_are_left_out_and_noted(tmp_path: Path, rows: int) -> None:
    notes: Counter[str] = Counter()
    path = write(tmp_path / "a.csv", HEAD + "\na,x\n\n\nb,y\n\n")
    assert read(path, rows=rows, notes=notes) == [["a", "x"], ["b", "y"]]
    assert notes == {"Blank lines that were left out": 4}


def test_a_text_of_megabytes_is_read(tmp_path: Path) -> None:
    text = "word " * 600_000
    assert read(write(tmp_path / "a.csv", HEAD + f"{text},x\n")) == [[text, "x"]]
    assert csv.field_size_limit() >= len(text)


def test_columns_are_carried_along_by_name_or_all(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "id,text,x,,x,\n1,a,b,c,d,e\n")
    (some,) = read_chunks(path, ("text",), keep=("id", "gone"))
    assert some.kept == {"id": ["1"]}
    (some,) = read_chunks(path, ("text",), keep=None)
    assert some.kept == {
        "id": ["1"],
        "text": ["a"],
        "x": ["b"],
        "column_3": ["c"],
        "x_4": ["d"],
        "column_5": ["e"],
    }


def test_no_chunk_is_larger_than_it_may_be(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", HEAD + "a,x\n" * 25)
    assert [len(some) for some in read_chunks(path, rows=10)] == [10, 10, 5]
