"""The loop of a search: ask the study for a trial, launch its job, and record its result.

Each worker is a thread that launches one job at a time, so none waits for another. Processes that
work on one study share nothing but the study.
"""

from __future__ import annotations

import logging
import math
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from typing import Any

import optuna
from hydra.core.utils import JobReturn, JobStatus
from optuna.trial import Trial, TrialState

from tagifai.console.progress import SearchProgress
from tagifai.exceptions import StaleTrialError, UserError
from tagifai.sweeping import composition, launchers, report, results
from tagifai.sweeping._hydra import get_return_value
from tagifai.sweeping._optuna import get_trial_id
from tagifai.sweeping.auto import winner
from tagifai.sweeping.plan import SearchPlan, prepare_search
from tagifai.sweeping.settings import SweeperPlugin
from tagifai.sweeping.studies import Study, has_died
from tagifai.sweeping.workers import interruption, joblib_pool
from tagifai.training.trial import PRUNED, RESULT, STALE
from tagifai.utils import signals
from tagifai.utils.system import errors

IDLE_POLL_SECONDS = 1.0
"""Seconds after which a worker without a trial checks whether a trial of another has died."""

JOB_POLL_SECONDS = 3.0
"""Seconds between two checks whether the trial of a launched job is still alive."""

DEATHS_IN_A_ROW = 5
"""Workers that die one after another, with no trial ending in between, until the search ends."""

REMOTE_DEATHS = ("UncompletedJobError", "WorkerCrashedError", "NodeDiedError", "OutOfMemoryError")
"""Errors that launchers of clusters raise for a job whose process is gone."""

TRACE = "failed during processing with trace:"
"""Text that submitit writes above the traceback of a job that failed."""

log = logging.getLogger(__name__)


class SearchFailedError(UserError):
    """Too many trials failed."""

    exit_code = 1


@dataclass(frozen=True)
class _JobOutcome:
    """How a job ended."""

    state: TrialState | None
    values: list[float] | None = None
    reason: str = ""
    dead: bool = False


class SearchLoop:
    """The workers of a search in this process.

    Args:
        plan: of the search.
        launcher: runs one job for each call.
    """

    def __init__(self, plan: SearchPlan, launcher: launchers.JobLauncher) -> None:
        self._plan = plan
        self._study: Study = plan.study
        self._launcher = launcher
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._deaths_in_a_row = 0
        self._show: Callable[[SearchProgress], None] = lambda state: None
        self._began = time.monotonic()
        self._ended_here = 0
        self._workers = interruption.Workers(launcher)

    def run(self) -> None:
        """Run trials until the study is full, time is up, or too many trials have failed."""
        with (
            self._study.heartbeat,
            self._plan.display.show_trial_progress(self._count_shown()) as self._show,
        ):
            self._show_state("")
            try:
                self._work_all()
            except KeyboardInterrupt:
                self._interrupt_jobs("Interrupted with its search.")
                raise
            finally:
                self._stop.set()
        if self._error is not None:
            self._study.abandon_own_trials("Its search ended with an error.")
            raise self._error

    def _count_shown(self) -> int | None:
        """Return how many trials there will be; None where time decides."""
        return self._plan.n_trials if self._plan.budget is None else None

    def check_failures(self) -> None:
        """Raise an error if more trials have failed than allowed."""
        tally = self._study.count_trials()
        failed, allowed = tally.failed, self._plan.max_failure_rate * self._plan.n_trials
        if failed and (failed > allowed or failed == tally.finished):
            found = results.summarize_study(self._study, self._plan.metrics)
            raise SearchFailedError(
                f"{failed} of {tally.finished} trials of {self._study.name!r} failed; the first"
                f" reason: {next(iter(found.failures))}"
            )

    # --- workers -----------------------------------------------------------------------------

    def _work_all(self) -> None:
        if self._plan.n_workers == 1:
            self._work()
            return
        threads = [
            threading.Thread(target=self._work, name=f"worker-{n}", daemon=True)
            for n in range(self._plan.n_workers)
        ]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            # A join without a timeout would not be interrupted by a signal.
            for thread in threads:
                thread.join(timeout=0.2)
            if not self._stop.is_set() and self._plan.is_overdue():
                self._interrupt_jobs("There was no time left for it.")

    def _work(self) -> None:
        try:
            while (trial := self._next_trial()) is not None:
                if self._stop.is_set():
                    return  # asked for as the search was interrupted, and abandoned since
                self._show_state("")
                self._end_trial(trial, self._launch_and_wait(trial))
        except Exception as error:
            with self._changed:
                self._error = self._error or error
                self._stop.set()
                self._changed.notify_all()

    def _next_trial(self) -> Trial | None:
        """Return the next trial; None if none is left, also after waiting for those of others."""
        with self._changed:
            while not self._stop.is_set() and not self._time_is_up():
                self._study.end_stale_trials()
                tally = self._study.count_trials()
                if tally.finished >= self._plan.n_trials or self._too_many_failed():
                    return None
                more = tally.finished + tally.running < self._plan.n_trials
                if more and self._plan.choose_trial():
                    trial = self._study.ask(self._plan.n_trials)
                    if trial is not None:
                        return trial
                elif more and not tally.running:
                    return None
                self._changed.wait(IDLE_POLL_SECONDS)
        return None

    def _time_is_up(self) -> bool:
        timeout = self._plan.timeout
        return timeout is not None and time.monotonic() - self._began >= timeout

    def _too_many_failed(self) -> bool:
        return self._study.count_trials().failed > self._plan.max_failure_rate * self._plan.n_trials

    # --- one trial ---------------------------------------------------------------------------

    def _launch_and_wait(self, trial: Trial) -> _JobOutcome:
        """Launch a trial's job, and return how it ended.

        Not every launcher notices that a job was killed or requeued, so the trial is checked, too.
        """
        with self._lock:
            overrides = self._plan.suggest_overrides(trial)
        if composition.is_serial(self._plan.cfg):
            return self._launch(trial, overrides)
        outcomes: queue.SimpleQueue[_JobOutcome] = queue.SimpleQueue()
        threading.Thread(
            target=lambda: outcomes.put(self._launch_safely(trial, overrides)),
            name=f"job-{trial.number}",
            daemon=True,
        ).start()
        while True:
            try:
                return outcomes.get(timeout=JOB_POLL_SECONDS)
            except queue.Empty:
                with self._lock:
                    self._study.end_stale_trials()
                    if self._study.has_ended(trial):
                        # The study has recorded its death, or the result that its job left.
                        return _JobOutcome(None)

    def _launch_safely(self, trial: Trial, overrides: list[str]) -> _JobOutcome:
        try:
            # Processes started here inherit it: Ctrl-C is handled by this process, which ends them.
            with signals.keep_from_children():
                return self._launch(trial, overrides)
        except Exception as error:
            # An error that ends this thread would leave its waiter waiting for ever.
            return _JobOutcome(TrialState.FAIL, reason=_format_error(error))

    def _launch(self, trial: Trial, overrides: list[str]) -> _JobOutcome:
        try:
            returned = self._launcher.launch([overrides], initial_job_idx=trial.number)[0]
        except Exception as error:
            if _is_death(error):
                reason = f"Its worker died: {_format_error(error)}"
                return _JobOutcome(None, reason=reason, dead=True)
            if errors.is_full(error):
                return _JobOutcome(None, reason=_format_error(error), dead=True)
            return _JobOutcome(TrialState.FAIL, reason=_format_error(error))
        except BaseException as error:
            if threading.current_thread() is threading.main_thread():
                raise
            # Only the job was interrupted, not this process.
            return _JobOutcome(None, reason=f"Interrupted ({type(error).__name__}).", dead=True)
        return _judge(returned, len(self._plan.metrics))

    def _end_trial(self, trial: Trial, outcome: _JobOutcome) -> None:
        with self._changed:
            if outcome.dead:
                self._study.abandon(get_trial_id(trial), outcome.reason)
                self._deaths_in_a_row += 1
                if self._deaths_in_a_row >= DEATHS_IN_A_ROW and not self._stop.is_set():
                    raise SearchFailedError(
                        f"{DEATHS_IN_A_ROW} workers died one after another; the last one:"
                        f" {outcome.reason}{_advise(outcome.reason)}"
                    )
            elif outcome.state is not None:
                self._deaths_in_a_row = 0
                state, values = outcome.state, outcome.values
                if state is TrialState.COMPLETE and self._plan.is_on_sample(trial):
                    state, values = TrialState.PRUNED, None
                self._study.tell(trial, state, values, outcome.reason)
                self._ended_here += 1
            if outcome.reason and outcome.state is TrialState.FAIL:
                self._plan.record_failure(trial.number, outcome.reason)
            self._show_state(self._describe_end(trial))
            self._changed.notify_all()

    def _describe_end(self, trial: Trial) -> str:
        record = self._study.list_trials()[trial.number]
        if has_died(record):
            return f"Trial {trial.number} died"
        told = record.user_attrs.get(RESULT)
        if self._plan.is_on_sample(record) and isinstance(told, list):
            return f"Trial {trial.number} on a sample {', '.join(self._plan.format_values(told))}"
        values = ", ".join(self._plan.format_values(record.values or []))
        shown = f" {values}" if record.state is TrialState.COMPLETE else ""
        state = {TrialState.FAIL: "failed"}.get(record.state, record.state.name.lower())
        return f"Trial {trial.number} {state}{shown}"

    def _show_state(self, event: str) -> None:
        with self._lock:
            tally = self._study.count_trials()
            passed = time.monotonic() - self._began
            self._show(
                SearchProgress(
                    done=tally.finished,
                    running=tally.running,
                    pruned=tally.pruned,
                    failed=tally.failed,
                    best=self._plan.describe_best(),
                    event=event,
                    seconds_per_trial=passed / self._ended_here if self._ended_here else None,
                )
            )

    # --- an interrupt --------------------------------------------------------------------------

    def _interrupt_jobs(self, reason: str) -> None:
        """Interrupt the jobs so that they close their runs, and record their trials as dead."""
        self._stop.set()
        with self._changed:  # not while a worker asks, because its trial would not be abandoned
            # All jobs see it at their next heartbeat; those on this machine get a signal, too.
            self._study.abandon_own_trials(reason)
            self._changed.notify_all()
        self._workers.end("worker-", "job-")


def _is_death(error: Exception) -> bool:
    """Return whether an error of a launcher means that the job's process is gone."""
    name = type(error).__name__
    # submitit also raises it if a job cannot be submitted; a job's own error has a traceback.
    refused = name == "FailedJobError" and TRACE not in str(error)
    return isinstance(error, BrokenProcessPool) or name in REMOTE_DEATHS or refused


def _judge(returned: JobReturn, n_values: int) -> _JobOutcome:
    """Return how a job ended, from its return value.

    Hydra's `return_value` is not used, because it writes to standard error and raises.
    """
    value: Any = get_return_value(returned)
    if returned.status is JobStatus.FAILED:
        if isinstance(value, optuna.TrialPruned):
            return _JobOutcome(TrialState.PRUNED)
        if isinstance(value, StaleTrialError):
            return _JobOutcome(None, reason="Its job was interrupted.", dead=True)
        # Of a disk that is full the trial is not to blame: there is another one when there is room.
        full = errors.is_full(value)
        state = None if full else TrialState.FAIL
        return _JobOutcome(state, reason=_format_error(value), dead=full)
    if isinstance(value, str) and value in (PRUNED, STALE):
        return _JobOutcome(TrialState.PRUNED if value == PRUNED else None)
    try:
        values = [float(v) for v in (value if n_values > 1 else [value])]
    except (TypeError, ValueError):
        return _JobOutcome(TrialState.FAIL, reason=f"The job returned {value!r}, not a number.")
    if len(values) != n_values:
        reason = f"The job returned {len(values)} values for {n_values} objectives."
        return _JobOutcome(TrialState.FAIL, reason=reason)
    if any(math.isnan(v) for v in values):
        return _JobOutcome(TrialState.FAIL, reason=f"The job returned {value!r}.")
    return _JobOutcome(TrialState.COMPLETE, values)


def _advise(reason: str) -> str:
    """Return what helps if a worker was ended by the system, which does not say why."""
    ended = "SIGKILL" in reason or "terminated" in reason
    return f" If memory ran out: {errors.LESS_MEMORY}" if ended else ""


def _format_error(error: BaseException) -> str:
    if limit := errors.describe_limit(error):
        return limit
    text = str(error)
    if TRACE in text:
        lines = text.splitlines()
        return lines[lines.index("-" * 22, 2) - 2].strip()
    text = " ".join(text.split())
    if isinstance(error, UserError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def run_search(sweeper: SweeperPlugin, arguments: Sequence[str]) -> SearchPlan:
    """Run a search until the study has its trials, then write and show the results.

    Args:
        sweeper: the plugin, with what Hydra gave it.
        arguments: overrides of the command line.

    Returns:
        The search, which has ended.

    Raises:
        UserError: the search cannot begin, or failed.
    """
    with prepare_search(sweeper, arguments) as plan:
        budget = plan.budget
        context = replace(sweeper.context, config_loader=composition.make_loader(sweeper))
        launcher = launchers.make(plan.cfg, context, sweeper.function)
        loop = SearchLoop(plan, launcher)
        try:
            loop.run()
        except KeyboardInterrupt:
            if budget is not None:
                winner.mention_best(plan)
            raise
        finally:
            launchers.end_jobs(launcher, 0.0)
            joblib_pool.end_workers(launcher)
            plan.close_dead_runs()
            results.write(plan)
        if budget is None:
            results.show(plan, report.write(plan))
            loop.check_failures()
        else:
            loop.check_failures()
            winner.end_search(plan, sweeper, budget)
    return plan
