"""List, measure and remove files and folders below stores and outputs; links are not followed."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from stat import S_ISDIR

from tagifai.exceptions import UserError
from tagifai.runs.retention import CACHE, FOLDER, PARTIAL, DiskEntry

DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
TIME = re.compile(r"\d{2}-\d{2}-\d{2}")
"""Beginning of the names of Hydra's folders."""

UNFINISHED_PATTERNS = (
    *(".run_id.txt.*", ".performance.json.*", ".fetch.*", ".import.*"),
    *(".*.draft*", "data/.partial-*", "data/piped/.piped.*", "presets/experiment/.*.yaml.*"),
    *("artifacts/*/artifacts/.bundle.*", "cache/features/.*.npz.*", "cache/features/.*.lock"),
)
"""Hidden files and folders that interrupted writes leave in the stores."""

REMOVED_PATTERNS = (
    *("artifacts/.*.removed", "artifacts/models/.*.removed", "artifacts/*/artifacts/.*.removed"),
    *("cache/.*.removed", "cache/*/.*.removed"),
)
"""Hidden folders that interrupted removals leave in the stores."""

REMOVED_OUTPUT_PATTERNS = ("[0-9]*-[0-9]*-[0-9]*/.[0-9]*-[0-9]*-[0-9]*.removed",)
"""Hidden folders that interrupted removals leave in the outputs."""


def measure(kind: str, root: Path, path: Path) -> DiskEntry:
    """Return size and age of a file or folder; both are zero if it is missing.

    Args:
        kind: one of `TIMES`.
        root: folder that its name is relative to.
        path: below the root.
    """
    size, latest = 0, 0.0
    for entry in _walk(path):
        with suppress(FileNotFoundError):  # another process may remove it
            stat = entry.lstat()
            is_folder = S_ISDIR(stat.st_mode)
            size += 0 if is_folder else stat.st_size
            if not (is_folder and kind == CACHE):  # listing a folder does not count as its use
                latest = max(latest, TIMES[kind](stat))
    return DiskEntry(path.relative_to(root).as_posix(), size, latest)


TIMES: dict[str, Callable[[os.stat_result], float]] = {
    FOLDER: lambda stat: stat.st_mtime,
    CACHE: lambda stat: max(stat.st_atime, stat.st_mtime),
    # Copying keeps the time of a file's change, but a copy in progress is in use.
    PARTIAL: lambda stat: max(stat.st_ctime, stat.st_mtime),
}
"""The time of a file or folder, by its kind."""


def _walk(path: Path) -> Iterator[Path]:
    yield path
    if not path.is_symlink():
        for folder, folders, files in os.walk(path):
            yield from (Path(folder, name) for name in (*folders, *files))


def list_outputs(root: Path) -> list[DiskEntry]:
    """Return Hydra's run folders and multirun folders below the folder of outputs."""
    return [
        measure(FOLDER, root, path)
        for date in _list_folders(root)
        if DATE.fullmatch(date.name)
        for path in _list_folders(date)
        if TIME.match(path.name) and _is_hydra_folder(path)
    ]


def _is_hydra_folder(path: Path) -> bool:
    if (path / "multirun.yaml").is_file():
        return True
    return any((folder / ".hydra").is_dir() for folder in (path, *_list_folders(path)))


def list_caches(stores: Path) -> list[DiskEntry]:
    """Return the entries of all caches; their age is that of the last use, if the system has it."""
    root = stores / "cache"
    entries = [path for path in _list_entries(root) if not path.is_dir()]
    entries += [path for folder in _list_folders(root) for path in _list_entries(folder)]
    return [
        measure(CACHE, stores, path)
        for path in entries
        if not path.is_symlink() and not path.name.startswith(".")
    ]


def list_unfinished(stores: Path) -> list[DiskEntry]:
    """Return what interrupted writes have left in the stores."""
    found = {path for pattern in UNFINISHED_PATTERNS for path in stores.glob(pattern)}
    return [
        measure(PARTIAL, stores, path)
        for path in sorted(found - _find_removed(stores, REMOVED_PATTERNS))
        if is_plain(stores, path) and not _is_only_copy(path)
    ]


def _is_only_copy(path: Path) -> bool:
    """Return whether a folder is the old one of an interrupted replacement (`.bundle.x.old`)."""
    target = path.name[1:].split(".")[0]
    return path.name.endswith(".old") and not (path.parent / target).exists()


def list_half_removed(kind: str, root: Path) -> list[DiskEntry]:
    """Return what interrupted removals have left.

    Args:
        kind: output folders, or unfinished writes for everything in the stores.
        root: the folder of outputs, or of stores.
    """
    found = sorted(
        _find_removed(root, REMOVED_PATTERNS if kind == PARTIAL else REMOVED_OUTPUT_PATTERNS)
    )
    return [measure(kind, root, path) for path in found if is_plain(root, path)]


def _find_removed(root: Path, patterns: Iterable[str]) -> set[Path]:
    return {path for pattern in patterns for path in root.glob(pattern)}


def list_bundles(stores: Path) -> list[str]:
    """Return the ids of the runs that have a bundle in the stores."""
    runs = _list_folders(stores / "artifacts")
    return [run.name for run in runs if is_plain(stores, run / "artifacts" / "bundle", there=True)]


def is_plain(root: Path, path: Path, *, there: bool = False) -> bool:
    """Return whether no part of a path below the root is a link.

    Args:
        root: may be a link itself.
        path: below the root.
        there: whether the path must exist as a folder.
    """
    parts = path.relative_to(root).parts
    steps = [root.joinpath(*parts[: end + 1]) for end in range(len(parts))]
    plain = bool(parts) and ".." not in parts and not any(step.is_symlink() for step in steps)
    return plain and (not there or path.is_dir())


def remove(root: Path, path: Path) -> None:
    """Remove a file or a folder; its name is free at once. A missing one is no error.

    An interrupted removal leaves the hidden folder `.<name>.removed`.

    Raises:
        UserError: the path leads through a link.
        OSError: it cannot be removed.
    """
    if not is_plain(root, path):
        raise UserError(f"{path} is a symbolic link or lies behind one, so it is not removed.")
    with suppress(FileNotFoundError):
        if not path.is_dir():
            path.unlink()
            return
        hidden = path.name.startswith(".") and path.name.endswith(".removed")
        gone = path if hidden else path.with_name(f".{path.name}.removed")
        if gone != path:
            if gone.exists():
                shutil.rmtree(gone)
            path.rename(gone)
        shutil.rmtree(gone)


def remove_empty_dates(root: Path) -> None:
    """Remove the empty folders of days before today."""
    today = datetime.now().astimezone().date().isoformat()
    for date in _list_folders(root):
        if DATE.fullmatch(date.name) and date.name < today and not _list_entries(date):
            with suppress(FileNotFoundError):
                date.rmdir()


def _list_entries(path: Path) -> list[Path]:
    try:
        return sorted(path.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _list_folders(path: Path) -> list[Path]:
    return [entry for entry in _list_entries(path) if entry.is_dir() and not entry.is_symlink()]
