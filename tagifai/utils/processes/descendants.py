"""Processes that end with another one: those that this one has begun, and this one itself."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Container
from contextlib import suppress
from typing import Any

WATCH_SECONDS = 0.25
"""Seconds between two looks whether the process that this one ends with is still there."""

POLL_SECONDS = 0.02

GRACE_SECONDS = 2.0
"""Seconds that a job has to close its run, once the process that launched it is gone."""

ROUNDS = 5
"""Times that new descendants are looked for while all are killed."""

TRACKER = b"resource_tracker"
"""In the command of what removes the files and semaphores that killed processes leave; it ends by
itself, when all of them have ended."""

_ended_with: set[int] = set()


def kill(process: int | None = None) -> None:
    """Kill what a process has begun, and what that has begun; on Linux all, else our workers.

    Args:
        process: None is this one.
    """
    root = os.getpid() if process is None else process
    for _ in range(ROUNDS):
        found = _list_all(root) if os.path.isdir("/proc/self") else _list_workers()  # noqa: PTH112
        workers = [child for child in found if not _is_tracker(child)]
        # All stand still before the first one ends, so that none has an error to show.
        for number in (signal.SIGSTOP, signal.SIGKILL) if os.name == "posix" else (signal.SIGTERM,):
            for child in workers:
                with suppress(OSError):
                    os.kill(child, number)
        for tracker in set(found) - set(workers):
            with suppress(OSError):
                os.kill(tracker, signal.SIGCONT)
        if not found:
            return


def list_children() -> set[int]:
    """Return the processes that this one has begun and that have not ended."""
    if not os.path.isdir("/proc/self"):  # noqa: PTH112
        return set(_list_workers())
    return {p for p in _list_all(os.getpid()) if _read_state(p)[1] == os.getpid()}


def end_children(spared: Container[int], seconds: float) -> None:
    """Have the processes that this one has begun end, and kill those that take too long.

    Args:
        spared: processes that are left alone.
        seconds: that they may take.
    """
    ours = {p for p in list_children() if p not in spared and not _is_tracker(p)}
    for child in ours:
        with suppress(OSError):
            os.kill(child, signal.SIGTERM)
    until = time.monotonic() + seconds
    while (ours := ours & list_children()) and time.monotonic() < until:
        time.sleep(POLL_SECONDS)
    for child in ours:
        kill(child)
        with suppress(OSError):
            os.kill(child, signal.SIGKILL if os.name == "posix" else signal.SIGTERM)


def end_with(process: int, grace: float = GRACE_SECONDS) -> None:
    """Have this process end when another one has ended, however that was and whatever it does.

    Args:
        process: that has begun this one, perhaps by another.
        grace: seconds between SIGTERM and the end; 0 sends no signal.
    """
    if process not in _ended_with:
        _ended_with.add(process)
        threading.Thread(target=_watch, args=(process, grace), name="parent", daemon=True).start()


def _watch(process: int, grace: float) -> None:
    while not has_ended(process):
        time.sleep(WATCH_SECONDS)
    if grace:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(grace)
    os._exit(1)


def has_ended(process: int) -> bool:
    """Return whether a process has ended, even if nobody has collected it."""
    if os.getppid() == process:  # which changes when it ends
        return False
    if os.path.isdir("/proc/self"):  # noqa: PTH112
        return _read_state(process)[0] in "ZX"
    try:
        os.kill(process, 0)
    except OSError:
        return True
    return False


def _list_all(root: int) -> list[int]:
    """Return the descendants of a process that have not ended."""
    children: dict[int, list[int]] = {}
    alive = set()
    for name in os.listdir("/proc"):  # noqa: PTH208
        if name.isdecimal():
            state, parent = _read_state(int(name))
            children.setdefault(parent, []).append(int(name))
            if state not in "ZX":
                alive.add(int(name))
    found, fresh = [], [root]
    while fresh:
        fresh = [child for process in fresh for child in children.get(process, [])]
        found += fresh
    return [process for process in found if process in alive]


def _read_state(process: int) -> tuple[str, int]:
    """Return the letter of a process's state, and its parent; those of a dead one if it is gone."""
    try:
        with open(f"/proc/{process}/stat", "rb") as file:  # noqa: PTH123
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return "X", 0
    return fields[0].decode(), int(fields[1])


def _is_tracker(process: int) -> bool:
    try:
        with open(f"/proc/{process}/cmdline", "rb") as file:  # noqa: PTH123
            return TRACKER in file.read()
    except OSError:
        return False


def _list_workers() -> list[int]:
    multiprocessing: Any = sys.modules.get("multiprocessing")
    children = [] if multiprocessing is None else multiprocessing.active_children()
    return [child.pid for child in children if child.pid is not None]
