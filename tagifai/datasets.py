"""Data sets: fetch two tables, verify, validate and join them, and keep the result."""

from __future__ import annotations

import csv
import json
import logging
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
from filelock import FileLock

from tagifai import downloads, tables
from tagifai.addresses import is_url
from tagifai.errors import DataError
from tagifai.files import replacing, sha256, write_json

FORMAT = 1
TABLES = ("projects", "tags")
COLUMNS = ("id", "created_on", "title", "description")
"""Of the projects; what else there is in the file is left out."""

KEYS = ("name", "tables", "rows", "projects_without_tag", "tags_without_project", "tag_counts")
"""Of a manifest, without which it is none."""


log = logging.getLogger(__name__)


class Source(Protocol):
    """What the `data` group says of where the tables are."""

    name: str
    projects: str
    tags: str
    projects_sha256: str | None
    tags_sha256: str | None


@dataclass(frozen=True)
class Dataset:
    """A joined table with columns id, title, description, tag (and created_on where known).

    Args:
        table: one row a labelled project, all columns of strings.
        manifest: where it came from, sums, counts, time.
        path: the CSV file.
        fresh: whether it was made just now.
    """

    table: pd.DataFrame
    manifest: dict[str, Any]
    path: Path
    fresh: bool

    @property
    def digest(self) -> str:
        """SHA-256 of the table's file."""
        return str(self.manifest["labeled_sha256"])


def load(source: Source, stores: Path, *, force: bool = False, progress: bool = False) -> Dataset:
    """Return the data set from the store, made first if it is not there or has changed.

    Args:
        source: where the tables are.
        stores: the folder of stores; the table is kept below `data/<name>`.
        force: make it again in any case.
        progress: show a bar for downloads on standard error.

    Raises:
        DataError: a table cannot be fetched or read, has other content than its sum says, or
            breaks a rule of its columns.
    """
    folder = stores / "data" / source.name
    kept = None if force else _kept(folder, source)
    if kept is not None:
        return kept
    paths = {
        name: _fetch(name, source, stores / "cache" / "downloads", progress) for name in TABLES
    }
    projects = tables.validated("projects", paths["projects"])
    tags = tables.validated("tags", paths["tags"])
    kept_columns = [column for column in COLUMNS if column in projects.columns]
    table = projects[kept_columns].merge(tags[["id", "tag"]], on="id", validate="one_to_one")
    manifest = _manifest(source, paths, projects, tags, table)
    folder.mkdir(parents=True, exist_ok=True)
    # One process at a time, so that table and manifest are of one piece.
    with FileLock(folder / ".lock"):
        with replacing(folder / "labeled.csv") as file:
            # All is quoted: a lone carriage return would end an unquoted field.
            table.to_csv(file, index=False, lineterminator="\n", quoting=csv.QUOTE_ALL)
        manifest["labeled_sha256"] = sha256(folder / "labeled.csv")
        write_json(folder / "manifest.json", manifest)
    # Read back, so that the first run sees what all later ones do.
    return Dataset(
        tables.read(folder / "labeled.csv"), manifest, folder / "labeled.csv", fresh=True
    )


def stored(name: str, digest: str, stores: Path) -> pd.DataFrame:
    """Return a joined table from the store, and from nowhere else.

    Args:
        name: of the data set.
        digest: SHA-256 that the table must have.
        stores: the folder of stores.

    Raises:
        DataError: it is not there, or is another one by now.
    """
    path = stores / "data" / name / "labeled.csv"
    found = sha256(path) if path.is_file() else None
    if found != digest:
        state = "is gone" if found is None else f"has SHA-256 {found[:12]}… by now"
        raise DataError(
            f"The data set {name!r} that the run was trained with (SHA-256 {digest[:12]}…) {state}:"
            f" {path}. Make it again from the old files with task=elt, or score other rows with"
            " task.data=labelled.csv."
        )
    return tables.read(path)


def present(stores: Path) -> list[dict[str, Any]]:
    """Return the manifests of the data sets in the store, by name."""
    manifests = [_read_manifest(path.parent) for path in stores.glob("data/*/manifest.json")]
    return sorted((m for m in manifests if m is not None), key=lambda m: str(m["name"]))


def _read_manifest(folder: Path) -> dict[str, Any] | None:
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    is_ours = isinstance(manifest, dict) and manifest.get("format") == FORMAT
    return manifest if is_ours and set(KEYS) | {"labeled_sha256"} <= set(manifest) else None


def _kept(folder: Path, source: Source) -> Dataset | None:
    """Return the stored data set if it is whole and still what the source says."""
    manifest = _read_manifest(folder)
    path = folder / "labeled.csv"
    if manifest is None or not path.is_file():
        return None
    try:
        changed = any(_changed(manifest["tables"][name], name, source) for name in TABLES)
    except (KeyError, TypeError):
        return None
    if changed:
        return None
    if sha256(path) != manifest["labeled_sha256"]:
        log.info("%s is not what its manifest says; it is made again.", path)
        return None
    return Dataset(tables.read(path), manifest, path, fresh=False)


def _changed(kept: dict[str, Any], name: str, source: Source) -> bool:
    where, expected = getattr(source, name), getattr(source, f"{name}_sha256")
    if not is_url(where):
        return bool(kept["sha256"] != _verified(name, Path(where), expected))
    return bool(kept["sha256"] != expected if expected else kept["source"] != where)


def _verified(name: str, path: Path, expected: str | None) -> str:
    """Return a local file's sum, which must be the expected one if there is one."""
    if not path.is_file():
        raise DataError(
            f"data.{name}: there is no file {path}. Relative paths on the command line start at the"
            " working directory, those in YAML at the project's root."
        )
    found = sha256(path)
    if expected is not None and found != expected:
        raise DataError(
            f"data.{name}: {path} has SHA-256 {found}, and data.{name}_sha256 expects {expected}."
            f" If this content is what you want, set data.{name}_sha256=null"
            " (and a data.name of its own)."
        )
    return found


def _fetch(name: str, source: Source, cache: Path, progress: bool) -> Path:
    """Return the path of a table on disk, downloaded if it has a URL."""
    where, expected = getattr(source, name), getattr(source, f"{name}_sha256")
    if not is_url(where):
        _verified(name, Path(where), expected)
        return Path(where)
    return downloads.download(name, where, expected, cache, progress)


def _manifest(
    source: Source,
    paths: dict[str, Path],
    projects: pd.DataFrame,
    tags: pd.DataFrame,
    table: pd.DataFrame,
) -> dict[str, Any]:
    if table.empty:
        raise DataError(f"data: no id of {source.projects} is in {source.tags}; nothing joins.")
    rows = {"projects": len(projects), "tags": len(tags)}
    return {
        "format": FORMAT,
        "name": source.name,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "tables": {
            name: {
                "source": getattr(source, name),
                "sha256": sha256(paths[name]),
                "rows": rows[name],
            }
            for name in TABLES
        },
        "rows": len(table),
        "projects_without_tag": len(projects) - len(table),
        "tags_without_project": len(tags) - len(table),
        "tag_counts": dict(Counter(table["tag"]).most_common()),
    }
