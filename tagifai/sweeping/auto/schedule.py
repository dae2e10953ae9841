"""What a search with a budget tries next: successive halving of the starts, then neighbours.

Successive halving (K. Jamieson and A. Talwalkar, 2016): all starts on a sample of the rows, the
better ones on all rows. Then whatever lies beside the best configuration, in one parameter each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tagifai.sweeping.auto.costs import Attempt, CostModel
from tagifai.sweeping.auto.points import Point, PointSpace

if TYPE_CHECKING:
    from tagifai.sweeping.auto.fidelity import Fidelity

SURVIVORS = 2
"""Of so many starts that were tried on a sample, one is tried on all rows at least."""

SHARE_OF_STARTS = 0.3
"""Share of the time that all workers have which may go to the starts on all rows."""

SHARE_OF_END = 0.5
"""Share of the budget that the winner's run and the board may take; slower ones do not win."""

SHARE_OF_SAMPLES = 0.4
"""Share of the budget after which the best of the samples is tried on all rows before others."""

CENTRES = 8
"""Best configurations whose neighbours are tried."""

REFERENCE_MODEL = "sgd"
"""The model that the board has beside the winner."""


@dataclass(frozen=True)
class Proposal:
    """A configuration to try.

    Args:
        point: the configuration.
        rows: train rows of a sample; None are all rows.
    """

    point: Point
    rows: int | None


class Schedule:
    """Chooses what is tried next.

    Args:
        points: of the search.
        fidelity: how thoroughly they are tried.
        budget: seconds of wall clock for everything.
        n_workers: trials at a time.
    """

    def __init__(
        self, points: PointSpace, fidelity: Fidelity, budget: float, n_workers: int
    ) -> None:
        self._points = points
        self._fidelity = fidelity
        self._most_for_starts = SHARE_OF_STARTS * budget * n_workers
        self._most_for_end = SHARE_OF_END * budget
        self._left_for_others = (1 - SHARE_OF_SAMPLES) * budget

    def choose_next(
        self, attempts: Sequence[Attempt], costs: CostModel, left: float
    ) -> Proposal | None:
        """Return what to try next, or None if nothing is left that fits.

        Args:
            attempts: so far, those under way too.
            costs: of trials.
            left: seconds for trials, for the winner's run and for the board.
        """
        tried = {(a.name, a.rows) for a in attempts}
        end = self.predict_reserve(attempts, costs)
        is_late = left < self._left_for_others
        for wish in self._iterate_wishes(attempts, costs, is_late=is_late):
            if (self._points.identify(wish.point), wish.rows) in tried:
                continue
            own = self._predict_own_end(wish, costs)
            fits = self.predict_seconds(wish, costs) + max(end, own) <= left
            if fits and own <= self._most_for_end:
                return wish
        return None

    def choose_winner(self, attempts: Sequence[Attempt], costs: CostModel) -> Attempt | None:
        """Return the best attempt of those whose run on all rows is not too slow; else the best.

        Args:
            attempts: so far; those on a sample count where there are no others.
            costs: of trials.
        """
        complete = list_best([a for a in attempts if a.is_complete])
        ranked = complete or list_best(attempts)
        fast = [a for a in ranked if self.is_fast(a, costs)]
        return next(iter(fast or ranked), None)

    def is_fast(self, attempt: Attempt, costs: CostModel) -> bool:
        """Return whether a run of an attempt on all rows is not too slow."""
        return self.predict_end(attempt, costs, None) <= self._most_for_end

    def predict_reserve(self, attempts: Sequence[Attempt], costs: CostModel) -> float:
        """Return the seconds that the winner's run and the board are expected to take so far."""
        best = self.choose_winner(attempts, costs)
        if best is None:
            return costs.predict_end("", "", None, 0)
        return self.predict_end(best, costs, None if self.is_fast(best, costs) else best.rows)

    def predict_end(self, attempt: Attempt, costs: CostModel, rows: int | None) -> float:
        """Return the seconds of the end if an attempt has won and is fitted to so many rows."""
        work = self._fidelity.train_rows if rows is None else rows
        return costs.predict_end(attempt.name, attempt.features, attempt.model, work)

    def _predict_own_end(self, wish: Proposal, costs: CostModel) -> float:
        """Return the seconds of the end if a wish wins; a sample shows first what it would be."""
        if wish.rows is not None:
            return 0.0
        features, model = self._points.describe_features(wish.point)
        name = self._points.identify(wish.point)
        return costs.predict_end(name, features, model, self._fidelity.train_rows)

    def predict_seconds(self, wish: Proposal, costs: CostModel) -> float:
        """Return the seconds that a trial is expected to take."""
        point, work = wish.point, self._fidelity.get_work(wish.rows)
        features, model = self._points.describe_features(point)
        return costs.predict_trial(self._points.identify(point), features, model, work)

    def _iterate_wishes(
        self, attempts: Sequence[Attempt], costs: CostModel, *, is_late: bool
    ) -> Iterator[Proposal]:
        """Yield what would be tried with time enough, the most promising first."""
        sample = self._fidelity.sample_rows
        first = [] if sample is None else [Proposal(start, sample) for start in self._points.starts]
        promoted, others = self._halve(attempts, costs)
        then = [Proposal(start, None) for start in promoted]
        yield from [*then, *first] if is_late else [*first, *then]
        complete = list_best([a for a in attempts if a.is_complete])
        for place, centre in enumerate(complete[:CENTRES]):
            if place == 1:
                yield from (Proposal(start, None) for start in others)
            if place == 0:
                twin = self._points.make_twin(centre.point, REFERENCE_MODEL)
                yield from [Proposal(twin, None)] if twin is not None else []
            for neighbour in self._points.list_neighbours(centre.point):
                yield Proposal(neighbour, None)
        yield from (Proposal(start, None) for start in others)

    def _halve(
        self, attempts: Sequence[Attempt], costs: CostModel
    ) -> tuple[list[Point], list[Point]]:
        """Return the starts that are tried on all rows next, the best first, and the others."""
        starts = {self._points.identify(start): start for start in self._points.starts}
        if self._fidelity.sample_rows is None:
            return list(starts.values()), []
        sampled = [a for a in attempts if a.rows is not None and a.name in starts]
        names = [a.name for a in list_best(sampled)]
        least = -(-len(names) // SURVIVORS)
        promoted: list[Point] = []
        seconds = 0.0
        for name in names:
            seconds += self.predict_seconds(Proposal(starts[name], None), costs)
            fits = seconds <= self._most_for_starts
            if len(promoted) >= least and not fits:
                break
            promoted.append(starts[name])
        # Those without a result on the sample fail on all rows too, or will have one.
        return promoted, [starts[name] for name in names[len(promoted) :]]


def list_best(attempts: Sequence[Attempt]) -> list[Attempt]:
    """Return the attempts that have a value, the best first; of equal ones the earliest."""
    valued = [a for a in attempts if a.value is not None]
    return sorted(valued, key=lambda a: (-(a.value or 0.0), a.number))
