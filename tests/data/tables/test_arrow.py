from __future__ import annotations

import datetime
import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from tests.data.tables.reading import SIZES, read, read_chunks, refuse, write


def write_columns(path: Path, *columns: tuple[str, Any], **metadata: Any) -> Path:
    """Write columns, of which several may have one name."""
    arrays = [
        values if isinstance(values, pyarrow.Array) else pyarrow.array(values)
        for _, values in columns
    ]
    table = pyarrow.Table.from_arrays(arrays, names=[name for name, _ in columns])
    content = {key: json.dumps(value) for key, value in metadata.items()}
    pyarrow.parquet.write_table(table.replace_schema_metadata(content or None), path)
    return path


def test_values_become_the_texts_that_csv_would_have(tmp_path: Path) -> None:
    path = write_columns(
        tmp_path / "a.parquet",
        ("bytes", ["Schön".encode(), b"a"]),
        ("dictionary", pyarrow.array(["x", None]).dictionary_encode()),
        ("integer", [5, None]),
        ("truth", [True, False]),
        ("float", [1.5, math.nan]),
        ("date", [datetime.date(2024, 2, 29), None]),
        ("list", [["a"], []]),
    )
    names = ("bytes", "dictionary", "integer", "truth", "float", "date", "list")
    assert read(path, names) == [
        ["Schön", "x", "5", "true", "1.5", "2024-02-29", "a"],
        ["a", "", "", "false", "", "", ""],
    ]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (["a", None], None),
        ([["a"], ["b", "c"]], ": row 2, 'text': ['b', 'c'] is a list of 2 values, and has to be"),
        ([{"k": 1, "l": 2}, None], ": row 1, 'text': {'k': 1, 'l': 2} is an object"),
        ([b"ok", b"\xe9"], ": row 2, 'text': b'\\xe9' are bytes that are not UTF-8."),
        ([datetime.timedelta(1)] * 2, ": row 1, 'text': datetime.timedelta(days=1) is a timedelta"),
        (["a", "b\0"], ": row 2, 'text': 'b\\x00' has NUL, which no text has."),
    ],
)
@pytest.mark.parametrize("rows", SIZES)
def test_what_is_no_text_is_refused_with_its_row(
    tmp_path: Path, values: list[Any], said: str | None, rows: int
) -> None:
    path = write_columns(tmp_path / "a.parquet", ("text", values), ("label", ["x", "y"]))
    if said is None:
        assert read(path, rows=rows) == [["a", "x"], ["", "y"]]
    else:
        assert refuse(path, rows=rows).startswith(said)


def test_fields_inside_of_columns_are_given_with_dots(tmp_path: Path) -> None:
    path = write_columns(
        tmp_path / "a.parquet",
        ("data", [{"text": "a", "n": 1}, None, {"text": None, "n": 3}]),
        ("a.b", ["x", "y", "z"]),
        ("a", [{"b": "no"}] * 3),
    )
    assert read(path, ("data.text", "a.b")) == [["a", "x"], ["", "y"], ["", "z"]]
    assert "It has: data, a.b, a, data.text, data.n." in refuse(path, ("text", "a.b"))


def test_columns_of_one_name_are_refused_if_they_are_wanted_and_told_apart_by_position(
    tmp_path: Path,
) -> None:
    columns = [("text", ["a"]), ("label", ["x"]), ("text", ["b"]), ("n", [1]), ("n", [2])]
    path = write_columns(tmp_path / "a.parquet", *columns)
    said = " has 2 columns 'text'. Say which by its position: data.text=0 or data.text=2."
    assert refuse(path) == said
    notes: Counter[str] = Counter()
    assert read(path, ("2", "label", "4"), notes=notes) == [["b", "x", "2"]]
    assert notes == {"Columns with the name 'text'": 2}


def test_columns_are_carried_along(tmp_path: Path) -> None:
    path = write_columns(
        tmp_path / "a.parquet", ("id", [7, 8]), ("text", ["a", "b"]), ("s", [{"k": 1}, None])
    )
    (some,) = read_chunks(path, ("text",), keep=("id",))
    assert some.kept == {"id": ["7", "8"]}
    (some,) = read_chunks(path, ("text",), keep=None)
    assert some.kept == {"id": ["7", "8"], "text": ["a", "b"], "s": ['{"k": 1}', ""]}


# --- names of classes --------------------------------------------------------------------------

FEATURES = {
    "info": {
        "features": {
            "text": {"dtype": "string", "_type": "Value"},
            "label": {"names": ["neg", "pos"], "_type": "ClassLabel"},
        }
    }
}


def test_codes_have_the_names_that_the_schema_says(tmp_path: Path) -> None:
    path = write_columns(
        tmp_path / "a.parquet",
        ("text", list("abcd")),
        ("label", [1, 0, -1, None]),
        huggingface=FEATURES,
    )
    rows = [["a", "pos"], ["b", "neg"], ["c", ""], ["d", ""]]
    assert read(path) == rows
    assert read(path, ("0", "1")) == rows


def test_a_code_beyond_the_names_is_refused_with_its_row(tmp_path: Path) -> None:
    path = write_columns(
        tmp_path / "a.parquet", ("text", ["a", "b"]), ("label", [0, 7]), huggingface=FEATURES
    )
    assert refuse(path).startswith(": row 2, 'label': {'a code without a name': 7}")


def test_lists_of_one_code_have_its_name(tmp_path: Path) -> None:
    names = FEATURES["info"]["features"]["label"]
    for feature in ({"_type": "Sequence", "feature": names}, [names]):
        path = write_columns(
            tmp_path / "a.parquet",
            ("text", ["a", "b"]),
            ("label", [[1], [0]]),
            huggingface={"info": {"features": {"label": feature}}},
        )
        assert read(path) == [["a", "pos"], ["b", "neg"]]


@pytest.mark.parametrize("content", [[], {}, {"info": None}, {"info": {"features": ["text"]}}, "x"])
def test_a_schema_that_says_nothing_of_classes_leaves_the_codes(
    tmp_path: Path, content: Any
) -> None:
    path = write_columns(
        tmp_path / "a.parquet", ("text", ["a"]), ("label", [1]), huggingface=content
    )
    assert read(path) == [["a", "1"]]


# --- what is refused ---------------------------------------------------------------------------


def test_a_column_that_is_not_there_is_named_with_the_nearest(tmp_path: Path) -> None:
    path = write_columns(tmp_path / "a.parquet", ("text", ["a"]))
    assert refuse(path, ("txt",)) == " has no column 'txt'. It has: text. Did you mean 'text'?"


def test_long_names_are_not_taken_for_data(tmp_path: Path) -> None:
    name = "How did you like it, in your own words?"
    path = write_columns(tmp_path / "a.parquet", (name, ["a"]))
    assert read(path, (name, "0")) == [["a", "a"]]
    assert "header" not in refuse(path)


def test_what_is_no_parquet_file_is_said(tmp_path: Path) -> None:
    said = refuse(write(tmp_path / "a.parquet", "text,label\n"))
    assert said.startswith(" is no parquet by its content. If it is text: data.format=csv or ")
    whole = write_columns(tmp_path / "b.parquet", ("text", ["a"])).read_bytes()
    for content in (whole[:-9], whole[:20], b"PAR1\0" + b"x" * 40 + b"PAR1"):
        assert " is not a Parquet file: " in refuse(write(tmp_path / "c.parquet", content))


def test_a_table_without_rows_is_said(tmp_path: Path) -> None:
    empty = pyarrow.array([], pyarrow.string())
    path = write_columns(tmp_path / "a.parquet", ("text", empty), ("label", empty))
    assert refuse(path) == " has no rows."


def test_pieces_have_so_many_rows(tmp_path: Path) -> None:
    table = pyarrow.table({"text": list("abcdefg"), "label": list("xyxyxyx")})
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet", row_group_size=3)
    for rows in SIZES:
        found = read_chunks(tmp_path / "a.parquet", rows=rows)
        assert max(map(len, found)) <= rows
        assert [text for some in found for text in some.columns["text"]] == list("abcdefg")
        places = [some.chunk.locate(at) for some in found for at in range(len(some))]
        assert places == [f"row {number}" for number in range(1, 8)]
