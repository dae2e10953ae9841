"""List, measure and remove files and folders below stores and outputs; links are not followed."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from stat import S_ISDIR

from tagifai.exceptions import UserError
from tagifai.utils.state import drafts

FOLDER, CACHE, PARTIAL = "output folders", "caches", "unfinished writes"

DATE, TIME = re.compile(r"\d{4}-\d{2}-\d{2}"), re.compile(r"\d{2}-\d{2}-\d{2}")
"""Beginning of the names of Hydra's folders."""

REMOVED = ".removed"
"""Ending of the hidden name of what is being removed."""


def measure(path: Path, *, use: bool = False) -> tuple[int, float]:
    """Return the size of a file or folder, and the time of its latest change since 1970.

    Args:
        path: of what may be missing, which has no size and no age.
        use: whether reading counts as well as changing; listing a folder does not.
    """
    size, latest = 0, 0.0
    for entry in _walk(path):
        with suppress(FileNotFoundError):  # another process may remove it
            stat = entry.lstat()
            is_folder = S_ISDIR(stat.st_mode)
            size += 0 if is_folder else stat.st_size
            if not (is_folder and use):
                latest = max(latest, stat.st_mtime, stat.st_atime if use else 0)
    return size, latest


def _walk(path: Path) -> Iterator[Path]:
    yield path
    if not path.is_symlink():
        for folder, folders, files in os.walk(path):
            yield from (Path(folder, name) for name in (*folders, *files))


def list_outputs(root: Path) -> list[Path]:
    """Return Hydra's run folders and multirun folders below the folder of outputs."""
    return [
        path
        for date in list_folders(root)
        if DATE.fullmatch(date.name)
        for path in list_folders(date)
        if TIME.match(path.name) and _is_hydra_folder(path)
    ]


def _is_hydra_folder(path: Path) -> bool:
    if (path / "multirun.yaml").is_file():
        return True
    return any((folder / ".hydra").is_dir() for folder in (path, *list_folders(path)))


def list_caches(stores: Path) -> list[Path]:
    """Return the entries of all caches."""
    root = stores / "cache"
    entries = [path for path in _list(root) if not path.is_dir()]
    entries += [path for folder in list_folders(root) for path in _list(folder)]
    return [path for path in entries if not path.is_symlink() and path.name[0] != "."]


def list_unfinished(root: Path) -> list[Path]:
    """Return what killed processes have left below a root: drafts, and what was half removed.

    Args:
        root: the folder of stores, or of outputs.
    """
    found = []
    for folder, folders, names in os.walk(root):
        hidden = [Path(folder, name) for name in (*folders, *names) if name[0] == "."]
        if any(drafts.DRAFT.fullmatch(path.name) for path in hidden):
            found += drafts.list_abandoned(Path(folder))
        found += [path for path in hidden if _is_half_removed(path.relative_to(root).parts)]
        folders[:] = [name for name in folders if name[0] != "."]
    return sorted(found)


def _is_half_removed(parts: tuple[str, ...]) -> bool:
    if not parts[-1].endswith(REMOVED):
        return False
    is_output = len(parts) == 2 and DATE.fullmatch(parts[0]) and TIME.match(parts[1][1:])
    return bool(is_output) or parts[0] in ("artifacts", "cache")


def list_bundles(stores: Path) -> list[str]:
    """Return the ids of the runs that have a bundle in the stores."""
    paths = [run / "artifacts" / "bundle" for run in list_folders(stores / "artifacts")]
    return [path.parts[-3] for path in paths if path.is_dir() and is_plain(stores, path)]


def list_folders(path: Path) -> list[Path]:
    """Return the folders in a folder, without links; none if it is none itself."""
    return [entry for entry in _list(path) if entry.is_dir() and not entry.is_symlink()]


def _list(path: Path) -> list[Path]:
    try:
        return sorted(path.iterdir())
    except OSError:
        return []


def is_plain(root: Path, path: Path) -> bool:
    """Return whether no part of a path below the root, which may be a link itself, is a link."""
    parts = path.relative_to(root).parts
    steps = [root.joinpath(*parts[: end + 1]) for end in range(len(parts))]
    return bool(parts) and ".." not in parts and not any(step.is_symlink() for step in steps)


def remove(root: Path, path: Path) -> None:
    """Remove a file or a folder; its name is free at once. A missing one is no error.

    An interrupted removal leaves the hidden folder `.<name>.removed`.

    Raises:
        UserError: the path leads through a link.
        OSError: it cannot be removed.
    """
    if not is_plain(root, path):
        raise UserError(f"{path} is a symbolic link or lies behind one, so it is not removed.")
    if drafts.DRAFT.fullmatch(path.name):
        drafts.finish(path)
        return
    with suppress(FileNotFoundError):
        if not path.is_dir():
            path.unlink()
            return
        hidden = path.name[0] == "." and path.name.endswith(REMOVED)
        gone = path if hidden else path.with_name(f".{path.name}{REMOVED}")
        if gone != path:
            if gone.exists():
                shutil.rmtree(gone)
            path.rename(gone)
        shutil.rmtree(gone)


def remove_empty_dates(root: Path) -> None:
    """Remove the empty folders of days before today."""
    today = datetime.now().astimezone().date().isoformat()
    for date in list_folders(root):
        if DATE.fullmatch(date.name) and date.name < today:
            with suppress(OSError):  # it is not empty
                date.rmdir()
