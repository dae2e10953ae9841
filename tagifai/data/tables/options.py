"""How a table is read: its columns, its shape and the text of its file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from tagifai.config.schema import DataConfig, InputTaskConfig, TableConfig
from tagifai.config.schema.rules import require_one_of
from tagifai.config.schema.tables import FORMATS, check_dialect
from tagifai.data.limits import UnpackLimits
from tagifai.exceptions import BundleError, DataError, UserError, suggest_closest
from tagifai.utils.labels import clean_label
from tagifai.utils.urls import is_url

FORMATS_BY_SUFFIX = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".json": "json",
    ".txt": "txt",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
    **dict.fromkeys((".xlsx", ".xls", ".ods", ".xlsm", ".xlsb"), "workbook"),
}
PACKED_SUFFIXES = (".gz", ".bz2", ".xz", ".zip", ".zst")

DELIMITERS = {"csv": ",", "tsv": "\t"}

MARKS = "\t;|,^~:"
SURE_MARKS = "\t;|,"
"""Delimiters that a header may show; the first ones do so even without a known name."""

GRIDS = ("csv", "tsv", "workbook")
"""Formats whose first row may have the names of the columns."""

OF_ONE_FORMAT = (
    *("header", "columns", "records", "sheet", "encoding", "delimiter"),
    *("quoting", "quotechar", "escape"),
)
"""Options that a file of another format than the run's has nothing to do with."""


def infer_format(name: str) -> str | None:
    """Return the format that the name of a file, or its URL, ends in, or None."""
    path = Path(name.lower().partition("?")[0] if is_url(name) else name.lower())
    while path.suffix in PACKED_SUFFIXES:
        path = path.with_suffix("")
    return FORMATS_BY_SUFFIX.get(path.suffix)


_HERE = {"setting", "max_unpacked_mb", "max_unpacked_ratio"}
"""Fields that are for whoever reads a table, and not for what is kept with a run."""


@dataclass(frozen=True)
class ReadOptions:
    """How a table is read; kept with a run, so that its later tables are read the same way.

    Args:
        text: columns that are joined with a space to a text.
        label: column of the labels; None where there are none.
        id: column of ids, or None.
        split: column of parts, or None.
        other_text: columns of the text in tables that lack those of `text`.
        label_names: names of labels by their codes.
        setting: group of the settings that advice names, "data" or "task".
        ending: format that the name of the run's own table says, whatever it is.

    The others are as of `TableConfig`.
    """

    text: tuple[str, ...] = ("text",)
    label: str | None = "label"
    id: str | None = None
    split: str | None = None
    other_text: tuple[str, ...] = ()
    format: str | None = None
    header: bool | None = None
    columns: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    records: str | None = None
    sheet: str | None = None
    encoding: str = "utf-8"
    encoding_errors: str = "strict"
    delimiter: str | None = None
    quoting: str | None = None
    quotechar: str = '"'
    escape: str | None = None
    label_names: tuple[tuple[str, str], ...] = ()
    max_unpacked_mb: int = 4000
    max_unpacked_ratio: int = 50
    setting: str = "data"
    ending: str | None = None

    @property
    def limits(self) -> UnpackLimits:
        """What a packed file may become."""
        return UnpackLimits(self.max_unpacked_mb, self.max_unpacked_ratio, self.setting)

    @classmethod
    def from_config(cls, source: DataConfig, names: Mapping[str, str] | None = None) -> ReadOptions:
        """Return the options of a data set.

        Args:
            source: its configuration.
            names: labels by their codes.
        """
        if not isinstance(source, TableConfig):
            # Those of the project's two tables once they are joined.
            return cls(("title", "description"), "tag", "id", None, ("text",), "csv")
        known = {field.name for field in fields(cls)} - {"label_names"}
        taken = {key: getattr(source, key) for key in known if hasattr(source, key)}
        tuples = {key: tuple(taken[key]) for key in ("text", "columns", "missing")}
        return cls(**(taken | tuples | {"label_names": tuple((names or {}).items())}))

    def to_document(self) -> dict[str, Any]:
        """Return the options as JSON, to be kept with a run."""
        # How much may be unpacked is for whoever unpacks it.
        kept = {key: value for key, value in asdict(self).items() if key not in _HERE}
        return dict(json.loads(json.dumps(kept)))

    @classmethod
    def from_document(cls, content: Any) -> ReadOptions:
        """Return the options that were kept with a run.

        Raises:
            BundleError: they are none.
        """
        try:
            pairs = tuple((str(code), str(name)) for code, name in content["label_names"])
            if _HERE & content.keys():
                raise ValueError("limits are no part of it")
            tuples = {k: tuple(v) for k, v in content.items() if isinstance(v, list)}
            found = cls(**{**content, **tuples, "label_names": pairs})
            found.check()
        except (TypeError, KeyError, ValueError, AttributeError, UserError) as error:
            raise BundleError(f"tagger.json does not say how tables are read ({error}).") from None
        return found

    def check(self) -> None:
        """Refuse options that no configuration has, for a bundle may come from anywhere."""
        several = (*self.text, *self.other_text, *self.columns, *self.missing)
        single = (self.label, self.id, self.split, self.records, self.sheet, self.ending)
        texts = all(isinstance(name, str) for name in several)
        if not (self.text and texts and all(isinstance(name, str | None) for name in single)):
            raise TypeError("its columns are no names")
        if self.header not in (None, True, False):
            raise TypeError("its header is neither true nor false")
        for known in (self.encoding, self.encoding_errors, self.quotechar):
            if not isinstance(known, str):
                raise TypeError(f"{known!r} is no text")
        require_one_of("format", self.format, (None, *FORMATS, "txt"))
        check_dialect(cast(Any, SimpleNamespace(**asdict(self))))

    def adapt(self, task: InputTaskConfig, name: str) -> ReadOptions:
        """Return the options for a table that a task reads.

        Args:
            task: its settings.
            name: of the file, whose ending says the format where nothing else does.

        Raises:
            DataError: `task.columns` names a column that the run does not want.
        """
        by_name = infer_format(name)
        # A name like that of the run's own table says no more than that one did.
        own = None if by_name == self.ending else by_name
        kind = task.format or ("txt" if name == "-" else own)
        same = kind in (None, self.format)
        fresh = {field.name: field.default for field in fields(self)}
        mine = {} if same else {key: fresh[key] for key in OF_ONE_FORMAT}
        given = {
            key: tuple(value) if isinstance(value, list) else value
            for key in fresh
            if key not in ("columns", "format") and (value := getattr(task, key, None)) is not None
        }
        by_position = task.columns and all(place.isdigit() for place in task.columns.values())
        if task.header or by_position:
            # It has names of its own, or needs none: those given are for the run's own table.
            given["columns"] = ()
            if self.columns and same:
                given.setdefault("header", bool(self.header))
        positions = any(name.isdecimal() for name in self.text)
        if self.header is None and same and positions and not self.columns:
            # Of the run's own table other columns were found by their names.
            given.setdefault("header", True)
        headless = self.header is False or (self.header is None and bool(self.columns))
        if headless and not same and kind in GRIDS and "header" not in given:
            raise DataError(
                f"{name}: the run's own table had no header. Say whether the first row of this one"
                " has the names of its columns: task.header=true or task.header=false."
            )
        given |= self._map_columns(task.columns) | {"format": kind or self.format}
        return replace(self, **(mine | given), setting="task", split=None)

    def _map_columns(self, names: Mapping[str, str]) -> dict[str, Any]:
        wanted = [*self.text, *(c for c in (self.label, self.id) if c), *self.other_text]
        for column in names:
            if column not in wanted:
                raise DataError(
                    f"task.columns: the run has no column '{column}'."
                    f"{suggest_closest(column, wanted)} It wants: {', '.join(wanted)}."
                )
        return {
            "text": tuple(names.get(column, column) for column in self.text),
            "other_text": tuple(names.get(column, column) for column in self.other_text),
            "label": names.get(self.label, self.label) if self.label else None,
            "id": names.get(self.id, self.id) if self.id else None,
        }

    @property
    def kind(self) -> str:
        """The format, which must be known by now."""
        return self.format or "csv"


def find_delimiter(names: Sequence[str], options: ReadOptions) -> str | None:
    """Return the delimiter that a header line shows, as it is typed, if it is not the one in use.

    Args:
        names: of the columns.
        options: how the table is read.
    """
    line, used = " ".join(names), options.delimiter or DELIMITERS.get(options.kind)
    wanted = {*options.text, options.label}
    for mark in (mark for mark in MARKS if mark != used and mark in line):
        parts = {clean_label(part).strip("\"'") for part in line.split(mark)}
        if wanted & parts or (len(names) == 1 and mark in SURE_MARKS):
            return "tab" if mark == "\t" else f"'{mark}'"
    return None


def guess_json_format(line: str) -> str | None:
    """Return json or jsonl if a text that begins with this line looks like it, or None."""
    shown = line.strip()
    if not shown.startswith(("{", "[")):
        return None
    return "jsonl" if shown.endswith("}") else "json"
