"""Space: the file systems that folders are on, and what is left there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from tagifai.utils.excerpts import format_size

SMALL = 16e6
"""Bytes; what has more left is hardly full."""


def find_mount(path: Path) -> Path:
    """Return where the file system of a path, which need not be there, is mounted."""
    there = path.absolute()
    while not there.is_mount() and there != there.parent:
        there = there.parent
    return there


def find_tightest(path: Path | None, folders: Sequence[Path]) -> Path:
    """Return what there was no room for, most likely.

    Args:
        path: that could not be written; None if that is not known. Its error may come from a file
            that was written elsewhere meanwhile.
        folders: at least one that may be full; a missing one is on the file system above it.
    """
    tightest = min(folders, key=_measure)
    if path is None:
        return tightest
    left = _measure(tightest)
    return tightest if left < SMALL and left < _measure(path) / 100 else path


def describe_space(path: Path) -> str:
    """Return the mount point of a path's file system, and what is left there, in words."""
    mount = find_mount(path)
    with suppress(OSError, AttributeError):  # not all systems count files
        state = os.statvfs(mount)
        if state.f_files and not state.f_favail:
            return f"the file system at {mount} has no room for more files, whatever their size"
    try:
        usage = shutil.disk_usage(mount)
    except OSError:
        return f"the file system at {mount}"
    left, total = format_size(usage.free), format_size(usage.total)
    return f"the file system at {mount} has {left} left of {total}, and more was wanted"


def has_room(path: Path, size: int = 1) -> bool:
    """Return whether the file system of a path takes one more file of so many bytes."""
    try:
        state = os.statvfs(find_mount(path))
    except (OSError, AttributeError):
        return True
    full = state.f_bavail * state.f_frsize < size if state.f_blocks else False
    return not full and not (state.f_files and not state.f_favail)


def _measure(path: Path) -> float:
    try:
        return float(shutil.disk_usage(find_mount(path)).free)
    except OSError:
        return float("inf")
