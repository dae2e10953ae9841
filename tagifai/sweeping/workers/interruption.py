"""Jobs in processes of this machine that are interrupted: they close their runs, and then end."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from hydra.core.utils import JobReturn

from tagifai.sweeping.launchers import JobLauncher, end_jobs, prepare
from tagifai.sweeping.workers.joblib_pool import end_workers
from tagifai.tracking import multirun
from tagifai.utils import signals
from tagifai.utils.process_pool import count_processors

SHUTDOWN_SECONDS = 2.0
"""Seconds that interrupted jobs may take to close their runs."""


class Workers:
    """The processes on this machine that a launcher begins from now on.

    Args:
        launcher: of the jobs.
    """

    def __init__(self, launcher: JobLauncher) -> None:
        self._launcher = launcher
        # Of who else works in this process.
        self._others = multiprocessing.active_children()

    def end(self, *threads: str) -> None:
        """Interrupt the jobs so that they close their runs, and kill what has not ended in time.

        Args:
            threads: beginnings of the names of the threads that wait for jobs.
        """
        for child in self._list():
            child.terminate()
        seen_to = end_jobs(self._launcher, SHUTDOWN_SECONDS)
        until = time.monotonic() + (0.0 if seen_to else SHUTDOWN_SECONDS)
        for thread in threading.enumerate():
            if thread.name.startswith(threads):
                thread.join(timeout=max(0.0, until - time.monotonic()))
        for child in self._list():
            # Not by a method of the process, which joblib's processes do not have.
            if child.pid is not None:
                with suppress(ProcessLookupError):
                    os.kill(child.pid, signal.SIGKILL)
                # It has to end before its run is closed here.
                child.join(SHUTDOWN_SECONDS)

    def _list(self) -> list[Any]:
        return [child for child in multiprocessing.active_children() if child not in self._others]


class PatientLauncher:
    """Runs the jobs of a multirun so that they close their runs when it is interrupted.

    Args:
        launcher: of Hydra, set up, that has processes on this machine.
    """

    def __init__(self, launcher: Any) -> None:
        self._launcher = prepare(launcher, count_processors())
        self._workers = Workers(self._launcher)

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run jobs in a thread, and return how they ended; arguments as of the launcher."""
        # By itself it would kill its processes when it is interrupted.
        with ThreadPoolExecutor(1, thread_name_prefix="jobs") as thread:
            future = thread.submit(self._launch, job_overrides, initial_job_idx)
            try:
                with signals.hold_back():
                    multirun.load_tracking()
                return future.result()
            except KeyboardInterrupt:
                self._workers.end("jobs")
                raise
            finally:
                end_workers(self._launcher)

    def _launch(self, job_overrides: Sequence[Sequence[str]], first: int) -> Sequence[JobReturn]:
        with signals.keep_from_children():
            return self._launcher.launch(job_overrides, initial_job_idx=first)
