"""A training as a trial of a search: what it tells the search, and hears from it."""

from __future__ import annotations

from typing import Any, Protocol

PRUNED, STALE = "pruned", "reaped"
"""What a trial returns in place of its objective."""


class TrialHandle(Protocol):
    """What a training tells a search and hears from it."""

    def note(self, **attributes: Any) -> None:
        """Keep attributes with the trial."""

    def report(self, step: int, value: float) -> bool:
        """Report a value and return whether to stop."""

    def check(self) -> None:
        """Raise `StaleTrialError` if nobody waits for the result any more."""


class NullTrial:
    """Stands in for a trial where there is none, or none that a job could reach."""

    def note(self, **attributes: Any) -> None:
        """Tell nobody."""

    def report(self, step: int, value: float) -> bool:
        """Go on."""
        return False

    def check(self) -> None:
        """Go on."""
