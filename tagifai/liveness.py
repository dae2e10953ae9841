"""Liveness: which of the runs that began are still under way.

A process holds a lock on a mark for as long as its run is open. The system lets go of the lock
when the process dies, however it dies, so a mark that can be locked is a run that nobody ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


@contextmanager
def marked(folder: Path, run_id: str, note: str) -> Iterator[Callable[[], None]]:
    """Mark a run as under way for a block, and give a function that takes the mark away.

    The block calls it when the run is closed. A mark that is left is found by `reap`.

    Args:
        folder: where marks are kept; made if it is missing.
        run_id: name of the mark.
        note: what whoever finds the mark needs to know.
    """
    folder.mkdir(parents=True, exist_ok=True)
    mark, lock = folder / f"{run_id}.run", folder / f"{run_id}.lock"
    try:
        with FileLock(lock):
            mark.touch(mode=0o600)  # the note may hold a password
            mark.write_text(note, encoding="utf-8")
            yield lambda: mark.unlink(missing_ok=True)
    finally:
        lock.unlink(missing_ok=True)


def reap(folder: Path, close: Callable[[str, str], bool]) -> list[str]:
    """Close the runs whose process is gone.

    Args:
        folder: where marks are kept.
        close: called with run id and note, under the run's lock; returns whether it is done.

    Returns:
        The ids of the runs that were closed.
    """
    closed = []
    for mark in sorted(folder.glob("*.run")):
        lock = mark.with_suffix(".lock")
        held = FileLock(lock, timeout=0)
        try:
            held.acquire()
        except Timeout:
            continue
        try:
            if mark.exists() and close(mark.stem, mark.read_text(encoding="utf-8")):
                mark.unlink()
                closed.append(mark.stem)
        finally:
            lock.unlink(missing_ok=True)
            held.release()
    return closed
