"""A search in the process of its command: it launches workers, watches their study and ends it."""

from __future__ import annotations

import logging
import math
import queue
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tagifai.exceptions import ConfigError, UserError
from tagifai.sweeping import settings, storage
from tagifai.sweeping._hydra import get_return_value
from tagifai.sweeping.auto import winner
from tagifai.sweeping.findings import ending, report, results
from tagifai.sweeping.plan import SearchPlan
from tagifai.sweeping.preparation import Preparation
from tagifai.sweeping.settings import SweeperPlugin
from tagifai.sweeping.studies import Study, count_trials, list_under_way
from tagifai.sweeping.watch import SearchWatch
from tagifai.sweeping.workers import launchers, outcomes
from tagifai.sweeping.workers.source import TrialSource
from tagifai.sweeping.workers.worker import DONE, Worker
from tagifai.utils.processes import descendants

POLL_SECONDS = 0.5
"""Seconds between two looks at the workers and their study."""

MOST_BARREN = 3
"""Launches one after another in which no trial ends, until the search gives up."""

LEAVING_SECONDS = 15.0
"""Seconds that workers may take to leave when no trial is left or under way."""

MISCONFIGURED = (TypeError, ValueError, NameError)
"""What launchers raise for settings that they do not know; the next launch would fail as well."""

log = logging.getLogger(__name__)


class SearchFailedError(UserError):
    """Too many trials failed, or no worker can work."""

    exit_code = 1


class SearchLoop:
    """Launches the workers of a search until its study is full.

    Args:
        plan: of the search.
        worker: what the launcher's jobs call.
    """

    def __init__(self, plan: SearchPlan, worker: Worker) -> None:
        self._plan = plan
        self._study: Study = plan.study
        self._worker = worker
        self._source = TrialSource(worker, plan.study)
        self._kind = settings.get_launcher_kind(plan.cfg)
        self._watch = SearchWatch(plan)
        self._is_over = False
        self._spared = descendants.list_children()

    def run(self) -> None:
        """Launch workers until the study is full, time is up, or too many trials have failed."""
        total = self._plan.n_trials if self._plan.budget is None else None
        with self._plan.display.show_trial_progress(total) as self._watch.show:
            try:
                self._watch.update()
                self._launch_until_done()
                trials = self._watch.update()
            except KeyboardInterrupt:
                self._interrupt("Interrupted with its search.")
                raise
            except Exception:
                self._interrupt("Its search ended with an error.")
                raise
            finally:
                launchers.close(self._kind)
                with suppress(OSError):  # logs of workers are in it, or it is none of ours
                    (self._plan.folder / launchers.WORKERS).rmdir()
        done = count_trials(trials).finished
        if self._plan.budget is None and done < self._plan.n_trials:
            self._plan.display.show_fact("Ended", f"{self._source.find_end(trials)}.")

    def _launch_until_done(self) -> None:
        barren, reason = 0, ""
        while not self._source.find_end(self._watch.update()):
            before = self._watch.n_ended
            ended, reason = self._launch()
            self._watch.update()
            if ended:
                return
            barren = 0 if self._watch.n_ended > before else barren + 1
            if barren == MOST_BARREN:
                raise SearchFailedError(
                    f"No trial has ended in {barren} launches of workers; the last one:"
                    f" {reason or 'they ended without a word.'}{outcomes.advise(reason)}"
                )
            if reason:
                log.warning("Workers are launched again: %s", reason)
            if reason or barren:
                time.sleep(storage.PAUSES[barren])

    def _launch(self) -> tuple[bool, str]:
        """Launch workers; return whether the search has ended, and why they ended before."""
        worker = self._worker
        launcher = launchers.make(self._plan.cfg, worker.context, worker, worker.session)
        jobs = [self._plan.space.list_fixed_overrides() for _ in range(self._count_workers())]
        if self._kind == settings.SERIAL:
            worker.notify = self._watch.update
            return self._read_reports(launcher.launch(jobs, initial_job_idx=0))
        returned = self._wait_for(launchers.begin(launcher, jobs, 0))
        if isinstance(returned, MISCONFIGURED) and not self._watch.n_ended:
            text = outcomes.format_error(returned).rstrip(".")
            raise ConfigError(f"hydra.launcher: no worker can begin with its settings: {text}.")
        if isinstance(returned, BaseException):
            if self._kind in (settings.JOBLIB, settings.LOCAL):
                # The others would be one too many; their trials are tried again.
                self._end_workers()
                self._study.abandon_session(worker.session, "A worker beside it died.")
            return False, f"A worker died: {outcomes.format_error(returned)}"
        return self._read_reports(returned)

    def _count_workers(self) -> int:
        most, n_workers = self._plan.config.sweep.trials_per_worker, self._plan.n_workers
        trials = self._watch.update()
        if most is not None and self._kind != settings.LOCAL:
            # The launcher has its own limit of jobs at a time.
            left = self._plan.n_trials - count_trials(trials).finished
            return max(n_workers, math.ceil(left / most)) if n_workers > 1 else 1
        return max(1, n_workers - len(list_under_way(trials, self._worker.session)))

    def _read_reports(self, jobs: Sequence[Any]) -> tuple[bool, str]:
        found = [get_return_value(job) for job in jobs]
        reasons = [
            outcomes.format_error(item) if isinstance(item, BaseException) else str(item)
            for item in found
        ]
        reason = next((r for r in reasons if r and r != DONE), "")
        if self._is_over or DONE in reasons:
            if reason:
                log.warning("A worker ended before the others: %s", reason)
            return True, ""
        return False, reason

    def _wait_for(self, outcome: queue.SimpleQueue[Any]) -> Any:
        """Return what a launch returned or raised; nothing if its workers are not waited for."""
        looked, full_since = time.monotonic(), math.inf
        while True:
            try:
                return outcome.get(timeout=POLL_SECONDS)
            except queue.Empty:
                trials = self._watch.update()
            now = time.monotonic()
            if self._plan.is_overdue():
                self._interrupt("There was no time left for it.")
                self._is_over = True
                return []
            if not self._source.find_end(trials):
                full_since = math.inf
            elif list_under_way(trials, self._worker.session):
                # It has begun in time; one whose worker is gone is not waited for.
                storage.call_patiently(self._study.end_stale_trials)
                full_since = math.inf
            else:
                full_since = min(full_since, now)
                if now - full_since > LEAVING_SECONDS:
                    return []
            if self._kind == settings.SLURM and now - looked > launchers.QUEUE_SECONDS:
                looked = now
                if launchers.count_queued(self._worker.session) == 0:
                    return ChildProcessError("its jobs are not in the queue any more")

    # --- an interrupt --------------------------------------------------------------------------

    def _interrupt(self, reason: str) -> None:
        """Interrupt the workers so that they close their runs, and record their trials as dead."""
        session = self._worker.session
        try:
            self._study.stop_session(session)
            # Before they end, for them to know, and again for what was asked for meanwhile.
            self._study.abandon_session(session, reason)
            self._end_workers()
            self._study.abandon_session(session, reason)
        except storage.STORAGE_ERRORS as error:
            self._end_workers()
            log.warning("The study does not know that the search has ended: %s", error)

    def _end_workers(self) -> None:
        if self._kind == settings.SLURM:
            launchers.cancel_queued(self._worker.session)
        elif self._kind == settings.RAY:
            launchers.close(self._kind)
        elif self._kind != settings.SERIAL:
            descendants.end_children(self._spared, launchers.SHUTDOWN_SECONDS)

    def check_failures(self, written: Path | None) -> None:
        """Raise an error if more trials have failed than allowed.

        Args:
            written: the report, or None.
        """
        tally = self._study.count_trials()
        failed, allowed = tally.failed, self._plan.max_failure_rate * self._plan.n_trials
        if failed and (failed > allowed or failed == tally.finished):
            found = results.summarize_study(self._study, self._plan.metrics)
            raise SearchFailedError(results.describe_failures(found, written))


def run_search(sweeper: SweeperPlugin, arguments: Sequence[str]) -> SearchPlan | None:
    """Run a search until the study has its trials, then write and show the results.

    Args:
        sweeper: the plugin, with what Hydra gave it.
        arguments: overrides of the command line.

    Returns:
        The search, which has ended; None if it was only to be shown.

    Raises:
        UserError: the search cannot begin, or failed.
    """
    preparation = Preparation(sweeper, arguments)
    if preparation.is_preview:
        preparation.show_preview()
        return None
    with preparation.open() as plan:
        budget = plan.budget
        loop = SearchLoop(plan, plan.make_worker())
        try:
            loop.run()
        except KeyboardInterrupt:
            ending.show_kept(plan)
            raise
        finally:
            plan.close_dead_runs()
            ending.write(plan)
        written = report.write(plan) if budget is None else None
        if budget is None:
            ending.show(plan, written)
        loop.check_failures(written)
        if budget is not None:
            winner.end_search(plan, sweeper, budget)
    return plan
