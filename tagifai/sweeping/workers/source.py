"""The source of a search's trials: it hands out no more than there are to be, and none twice."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

from optuna.trial import FrozenTrial, Trial, TrialState

from tagifai.sweeping import composition, samplers, storage, studies
from tagifai.sweeping.limits import constraints, stopping
from tagifai.sweeping.samplers import SEED_INDEX
from tagifai.sweeping.studies import ERROR, FIRST, SAME_AS, WORKER, Study, has_died
from tagifai.sweeping.workers import outcomes

if TYPE_CHECKING:
    from tagifai.sweeping.workers.worker import Worker

IDLE_SECONDS = 0.5
"""Seconds until a worker without a trial looks at the study again."""

LIMIT_MARGIN = 1.2
"""Of the longest trial so far, which has to fit into what a cluster's job has left."""


FRESH = 0.95
"""Share of a job's time that is left to a worker that has just begun."""


@dataclass(frozen=True)
class TakenTrial:
    """A trial that a worker has taken.

    Args:
        trial: Optuna's.
        overrides: of its job.
        twin: an equal trial that is under way, or None.
    """

    trial: Trial
    overrides: list[str]
    twin: FrozenTrial | None


class TrialSource:
    """Hands out the trials of a study, under the lock that all its workers share.

    Args:
        worker: that the trials are for, with the search's settings.
        study: that the trials are of.
    """

    def __init__(self, worker: Worker, study: Study) -> None:
        self._worker = worker
        self._study = study
        self._began = time.time()
        self._names: dict[int, str] = {}
        settings, config = worker.settings, worker.config
        self._make_sampler = samplers.make_sampler(settings.sampler, config.seed, worker.space)
        # By which it is known whether the points of dead trials have to be tried again.
        study.optuna.sampler = self._make_sampler(0)
        self._extend = composition.load_space_extension(settings.custom_search_space)
        countable = worker.budget is None and self._extend is None
        self._n_configurations = worker.space.count_configurations() if countable else None

    def take(self) -> TakenTrial | bool:
        """Return a trial, or whether the search has ended where there is none for this worker."""
        study, budget = self._study, self._worker.budget
        while self.may_go_on():
            with study.hold_lock():
                study.end_stale_trials()
                trials = [t for t in study.list_trials() if t.state is not TrialState.WAITING]
                if self.find_end(trials):
                    return True
                counts = studies.count_trials(trials)
                more = counts.finished + counts.running < self._worker.n_trials
                if more and not self._are_all_tried(trials):
                    if budget is None or budget.add_next(study):
                        taken = self._ask(trials)
                        if taken is not None:
                            return taken
                        continue
                    if not counts.running:
                        return True
            time.sleep(IDLE_SECONDS)
        return False

    def may_go_on(self) -> bool:
        """Return whether the worker is neither stopped nor out of the time that its job has."""
        if self._study.is_stopped(self._worker.session):
            return False
        minutes = self._worker.cfg.hydra.launcher.get("timeout_min")
        if minutes is None or "SUBMITIT_EXECUTOR" not in os.environ:
            return True
        ended = self._study.list_trials(TrialState.COMPLETE, TrialState.PRUNED)
        trained = [t for t in ended if t.duration and SAME_AS not in t.user_attrs]
        took = max((t.duration.total_seconds() for t in trained if t.duration), default=0.0)
        limit = 60 * float(minutes)
        # What has fitted into a whole job fits into one that has just begun.
        return time.time() - self._began + min(LIMIT_MARGIN * took, FRESH * limit) < limit

    def find_end(self, trials: Sequence[FrozenTrial]) -> str:
        """Return why no further trial is taken, or an empty text.

        Args:
            trials: of the study.
        """
        worker, counts = self._worker, studies.count_trials(trials)
        if counts.finished >= worker.n_trials:
            return "all trials are done"
        if counts.failed > worker.settings.max_failure_rate * worker.n_trials:
            return "too many trials failed"
        if worker.deadline is not None and time.time() >= worker.deadline:
            return "the time is up"
        direction = worker.config.objective.directions[0]
        if worker.config.sweep.stop is not None and stopping.has_stagnated(
            trials, direction, constraints.is_feasible
        ):
            return "the best has not improved for long"
        if self._are_all_tried([t for t in trials if t.state.is_finished()]):
            return f"all {self._n_configurations} configurations of the space have been tried"
        return ""

    def _are_all_tried(self, trials: Sequence[FrozenTrial]) -> bool:
        if self._n_configurations is None:
            return False
        tried = {self.identify(t) for t in trials if not has_died(t)}
        return len(tried) >= self._n_configurations

    def identify(self, trial: FrozenTrial) -> str:
        """Return the name of a trial's configuration, by which equal ones are known."""
        if trial.number not in self._names:
            try:
                overrides = self._list_overrides(trial)
            except KeyError:  # its worker died before all values were chosen
                return f"trial {trial.number}"
            self._names[trial.number] = self._worker.space.identify(overrides)
        return self._names[trial.number]

    def find_twin(self, trial: FrozenTrial, trials: Sequence[FrozenTrial]) -> FrozenTrial | None:
        """Return the first earlier trial with the configuration of a trial, or None."""
        name = self.identify(trial)
        earlier = (t for t in trials[: trial.number] if not has_died(t))
        return next((t for t in earlier if self.identify(t) == name), None)

    def _list_overrides(self, trial: Trial | FrozenTrial) -> list[str]:
        budget = self._worker.budget
        more = [] if budget is None else budget.list_overrides(trial)
        return [*self._worker.space.make_overrides(trial.params), *more]

    def _ask(self, trials: Sequence[FrozenTrial]) -> TakenTrial | None:
        """Ask for a trial and its values; None if it has ended by that.

        Equal values are never trained twice: a trial gets the end of the earlier one.
        """
        # A trial that replaces a dead one gets its sampler, and so its values.
        living = [t for t in trials if not has_died(t)]
        held = {t.user_attrs.get(SEED_INDEX) for t in living}
        turn = next(number for number in count() if number not in held)
        tried = {t.user_attrs.get(FIRST) for t in living} | {None}
        lost = next((t for t in trials if t.user_attrs.get(FIRST) not in tried), None)
        self._study.optuna.sampler = self._make_sampler(turn)
        where = f"{self._worker.session} {socket.gethostname()}:{os.getpid()}"
        trial = self._study.ask({SEED_INDEX: turn, WORKER: where}, lost)
        try:
            self._worker.space.suggest_overrides(trial)
            if self._extend is not None:
                self._extend(self._worker.cfg, trial)
            overrides = self._list_overrides(trial)
            name = self._worker.space.identify(overrides)
            twins = [t for t in living if self.identify(t) == name]
        except storage.STORAGE_ERRORS:
            raise  # of which the trial is not to blame; it dies, and another takes its place
        except Exception as error:
            self.tell(trial, TrialState.FAIL, None, {ERROR: outcomes.format_error(error)})
            return None
        if twins and twins[0].state.is_finished():
            self.copy_end(trial, twins[0])
            return None
        return TakenTrial(trial, overrides, next(iter(twins), None))

    def tell(
        self,
        trial: Trial,
        state: TrialState,
        values: Sequence[float] | None,
        notes: Mapping[str, Any],
    ) -> None:
        """Record how a trial ended; arguments as of `Study.tell`."""
        if state is TrialState.COMPLETE:
            constraints.record_violations(trial, notes, self._worker.config.objective.constraints)
        self._study.tell(trial, state, values, notes)

    def copy_end(self, trial: Trial, twin: FrozenTrial) -> None:
        """Record that a trial ended as an equal one did, and was not trained.

        Args:
            trial: that ends.
            twin: that has ended.
        """
        if twin.state is TrialState.PRUNED and twin.last_step is not None:
            trial.report(twin.intermediate_values[twin.last_step], twin.last_step)
        own = (SEED_INDEX, WORKER, FIRST, SAME_AS)
        notes = {key: value for key, value in twin.user_attrs.items() if key not in own}
        notes[SAME_AS] = twin.user_attrs.get(SAME_AS, twin.number)
        values = twin.values if twin.state is TrialState.COMPLETE else None
        self.tell(trial, twin.state, values, notes)
