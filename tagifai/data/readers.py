"""Read texts from files and write predictions to files, a line at a time."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from tagifai.exceptions import DataError
from tagifai.utils.files import replace_atomically

if TYPE_CHECKING:
    from tagifai.models.tagger import Prediction

FIELDS = ("input_text", "predicted_tag", "probability")


def read_texts(source: str) -> Iterator[str]:
    """Yield the texts of a file in order; only one line is in memory at a time.

    Args:
        source: a .txt file (a text a line), a .csv file with a column `text`, or `title` and
            `description`, a .jsonl file of such objects or of strings, or - for lines on standard
            input.

    Raises:
        DataError: the file does not exist or is of another kind, or a line is invalid.
    """
    for record in _read_records(source):
        yield _parse_text(record, source)


def validate_text(text: str, where: str) -> str:
    """Return a text that can be written as UTF-8.

    Raises:
        DataError: it has half of a surrogate pair, or bytes that are not UTF-8.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError(f"{where}: the text is not valid Unicode ({error.reason}).") from None
    return text


def read_texts_and_tags(source: str) -> tuple[list[str], list[str]]:
    """Return the texts and the tags of a .csv or .jsonl file that has both.

    Raises:
        DataError: as for `read_texts`; or a row has no tag, or there are no rows.
    """
    rows = [
        (_parse_text(record, source), _parse_tag(record, source))
        for record in _read_records(source)
    ]
    if not rows:
        raise DataError(f"{source} has no rows.")
    found, tags = zip(*rows, strict=True)
    return list(found), list(tags)


def make_batches(items: Iterable[str], size: int) -> Iterator[list[str]]:
    """Yield lists of at most `size` items."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


Record = tuple[int, Any]
"""The number of a line, from 1, and its content."""


def _read_records(source: str) -> Iterator[Record]:
    kind = "-" if source == "-" else Path(source).suffix.lower()
    kinds: dict[str, Callable[[IO[str]], Iterator[Record]]] = {
        "-": _read_lines,
        ".txt": _read_lines,
        ".csv": _read_csv,
        ".jsonl": _read_jsonl,
    }
    if kind not in kinds:
        raise DataError(f"{source}: give a .txt, .csv or .jsonl file, or - for standard input.")
    number = 0
    try:
        with _open_source(source) as file:
            for number, content in kinds[kind](file):
                yield number, content
    except UnicodeDecodeError as error:
        raise DataError(
            f"{_name_source(source)}: not UTF-8 after line {number} ({error})."
        ) from None
    except csv.Error as error:
        raise DataError(f"{source}: not a CSV table after line {number} ({error}).") from None


def _name_source(source: str) -> str:
    return "standard input" if source == "-" else source


@contextmanager
def _open_source(source: str) -> Iterator[IO[str]]:
    if source == "-":
        if sys.stdin is None:
            raise DataError("There is no standard input to read from.")
        # Not with the locale's encoding: bytes that are not UTF-8 are an error here, too.
        _as_utf8(sys.stdin)
        yield sys.stdin
        return
    try:
        is_table = Path(source).suffix.lower() == ".csv"
        file = Path(source).open(encoding="utf-8-sig", newline="" if is_table else None)  # noqa: SIM115
    except OSError as error:
        raise DataError(f"{source} cannot be read: {error.strerror}.") from None
    with file:
        yield file


def _as_utf8(stream: IO[str]) -> None:
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(encoding="utf-8", errors="strict")


def _read_lines(file: IO[str]) -> Iterator[Record]:
    for number, line in enumerate(file, start=1):
        yield number, line.rstrip("\r\n")


def _read_csv(file: IO[str]) -> Iterator[Record]:
    reader = csv.DictReader(file, strict=True)
    if reader.fieldnames is None:
        raise DataError(f"{file.name} is empty; a CSV table has a header line.")
    for row in reader:
        yield reader.line_num, row


def _read_jsonl(file: IO[str]) -> Iterator[Record]:
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        try:
            yield number, json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{file.name}, line {number}: not JSON ({error}).") from None


def _parse_text(record: Record, source: str) -> str:
    number, content = record
    where = f"{_name_source(source)}, line {number}"
    if isinstance(content, str):
        return validate_text(content, where)
    if isinstance(content, dict):
        if isinstance(content.get("text"), str):
            return validate_text(content["text"], where)
        parts = [content.get("title"), content.get("description", "")]
        if all(isinstance(part, str) for part in parts):
            return validate_text(" ".join(parts), where)
    found = ", ".join(map(str, content)) if isinstance(content, dict) else type(content).__name__
    raise DataError(
        f"{where}: there is no text; a row needs a string `text`, or `title` and"
        f" `description`, and this one has: {found}."
    )


def _parse_tag(record: Record, source: str) -> str:
    number, content = record
    tag = content.get("tag") if isinstance(content, dict) else None
    if not isinstance(tag, str) or not tag.strip():
        raise DataError(f"{source}, line {number}: there is no tag; a row needs a string `tag`.")
    return tag


@contextmanager
def open_writer(target: str | None) -> Iterator[Callable[[list[Prediction]], None]]:
    """Give a function that writes predictions, batch by batch.

    Args:
        target: a .json, .jsonl or .csv file, which appears whole at the end of the block; None
            writes JSON to standard output.

    Raises:
        DataError: the file is of another kind, or cannot be written.
    """
    kinds = {".json": _write_json, ".jsonl": _write_jsonl, ".csv": _write_csv}
    kind = ".json" if target is None else Path(target).suffix.lower()
    if kind not in kinds:
        raise DataError(f"{target}: give a .json, .jsonl or .csv file to write to.")
    if target is None:
        _as_utf8(sys.stdout)
        with kinds[kind](sys.stdout) as write:
            yield write
        return
    with open_output(Path(target)) as file, kinds[kind](file) as write:
        yield write


@contextmanager
def open_output(path: Path) -> Iterator[IO[str]]:
    """Open a file that the user asked for; it appears whole at the end of the block.

    Raises:
        DataError: it cannot be written there.
    """
    try:
        with replace_atomically(path) as file:
            yield file
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}.") from error


def refuse_overwriting(source: str | None, target: str | None) -> None:
    """Refuse to write the output over the input.

    Raises:
        DataError: both are the same file.
    """
    if source is None or target is None or not Path(target).exists() or source == "-":
        return
    if Path(source).exists() and Path(source).samefile(target):
        raise DataError(f"{target} is the input too; task.output needs another name.")


@contextmanager
def _write_json(file: IO[str]) -> Iterator[Callable[[list[Prediction]], None]]:
    written = 0

    def write(predictions: list[Prediction]) -> None:
        nonlocal written
        for prediction in predictions:
            file.write(",\n  " if written else "[\n  ")
            file.write(json.dumps(prediction, ensure_ascii=False))
            written += 1

    yield write
    file.write("\n]\n" if written else "[]\n")


@contextmanager
def _write_jsonl(file: IO[str]) -> Iterator[Callable[[list[Prediction]], None]]:
    yield lambda predictions: file.writelines(
        json.dumps(prediction, ensure_ascii=False) + "\n" for prediction in predictions
    )


@contextmanager
def _write_csv(file: IO[str]) -> Iterator[Callable[[list[Prediction]], None]]:
    table = csv.DictWriter(file, FIELDS, lineterminator="\n")
    table.writeheader()
    yield table.writerows
