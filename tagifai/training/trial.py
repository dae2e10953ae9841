"""The interface between a training and the search that it is a trial of."""

from __future__ import annotations

from typing import Any, Protocol

RESULT = "result"
"""Attribute of a trial whose job is done: its values, or `PRUNED`."""

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
    """Stands in where there is no trial, or its study is in another process's memory."""

    def note(self, **attributes: Any) -> None:
        """Do nothing."""

    def report(self, step: int, value: float) -> bool:
        """Return False: go on."""
        return False

    def check(self) -> None:
        """Do nothing."""
