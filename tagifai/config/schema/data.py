"""Schemas of the `data` group: where rows come from, and which labels are kept."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from omegaconf import MISSING

from tagifai.config.schema.rules import require, require_at_least, require_not_blank, require_one_of

SHA256 = re.compile(r"[0-9a-f]{64}")
FORMATS = ("csv", "tsv", "jsonl", "parquet")


@dataclass
class DataConfig:
    """Settings of all data sets: a name, and which labels are kept.

    Args:
        name: folder of the stored table below the data store.
        accepted_tags: tags that may keep their name; empty accepts all.
        min_freq: rows that a tag needs to keep its name.
        other: fallback label, for rows whose tag is rare or not accepted; None leaves them out.
    """

    name: str = MISSING
    accepted_tags: list[str] = field(default_factory=list)
    min_freq: int = 1
    other: str | None = None

    def __post_init__(self) -> None:
        plain = re.fullmatch(r"[\w][\w.-]*", self.name) is not None
        require(plain, "name", self.name, "letters, digits, '.', '_' and '-'")
        require_not_blank("other", self.other)
        require_at_least("min_freq", self.min_freq, 1)

    def _require_checksums(self, *keys: str) -> None:
        for key in keys:
            value = getattr(self, key)
            known = value is None or SHA256.fullmatch(value) is not None
            require(known, key, value, "64 lower-case hexadecimal digits, or null")


@dataclass
class TwoTablesConfig(DataConfig):
    """Two tables, projects and tags, that are joined on `id`.

    Args:
        projects: URL or path of a CSV with columns id, created_on, title, description.
        tags: URL or path of a CSV with columns id, tag.
        projects_sha256: the file's expected SHA-256 in hexadecimal; None accepts any content.
        tags_sha256: likewise.
    """

    projects: str = MISSING
    tags: str = MISSING
    projects_sha256: str | None = None
    tags_sha256: str | None = None
    other: str | None = "other"

    def __post_init__(self) -> None:
        super().__post_init__()
        for key in ("projects", "tags"):
            require_not_blank(key, getattr(self, key))
        self._require_checksums("projects_sha256", "tags_sha256")


@dataclass
class TableConfig(DataConfig):
    """A table with texts and labels, or one for each part.

    Args:
        name: folder of the stored table; blank takes it from the file's name.
        path: URL or path of a CSV, TSV, JSON Lines or Parquet file, compressed with gzip or not.
            With `val_path` or `test_path` it has the train rows.
        val_path: URL or path of the validation rows; None cuts them from the train rows.
        test_path: likewise for the test rows.
        sha256: expected SHA-256 of the file at `path`; None accepts any content.
        format: csv, tsv, jsonl or parquet; None goes by the name's ending.
        text: column of the texts, or several that are joined with a space.
        label: column of the labels; numbers are names like any other.
        id: column of ids, each once; None counts the rows from 1.
        split: column that says train, val or test (also validation, valid, dev); None splits by
            the `split` group.
        encoding: of CSV, TSV and JSON Lines files, by a name that Python knows.
        delimiter: between the fields of a CSV; None is a comma, or a tab for TSV.
        unlabeled: "error" refuses rows without a label, "drop" leaves them out.
        chunk_rows: rows that are in memory at a time while the data are read and trained on, for
            data that do not fit into memory; None reads all at once.
        sample_rows: with chunk_rows, most validation rows, most test rows, and most train rows
            whose loss is recorded; they are in memory all the time.
    """

    name: str = ""
    path: str = MISSING
    val_path: str | None = None
    test_path: str | None = None
    sha256: str | None = None
    format: str | None = None
    text: Any = "text"
    label: str = "label"
    id: str | None = None
    split: str | None = None
    encoding: str = "utf-8"
    delimiter: str | None = None
    unlabeled: str = "error"
    chunk_rows: int | None = None
    sample_rows: int = 10_000

    def __post_init__(self) -> None:
        for key in ("path", "val_path", "test_path", "label", "id", "split", "encoding"):
            require_not_blank(key, getattr(self, key))
        if not self.name:
            stem = PurePosixPath(self.path.partition("?")[0].replace("\\", "/")).name.split(".")[0]
            self.name = re.sub(r"\W+", "_", stem).strip("_") or "table"
        super().__post_init__()
        columns = self.text if isinstance(self.text, list) else [self.text]
        right = bool(columns) and all(isinstance(c, str) and c.strip() for c in columns)
        require(right, "text", self.text, "a column's name, or a list of them")
        self.text = list(columns)
        require_one_of("format", self.format, (None, *FORMATS))
        require_one_of("unlabeled", self.unlabeled, ("error", "drop"))
        if self.chunk_rows is not None:
            require_at_least("chunk_rows", self.chunk_rows, 1)
        require_at_least("sample_rows", self.sample_rows, 1)
        if self.delimiter is not None:
            one = len(self.delimiter) == 1
            require(one, "delimiter", self.delimiter, "one character, such as ; or '\\t'")
        try:
            "".encode(self.encoding)
        except LookupError:
            require(False, "encoding", self.encoding, "a name that Python knows, such as cp1252")
        whole = self.val_path is None and self.test_path is None
        alone = "null where there are val_path or test_path: the files say which rows are for what"
        require(whole or self.split is None, "split", self.split, alone)
        self._require_checksums("sha256")
