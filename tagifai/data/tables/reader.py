"""The door to tables: how a file becomes rows, for training, evaluation and prediction alike."""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import IO, Any, BinaryIO

from tagifai.data.tables import arrow, delimited, grid, lines, objects
from tagifai.data.tables.chunks import EmptyTableError, RawChunk, Reading
from tagifai.data.tables.containers import explain_foreign, open_bytes, recognize
from tagifai.data.tables.decoding import open_text
from tagifai.data.tables.options import guess_json_format
from tagifai.data.tables.values import convert, convert_all
from tagifai.exceptions import DataError

HEAD_BYTES = 2**18
"""Of a file, by which another encoding is noticed."""

MAX_SHOWN_ROWS = 5
"""Most rows that an error names."""


@dataclass(frozen=True)
class TableFile:
    """A file with rows.

    Args:
        path: of the file or, of documents, of the folder.
        named: the setting and the file, which begin an error.
        part: of all its rows, or None.
        records: path of the rows inside a JSON file, instead of that of the options.
        format: what its name says, where the options do not say it.
        labels: file with the labels of the lines, or None.
        stream: its bytes, where they can be read only once, or None.
    """

    path: Path
    named: str
    part: str | None = None
    records: str | None = None
    format: str | None = None
    labels: TableFile | None = None
    stream: BinaryIO | None = None


@dataclass(frozen=True)
class Rows:
    """Rows as texts.

    Args:
        columns: n texts each, by the names that were asked for; "" is missing.
        kept: columns that are carried along, by their own names.
        problems: why a row is none, by position, with where it is.
        chunk: what they were made from.
    """

    columns: dict[str, list[str]]
    kept: dict[str, list[str]]
    problems: dict[int, str]
    chunk: RawChunk

    def __len__(self) -> int:
        return len(self.chunk)

    def join_texts(self, names: Sequence[str]) -> list[str]:
        """Return the text of each row: its columns of these names, with spaces between."""
        columns = [self.columns[name] for name in names]
        if len(columns) == 1:
            return columns[0]
        texts = [" ".join(values) for values in zip(*columns, strict=True)]
        for place in self.chunk.whole:
            texts[place] = columns[0][place]
        return texts

    def format_places(self, places: Sequence[int]) -> str:
        """Return where the first of some rows are, and how many there are besides."""
        return format_places(places, self.chunk.locate)


def format_places(places: Sequence[int], show: Callable[[int], str] = str) -> str:
    """Return the first of some places, and how many there are besides."""
    shown = ", ".join(map(show, places[:MAX_SHOWN_ROWS]))
    more = len(places) - MAX_SHOWN_ROWS
    return f"{shown} and {more} more" if more > 0 else shown


def read_rows(file: TableFile, reading: Reading) -> Iterator[Rows]:
    """Yield the rows of a file, some at a time, with the values of its columns as texts.

    Args:
        file: to read.
        reading: what of it, and how.

    Raises:
        DataError: it is not what the options say; with the line, and what would read it.
    """
    options = replace(
        reading.options,
        records=file.records or reading.options.records,
        format=reading.options.format or file.format,
    )
    reading = replace(reading, named=file.named, options=options)
    missing, fill = frozenset(options.missing), options.encoding_errors == "replace"
    empty = True
    for chunk in _read_chunks(reading, file):
        if not len(chunk):
            continue
        empty = False
        columns: dict[str, list[str]] = {}
        problems = {place: f"{chunk.locate(place)}: {why}" for place, why in chunk.problems.items()}
        for name, values in chunk.columns.items():
            columns[name], wrong = convert_all(values, missing, replace=fill)
            for place, why in wrong.items():
                problems.setdefault(place, f"{chunk.locate(place)}, '{name}': {why}")
        if problems and reading.strict:
            raise reading.fail(f": {problems[min(problems)]}.")
        kept = {name: list(map(_show, values)) for name, values in chunk.kept.items()}
        yield Rows(columns, kept, problems, chunk)
    if empty and reading.strict:
        raise EmptyTableError(f"{file.named} has no rows.")


def _show(value: Any) -> str:
    """Return a value of a column that is only carried along, whatever it is."""
    try:
        return convert(value)
    except ValueError:
        return json.dumps(value, ensure_ascii=False, default=str)


def _read_chunks(reading: Reading, file: TableFile) -> Iterator[RawChunk]:
    options = reading.options
    if options.format == "folder":
        yield from lines.read_folder(reading, file.path, partial(_read_document, reading, file))
        return
    if file.stream is None:
        _check_content(reading, file.path)
    if options.kind == "parquet":
        with _open(reading, file) as stream:
            yield from arrow.read_parquet(reading, _make_seekable(file.path, stream))
        return
    if options.kind == "workbook":
        # Late: only workbooks need it.
        from tagifai.data.tables import workbooks

        rows = workbooks.read_rows(file.path, options.sheet, reading.named, options.limits)
        yield from grid.read_sheet(reading, rows)
        return
    _note_utf8(reading, file)
    with ExitStack() as stack:
        text = stack.enter_context(_decode(reading, file))
        if options.setting == "data" and options.format in (None, "txt") and file.labels is None:
            raise reading.fail(f": {_advise_format(reading, text.readline())}")
        if file.labels is None:
            yield from _TEXT_READERS[options.kind](reading, text)
            return
        beside = replace(reading, named=file.labels.named)
        labels = stack.enter_context(_decode(beside, file.labels))
        yield from lines.read_pairs(reading, text, labels)


def _advise_format(reading: Reading, line: str) -> str:
    """Return what is said where the name of a file does not say its format."""
    shown = line.strip()
    if shown.startswith(lines.LABEL_MARK):
        kind = "fasttext"
    elif (of_json := guess_json_format(line)) is not None:
        kind = of_json
    else:
        marks = {mark: line.count(mark) for mark in ("\t", ",", ";", "|")}
        best = max(marks, key=lambda mark: marks[mark])
        kind = {"\t": "tsv", ",": "csv"}.get(best, f"csv delimiter='{best}'")
        kind = kind if marks[best] else "label_text"
    return (
        f"the name does not say which format it is. Its first line is {shown[:60]!r}: it may be"
        f" {reading.advise(f'format={kind}')}."
    )


_TEXT_READERS = {
    "csv": delimited.read_csv,
    "tsv": delimited.read_csv,
    "json": objects.read_json,
    "jsonl": objects.read_jsonl,
    **dict.fromkeys(("txt", "label_text", "fasttext"), lines.read_lines),
}


def _open(reading: Reading, file: TableFile) -> AbstractContextManager[BinaryIO]:
    if file.stream is not None:
        return nullcontext(file.stream)
    options = reading.options
    by_line = options.kind not in ("json", "parquet")
    return open_bytes(file.path, reading.named, options.limits, lines=by_line)


def _decode(reading: Reading, file: TableFile) -> AbstractContextManager[IO[str]]:
    options, by_line = reading.options, file.labels is not None or file.format == "labels"
    return open_text(
        partial(_open, reading, file),
        options.encoding,
        options.encoding_errors,
        reading.named,
        options.setting,
        "" if options.kind in ("csv", "tsv") and not by_line else "\n",
    )


def _note_utf8(reading: Reading, file: TableFile) -> None:
    """Note that a file begins with letters in UTF-8 which are read in another encoding."""
    encoding = codecs.lookup(reading.options.encoding).name
    if encoding.startswith("utf") or file.stream is not None:
        return
    with _open(reading, file) as stream:
        odd = [line for line in stream.read(HEAD_BYTES).split(b"\n")[:-1] if not line.isascii()]
    try:
        b"\n".join(odd).decode()
    except UnicodeDecodeError:
        return
    if odd:
        reading.notes[f"Lines that are UTF-8 and are read as {encoding}"] = len(odd)


def _read_document(reading: Reading, file: TableFile, path: Path) -> str:
    """Return the text of a file of a folder."""
    own = replace(reading, named=f"{file.named}/{path.relative_to(file.path).as_posix()}")
    _check_content(own, path)
    with _decode(own, replace(file, path=path)) as text:
        return text.read()


def _make_seekable(path: Path, stream: BinaryIO) -> BinaryIO | Path:
    """Return a file that is not packed, or what is in it in memory."""
    with path.open("rb") as file:
        return path if file.read(4) == b"PAR1" else BytesIO(stream.read())


def _check_content(reading: Reading, path: Path) -> None:
    """Refuse a file whose first bytes say that it is something else."""
    options = reading.options
    found = recognize(path, reading.named, options.limits)
    if (why := explain_foreign(found, path, reading.named)) is not None:
        raise DataError(why)
    if found == options.format:
        return
    if found in ("parquet", "workbook"):
        advice = f"Read it with {reading.advise(f'format={found}')}."
        raise reading.fail(f" is a {found} by its content, and not {options.kind}. {advice}")
    if options.format in ("parquet", "workbook"):
        ways = " or ".join(reading.advise(f"format={kind}") for kind in ("csv", "tsv", "jsonl"))
        raise reading.fail(f" is no {options.format} by its content. If it is text: {ways}.")
