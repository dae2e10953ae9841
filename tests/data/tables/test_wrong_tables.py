"""Files that were tables once: each is read, or refused in one sentence."""

from __future__ import annotations

import gzip
import io
import json
import os
import resource
import time
import warnings
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import xlsxwriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from tagifai.exceptions import DataError
from tests.data.tables.reading import read

EXAMPLES = int(os.environ.get("TAGIFAI_EXAMPLES", "550"))
"""Of all formats together; TAGIFAI_EXAMPLES=10000 looks longer."""

MOST_SECONDS, MOST_MEGABYTES, LONGEST_MESSAGE = 10.0, 500, 2000

ROWS: list[dict[str, Any]] = [
    {"text": text, "label": label, "n": number}
    for number, (text, label) in enumerate(
        [("a good book", "5"), ('says "no", twice', "1"), ("日本の本\nß", "3"), ("", "1")] * 4
    )
]


def make_csv(sign: str) -> bytes:
    quoted = [[f'"{str(v).replace(chr(34), 2 * chr(34))}"' for v in r.values()] for r in ROWS]
    return "".join(f"{sign.join(line)}\n" for line in [["text", "label", "n"], *quoted]).encode()


def make_parquet(**more: Any) -> bytes:
    made = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(ROWS), made, **more)
    return made.getvalue()


def make_workbook() -> bytes:
    made = io.BytesIO()
    with xlsxwriter.Workbook(made) as book:
        sheet = book.add_worksheet()
        for place, row in enumerate([dict(zip(ROWS[0], ROWS[0], strict=True)), *ROWS]):
            sheet.write_row(place, 0, list(row.values()))
    return made.getvalue()


def pack(content: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("rows.csv", content)
    return made.getvalue()


GOOD: dict[str, Callable[[], bytes]] = {
    "rows.csv": lambda: make_csv(","),
    "rows.tsv": lambda: make_csv("\t"),
    "utf16.csv": lambda: make_csv(";").decode().encode("utf-16"),
    "rows.json": lambda: json.dumps(ROWS, ensure_ascii=False, indent=1).encode(),
    "rows.jsonl": lambda: "".join(json.dumps(row) + "\n" for row in ROWS).encode(),
    "rows.parquet": make_parquet,
    "plain.parquet": lambda: make_parquet(compression="none", use_dictionary=False),
    "rows.xlsx": make_workbook,
    "rows.csv.gz": lambda: gzip.compress(make_csv(",")),
    "rows.jsonl.zst": lambda: pa.Codec("zstd").compress(GOOD["rows.jsonl"](), asbytes=True),
    "rows.csv.zip": lambda: pack(make_csv(",")),
}

make_good = cache(lambda name: GOOD[name]())

PIECES = st.one_of(
    st.binary(max_size=8),
    st.sampled_from([b"", b"\0", b'"', b"\n", b"\r", b",", b"\t", b"[", b"{", b"}", b"\\u", b"\\"]),
    st.sampled_from([b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"\xed\xa0\x80", b"1e999", b"9" * 400]),
    st.sampled_from([b"[" * 5000, b'{"a":' * 3000, b"a," * 2000, b'"' * 3001, b"\0" * 70_000]),
    st.sampled_from([b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"<!DOCTYPE x>", b"&#0;", b"NaN"]),
)


@st.composite
def changes(draw: st.DrawFn, content: bytes) -> bytes:
    """Return the bytes with some of them changed, moved, left out, repeated or put between."""
    found = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        begin = draw(st.integers(0, len(found)))
        end = min(len(found), begin + draw(st.sampled_from([0, 1, 2, 4, 8, 64, 10**6])))
        part = bytes(found[begin:end])
        kind = draw(st.sampled_from(["other", "other", "flip", "repeat", "move"]))
        if kind == "flip" and part:
            found[begin] ^= draw(st.integers(1, 255))
        elif kind == "repeat":
            found[begin:end] = part[:500] * draw(st.integers(2, 20))
        elif kind == "move":
            del found[begin:end]
            place = draw(st.integers(0, len(found)))
            found[place:place] = part
        else:
            found[begin:end] = draw(PIECES)
    return bytes(found)


def change_inside(content: bytes, changed: Callable[[bytes], bytes], at: int) -> bytes:
    """Return a zip archive with one of its members changed, and its sums right."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as before, zipfile.ZipFile(made, "w") as archive:
        names = before.namelist()
        for name in names:
            inner = before.read(name)
            chosen = name == names[at % len(names)]
            archive.writestr(name, changed(inner) if chosen else inner)
    return made.getvalue()


def measure_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def assert_read_or_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    began, before = time.monotonic(), measure_megabytes()
    with warnings.catch_warnings(action="error"):
        try:
            for row in read(path):
                assert len(row) == 2
        except DataError as error:
            message = str(error)
            assert "data.path: FILE" in message, message
            assert len(message.splitlines()) == 1, message
            assert len(message) < LONGEST_MESSAGE, message[:LONGEST_MESSAGE]
    assert time.monotonic() - began < MOST_SECONDS
    assert measure_megabytes() - before < MOST_MEGABYTES


tries = settings(
    max_examples=max(1, EXAMPLES // len(GOOD)),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.mark.parametrize("name", GOOD)
@tries
@given(st.data())
def test_a_table_with_other_bytes_is_read_or_refused_in_one_sentence(
    tmp_path: Path, name: str, data: st.DataObject
) -> None:
    assert_read_or_refused(tmp_path / name, data.draw(changes(make_good(name))))


@pytest.mark.parametrize("name", ["rows.xlsx", "rows.csv.zip", "rows.csv.gz", "rows.jsonl.zst"])
@tries
@given(st.data())
def test_a_table_with_other_bytes_in_its_packing_is_read_or_refused(
    tmp_path: Path, name: str, data: st.DataObject
) -> None:
    def change(inner: bytes) -> bytes:
        return data.draw(changes(inner))

    good = make_good(name)
    if name.endswith(".gz"):
        changed = gzip.compress(change(make_good("rows.csv")))
    elif name.endswith(".zst"):
        changed = pa.Codec("zstd").compress(change(make_good("rows.jsonl")), asbytes=True)
    else:
        changed = change_inside(good, change, data.draw(st.integers(0, 9)))
    assert_read_or_refused(tmp_path / name, changed)
