"""Drafts: files and folders under hidden names, until they are whole and on disk.

Whoever writes a draft holds the system's lock of it. The lock is let go of when the process dies,
however it dies, so a draft whose lock is free is nobody's, and the next writer removes it.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

ENDING, OLD = ".tagifai", ".old"
"""Ending of a draft's name, which says whose it is; and what a folder that it replaces gets."""

DRAFT = re.compile(rf"\.(.+)\.[a-z0-9_]{{8}}{re.escape(ENDING)}({re.escape(OLD)})?")
"""Names of drafts, with that of the file or folder that is being written."""

MOST_THREADS = 16
"""That wait for the disk at a time."""

MOST_NAME_BYTES = 200
"""Of a file's name in its draft's, which may have 255."""


@contextmanager
def open_file(path: Path, mode: str) -> Iterator[tuple[IO[Any], Path]]:
    """Give a new file beside a path, and its own path; it is removed if the block fails.

    Args:
        path: where it will stand; its folder is made if it is missing.
        mode: "w" for text, "wb" for bytes.
    """
    text: dict[str, Any] = {} if "b" in mode else {"encoding": "utf-8", "newline": ""}
    draft = _choose_name(path)
    try:  # an interrupt may come as soon as it is there
        with os.fdopen(_make(draft, folder=False), mode, **text) as file:
            yield file, draft
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


@contextmanager
def open_folder(path: Path) -> Iterator[Path]:
    """Give a new folder beside a path; what has not been renamed at the end of the block goes.

    Args:
        path: where it will stand; its parent is made if it is missing.
    """
    draft, handle = _choose_name(path), None
    try:
        handle = _make(draft, folder=True)
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        if handle is not None:
            os.close(handle)


def _choose_name(path: Path) -> Path:
    """Return the path of a new draft, whose folder is made if it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path
    while draft == path or os.path.lexists(draft):
        draft = path.with_name(f".{_shorten(path.name)}.{secrets.token_hex(4)}{ENDING}")
    return draft


def _make(draft: Path, *, folder: bool) -> int:
    """Make a draft that nobody else reads, and return a handle that has its lock."""
    while True:
        if folder:
            draft.mkdir(0o700)
        new = os.O_RDONLY if folder else os.O_RDWR | os.O_CREAT | os.O_EXCL
        handle = os.open(draft, new | getattr(os, "O_BINARY", 0), 0o600)
        _lock(handle, wait=True)  # where there are no locks, nobody takes it for abandoned
        # Somebody may have found it before it was locked.
        if os.fstat(handle).st_nlink:
            return handle
        os.close(handle)


def _lock(handle: int, *, wait: bool) -> bool:
    """Lock what a handle has open, until it is closed; return whether that was possible."""
    try:
        import fcntl  # late: not all systems have it

        fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (ImportError, OSError):
        return False
    return True


def _shorten(name: str) -> str:
    return os.fsdecode(os.fsencode(name)[:MOST_NAME_BYTES])


def finish_file(file: IO[Any]) -> None:
    """Bring a draft to disk, with the mode that finished files have."""
    file.flush()
    os.fsync(file.fileno())
    os.fchmod(file.fileno(), 0o666 & ~get_umask())


def finish_folder(draft: Path) -> None:
    """Bring a draft and all that is in it to disk, with the mode that finished folders have."""
    from concurrent.futures import ThreadPoolExecutor  # late: most commands write no folder

    draft.chmod(0o777 & ~get_umask())
    folders, files = [], []
    for folder, _, names in os.walk(draft):
        folders.append(Path(folder))
        files += [Path(folder, name) for name in names]
    # The file system writes together what is waited for together.
    with ThreadPoolExecutor(MOST_THREADS) as threads:
        list(threads.map(sync, files))
    for path in folders:
        sync(path)


def sync_folder(path: Path) -> None:
    """Bring the names in a folder to disk, where the file system can."""
    with suppress(OSError):
        sync(path)


def sync(path: Path) -> None:
    """Bring a file, or the names in a folder, to disk; a link is passed over."""
    if path.is_symlink():
        return
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def get_umask() -> int:
    """Return the process's umask; drafts are private, finished files are not."""
    present = os.umask(0)
    os.umask(present)
    return present


# --- what killed processes left ----------------------------------------------------------------


def list_abandoned(folder: Path) -> list[Path]:
    """Return the drafts in a folder that nobody writes any more."""
    found = []
    with suppress(OSError), os.scandir(folder) as entries:
        found = [Path(entry.path) for entry in entries if DRAFT.fullmatch(entry.name)]
    abandoned = []
    for path in sorted(found):
        with _hold(path) as ours:
            abandoned += [path] if ours else []
    return abandoned


def remove_abandoned(path: Path) -> None:
    """Finish what killed writers of a file or folder left beside it."""
    for draft in list_abandoned(path.parent):
        if draft.name.startswith(f".{_shorten(path.name)}."):
            finish(draft)


def finish(draft: Path) -> bool:
    """Remove a draft that nobody writes; a folder that was moved aside for one goes back.

    Args:
        draft: found by `list_abandoned`.

    Returns:
        Whether it was nobody's.
    """
    with _hold(draft) as ours, suppress(FileNotFoundError):
        if ours and draft.name.endswith(OLD):
            _finish_replacement(draft)
        elif ours and not draft.with_name(draft.name + OLD).exists():
            shutil.rmtree(draft) if draft.is_dir() else draft.unlink()
    return ours


def _finish_replacement(old: Path) -> None:
    """Let the new folder take its place, if it was whole, or else the old one."""
    match = DRAFT.fullmatch(old.name)
    target, new = old.with_name(match[1] if match else ""), old.with_name(old.name[: -len(OLD)])
    if not target.exists():
        # The old one is moved aside when the new one is whole.
        (new if new.exists() else old).rename(target)
    shutil.rmtree(new, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)
    sync_folder(target.parent)


@contextmanager
def _hold(draft: Path) -> Iterator[bool]:
    """Hold the lock of a draft for a block, without waiting; give whether it was free."""
    name = draft.name.removesuffix(OLD)
    place = draft.with_name(name) if draft.with_name(name).exists() else draft
    try:
        handle = os.open(place, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError:
        yield False
        return
    try:
        yield _lock(handle, wait=False)
    finally:
        os.close(handle)
