"""A study's trials within a time budget."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from optuna.study import StudyDirection
from optuna.trial import BaseTrial, FrozenTrial, TrialState

from tagifai.exceptions import ConfigError
from tagifai.sweeping.auto.costs import WORKER_PER_START, Attempt, CostModel
from tagifai.sweeping.auto.points import PointSpace
from tagifai.sweeping.auto.schedule import Proposal, Schedule
from tagifai.sweeping.studies import Study, has_died
from tagifai.training.trial import RESULT, SECONDS
from tagifai.utils import program

if TYPE_CHECKING:
    from tagifai.sweeping.auto.fidelity import Fidelity

POINT, ROWS = "point", "rows"
"""Attributes of a trial: its values by name, and the train rows of its sample, or None."""

GRACE_SECONDS = 1.0
"""Seconds after which a trial that takes longer than expected is ended."""


class BudgetSearch:
    """Asks for the trials of a study, as long as there is time.

    Args:
        budget: seconds from the start of the command.
        points: of the search.
        fidelity: of its trials.
        n_workers: trials at a time.
    """

    def __init__(
        self, budget: float, points: PointSpace, fidelity: Fidelity, n_workers: int
    ) -> None:
        self.budget = budget
        self.points = points
        self.fidelity = fidelity
        self._schedule = Schedule(points, fidelity, budget, n_workers)
        # By the clock that workers of other processes have, too.
        self._began = time.time() - (time.monotonic() - program.get_start_time())
        self._asked_first: float | None = None
        self._named: dict[int, tuple[str, str, str | None]] = {}

    @property
    def used(self) -> float:
        """Seconds since the start of the command."""
        return time.time() - self._began

    def add_next(self, study: Study) -> bool:
        """Have the study ask for the next configuration; return whether there is one.

        Args:
            study: of the search.
        """
        proposal = self.choose_next(self.list_attempts(study))
        if proposal is None:
            return False
        attributes = {POINT: dict(proposal.point), ROWS: proposal.rows}
        study.optuna.enqueue_trial(dict(proposal.point), user_attrs=attributes)
        return True

    def begin(self) -> None:
        """Note that workers begin now, whose own start is no part of the command's."""
        self._asked_first = self.used

    def choose_next(self, attempts: Sequence[Attempt]) -> Proposal | None:
        """Return what fits into the time that is left, or None."""
        if self._asked_first is None:
            self._asked_first = self.used
        costs = self._make_costs(attempts)
        return self._schedule.choose_next(attempts, costs, self.budget - self.used)

    def choose_winner(self, attempts: Sequence[Attempt]) -> tuple[Attempt, int | None] | None:
        """Return the best attempt that is not too slow, and the rows that its run is fitted to.

        Args:
            attempts: so far.

        Returns:
            Rows are None for all, or as many as there is time for, and at least those of a sample
            that it was tried on.
        """
        costs = self._make_costs(attempts)
        best = self._schedule.choose_winner(attempts, costs)
        if best is None:
            return None
        if best.rows is None or self._schedule.is_fast(best, costs):
            return best, None
        fixed, left = costs.predict_end("", "", None, 0), self.budget - self.used
        fits = self._schedule.predict_end(best, costs, None) - fixed
        rows = int(self.fidelity.train_rows * (left - fixed) / fits)
        return best, None if rows >= self.fidelity.train_rows else max(best.rows, rows)

    def predict_end(self, attempts: Sequence[Attempt]) -> float:
        """Return the seconds that the winner's run and the board are expected to take."""
        return self._schedule.predict_reserve(attempts, self._make_costs(attempts))

    def is_overdue(self, study: Study) -> bool:
        """Return whether trials are under way that have taken longer than expected."""
        late = self.used + self.predict_end(self.list_attempts(study)) - self.budget
        return late > GRACE_SECONDS

    def _make_costs(self, attempts: Sequence[Attempt]) -> CostModel:
        return CostModel(attempts, self._asked_first or self.used)

    def list_overrides(self, trial: BaseTrial) -> list[str]:
        """Return the overrides of a trial beside its parameters."""
        return self.fidelity.list_overrides(trial.user_attrs.get(ROWS))

    def list_attempts(self, study: Study) -> list[Attempt]:
        """Return the trials of a study that count, as attempts."""
        maximize = study.optuna.direction is StudyDirection.MAXIMIZE
        sign = 1 if maximize else -1
        return [
            self._make_attempt(trial, sign)
            for trial in study.list_trials()
            if POINT in trial.user_attrs
            and not has_died(trial)
            and trial.state is not TrialState.WAITING
        ]

    def _make_attempt(self, trial: FrozenTrial, sign: int) -> Attempt:
        told: Mapping[str, Any] = trial.user_attrs
        point, rows, seconds = told[POINT], told[ROWS], told.get(SECONDS)
        result = told.get(RESULT) if trial.state.is_finished() else None
        whole = trial.duration.total_seconds() if trial.duration is not None else None
        if trial.number not in self._named:
            described = self.points.describe_features(point)
            self._named[trial.number] = (self.points.identify(point), *described)
        name, features, model = self._named[trial.number]
        return Attempt(
            number=trial.number,
            point=point,
            name=name,
            features=features,
            model=model,
            rows=rows,
            work=self.fidelity.get_work(rows),
            value=sign * float(result[0]) if isinstance(result, list) else None,
            seconds=seconds,
            overhead=max(0.0, whole - seconds) if whole is not None and seconds else None,
        )

    def list_untried(self, attempts: Sequence[Attempt]) -> list[str]:
        """Return what there was no time to try on all rows, as texts."""
        whole = {a.name for a in attempts if a.rows is None}
        sampled = {a.name: a for a in attempts if a.rows is not None and a.value is not None}
        left = []
        for start in self.points.starts:
            name = self.points.identify(start)
            if name not in whole:
                rows = f" (only on {sampled[name].rows} rows)" if name in sampled else ""
                left.append(f"{self.points.describe(start)}{rows}")
        found = self.choose_winner(attempts)
        if found is not None:
            beside = map(self.points.identify, self.points.list_neighbours(found[0].point))
            missing = len(set(beside) - whole)
            if missing:
                left.append(f"{missing} neighbours of the best")
        return left

    def refuse_if_too_short(self, attempts: Sequence[Attempt]) -> None:
        """Refuse a budget in which no configuration could be tried.

        Raises:
            ConfigError: with the seconds that are needed.
        """
        if any(a.value is not None for a in attempts):
            return
        first, end = self._asked_first or self.used, self.predict_end(attempts)
        # More than what was refused, whatever the estimates say.
        needed = max(1.2 * ((1 + WORKER_PER_START) * first + end), self.budget + 1)
        raise ConfigError(
            f"sweep.budget = {self.budget:g} seconds is too short: the first trial could begin"
            f" after {first:.0f}, and the winner and the board take about {end:.0f}. Give it at"
            f" least {5 * -(-needed // 5):.0f}, or train the default at once, without"
            " sweep=auto."
        )
