"""Tables of the tasks that use a run: texts to predict, and labelled rows to evaluate on."""

from __future__ import annotations

import logging
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from tagifai.config.schema import InputTaskConfig
from tagifai.data.tables.chunks import MissingColumnError, Reading
from tagifai.data.tables.options import DELIMITERS, ReadOptions
from tagifai.data.tables.reader import Rows, TableFile, read_rows
from tagifai.data.tables.values import name_label
from tagifai.exceptions import DataError
from tagifai.models import bundles
from tagifai.utils.files import read_pieces
from tagifai.utils.labels import clean_label
from tagifai.utils.urls import is_url

STDIN = "-"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class InputBatch:
    """Some rows to predict.

    Args:
        texts: of the n rows; "" where there is a problem.
        kept: columns that are carried over, n values each, in the order of the file.
        errors: why a row cannot be predicted, by position, with where it is.
    """

    texts: list[str]
    kept: dict[str, list[str]]
    errors: dict[int, str]


def read_inputs(
    source: str, bundle: Path, task: InputTaskConfig, *, keep: str, rows: int
) -> Iterator[InputBatch]:
    """Yield the texts of a file, read as the run's own table was.

    A file is read through before the first batch, so that what is wrong with its structure is known
    before anything is predicted; lines of standard input are not.

    Args:
        source: a file, or - for standard input.
        bundle: of the run.
        task: its settings.
        keep: "id" carries over the run's column of ids, "all" all columns.
        rows: most rows of a batch.

    Raises:
        DataError: the file is not what the run's table was, and `task` does not say how it differs.
    """
    options = _load_options(bundle).adapt(task, source)
    if source == STDIN and options.format == "txt":
        # Lines are predicted as they come.
        lines = TableFile(Path(STDIN), "standard input", stream=_get_stdin())
        reading = Reading(options, options.text, (), rows, strict=False)
        for some in _read_checked(lines, reading, task):
            yield _make_batch(some, reading, ())
        return
    with _open_source(source, "task.input") as file:
        reading = _choose_text(file, Reading(options, options.text, (), rows, strict=False), keep)
        if options.format == "label_text" and task.format is None:
            _check_labels(file, options, bundle)
        names: dict[str, None] = {}
        for some in _read_checked(file, reading, task):
            names |= dict.fromkeys(some.kept)
        # Of what was noted before, some rows are counted more than once.
        reading = replace(reading, notes=Counter())
        for some in read_rows(file, reading):
            yield _make_batch(some, reading, tuple(names))
        for what, count in reading.notes.items():
            log.warning("%s: %s: %d", file.named, what, count)


def read_labeled(source: str, bundle: Path, task: InputTaskConfig) -> tuple[list[str], list[str]]:
    """Return the texts and the labels of a file, read as the run's own table was.

    Args:
        source: a file, or - for standard input.
        bundle: of the run.
        task: its settings.

    Raises:
        DataError: likewise; or a row has no label.
    """
    own = _load_options(bundle)
    options = own.adapt(task, source)
    if own.records is not None and options.records == own.records and task.records is None:
        raise DataError(
            f"task.data: {source}: the run was trained on the rows at records={own.records}. Say"
            " which of this file are to be scored: task.records=test or the like."
        )
    names = dict(options.label_names)
    texts: list[str] = []
    labels: list[str] = []
    with _open_source(source, "task.data") as file:
        label = options.label or "label"
        reading = _choose_text(file, Reading(options, (*options.text, label)), "")
        for some in read_rows(file, reading):
            found = [clean_label(value) for value in some.columns[label]]
            if "" in found:
                where = some.chunk.locate(found.index(""))
                raise DataError(f"{file.named}: {where}: there is no label in '{label}'.")
            texts += some.join_texts(reading.options.text)
            labels += [name_label(value, names, file.named) for value in found]
    return texts, labels


def _load_options(bundle: Path) -> ReadOptions:
    bundles.read_manifest(bundle)
    return ReadOptions.from_document(bundles.read_document(bundle, "tagger.json").get("input"))


def _choose_text(file: TableFile, reading: Reading, keep: str) -> Reading:
    """Return the reading with the columns of the text that the file has."""
    options = reading.options
    kept = {"all": None, "id": (options.id,) if options.id else ()}.get(keep, ())
    reading = replace(reading, keep=kept)
    try:
        next(read_rows(file, reading), None)
    except MissingColumnError:
        if not options.other_text:
            raise
        others = replace(options, text=options.other_text)
        rest = tuple(name for name in reading.wanted if name not in options.text)
        other = replace(reading, options=others, wanted=(*options.other_text, *rest))
        with suppress(MissingColumnError):
            next(read_rows(file, other), None)
            return other
        raise
    return reading


def _read_checked(file: TableFile, reading: Reading, task: InputTaskConfig) -> Iterator[Rows]:
    """Yield rows; lines of texts may not begin with a header, unless they are said to be texts."""
    unsure = reading.options.format == "txt" and task.format is None
    for some in read_rows(file, reading):
        if unsure:
            _refuse_header(some, file, reading.options)
            unsure = False
        yield some


def _make_batch(some: Rows, reading: Reading, names: tuple[str, ...]) -> InputBatch:
    texts, errors = some.join_texts(reading.options.text), dict(some.problems)
    for place, text in enumerate(texts):
        if not text or text.isspace():
            errors.setdefault(place, f"{some.chunk.locate(place)}: there is no text")
    known = ["" if place in errors else text for place, text in enumerate(texts)]
    kept = {name: some.kept.get(name, [""] * len(texts)) for name in names}
    return InputBatch(known, kept, errors)


def _refuse_header(some: Rows, file: TableFile, options: ReadOptions) -> None:
    """Refuse lines of which the first has the names of the columns of the run."""
    line = some.join_texts(options.text)[0].strip()
    for kind, delimiter in DELIMITERS.items():
        names = [name.strip().strip('"') for name in line.split(delimiter)]
        for wanted in (options.text, options.other_text):
            if wanted and all(name in names for name in wanted):
                raise DataError(
                    f"{file.named} begins with the names of columns ({line[:60]}). Say what it is:"
                    f" task.format={kind} for a table, task.format=txt for a text a line."
                )


def _check_labels(file: TableFile, options: ReadOptions, bundle: Path) -> None:
    """Refuse lines that begin with no label of the run: their first words would be lost."""
    known = {*bundles.read_document(bundle, "tagger.json")["classes"]}
    known.update(code for code, name in options.label_names if name in known)
    rows = next(read_rows(file, Reading(options, (options.label or "label",), strict=False)), None)
    if rows is not None and known.isdisjoint(map(clean_label, next(iter(rows.columns.values())))):
        raise DataError(
            f"{file.named}: no line begins with a label of the run. Say what it has a line:"
            " task.format=txt for a text, task.format=label_text for a label and a text."
        )


def _get_stdin() -> BinaryIO:
    if sys.stdin is None:
        raise DataError("There is no standard input to read from.")
    return sys.stdin.buffer


@contextmanager
def _open_source(source: str, setting: str) -> Iterator[TableFile]:
    """Give a file to be read more than once; standard input is copied for that."""
    if is_url(source):
        raise DataError(f"{setting}: {source} is a URL; download it first.")
    if source != STDIN:
        yield TableFile(Path(source), f"{setting}: {source}")
        return
    with TemporaryDirectory() as folder:
        path = Path(folder) / "input"
        with path.open("wb") as file:
            file.writelines(read_pieces(_get_stdin()))
        yield TableFile(path, "standard input")
