"""Locks that say which of the runs that began are still under way.

A process holds a lock beside a mark for as long as its run is open. The system releases the lock
when the process dies, however it dies, so a mark whose lock is free belongs to an orphaned run.
"""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tagifai.exceptions import DamagedFileError
from tagifai.utils.secrets import mask
from tagifai.utils.state import aside, drafts, reading

WORD_SECONDS = 3.0
"""Seconds of waiting for another process, after which it is said."""

log = logging.getLogger(__name__)


@contextmanager
def wait_for(path: Path, seconds: float = math.inf) -> Iterator[None]:
    """Hold a lock for a block, when no other process holds it any more.

    Args:
        path: of the lock's file; its folder is made if it is missing. Something else in its place
            is put aside.
        seconds: to wait at most.

    Raises:
        TimeoutError: another process has it for longer.
        DamagedFileError: there can be no lock.
    """
    from filelock import FileLock, Timeout  # late: it brings asyncio

    lock = FileLock(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(path) and not path.is_file():
            log.warning("%s is no lock; it is put aside", path)
            aside.put_aside(path.parent, path)
        try:
            lock.acquire(timeout=min(seconds, WORD_SECONDS))
        except Timeout:
            log.warning("Waiting for the process that holds %s", path)
            lock.acquire(timeout=max(0, seconds - WORD_SECONDS))
    except Timeout as error:
        raise TimeoutError(f"another process has held {path} for {seconds:.0f} s") from error
    except OSError as error:
        raise DamagedFileError(path, error.strerror or str(error)) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def hold(folder: Path, key: str, seconds: float = 0) -> Iterator[bool]:
    """Hold the lock of a mark for a block; give whether it is this process that holds it.

    Args:
        folder: where marks are kept; made if it is missing.
        key: name of the mark.
        seconds: to wait for whoever holds it.

    Raises:
        DamagedFileError: something else is in the place of the lock, or of the folder.
    """
    from filelock import FileLock, Timeout

    path = folder / f"{key}.lock"
    lock = FileLock(path, timeout=seconds)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        yield False
        return
    except OSError as error:
        raise DamagedFileError(path, error.strerror or str(error)) from error
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
    path = folder / f"{key}.run"
    # Whole or not at all: of half a mark nobody knows whose it is.
    with drafts.open_file(path, "w") as (file, draft):
        json.dump({"run_id": run_id, "uri": mask(uri)}, file)
        file.flush()
        draft.replace(path)


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
    """Close the runs whose process is gone; of a mark that cannot be read it is said where it is.

    Args:
        folder: where marks are kept.
        close: called with run id and URI, under the mark's lock; returns whether it is done.

    Returns:
        The ids of the runs that were closed.
    """
    closed = []
    for path in sorted(folder.glob("*.run")):
        try:
            with hold(folder, path.stem) as ours:
                if ours and os.path.lexists(path):
                    run_id, uri = read_mark(path)
                    if close(run_id, uri):
                        path.unlink()
                        closed.append(run_id)
        except FileNotFoundError:
            continue  # its run has ended meanwhile
        except DamagedFileError as error:
            log.warning("%s", error)
        except (OSError, ValueError) as error:
            log.warning("%s names a run that cannot be closed (%s). See task=repair", path, error)
    return closed


def list_marked(folder: Path) -> list[str]:
    """Return the ids of the runs that are marked as under way."""
    found = []
    for path in sorted(folder.glob("*.run")):
        with suppress(FileNotFoundError, DamagedFileError):  # it has ended, or says of none
            found.append(read_mark(path)[0])
    return found


def read_mark(path: Path) -> tuple[str, str]:
    """Return the run and the URI that a mark names.

    Raises:
        FileNotFoundError: it is gone.
        DamagedFileError: it cannot be read, or has another form.
    """
    found = reading.read_run(path, "uri")
    return found["run_id"], found["uri"]
