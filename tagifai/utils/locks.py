"""Locks that say which of the runs that began are still under way.

A process holds a lock beside a mark for as long as its run is open. The system releases the lock
when the process dies, however it dies, so a mark whose lock is free belongs to an orphaned run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tagifai.utils.secrets import mask


@contextmanager
def hold(folder: Path, key: str) -> Iterator[bool]:
    """Hold the lock of a mark for a block; give whether it is this process that holds it.

    Args:
        folder: where marks are kept; made if it is missing.
        key: name of the mark.
    """
    from filelock import FileLock, Timeout  # late: it brings asyncio

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{key}.lock"
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        path.unlink(missing_ok=True)
        lock.release()


def write_mark(folder: Path, key: str, run_id: str, uri: str) -> None:
    """Mark a run as under way, for as long as somebody holds the lock of this key.

    Args:
        folder: where marks are kept; made if it is missing.
        key: name of the mark, and of its lock.
        run_id: the run.
        uri: of the store that has it, whose secret is not kept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # Whole or not at all: of half a mark nobody knows whose it is.
    draft = folder / f".{key}.run.draft"
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    draft.write_text(json.dumps({"run_id": run_id, "uri": mask(uri)}), encoding="utf-8")
    draft.replace(folder / f"{key}.run")


def remove_mark(folder: Path, key: str) -> None:
    """Remove a mark, if it is there."""
    (folder / f"{key}.run").unlink(missing_ok=True)


@contextmanager
def hold_mark(folder: Path, run_id: str, uri: str) -> Iterator[Callable[[], None] | None]:
    """Mark a run as under way for a block, and give a function that removes the mark.

    The block calls it when the run is closed. A mark that is left is found by `close_orphaned`. A
    run that another process has marked is for that process to close: then the block gets None.

    Args:
        folder: where marks are kept; made if it is missing.
        run_id: the run.
        uri: of the store that has it.
    """
    with hold(folder, run_id) as ours:
        if ours:
            write_mark(folder, run_id, run_id, uri)
        yield (lambda: remove_mark(folder, run_id)) if ours else None


def close_orphaned(folder: Path, close: Callable[[str, str], bool]) -> list[str]:
    """Close the runs whose process is gone; a mark of another form is removed, it says of none.

    Args:
        folder: where marks are kept.
        close: called with run id and URI, under the mark's lock; returns whether it is done.

    Returns:
        The ids of the runs that were closed.
    """
    closed = []
    for path in sorted(folder.glob("*.run")):
        with hold(folder, path.stem) as ours:
            if not ours or not path.exists():
                continue
            marked = _read(path)
            if marked is None:
                path.unlink()
            elif close(*marked):
                path.unlink()
                closed.append(marked[0])
    return closed


def list_marked(folder: Path) -> list[str]:
    """Return the ids of the runs that are marked as under way."""
    found = []
    for path in sorted(folder.glob("*.run")):
        with suppress(FileNotFoundError):  # it has ended
            marked = _read(path)
            found += [] if marked is None else [marked[0]]
    return found


def _read(path: Path) -> tuple[str, str] | None:
    """Return the run and the URI that a mark names, or None of one that is of another form."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return str(content["run_id"]), str(content["uri"])
    except (ValueError, TypeError, KeyError):
        return None
