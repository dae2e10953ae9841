"""Files that are made and read as tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tagifai.data.tables.chunks import CHUNK_ROWS, Reading
from tagifai.data.tables.options import ReadOptions, infer_format
from tagifai.data.tables.reader import Rows, TableFile, read_rows
from tagifai.exceptions import DataError

SIZES = (1, 2, 7, CHUNK_ROWS)
"""Rows that are read at a time."""


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def iterate_chunks(
    path: Path,
    wanted: Sequence[str] = ("text", "label"),
    /,
    *,
    rows: int = CHUNK_ROWS,
    keep: tuple[str, ...] | None = (),
    notes: Counter[str] | None = None,
    strict: bool = True,
    **options: Any,
) -> Iterator[Rows]:
    """Yield what is read of a file, whose name says its format if the options do not."""
    given = {"format": infer_format(path.name)} | options
    seen = Counter[str]() if notes is None else notes
    reading = Reading(ReadOptions(**given), tuple(wanted), keep, rows, strict, seen)
    return read_rows(TableFile(path, "data.path: FILE"), reading)


def read_chunks(
    path: Path, wanted: Sequence[str] = ("text", "label"), /, **more: Any
) -> list[Rows]:
    return list(iterate_chunks(path, wanted, **more))


def read(path: Path, wanted: Sequence[str] = ("text", "label"), /, **more: Any) -> list[list[str]]:
    """Return the rows of a file, with the columns in the order that is asked for."""
    found = read_chunks(path, wanted, **more)
    return [list(row) for some in found for row in zip(*some.columns.values(), strict=True)]


def refuse(path: Path, wanted: Sequence[str] = ("text", "label"), /, **more: Any) -> str:
    """Return why a file is refused, without the setting and the file."""
    with pytest.raises(DataError) as caught:
        read_chunks(path, wanted, **more)
    message = str(caught.value)
    assert message.startswith("data.path: FILE")
    assert "\n" not in message
    return message.removeprefix("data.path: FILE")
