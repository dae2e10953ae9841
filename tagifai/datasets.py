"""Data sets: fetch two tables, verify, validate and join them, and keep the result."""

from __future__ import annotations

import json
import logging
import sys
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from tagifai import tables
from tagifai.errors import DataError
from tagifai.files import replacing, sha256, write_json

FORMAT = 1
TABLES = ("projects", "tags")
TIMEOUT_SECONDS = (5, 30)
"""To connect, and between two packets."""
RETRIES = 2

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


def is_url(source: str) -> bool:
    """Return whether a source is to be fetched."""
    return "://" in source


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
    table = projects.merge(tags, on="id", validate="one_to_one")
    manifest = _manifest(source, paths, projects, tags, table)
    with replacing(folder / "labeled.csv") as file:
        table.to_csv(file, index=False, lineterminator="\n")
    manifest["labeled_sha256"] = sha256(folder / "labeled.csv")
    write_json(folder / "manifest.json", manifest)
    return Dataset(table, manifest, folder / "labeled.csv", fresh=True)


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
    return manifest if is_ours else None


def _kept(folder: Path, source: Source) -> Dataset | None:
    """Return the stored data set if it is whole and still what the source says."""
    manifest = _read_manifest(folder)
    path = folder / "labeled.csv"
    if manifest is None or not path.is_file():
        return None
    if any(_changed(manifest["tables"][name], name, source) for name in TABLES):
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
    return _download(name, where, expected, cache, progress)


def _download(name: str, url: str, expected: str | None, cache: Path, progress: bool) -> Path:
    # Late: only downloads need them.
    import hashlib

    import pooch
    import requests

    # Without a sum there is no telling whether a file in the cache is still what the URL has.
    file = f"{hashlib.sha256(url.encode()).hexdigest()[:16]}-{name}.csv"
    if expected is None:
        (cache / file).unlink(missing_ok=True)
    pooch.get_logger().setLevel(logging.WARNING)
    fetcher = pooch.create(
        path=cache,
        base_url="",
        registry={file: f"sha256:{expected}" if expected else None},
        urls={file: url},
        retry_if_failed=RETRIES,
    )
    bar = progress and sys.stderr.isatty()
    downloader = pooch.HTTPDownloader(timeout=TIMEOUT_SECONDS, progressbar=bar)
    try:
        return Path(fetcher.fetch(file, downloader=downloader))
    except (requests.RequestException, ValueError, OSError) as error:
        raise DataError(
            f"data.{name}: {url} could not be fetched in {RETRIES + 1} tries ({_reason(error)})."
            " With the files at hand, give their paths:"
            " data.projects=/path/projects.csv data.tags=/path/tags.csv"
            " (the same sums are checked)."
        ) from None


def _reason(error: Exception) -> str:
    """Return the first sentence of an error and its kind; connection errors nest a long chain."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:160]}{'…' if len(text) > 160 else ''}"


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
