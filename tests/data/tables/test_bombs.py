"""Files that would fill a memory, or be read for ever, for a few kilobytes on disk."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from tagifai.data import limits
from tagifai.data.tables import arrow, containers, objects
from tests.data.tables.reading import read, refuse
from tests.data.tables.test_workbooks import HEADER, make_xlsx, write_text
from tests.data.tables.test_workbooks import refused as refuse_workbook

ROWS = b"text,label\n" + b"a good text,b\n" * 100_000


@pytest.fixture(autouse=True)
def in_time(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Lower the limits, so that the files of the tests are small, and see that it is soon over."""
    monkeypatch.setattr(limits, "FREE_BYTES", 1_000_000)
    monkeypatch.setattr(containers, "LONGEST_LINE", 1_000_000)
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < 10


def zip_one(content: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("rows.csv", content)
    return made.getvalue()


def pack_zstd(content: bytes) -> bytes:
    return pa.Codec("zstd").compress(content, asbytes=True)  # type: ignore[no-any-return]


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": pack_zstd,
    "zip": zip_one,
}


@pytest.mark.parametrize("kind", PACKERS)
def test_what_becomes_far_larger_than_a_table_is_refused_before_a_row_is_read(
    tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(PACKERS[kind](ROWS))
    assert refuse(path) == (
        " becomes more than 50 times as large when it is unpacked, which tables do not. If that is"
        " right, set data.max_unpacked_ratio=1000."
    )
    packed = path.stat().st_size
    assert len(read(path, max_unpacked_ratio=len(ROWS) // packed + 1)) == ROWS.count(b"\n") - 1


def test_what_is_behind_a_packed_file_takes_no_time(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_bytes(gzip.compress(b"text,label\na,b\n") + bytes(50_000_000))
    assert "damaged or incomplete gzip" in refuse(tmp_path / "rows.csv")


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/full"])
def test_a_device_is_no_file(path: str) -> None:
    assert refuse(Path(path)) == " is a device, not a file."


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl", "rows.tsv"])
@pytest.mark.parametrize("packed", [False, True])
def test_a_line_without_end_is_no_row(tmp_path: Path, name: str, packed: bool) -> None:
    content = b"text,label\na,b\n" + bytes(range(48, 58)) * 150_000
    (tmp_path / name).write_bytes(bz2.compress(content, 1) if packed else content)
    said = refuse(tmp_path / name)
    assert "a line of more than 1 MB, which is no row" in said or "50 times" in said


def test_json_is_read_as_a_whole_and_has_a_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "MOST_OBJECTS", 1000)
    monkeypatch.setattr(objects, "LARGEST", 10_000)
    for content in ("[" + "[]," * 1000 + "[]]", '["' + "a" * 10_000 + '"]'):
        (tmp_path / "a.json").write_text(content)
        said = refuse(tmp_path / "a.json")
        assert said.startswith(" has more than 10,000 characters or 1,000 objects: JSON is read as")


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
@pytest.mark.parametrize("content", ["[" * 100_000, '{"text":' * 100_000])
def test_json_that_is_nested_deeply_is_said(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    said = refuse(tmp_path / name)
    assert "nested too deeply" in said or said.endswith(
        "begins JSON of several lines: data.format=json."
    )


def write_parquet(path: Path, text: str, rows: int, field: str = "") -> None:
    indices = pa.array([0] * rows, pa.int32())
    texts: pa.Array = pa.DictionaryArray.from_arrays(indices, [text])
    if field:
        texts = pa.StructArray.from_arrays([texts.cast(pa.string())], [field])
    labels = pa.DictionaryArray.from_arrays(indices, ["b"])
    parquet.write_table(pa.table({"text": texts, "label": labels}), path)


def test_a_parquet_file_of_more_rows_than_bytes_is_none(tmp_path: Path) -> None:
    write_parquet(tmp_path / "a.parquet", "the same", 1_000_001)
    assert " says that it has 1,000,001 rows, in " in refuse(tmp_path / "a.parquet")


@pytest.mark.parametrize("field", ["", "inner"])
def test_a_long_text_that_all_rows_of_a_parquet_file_share_is_not_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    monkeypatch.setattr(arrow, "MOST_BYTES", 1_000_000)
    write_parquet(tmp_path / "a.parquet", "x" * 10_000, 1000, field)
    wanted = (f"text.{field}" if field else "text", "label")
    said = refuse(tmp_path / "a.parquet", wanted)
    assert said == " has 10 MB of text in 1,000 rows, and at most 1 MB are read at a time."


@pytest.mark.parametrize(
    "row",
    [
        f"{write_text('A2', 'x')}{write_text('XFD1048576', 'x')}{write_text('A3', 'x')}",
        f"{write_text('xfd1048576', 'x')}{write_text('A3', 'x')}",
        "<c t=\"inlineStr\" r = 'XFD1048576'><is><t>x</t></is></c>",
        "<c><v>1</v></c>" * 5_000,
    ],
)
def test_a_cell_far_away_is_seen_wherever_and_however_it_is_written(
    tmp_path: Path, row: str
) -> None:
    content = make_xlsx(Data=f'{HEADER}<row r="1048576">{row}</row>')
    said = refuse_workbook(tmp_path / "a.xlsx", content, max_mb=4000)
    assert "delete those far from the table" in said


@pytest.mark.parametrize("tag", ["si", "x:si"])
def test_a_long_text_that_all_cells_of_a_workbook_share_is_not_copied(
    tmp_path: Path, tag: str
) -> None:
    made = io.BytesIO(make_xlsx(Data=HEADER + "<row><c r='A2' t='s'><v>2</v></c></row>" * 1000))
    with zipfile.ZipFile(made, "a") as archive:
        texts = [f"<{tag}><t>{text}</t></{tag}>" for text in ("", "si>", "x" * 10_000)]
        archive.writestr("xl/sharedStrings.xml", f"<sst>{''.join(texts)}</sst>")
    assert "50 times as large" in refuse_workbook(tmp_path / "a.xlsx", made.getvalue(), max_mb=4000)


def test_lists_of_many_values_are_not_read_into_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrow, "MOST_BYTES", 1_000_000)
    rows = pa.table({"text": pa.array([["a"] * 20_000]), "label": ["b"]})
    parquet.write_table(rows, tmp_path / "a.parquet")
    assert " MB of text in 1 rows, and at most 1 MB" in refuse(tmp_path / "a.parquet")


def test_a_workbook_that_lies_about_its_size_is_measured(tmp_path: Path) -> None:
    content = make_xlsx(Data=HEADER + " " * 3_000_000)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        size = next(i.file_size for i in archive.infolist() if i.file_size > 3_000_000)
    lying = content.replace(size.to_bytes(4, "little"), (100).to_bytes(4, "little"))
    assert lying != content
    for given in (content, lying):
        assert "50 times as large" in refuse_workbook(tmp_path / "a.xlsx", given, max_mb=4000)
