"""Schemas of tables: where the columns are, and how the text of a file is read."""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Protocol

from tagifai.config.schema.data import DataConfig
from tagifai.config.schema.rules import require, require_at_least, require_not_blank, require_one_of
from tagifai.config.schema.sources import read_mapping, require_source

FORMATS = (
    *("csv", "tsv", "json", "jsonl", "parquet", "workbook"),
    *("label_text", "fasttext", "folder"),
)
PIPED = "piped"
"""Folder of what came by standard input, below that of the data sets."""

SPELLED_DELIMITERS = {"tab": "\t", "\\t": "\t", "space": " "}
SPELLED_DELIMITERS |= {"comma": ",", "semicolon": ";", "pipe": "|"}
"""Delimiters that are spelled out."""


@dataclass(repr=False)
class TableConfig(DataConfig):
    """Texts and labels in files of your own: a table, one for each part, or a folder.

    A column is given by its name, by its position from 0, or by a path into nested keys (a.b).

    Args:
        name: of the data set; blank takes it from the file's name.
        path: URL, path or glob of the table, or a list of them; a folder of Parquet files, or of
            documents in a folder for each label; or - for standard input. With `val_path`,
            `test_path` and the like it has the train rows.
        val_path: likewise for the validation rows; None cuts them from the train rows.
        test_path: likewise for the test rows.
        text_path: instead of `path`, a file with a text a line, whose labels are in `label_path`.
        val_text_path: likewise for the validation rows.
        test_text_path: likewise for the test rows.
        label_path: a file with the labels of the lines of `text_path`.
        val_label_path: likewise for the validation rows.
        test_label_path: likewise for the test rows.
        sha256: expected SHA-256 of the file at `path`; None accepts any content.
        format: csv, tsv, json, jsonl, parquet, workbook (xlsx, xls, ods), label_text (a label and
            a text a line), fasttext (the same with __label__) or folder (of documents); None goes
            by the name's ending.
        text: column of the texts, or several that are joined with a space.
        label: column of the labels; numbers are names like any other.
        label_names: names of labels by their codes, as a mapping, as a list of the names of 0, 1
            and so on, or as a file with a code and a name a line; None takes labels as they are.
        id: column of ids, each once in the file of a part; None counts the rows from 1.
        split: column that says train, val or test (also validation, valid, dev); None splits by
            the `split` group.
        keep: further columns that are stored with the rows; that of split.by is one of them.
        header: whether the first row has the names of the columns; None refuses a first row that
            looks like data.
        columns: names of the columns of a table without a header.
        missing: values that mean that there is none, besides an empty one.
        records: path of the rows inside a JSON file, such as data.train; . is all of it.
        val_records: likewise of the validation rows; without `val_path` they are in `path`.
        test_records: likewise of the test rows.
        sheet: of a workbook; None is its only one.
        encoding: of text, by a name that Python knows; marks of UTF-8 and UTF-16 are honoured.
        encoding_errors: "strict" refuses what is no text, "replace" puts U+FFFD in its place.
        delimiter: between the fields of a CSV, as it is, or tab; None is a comma, or a tab for TSV.
        quoting: "minimal" for quotes around fields that need them, "none" where quotes are
            characters like others; None is minimal, and a quoted field of a TSV may not span lines.
        quotechar: the quote.
        escape: character that takes the special meaning from the next one; None has none.
        unlabeled: "error" refuses rows without a label, "drop" leaves them out.
        max_unpacked_mb: most megabytes that a compressed file may have when it is unpacked.
        max_unpacked_ratio: how many times as large it may become, beyond 100 megabytes.
        chunk_rows: rows that are in memory at a time while the data are read and trained on, for
            data that do not fit into memory; None reads all at once.
        sample_rows: with chunk_rows, most validation rows, most test rows, and most train rows
            whose loss is recorded; they are in memory all the time.
    """

    name: str = ""
    path: Any = None
    val_path: Any = None
    test_path: Any = None
    text_path: str | None = None
    val_text_path: str | None = None
    test_text_path: str | None = None
    label_path: str | None = None
    val_label_path: str | None = None
    test_label_path: str | None = None
    sha256: str | None = None
    format: str | None = None
    text: Any = "text"
    label: str = "label"
    label_names: Any = None
    id: str | None = None
    split: str | None = None
    keep: list[str] = field(default_factory=list)
    header: bool | None = None
    columns: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    records: str | None = None
    val_records: str | None = None
    test_records: str | None = None
    sheet: str | None = None
    encoding: str = "utf-8"
    encoding_errors: str = "strict"
    delimiter: str | None = None
    quoting: str | None = None
    quotechar: str = '"'
    escape: str | None = None
    unlabeled: str = "error"
    max_unpacked_mb: int = 4000
    max_unpacked_ratio: int = 50
    chunk_rows: int | None = None
    sample_rows: int = 10_000

    def __post_init__(self) -> None:
        for key in ("path", "val_path", "test_path"):
            setattr(self, key, _check_paths(key, getattr(self, key)))
        for part in ("", "val_", "test_"):
            for key in (f"{part}text_path", f"{part}label_path"):
                _check_source(key, getattr(self, key))
            require_not_blank(f"{part}records", getattr(self, f"{part}records"))
        for key in ("label", "id", "split", "encoding", "sheet"):
            require_not_blank(key, getattr(self, key))
        self._check_sources()
        if not self.name:
            self.name = make_name(self.path or [self.text_path])
        super().__post_init__()
        columns = self.text if isinstance(self.text, list) else [self.text]
        right = bool(columns) and all(isinstance(c, str | int) and str(c).strip() for c in columns)
        require(right, "text", self.text, "a column's name, or a list of them")
        self.text = [str(column) for column in columns]
        require(all(map(str.strip, self.keep)), "keep", self.keep, "names of columns")
        require_one_of("format", self.format, (None, *FORMATS))
        self._check_piped()
        require_one_of("unlabeled", self.unlabeled, ("error", "drop"))
        self.label_names = _check_label_names(self.label_names)
        if self.chunk_rows is not None:
            require_at_least("chunk_rows", self.chunk_rows, 1)
        require_at_least("sample_rows", self.sample_rows, 1)
        check_dialect(self)
        self._require_checksums("sha256")

    def _check_piped(self) -> None:
        for source in (*(self.path or ()), *(self.val_path or ()), *(self.test_path or ())):
            path = PurePosixPath(source)
            known = path.parent.name != PIPED or bool(path.suffix) or self.format is not None
            shown = f"standard input does not say what it is. Give one of {', '.join(FORMATS)}"
            require(known, "format", None, shown)

    def _check_sources(self) -> None:
        pairs = [(f"{part}text_path", f"{part}label_path") for part in ("", "val_", "test_")]
        for one, other in pairs:
            both = (getattr(self, one) is None) == (getattr(self, other) is None)
            require(both, one, getattr(self, one), f"given together with {other}")
        beside = [key for key in ("path", "val_path", "test_path") if getattr(self, key)]
        require(
            not (beside and any(getattr(self, one) for one, _ in pairs)),
            *("text_path", self.text_path, f"null where there is {', '.join(beside)}"),
        )
        given = self.path or self.text_path
        require(bool(given), "path", self.path, "a file, a folder, a URL, or - for standard input")
        parts = [
            *("val_path", "test_path", "val_text_path", "test_text_path"),
            *("val_records", "test_records"),
        ]
        alone = "null where files are given for parts: they say which rows are for what"
        require(
            self.split is None or not any(getattr(self, key) for key in parts),
            *("split", self.split, alone),
        )


class DialectConfig(Protocol):
    """Settings of the text of a file."""

    encoding: Any
    encoding_errors: Any
    delimiter: str | None
    quoting: str | None
    quotechar: Any
    escape: str | None
    max_unpacked_mb: Any
    max_unpacked_ratio: Any


def check_dialect(settings: DialectConfig) -> None:
    """Check how a file is read, in place: a delimiter that is spelled out becomes a character.

    Args:
        settings: of `data`, or of a task, where None is as in the run.

    Raises:
        ConfigError: a setting is none of its values.
    """
    require_one_of("encoding_errors", settings.encoding_errors, (None, "strict", "replace"))
    require_one_of("quoting", settings.quoting, (None, "minimal", "none"))
    if settings.delimiter is not None:
        settings.delimiter = SPELLED_DELIMITERS.get(settings.delimiter.lower(), settings.delimiter)
    for key in ("delimiter", "quotechar", "escape"):
        value = getattr(settings, key)
        one = value is None or (len(value) == 1 and value not in "\r\n")
        require(one, key, value, "one character, such as ; or tab")
    for key in ("max_unpacked_mb", "max_unpacked_ratio"):
        if (most := getattr(settings, key)) is not None:
            require_at_least(key, most, 1)
    if settings.encoding is not None:
        try:
            codecs.getincrementaldecoder(settings.encoding)().decode(b"")
            known = isinstance("a".encode(settings.encoding), bytes) and settings.encoding != "idna"
        except (LookupError, UnicodeError):
            known = False
        require(known, "encoding", settings.encoding, "a name that Python knows, such as cp1252")


def _check_paths(key: str, value: Any) -> list[str] | None:
    if value is None:
        return None
    found = [str(item) for item in (value if isinstance(value, list) else [value])]
    require(bool(found) and all(map(str.strip, found)), key, value, "a path, or a list of them")
    for source in found:
        _check_source(key, source)
    return found


def _check_source(key: str, source: str | None) -> None:
    require_source(key, source)
    # What was piped into a command is in a file by now.
    alone = f"a path; standard input is for the command line, and alone: data.{key}=-"
    require(source != "-", key, source, alone)


def _check_label_names(value: Any) -> Any:
    if isinstance(value, dict) or (isinstance(value, str) and value.startswith("{")):
        return read_mapping("label_names", value)
    if isinstance(value, list):
        right = all(isinstance(name, str | int) and str(name).strip() for name in value)
        require(right, "label_names", value, "a list of names")
        return [str(name) for name in value]
    known = value is None or isinstance(value, str)
    require(known, "label_names", value, "a mapping, a list, a file, or null")
    require_source("label_names", value)
    return value


def make_name(sources: Sequence[str | None]) -> str:
    """Return the name of a data set that comes from these files."""
    first = str(sources[0]).partition("?")[0].replace("\\", "/").rstrip("/")
    if PurePosixPath(first).parent.name == PIPED:
        return "standard_input"
    path = PurePosixPath(first)
    # A folder that is called "data" says nothing of what is in it.
    stem = (path.parent.name if path.name == "data" else path.name).split(".")[0]
    return re.sub(r"\W+", "_", stem).strip("_") or "table"
