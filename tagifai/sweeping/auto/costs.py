"""What trials cost: seconds that were measured, and seconds that are expected from them."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from tagifai.sweeping.auto.points import Point

MARGIN = 1.2
"""Of an expected duration, by which trials that were like others have taken longer."""

FITS_OF_WINNER = 2.2
"""Fits on all rows that the winner's run takes: its own, the refit, and scoring the test rows."""

END_PER_START = 1.2
"""Seconds that saving, figures and reports of the winner take, by seconds of the command's start.

Both are mostly imports and writing, so that a machine with other work does both more slowly."""


WORKER_PER_START = 0.7
"""Seconds that a worker takes to begin its first trial, by seconds of the command's start."""


@dataclass(frozen=True)
class Attempt:
    """A configuration that is or was tried.

    Args:
        number: of its trial.
        point: the configuration.
        name: of the point.
        features: name of what it makes of the texts.
        model: option of its model.
        rows: train rows of its sample; None are all rows.
        work: rows that were fitted to, over all fits.
        value: of the objective, the higher the better; None without a result.
        seconds: of its fits and scores alone.
        overhead: seconds of its trial around them.
    """

    number: int
    point: Point
    name: str
    features: str
    model: str | None
    rows: int | None
    work: int
    value: float | None = None
    seconds: float | None = None
    overhead: float | None = None

    @property
    def is_complete(self) -> bool:
        """Whether it was tried on all rows and has a value."""
        return self.rows is None and self.value is not None


@dataclass(frozen=True)
class CostModel:
    """Expects what a trial takes from trials that are like it.

    Args:
        attempts: so far.
        start_seconds: from the start of the command to the first trial.
    """

    attempts: Sequence[Attempt]
    start_seconds: float

    def predict_trial(self, name: str, features: str, model: str | None, work: int) -> float:
        """Return the seconds that a trial is expected to take, with a margin.

        The first trial of a worker waits for its imports.
        """
        known = [a.overhead for a in self.attempts if a.overhead is not None]
        overhead = statistics.median(known) if known else WORKER_PER_START * self.start_seconds
        return overhead + self.predict_fits(name, features, model, work)

    def predict_fits(self, name: str, features: str, model: str | None, work: int) -> float:
        """Return the seconds that the fits of a trial are expected to take, with a margin."""
        measured = [a for a in self.attempts if a.seconds is not None]
        alike = (
            [a for a in measured if a.name == name],
            [a for a in measured if (a.features, a.model) == (features, model)],
            [a for a in measured if a.model == model],
            measured,
        )
        for group in alike:
            if group:
                # Of few rows, a larger share is what does not depend on the rows.
                most = max(a.work for a in group)
                rates = [(a.seconds or 0.0) / a.work for a in group if a.work == most]
                return MARGIN * work * max(rates)
        return 0.0

    def predict_end(self, name: str, features: str, model: str | None, work: int) -> float:
        """Return the seconds that a winner's run and the board are expected to take.

        Args:
            name: of the winner.
            features: name of what it makes of the texts.
            model: option of its model.
            work: rows that one of its fits sees.
        """
        fit = self.predict_fits(name, features, model, work)
        return END_PER_START * self.start_seconds + FITS_OF_WINNER * fit
