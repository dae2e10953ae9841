"""Data sets: fetch tables, verify them, make labelled rows of them, and store the result."""

from __future__ import annotations

import csv
import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import IO, Any

import pandas as pd
from filelock import FileLock

from tagifai.config.schema import DataConfig, TableConfig, TwoTablesConfig
from tagifai.data import downloads, labeled, tables
from tagifai.exceptions import DataError
from tagifai.utils.files import compute_sha256, replace_atomically, write_json
from tagifai.utils.secrets import mask
from tagifai.utils.urls import is_url, locate_file

MANIFEST_FORMAT = 2
PROJECT_COLUMNS = ("id", "created_on", "title", "description")
"""Columns of the projects that are stored; others are left out."""

MANIFEST_KEYS = ("name", "tables", "rows", "counts", "tag_counts")
"""Keys that a valid manifest has."""


log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SourceFile:
    """One file that a data set is made from.

    Args:
        key: the setting of the `data` group that names it.
        location: URL or path.
        expected_sha256: SHA-256 that it must have; None accepts any content.
        checksum_key: the setting that has this SHA-256.
    """

    key: str
    location: str
    expected_sha256: str | None
    checksum_key: str


def _files(source: DataConfig) -> dict[str, SourceFile]:
    if isinstance(source, TwoTablesConfig):
        return {
            key: SourceFile(
                key, getattr(source, key), getattr(source, f"{key}_sha256"), f"{key}_sha256"
            )
            for key in ("projects", "tags")
        }
    if isinstance(source, TableConfig):
        sums = {"path": source.sha256}
        return {
            key: SourceFile(key, where, sums.get(key), "sha256")
            for key in labeled.PARTS_BY_SETTING
            if (where := getattr(source, key)) is not None
        }
    raise TypeError(f"{type(source).__name__} is no configuration of a data set.")


def _settings(source: DataConfig) -> dict[str, Any]:
    """Return the settings beside the files that the rows depend on."""
    if not isinstance(source, TableConfig):
        return {}
    keys = ("format", "text", "label", "id", "split", "encoding", "delimiter", "unlabeled")
    return {key: getattr(source, key) for key in keys}


@dataclass(frozen=True)
class Dataset:
    """A stored table of labelled rows.

    Args:
        loaded_table: the rows, where they are in memory already.
        manifest: sources, SHA-256 sums, counts and time.
        path: the CSV file.
        fresh: whether it was made just now, and not taken from the store.
    """

    loaded_table: pd.DataFrame | None
    manifest: dict[str, Any]
    path: Path
    fresh: bool

    @property
    def table(self) -> pd.DataFrame:
        """The rows, all in memory.

        Columns id and tag, the text as `text` or as title and description, and, where the data
        have them, created_on and split; all of strings.
        """
        return tables.read(self.path) if self.loaded_table is None else self.loaded_table

    @property
    def digest(self) -> str:
        """SHA-256 of the table's file."""
        return str(self.manifest["labeled_sha256"])


def load(
    source: DataConfig,
    stores: Path,
    *,
    force: bool = False,
    progress: bool = False,
    on_progress: Callable[[int], None] | None = None,
) -> Dataset:
    """Return the data set from the store; it is made first if it is missing or has changed.

    Args:
        source: where the tables are.
        stores: the folder of stores; the table is kept below `data/<name>`.
        force: make it again in any case.
        progress: show a bar for downloads on standard error.
        on_progress: called with the number of rows that have been read so far.

    Raises:
        DataError: a table cannot be fetched or read, has another SHA-256 than expected, or breaks
            a rule of its columns.
    """
    folder = stores / "data" / source.name
    kept = None if force else _load_stored(folder, source)
    if kept is not None:
        return kept
    files = _files(source)
    paths = {
        key: _fetch(file, stores / "cache" / "downloads", progress) for key, file in files.items()
    }
    pieces = _make_chunks(source, files, paths)
    # Before there is a folder: most errors show in the first rows.
    first = next(pieces)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        # One process at a time, so that table and manifest belong together.
        with FileLock(folder / ".lock"):
            with replace_atomically(folder / "labeled.csv") as file:
                found = _write_table(file, chain([first], pieces), on_progress)
            manifest = _make_manifest(source, files, paths, found)
            manifest["labeled_sha256"] = compute_sha256(folder / "labeled.csv")
            write_json(folder / "manifest.json", manifest)
    except BaseException:
        _remove_empty(folder)
        raise
    return Dataset(None, manifest, folder / "labeled.csv", fresh=True)


@dataclass
class DatasetChunk:
    """Some labelled rows, and how many rows were read or left out for them.

    Args:
        table: with the columns of a data set.
        rows_read: rows of each file, by its setting.
        rows_dropped: rows that were left out, by reason.
    """

    table: pd.DataFrame
    rows_read: Mapping[str, int]
    rows_dropped: Mapping[str, int]


@dataclass
class DatasetTotals:
    """The totals over all chunks of a data set."""

    rows: int = 0
    rows_read: Counter[str] = field(default_factory=Counter)
    rows_dropped: Counter[str] = field(default_factory=Counter)
    tag_counts: Counter[str] = field(default_factory=Counter)


def _write_table(
    file: IO[str], chunks: Iterable[DatasetChunk], on_progress: Callable[[int], None] | None
) -> DatasetTotals:
    """Write chunks as one table with all fields quoted, because a carriage return would end one."""
    writer, totals = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n"), DatasetTotals()
    for chunk in chunks:
        if not totals.rows and not totals.rows_read:
            writer.writerow(chunk.table.columns)
        writer.writerows(zip(*(chunk.table[c].tolist() for c in chunk.table), strict=True))
        totals.rows += len(chunk.table)
        for total, more in (
            (totals.rows_read, chunk.rows_read),
            (totals.rows_dropped, chunk.rows_dropped),
        ):
            for name, number in more.items():
                total[name] += number
        totals.tag_counts.update(chunk.table["tag"].tolist())
        if on_progress is not None:
            on_progress(sum(totals.rows_read.values()))
    return totals


def _make_manifest(
    source: DataConfig,
    files: Mapping[str, SourceFile],
    paths: Mapping[str, Path],
    totals: DatasetTotals,
) -> dict[str, Any]:
    return {
        "format": MANIFEST_FORMAT,
        "name": source.name,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "tables": {
            key: {
                "source": mask(file.location),
                "sha256": compute_sha256(paths[key]),
                "rows": totals.rows_read.get(key),
            }
            for key, file in files.items()
        },
        "settings": _settings(source),
        "rows": totals.rows,
        "counts": dict(totals.rows_dropped),
        "tag_counts": dict(totals.tag_counts.most_common()),
    }


def _remove_empty(folder: Path) -> None:
    """Remove the folder of a data set that was never made."""
    if not (folder / "manifest.json").exists():
        (folder / ".lock").unlink(missing_ok=True)
        with suppress(OSError):
            folder.rmdir()


def _make_chunks(
    source: DataConfig, files: Mapping[str, SourceFile], paths: Mapping[str, Path]
) -> Iterator[DatasetChunk]:
    """Yield the labelled rows, all at once or in chunks."""
    if isinstance(source, TableConfig):
        named = {key: (files[key].location, paths[key]) for key in files}
        size = source.chunk_rows
        found = (
            [labeled.read_rows(source, named)]
            if size is None
            else labeled.read_chunks(source, named, size)
        )
        for rows in found:
            yield DatasetChunk(rows.table, rows.rows_read, {"rows without a label": rows.unlabeled})
        return
    projects = tables.read_validated("projects", paths["projects"])
    tags = tables.read_validated("tags", paths["tags"])
    kept = [column for column in PROJECT_COLUMNS if column in projects.columns]
    table = projects[kept].merge(tags[["id", "tag"]], on="id", validate="one_to_one")
    if table.empty:
        where = {key: mask(file.location) for key, file in files.items()}
        raise DataError(
            f"data: no id of {where['projects']} is in {where['tags']}, so nothing can be joined."
        )
    counts = {
        "projects without a tag": len(projects) - len(table),
        "tags without a project": len(tags) - len(table),
    }
    yield DatasetChunk(table, {"projects": len(projects), "tags": len(tags)}, counts)


def get_table_path(name: str, digest: str, stores: Path) -> Path:
    """Return the file of a stored data set.

    Args:
        name: of the data set.
        digest: SHA-256 that the table must have.
        stores: the folder of stores.

    Raises:
        DataError: it is not in the store, or has another SHA-256 now.
    """
    path = stores / "data" / name / "labeled.csv"
    found = compute_sha256(path) if path.is_file() else None
    if found != digest:
        state = "is gone" if found is None else f"has SHA-256 {found[:12]}… by now"
        raise DataError(
            f"The data set {name!r} that the run was trained with (SHA-256 {digest[:12]}…) {state}:"
            f" {path}. Make it again from the old files with task=elt, or score other rows with"
            " task.data=labelled.csv."
        )
    return path


def find_by_digest(name: str, digest: str, stores: Path) -> Dataset | None:
    """Return a data set from the store, or None if it is not there or has another SHA-256 now.

    Args:
        name: of the data set.
        digest: SHA-256 that the table must have.
        stores: the folder of stores.
    """
    folder = stores / "data" / name
    manifest, path = _read_manifest(folder), folder / "labeled.csv"
    if manifest is None or manifest["labeled_sha256"] != digest:
        return None
    if not path.is_file() or compute_sha256(path) != digest:
        return None
    return Dataset(None, manifest, path, fresh=False)


def list_manifests(stores: Path) -> list[dict[str, Any]]:
    """Return the manifests of the data sets in the store, in the order of their names."""
    manifests = [_read_manifest(path.parent) for path in stores.glob("data/*/manifest.json")]
    return sorted((m for m in manifests if m is not None), key=lambda m: str(m["name"]))


def _read_manifest(folder: Path) -> dict[str, Any] | None:
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    is_ours = isinstance(manifest, dict) and manifest.get("format") == MANIFEST_FORMAT
    return (
        manifest if is_ours and set(MANIFEST_KEYS) | {"labeled_sha256"} <= set(manifest) else None
    )


def _load_stored(folder: Path, source: DataConfig) -> Dataset | None:
    """Return the stored data set if it is intact and its source has not changed."""
    manifest = _read_manifest(folder)
    path = folder / "labeled.csv"
    if manifest is None or not path.is_file():
        return None
    try:
        files = _files(source)
        changed = (
            manifest["settings"] != _settings(source)
            or manifest["tables"].keys() != files.keys()
            or any(_has_changed(manifest["tables"][key], file) for key, file in files.items())
        )
    except (KeyError, TypeError, AttributeError):
        return None
    if changed:
        return None
    if compute_sha256(path) != manifest["labeled_sha256"]:
        log.info("%s has another SHA-256 than its manifest says; it is made again.", path)
        return None
    return Dataset(None, manifest, path, fresh=False)


def _has_changed(entry: Mapping[str, Any], file: SourceFile) -> bool:
    if not is_url(file.location):
        return bool(entry["sha256"] != _verify_checksum(file))
    if file.expected_sha256:
        return bool(entry["sha256"] != file.expected_sha256)
    return bool(entry["source"] != mask(file.location))


def _verify_checksum(file: SourceFile) -> str:
    """Return a local file's SHA-256, which must be the expected one if there is one."""
    path = locate_file(file.location)
    if not path.is_file():
        raise DataError(
            f"data.{file.key}: there is no file {path}. Relative paths on the command line start"
            " at the working directory, those in YAML at the project's root."
        )
    found = compute_sha256(path)
    if file.expected_sha256 is not None and found != file.expected_sha256:
        raise DataError(
            f"data.{file.key}: {path} has SHA-256 {found}, and data.{file.checksum_key} expects"
            f" {file.expected_sha256}. If this content is what you want, set"
            f" data.{file.checksum_key}=null (and a data.name of its own)."
        )
    return found


def _fetch(file: SourceFile, cache: Path, progress: bool) -> Path:
    """Return the path of a table on disk, downloaded if it has a URL."""
    if not is_url(file.location):
        _verify_checksum(file)
        return locate_file(file.location)
    return downloads.fetch(
        f"data.{file.key}",
        f"data.{file.checksum_key}",
        file.location,
        file.expected_sha256,
        cache,
        progress,
    )
