"""The interface between a training and the search that it is a trial of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

RESULT = "result"
"""Attribute of a trial on a sample of the rows: its values, which do not count as a result."""

SECONDS = "seconds"
"""Attribute of a trial: what its fits and scores took, without what is around them."""

PRUNED, STALE = "pruned", "stale"
"""Values that a trial returns instead of its objective."""


class TrialHandle(Protocol):
    """A trial as its training sees it."""

    def note(self, **attributes: Any) -> None:
        """Keep attributes with the trial."""

    def report(self, step: int, value: float) -> bool:
        """Report a value and return whether to stop."""

    def check(self) -> None:
        """Raise `StaleTrialError` if the result is not needed any more."""


class NullTrial:
    """Stands in where there is no trial."""

    def note(self, **attributes: Any) -> None:
        """Do nothing."""

    def report(self, step: int, value: float) -> bool:
        """Return False: go on."""
        return False

    def check(self) -> None:
        """Do nothing."""


_used: list[TrialHandle] = []


def get_trial() -> TrialHandle:
    """Return the trial that this process works on."""
    return _used[-1] if _used else NullTrial()


@contextmanager
def use_trial(trial: TrialHandle) -> Iterator[None]:
    """Let a trial be the one that this process works on, for a block."""
    _used.append(trial)
    try:
        yield
    finally:
        _used.pop()
