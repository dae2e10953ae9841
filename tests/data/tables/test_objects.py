from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tagifai.data.tables.objects import LOOKED_AT
from tests.data.tables.reading import SIZES, iterate_chunks, read, read_chunks, refuse, write

ROWS = [{"text": "a", "label": "x"}, {"label": "y", "text": "b", "more": []}]


def lines(*rows: Any) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


# --- values ------------------------------------------------------------------------------------


def test_numbers_are_the_characters_that_they_are_written_with(tmp_path: Path) -> None:
    content = '{"text": 1.50, "label": 1e3}\n{"text": -0, "label": 12345678901234567890}\n'
    path = write(tmp_path / "a.jsonl", content + '{"text": true, "label": false}\n')
    rows = [["1.50", "1e3"], ["-0", "12345678901234567890"], ["true", "false"]]
    assert read(path) == rows
    array = "[" + ",".join(path.read_text().splitlines()) + "]"
    assert read(write(tmp_path / "a.json", array)) == rows


def test_null_nan_and_keys_that_are_not_there_are_missing(tmp_path: Path) -> None:
    content = '{"text": null, "label": NaN}\n{"label": "x"}\n{"text": "nan", "label": "NaN"}\n'
    path = write(tmp_path / "a.jsonl", content)
    assert read(path) == [["", ""], ["", "x"], ["nan", "NaN"]]


def test_lists_of_one_value_are_that_value_and_others_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", lines({"text": ["a"], "label": [["x"]]}, {"label": []}))
    assert read(path) == [["a", "x"], ["", ""]]
    said = refuse(write(path, lines(*ROWS, {"text": "c", "label": ["x", "y"]})))
    assert said == (
        ": line 3, 'label': ['x', 'y'] is a list of 2 values, and has to be a text or a number."
    )
    assert "line 1, 'text': {'a': '1'} is an object" in refuse(
        write(path, lines({"text": {"a": 1}, "label": "x"}))
    )


def test_a_key_that_is_there_twice_is_refused_where_it_is_wanted(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", '{"text": "a", "label": "x", "text": "b", "n": 1, "n": 2}\n')
    assert ": line 1, 'text': ['a', 'b'] is a list of 2 values" in refuse(path)
    assert read(path, ("label",)) == [["x"]]


def test_what_no_text_has_is_refused_and_pairs_of_surrogates_are_characters(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", '{"text": "\\ud83d\\ude00", "label": "x"}\n')
    assert read(path) == [["\U0001f600", "x"]]
    write(path, '{"text": "a", "label": "x"}\n{"text": "\\ud83d", "label": "\\u0000"}\n')
    assert "line 2, 'text': '\\ud83d' has half of a surrogate pair" in refuse(path)
    assert read(path, encoding_errors="replace")[1] == ["\ufffd", "\ufffd"]


def test_line_ends_inside_of_texts_and_unicode_s_own_end_no_line(tmp_path: Path) -> None:
    text = "a\n\r\u2028\x0b\x85b"
    path = write(tmp_path / "a.jsonl", lines({"text": text, "label": "x"}) + "\r\n\n")
    assert read(path) == [[text, "x"]]


# --- nested keys -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_nested_keys_are_given_with_dots(tmp_path: Path, name: str) -> None:
    rows = [
        {"data": {"text": "a", "meta": {"by.x": "1"}}, "a.b": "p"},
        {"data": {"text": "b", "meta": {"by.x": "2"}}, "a.b": "q"},
    ]
    path = write(tmp_path / name, lines(*rows) if name == "a.jsonl" else json.dumps(rows))
    assert read(path, ("data.text", "data.meta.by.x", "a.b")) == [["a", "1", "p"], ["b", "2", "q"]]
    said = refuse(path, ("text", "a.b"))
    assert said.startswith(" has no column 'text'. It has: data.text, data.meta, a.b.")


def test_a_first_line_whose_values_are_objects_is_a_row_if_it_has_the_columns(
    tmp_path: Path,
) -> None:
    row = {"data": {"text": "a", "label": "x"}, "meta": {"by": 1, "on": 2}}
    assert read(write(tmp_path / "a.jsonl", lines(row)), ("data.text", "data.label")) == [
        ["a", "x"]
    ]


# --- whole tables ------------------------------------------------------------------------------

PAIRS = [["a", "b"], ["x", "y"]]


@pytest.mark.parametrize(
    "content",
    [
        [{"text": "a", "label": "x"}, {"text": "b", "label": "y"}],
        {"text": ["a", "b"], "label": ["x", "y"]},
        {"text": {"0": "a", "1": "b"}, "label": {"1": "y", "0": "x"}},
        {"id1": {"text": "a", "label": "x"}, "id2": {"label": "y", "text": "b"}},
    ],
)
def test_json_is_rows_or_columns_or_rows_by_id(tmp_path: Path, content: Any) -> None:
    path = write(tmp_path / "a.json", json.dumps(content, indent=1))
    assert read(path) == [["a", "x"], ["b", "y"]]
    (some,) = read_chunks(path)
    assert some.chunk.locate(1) == "row 2"


@pytest.mark.parametrize("rows", SIZES)
def test_rows_may_be_lists_whose_columns_are_named_or_by_position(
    tmp_path: Path, rows: int
) -> None:
    content = [["a", "x"], ["b", 1.0], ["c", None]]
    for name, text in {"a.json": json.dumps(content), "a.jsonl": lines(*content)}.items():
        path = write(tmp_path / name, text)
        found = [["a", "x"], ["b", "1.0"], ["c", ""]]
        assert read(path, columns=("text", "label"), rows=rows) == found
        assert read(path, ("0", "1"), rows=rows) == found
        kept = read_chunks(path, ("text",), columns=("text", "label"), keep=None, rows=rows)
        assert [v for some in kept for v in some.kept["label"]] == ["x", "1.0", ""]


def test_lists_without_names_are_answered_with_the_setting(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", json.dumps([["a", "x", 1], ["b", "y", 2]]))
    assert refuse(path) == (
        ": row 1 is a list of 3 values, and not an object with the columns as keys. Name its"
        " columns: data.columns=[text,label,c2], in their order."
    )
    assert "row 2 is a list of 1 values" in refuse(
        write(path, '[["a", "x"], ["b"]]'), columns=("text", "label")
    )


def test_rows_inside_of_a_document_are_at_a_path(tmp_path: Path) -> None:
    content = {"version": 1, "data": {"train": ROWS, "test": ROWS[:1]}, "notes": []}
    path = write(tmp_path / "a.json", json.dumps(content))
    assert read(path, records="data.train") == [["a", "x"], ["b", "y"]]
    assert read(path, records="data.test") == [["a", "x"]]
    assert refuse(path, records="data.dev") == " has nothing at data.records=data.dev."
    assert refuse(path, records="data") == (
        ": the rows are inside of it. Say where: data.records=data.train or data.records=data.test."
    )
    write(path, json.dumps({"rows": ROWS, "n": 2}))
    assert refuse(path).endswith("Say where: data.records=rows.")


@pytest.mark.parametrize(
    "content",
    [
        {"text": ["a"], "label": ["x", "y"]},
        {"text": {"0": "a"}, "label": {"1": "x"}},
        "a",
        7,
        None,
    ],
)
def test_what_is_no_list_of_rows_is_said(tmp_path: Path, content: Any) -> None:
    said = refuse(write(tmp_path / "a.json", json.dumps(content)))
    assert said.startswith(": it is no list of rows, and no object of columns that")


# --- one form for the other --------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        json.dumps(ROWS),
        json.dumps(ROWS, indent=1),
        json.dumps({"text": ["a", "b"], "label": ["x", "y"]}),
        json.dumps({"text": ["a", "b"], "label": ["x", "y"]}, indent=1),
        json.dumps({"text": {"0": "a", "1": "b"}, "label": {"0": "x", "1": "y"}}),
        json.dumps({"i": {"text": "a", "label": "x"}, "j": {"text": "b", "label": "y"}}),
    ],
)
def test_a_document_that_is_called_lines_is_said_and_then_read(
    tmp_path: Path, content: str
) -> None:
    path = write(tmp_path / "a.jsonl", content)
    assert refuse(path).rstrip(".").endswith("data.format=json")
    assert read(path, format="json") == [["a", "x"], ["b", "y"]]


def test_lines_that_are_called_a_document_are_said_and_then_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", lines(*ROWS))
    assert refuse(path).endswith("Is it a JSON object a line? data.format=jsonl.")
    assert read(path, format="jsonl") == [["a", "x"], ["b", "y"]]


# --- texts alone -------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", SIZES)
def test_texts_alone_are_whole_texts_beside_objects(tmp_path: Path, rows: int) -> None:
    given = ["one", {"title": "a", "body": "b"}, "two", 7, {"title": None, "body": "c"}]
    path = write(tmp_path / "a.jsonl", lines(*given))
    found = read_chunks(path, ("title", "body"), text=("title", "body"), rows=rows, strict=False)
    texts = [text for some in found for text in some.join_texts(("title", "body"))]
    assert texts == ["one", "a b", "two", "7", " c"]


def test_texts_alone_have_no_label(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", lines("one", "two"))
    assert refuse(path) == ": line 1: it is no object with the columns as keys."


# --- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize("rows", SIZES)
@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", ": line 3: it is not JSON ("),
        ("[" * 100_000, ": line 3: it is not JSON (it is nested too deeply)"),
        ("null", ": line 3: it is no object with the columns as keys."),
        ('{"text": "a", "label": {"b": 1}}', ": line 3, 'label': {'b': '1'} is an object"),
    ],
)
def test_a_line_that_is_no_row_is_said_with_its_number_however_much_is_read_at_a_time(
    tmp_path: Path, rows: int, line: str, said: str
) -> None:
    path = write(tmp_path / "a.jsonl", f'{{"text": "a", "label": 1}}\n\n{line}\n')
    assert refuse(path, rows=rows).startswith(said)
    problems = {
        where: why
        for some in read_chunks(path, rows=rows, strict=False)
        for where, why in some.problems.items()
    }
    assert [why.startswith("line 3") for why in problems.values()] == [True]


@pytest.mark.parametrize("rows", SIZES)
def test_a_column_that_no_row_has_is_missed_however_much_is_read_at_a_time(
    tmp_path: Path, rows: int
) -> None:
    path = write(tmp_path / "a.jsonl", lines(*[{"text": "a", "label": "x"}] * 10))
    said = refuse(path, ("text", "labl"), rows=rows)
    assert said == " has no column 'labl'. It has: text, label. Did you mean 'label'?"
    assert "has no column '0'" in refuse(path, ("0", "label"), rows=rows)


@pytest.mark.parametrize("rows", SIZES)
def test_a_column_may_come_late(tmp_path: Path, rows: int) -> None:
    path = write(tmp_path / "a.jsonl", lines(*[{"text": "a"}] * 9, {"text": "b", "label": "x"}))
    assert read(path, rows=rows) == [["a", ""]] * 9 + [["b", "x"]]


def test_a_column_that_is_missed_is_missed_before_any_row_is_given(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", lines(*[{"text": "a"}] * (LOOKED_AT + 5)))
    with pytest.raises(Exception, match="has no column 'label'"):
        next(iterate_chunks(path, rows=2))


@pytest.mark.parametrize(
    ("name", "content"), [("a.jsonl", "\n \n"), ("a.json", " "), ("a.json", "[]")]
)
def test_an_empty_file_is_empty(tmp_path: Path, name: str, content: str) -> None:
    assert refuse(write(tmp_path / name, content)) == " is empty."


def test_columns_that_are_carried_along_are_shown_whatever_they_are(tmp_path: Path) -> None:
    rows = [{"text": "a", "id": 1, "tags": ["p", "q"]}, {"text": "b", "new": {"k": None}}]
    path = write(tmp_path / "a.jsonl", lines(*rows))
    (some,) = read_chunks(path, ("text",), keep=None)
    assert some.kept == {
        "text": ["a", "b"],
        "id": ["1", ""],
        "tags": ['["p", "q"]', ""],
        "new.k": ["", ""],
    }
    assert read_chunks(path, ("text",), keep=("id",))[0].kept == {"id": ["1", ""]}
