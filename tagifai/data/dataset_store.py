"""The store of data sets: rows that are kept by their content, each with a manifest."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from tagifai.data import blocks
from tagifai.exceptions import DamagedFileError, DataError
from tagifai.utils import locks
from tagifai.utils.files import compute_sha256, write_json
from tagifai.utils.state import aside, drafts, reading

MANIFEST_FORMAT = 3

MANIFEST, TABLE = "manifest.json", "rows.parquet"

SHOWN_DIGITS = 12
"""Digits of a digest that are in the name of a folder."""

MANIFEST_KEYS = (
    *("name", "digest", "sha256", "created", "tables", "settings", "options"),
    *("rows", "counts", "tag_counts", "parts", "notes"),
)
"""Keys that a valid manifest has."""


@dataclass(frozen=True)
class Dataset:
    """A stored table of labelled rows.

    Args:
        manifest: sources, settings, digest, counts, notes and time.
        path: the Parquet file.
        fresh: whether it was made just now, and not taken from the store.
        more_notes: on the labels that are asked for, a sentence each.
    """

    manifest: dict[str, Any]
    path: Path
    fresh: bool
    more_notes: tuple[str, ...] = ()

    @property
    def table(self) -> pd.DataFrame:
        """The rows, all in memory.

        Columns id and tag, the text as `text` or as title and description, and, where the data
        have them, created_on, split and those of data.keep; all of texts.
        """
        return blocks.read_table(self.path)

    @property
    def digest(self) -> str:
        """SHA-256 of the rows, whatever the file is that they are kept in."""
        return str(self.manifest["digest"])

    @property
    def notes(self) -> list[str]:
        """What is to be said of the files and their labels, a sentence each."""
        return [*map(str, self.manifest["notes"]), *self.more_notes]

    @property
    def options(self) -> dict[str, Any]:
        """How the tables were read, as it is kept with a run."""
        return dict(self.manifest["options"])


def move_into_place(folder: Path, stores: Path, manifest: Mapping[str, Any]) -> Dataset:
    """Move the folder of a finished data set to its place, and return the data set.

    Args:
        folder: with the rows and their manifest.
        stores: the folder of stores.
        manifest: of the rows.
    """
    path = _get_folder(stores, manifest["name"], manifest["digest"])
    # One process at a time: a table that another one has put there may be in use already.
    with locks.wait_for(stores / ".data.lock"):
        kept = _read_manifest(path)
        if kept is not None and _is_intact(path):
            # Other settings have given the same rows: the next question is about these. The table
            # that is there may have other row groups.
            found = {**manifest, "sha256": kept["sha256"]}
            write_json(path / MANIFEST, found)
            return Dataset(found, path / TABLE, fresh=True)
        if path.is_symlink() or path.is_file():
            aside.put_aside(stores, path)
        shutil.rmtree(path, ignore_errors=True)
        folder.rename(path)
        drafts.sync_folder(path.parent)
    return Dataset(dict(manifest), path / TABLE, fresh=True)


def _get_folder(stores: Path, name: str, digest: str) -> Path:
    return stores / "data" / f"{name}-{digest[:SHOWN_DIGITS]}"


def _is_intact(folder: Path) -> bool:
    manifest = _read_manifest(folder)
    path = folder / TABLE
    return manifest is not None and path.is_file() and compute_sha256(path) == manifest["sha256"]


def get_by_digest(name: str, digest: str, stores: Path) -> Dataset:
    """Return a data set from the store.

    Args:
        name: of the data set.
        digest: that the rows must have.
        stores: the folder of stores.

    Raises:
        DataError: it is not in the store, or is damaged.
    """
    found = find_by_digest(name, digest, stores)
    if found is None:
        folder = _get_folder(stores, name, digest)
        raise DataError(
            f"The data set {name!r} that the run was trained with (digest {digest[:12]}…)"
            f" {'is damaged' if folder.exists() else 'is gone'}: {folder}. Make it again from the"
            " old files with task=elt, or score other rows with task.data=labelled.csv."
        )
    return found


def find_by_digest(name: str, digest: str, stores: Path) -> Dataset | None:
    """Return a data set from the store, or None if it is not there or is damaged.

    Args:
        name: of the data set.
        digest: that the rows must have.
        stores: the folder of stores.
    """
    if re.fullmatch(r"[0-9a-f]{64}", digest) is None:
        return None
    folder = _get_folder(stores, name, digest)
    manifest = _read_manifest(folder)
    if manifest is None or manifest["digest"] != digest or not _is_intact(folder):
        return None
    return Dataset(manifest, folder / TABLE, fresh=False)


def list_manifests(stores: Path) -> list[dict[str, Any]]:
    """Return the manifests of the data sets in the store, by their names and their time."""
    manifests = [_read_manifest(folder) for folder in list_folders(stores)]
    found = (m for m in manifests if m is not None)
    return sorted(found, key=lambda m: (str(m["name"]), str(m["created"])))


def list_folders(stores: Path) -> list[Path]:
    """Return the folders of data sets in the store, whatever is in them."""
    found = stores.glob(f"data/*-{'[0-9a-f]' * SHOWN_DIGITS}")
    return sorted(path for path in found if not path.name.startswith("."))


def check(folder: Path, *, thorough: bool) -> None:
    """Refuse a stored data set that cannot be used.

    Args:
        folder: of the data set.
        thorough: compare its rows with their sum.

    Raises:
        DamagedFileError: with the reason.
    """
    if not folder.is_dir():
        raise DamagedFileError(folder, "it is not a folder")
    try:
        reading.read_json(folder / MANIFEST)
    except FileNotFoundError:
        raise DamagedFileError(folder, f"it has no {MANIFEST}") from None
    manifest = _read_manifest(folder)
    if manifest is None:
        raise DamagedFileError(folder / MANIFEST, "it is of another form")
    try:
        intact = _is_intact(folder) if thorough else (folder / TABLE).is_file()
    except OSError as error:
        raise DamagedFileError(folder / TABLE, error.strerror or str(error)) from None
    if not intact:
        raise DamagedFileError(folder / TABLE, "it is not what was saved")


def _read_manifest(folder: Path) -> dict[str, Any] | None:
    try:
        manifest = reading.read_json(folder / MANIFEST)
    except (FileNotFoundError, DamagedFileError):
        return None
    is_ours = isinstance(manifest, dict) and manifest.get("format") == MANIFEST_FORMAT
    return manifest if is_ours and set(MANIFEST_KEYS) <= set(manifest) else None
