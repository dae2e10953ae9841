from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import os
import re
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import util
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from tagifai.exceptions import DataError
from tagifai.utils import table_files
from tagifai.utils.state import drafts
from tagifai.utils.table_files import Fields, open_writer, parse_target

ENCODABLE = st.text(st.characters(exclude_categories=["Cs"]))
AWKWARD = ENCODABLE | st.text("\",;\t\r\n\x00 '=x\u2028\x85", max_size=6)

FIELDS: Fields = {"id": str, "input_text": str, "probability": float, "error": str}

Row = tuple[str | None, str | None, float | None, str | None]

ROWS: list[Row] = [
    ("01", 'a "quoted", text', 0.5, None),
    ("2", "two\nlines\r\nand\ra return", 1 / 3, None),
    ("é", None, None, "line 3: there is no text"),
]


def write(target: Path | str | None, rows: Sequence[Row], fields: Fields = FIELDS) -> None:
    """Write rows in batches of two."""
    with open_writer(None if target is None else str(target), fields) as put:
        for start in range(0, len(rows), 2):
            put([*zip(*rows[start : start + 2], strict=True)])


def read_table(content: str, delimiter: str) -> list[list[str]]:
    """Return rows as a strict reader finds them."""
    return [*csv.reader(io.StringIO(content, newline=""), delimiter=delimiter, strict=True)]


def as_cells(rows: Sequence[Row]) -> list[list[str]]:
    return [["" if cell is None else str(cell) for cell in row] for row in rows]


def read_sheet(path: Path) -> list[list[str | float | None]]:
    """Return the cells of the only sheet of a workbook."""
    space = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
    with zipfile.ZipFile(path) as archive:
        root = ElementTree.fromstring(archive.read("xl/worksheets/sheet1.xml"))
    rows = []
    for row in root.iter(f"{space}row"):
        cells: dict[int, str | float] = {}
        for cell in row:
            column = ord(str(cell.get("r"))[0]) - ord("A")
            if cell.get("t") == "inlineStr":
                text = "".join(part.text or "" for part in cell.iter(f"{space}t"))
                cells[column] = re.sub("_x([0-9A-F]{4})_", lambda m: chr(int(m[1], 16)), text)
            else:
                cells[column] = float(str(cell.findtext(f"{space}v")))
            assert cell.find(f"{space}f") is None
        rows.append([cells.get(place) for place in range(max(cells) + 1)])
    return rows


# --- each kind ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "delimiter"), [("a.csv", ","), ("a.TSV", "\t")])
def test_a_text_table_is_read_back_by_a_strict_reader(
    tmp_path: Path, name: str, delimiter: str
) -> None:
    write(tmp_path / name, ROWS)
    content = (tmp_path / name).read_bytes().decode()
    assert read_table(content, delimiter) == [[*FIELDS], *as_cells(ROWS)]


def test_fields_are_quoted_where_they_need_it_only(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", [("1", "a, b", 0.5, None), ("2", "c", 0.25, None)])
    expected = 'id,input_text,probability,error\n1,"a, b",0.5,\n2,c,0.25,\n'
    assert (tmp_path / "a.csv").read_bytes().decode() == expected


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(st.lists(st.tuples(AWKWARD, AWKWARD), max_size=4), st.sampled_from([",", "\t"]))
def test_any_text_in_a_text_table_is_read_back(
    tmp_path: Path, texts: list[tuple[str, str]], delimiter: str
) -> None:
    target = tmp_path / ("a.csv" if delimiter == "," else "a.tsv")
    rows: list[Row] = [(one, other, 0.5, None) for one, other in texts]
    write(target, rows)
    assert read_table(target.read_bytes().decode(), delimiter)[1:] == as_cells(rows)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.lists(st.tuples(AWKWARD, AWKWARD), max_size=4))
@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.parquet"])
def test_any_text_is_read_back(tmp_path: Path, name: str, texts: list[tuple[str, str]]) -> None:
    write(tmp_path / name, [(one, other, 0.5, None) for one, other in texts])
    if name == "a.parquet":
        found = parquet.read_table(tmp_path / name).to_pylist()
    elif name == "a.json":
        found = json.loads((tmp_path / name).read_text(encoding="utf-8"))
    else:
        content = (tmp_path / name).read_bytes().decode()
        found = [json.loads(line) for line in content.split("\n")[:-1]]
    assert [(row["id"], row["input_text"]) for row in found] == texts


def test_json_has_an_error_where_there_is_one(tmp_path: Path) -> None:
    expected = [dict(zip(FIELDS, row, strict=True)) for row in ROWS]
    del expected[0]["error"], expected[1]["error"]
    write(tmp_path / "a.json", ROWS)
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == expected
    for name in ("a.jsonl", "a.NDJSON"):
        write(tmp_path / name, ROWS)
        lines = (tmp_path / name).read_text(encoding="utf-8").splitlines()
        assert [json.loads(line) for line in lines] == expected
    assert "é" in lines[2]


def test_parquet_has_types_and_nulls(tmp_path: Path) -> None:
    write(tmp_path / "a.pq", ROWS)
    found = parquet.ParquetFile(tmp_path / "a.pq")
    assert found.schema_arrow.types == [pa.string(), pa.string(), pa.float64(), pa.string()]
    assert [tuple(row.values()) for row in found.read().to_pylist()] == ROWS


def test_rows_of_parquet_do_not_wait_for_all_others(tmp_path: Path) -> None:
    text = "x" * 2**20
    with open_writer(str(tmp_path / "a.parquet"), {"text": str}) as put:
        for _ in range(3):
            put([[text] * 40])
    found = parquet.ParquetFile(tmp_path / "a.parquet")
    assert [found.metadata.row_group(n).num_rows for n in range(found.num_row_groups)] == [80, 40]


def test_a_workbook_has_texts_and_numbers_and_no_formulas(tmp_path: Path) -> None:
    rows: list[Row] = [*ROWS, ("007", "=1+1", 0.25, None), ("_x0041_", " a\x00\x1fb\t", 1.0, None)]
    write(tmp_path / "a.XLSX", rows)
    found = read_sheet(tmp_path / "a.XLSX")
    assert [[*row, None, None][:4] for row in found] == [[*FIELDS], *map(list, rows)]


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.json", "[]\n"), ("a.jsonl", ""), ("a.csv", "id,input_text,probability,error\n")],
)
def test_without_rows_the_file_is_valid_and_empty(tmp_path: Path, name: str, content: str) -> None:
    write(tmp_path / name, [])
    assert (tmp_path / name).read_text() == content
    write(tmp_path / "a.parquet", [])
    assert parquet.read_table(tmp_path / "a.parquet").column_names == [*FIELDS]
    write(tmp_path / "a.xlsx", [])
    assert read_sheet(tmp_path / "a.xlsx") == [[*FIELDS]]


OPENERS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.decompress,
    ".bz2": bz2.decompress,
    ".XZ": lzma.decompress,
    ".zst": lambda data: pa.CompressedInputStream(pa.BufferReader(data), "zstd").read(),
}


@pytest.mark.parametrize("ending", OPENERS)
@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.json", "a.jsonl"])
def test_text_is_compressed_by_the_name_s_ending(tmp_path: Path, name: str, ending: str) -> None:
    write(tmp_path / name, ROWS)
    write(tmp_path / f"{name}{ending}", ROWS)
    packed = (tmp_path / f"{name}{ending}").read_bytes()
    assert OPENERS[ending](packed) == (tmp_path / name).read_bytes() != packed


def test_without_a_target_json_goes_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    write(None, ROWS[:1])
    captured = capsys.readouterr()
    assert json.loads(captured.out) == [{"id": "01", "input_text": ROWS[0][1], "probability": 0.5}]
    assert captured.err == ""


# --- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.txt", "a", "csv", ".csv", "a.gz", "a.csv.zip", "a.xls"])
def test_another_ending_is_refused_with_those_that_there_are(name: str) -> None:
    with pytest.raises(DataError, match=r"give a \.csv, \.tsv, \.json, .* or \.xlsx file"):
        parse_target(name)


@pytest.mark.parametrize("name", ["a.parquet.gz", "a.xlsx.zst"])
def test_what_is_compressed_in_itself_is_not_compressed_again(name: str) -> None:
    with pytest.raises(DataError, match=r"^a\..*: such a file is compressed in itself"):
        parse_target(name)


def test_a_workbook_without_the_library_is_refused_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(table_files, "find_spec", lambda name: None)
    with pytest.raises(DataError) as caught:
        parse_target("a.xlsx")
    instead = "give a .csv or .parquet file"
    message = f"a.xlsx: workbooks are an extra; {instead}, or: pip install 'tagifai[xlsx]'"
    assert str(caught.value) == message
    assert parse_target("a.csv") == ("csv", "")
    assert util.find_spec("xlsxwriter") is not None


def test_what_a_workbook_has_no_room_for_is_refused_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    long: Row = ("1", "\N{GRINNING FACE}" * 20_000, 0.5, None)
    with pytest.raises(
        DataError, match=r"no room for the 20,000 characters of row 2; give a \.csv"
    ):
        write(tmp_path / "a.xlsx", [ROWS[0], long])
    monkeypatch.setattr(table_files, "SHEET_ROWS", 3)
    write(tmp_path / "b.xlsx", ROWS[:2])
    with pytest.raises(DataError, match="has no room for 3 rows; give a"):
        write(tmp_path / "a.xlsx", ROWS)
    monkeypatch.setattr(table_files, "SHEET_COLUMNS", 3)
    with pytest.raises(DataError, match="has no room for 4 columns; give a"):
        write(tmp_path / "a.xlsx", ROWS)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["b.xlsx", "scratch"]


ALL = ["a.json", "a.jsonl", "a.csv", "a.csv.gz", "a.csv.zst", "a.parquet", "a.xlsx"]


@pytest.mark.parametrize("name", ALL)
def test_a_failure_half_way_leaves_the_old_file(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("old")
    with pytest.raises(DataError, match="line 2 is bad"), _failing(tmp_path / name):
        raise DataError("line 2 is bad")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "old"


@contextmanager
def _failing(path: Path) -> Iterator[None]:
    with open_writer(str(path), FIELDS) as put:
        put([*zip(*ROWS, strict=True)])
        yield


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device")
@pytest.mark.parametrize("name", ALL)
def test_a_full_disk_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    make = os.open

    def make_full(path: Any, *how: Any, **more: Any) -> int:
        handle = make(path, *how, **more)
        return make("/dev/full", os.O_WRONLY) if str(path).endswith(drafts.ENDING) else handle

    monkeypatch.setattr(os, "open", make_full)
    with pytest.raises(DataError, match=rf"{name} cannot be written: the disk is full"):
        write(tmp_path / name, [(str(n), os.urandom(50).hex(), 0.5, None) for n in range(2000)])
    assert [*tmp_path.iterdir()] == []
