"""What became of the runs of this process: which stores answered, which did not, what was kept."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

AWAY_SECONDS = 60.0
"""For so long a store that did not answer is not asked again; each time may take ten seconds."""

_away: dict[str, float] = {}
"""Time on the monotonic clock by the URI of a store that did not answer."""


class CommandOutcome:
    """The runs of a command, or of a call from Python.

    Attributes:
        stores: folder of stores and URI of each tracking store that was asked.
        runs: ids of the runs that were recorded or kept.
        reason: why one was kept first, or empty.
    """

    def __init__(self) -> None:
        self.stores: dict[tuple[Path, str], None] = {}
        self.runs: set[str] = set()
        self.reason = ""


_present = CommandOutcome()


@contextmanager
def take_present() -> Iterator[CommandOutcome]:
    """Give the outcome for a block, and begin anew after it."""
    global _present  # noqa: PLW0603
    try:
        yield _present
    finally:
        _present = CommandOutcome()


def note_run(stores: Path, uri: str, run_id: str) -> None:
    """Be told of a run."""
    _present.stores[stores, uri] = None
    _present.runs.add(run_id)


def note_kept(reason: str) -> bool:
    """Be told why a run was kept; return whether it is the first one."""
    first = not _present.reason
    _present.reason = _present.reason or reason
    return first


def note_away(uri: str) -> None:
    """Be told that a store does not answer."""
    _away[uri] = time.monotonic()


def note_back(uri: str) -> None:
    """Be told that a store answers."""
    _away.pop(uri, None)


def is_away(uri: str) -> bool:
    """Return whether a store did not answer a short while ago."""
    return uri in _away and time.monotonic() - _away[uri] < AWAY_SECONDS
