"""A worker of a search: a job that runs trials of the study until there are no more."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import optuna
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig
from optuna.trial import TrialState

from tagifai.config.job import SearchTrial, get_job
from tagifai.config.schema import Config
from tagifai.console import logs
from tagifai.exceptions import StaleTrialError
from tagifai.sweeping import composition, samplers, storage, studies
from tagifai.sweeping._optuna import get_trial_id
from tagifai.sweeping.auto.search import ROWS, BudgetSearch
from tagifai.sweeping.settings import SearchSettings
from tagifai.sweeping.spaces.space import SearchSpace
from tagifai.sweeping.studies import ERROR, Study, has_died
from tagifai.sweeping.workers import outcomes
from tagifai.sweeping.workers.heartbeats import TrialHeartbeat
from tagifai.sweeping.workers.outcomes import Outcome
from tagifai.sweeping.workers.source import IDLE_SECONDS, TakenTrial, TrialSource
from tagifai.sweeping.workers.trials import OpenTrial
from tagifai.training.trial import RESULT, use_trial
from tagifai.utils import signals

DONE = "done"
"""What a worker returns when there are no more trials for any worker."""


@dataclass
class Worker:
    """Runs trials in a job of Hydra's; it is sent to wherever the launcher has its processes.

    Args:
        function: what a trial's job calls with its configuration.
        context: of Hydra.
        cfg: that trials are composed from.
        config: that all trials share.
        settings: of the sweeper.
        space: of the search.
        name: of the study.
        study: that trials come from; where the worker is sent to, it is opened by its name.
        n_trials: of the study.
        session: name of the command's workers.
        budget: chooses the trials of a search with a time budget; None leaves it to the sampler.
        deadline: Unix time after which no trial begins, or None.
        notify: called in this process after each trial.
    """

    function: TaskFunction
    context: HydraContext
    cfg: DictConfig
    config: Config
    settings: SearchSettings
    space: SearchSpace
    name: str
    study: Study
    n_trials: int
    session: str
    budget: BudgetSearch | None = None
    deadline: float | None = None
    notify: Callable[[], object] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Return what is sent; the study is opened where it arrives."""
        own = ("study", "notify", "_source", "_composer", "_heartbeat")
        return {name: value for name, value in vars(self).items() if name not in own}

    def __call__(self, _: DictConfig) -> str:
        """Run trials; return `DONE`, or why this worker ends before the search, or nothing."""
        try:
            with signals.guard_job(), storage.silence_optuna():
                signals.ignore_time_limit()
                return self._open_and_work()
        except KeyboardInterrupt:
            if not signals.is_worker():
                raise
            # Hydra ties what escapes a job to the job's return, in a circle that takes for ever to
            # send home.
            return outcomes.INTERRUPTED
        except storage.STORAGE_ERRORS as error:
            return f"The database of studies failed: {storage.describe(error)}."
        finally:
            folder = get_job().output_dir
            with suppress(OSError):  # there is a log in it, or it is not of this machine
                folder.rmdir()
            if not signals.is_worker():
                logs.move(folder.parent.parent)  # what is left to say is of the search

    def _open_and_work(self) -> str:
        if not hasattr(self, "study"):
            self.study = studies.open_study(
                self.settings.storage,
                self.name,
                self.config.objective.directions,
                pruner=samplers.make_pruner(self.settings.pruner),
            )
        self._source = TrialSource(self, self.study)
        self._composer = composition.TrialComposer(self.context.config_loader, self.cfg)
        self._heartbeat = TrialHeartbeat(self.study.storage)
        most = self.config.sweep.trials_per_worker
        with self._heartbeat.open():
            while most is None or most > 0:
                taken = storage.call_patiently(self._source.take)
                if not isinstance(taken, TakenTrial):
                    return DONE if taken else ""
                reason = self._run_trial(taken)
                if reason:
                    return reason
                most = None if most is None else most - 1
                if self.notify is not None:
                    self.notify()
        return ""

    def _run_trial(self, taken: TakenTrial) -> str:
        """Run a trial and tell how it ended; return why this worker is to end, or nothing."""
        trial = taken.trial
        with self._heartbeat.watch(get_trial_id(trial)):
            if storage.call_patiently(lambda: self._has_twins_end(taken)):
                return ""
            handle = OpenTrial(trial, self._heartbeat)
            with use_trial(handle):
                outcome = self._run_job(taken)
            if outcome.is_dead:
                storage.call_patiently(
                    lambda: self.study.abandon(get_trial_id(trial), outcome.reason)
                )
                interrupted = signals.find_interrupt() is not None or not self._heartbeat.has_ended
                return outcome.reason if interrupted else ""
            state, values = outcome.state, outcome.values
            if state is TrialState.FAIL and "run_id" not in handle.notes:
                handle.note(run_id=outcomes.record_failure(self, trial, outcome.reason))
            if outcome.reason:
                handle.note(**{ERROR: outcome.reason})
            if self.budget is not None and values is not None:
                handle.note(**{RESULT: values})
            if state is TrialState.COMPLETE and trial.user_attrs.get(ROWS) is not None:
                state, values = TrialState.PRUNED, None
            storage.call_patiently(lambda: self._source.tell(trial, state, values, handle.notes))
        return ""

    def _has_twins_end(self, taken: TakenTrial) -> bool:
        """Wait for the end of an equal trial, if there is one; return whether it was taken over."""
        twin = taken.twin
        while twin is not None and self._source.may_go_on() and not self._heartbeat.has_ended:
            self.study.end_stale_trials()
            trials = self.study.list_trials()
            found = trials[twin.number]
            if has_died(found):
                # Of several that have waited for it the first one is trained.
                twin = self._source.find_twin(trials[taken.trial.number], trials)
            elif found.state.is_finished():
                self._source.copy_end(taken.trial, found)
                return True
            else:
                time.sleep(IDLE_SECONDS)
        if twin is None:
            return False
        self.study.abandon(get_trial_id(taken.trial), "Its worker was stopped.")
        return True

    def _run_job(self, taken: TakenTrial) -> Outcome:
        trial = SearchTrial(taken.trial.number, self.name)
        try:
            with self._composer.open_job(trial, taken.overrides) as cfg:
                returned = self.function(cfg)
        except StaleTrialError:
            return Outcome(TrialState.FAIL, reason=outcomes.INTERRUPTED, is_dead=True)
        except optuna.TrialPruned:
            return Outcome(TrialState.PRUNED)
        except Exception as error:
            return outcomes.judge_error(error)
        return outcomes.judge(returned, len(self.config.objective.metrics))
