"""Hydra's launchers, prepared for a search: quiet, and callable from several threads."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from typing import Any, Protocol

from hydra.core.utils import JobReturn, configure_log
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from tagifai.config.instantiate import build_launcher
from tagifai.exceptions import ConfigError
from tagifai.sweeping._launchers import (
    list_unfinished_slurm_jobs,
    make_squeue_watcher,
    track_local_jobs,
)
from tagifai.sweeping.workers import joblib_pool
from tagifai.utils import signals
from tagifai.utils.process_pool import count_processors
from tagifai.utils.processes import descendants


class JobLauncher(Protocol):
    """Runs the jobs of a search."""

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run jobs, and return how they ended."""
        ...


def make(cfg: DictConfig, context: HydraContext, function: TaskFunction) -> JobLauncher:
    """Return the launcher of a search, whose threads launch one job at a time each.

    Call it in the main thread.

    Args:
        cfg: configuration that jobs are composed from.
        context: of Hydra.
        function: that each job calls.

    Raises:
        ConfigError: the cluster does not exist or does not start.
    """
    launcher = build_launcher(cfg, context, function)
    # Some launchers do so themselves; submitit's does not, and logs lines for every job.
    configure_log(cfg.hydra.hydra_logging, cfg.hydra.verbose, context.execution_whitelist)
    kind = type(launcher).__name__
    if kind == "RayLauncher":
        _start_ray(cfg)
    if kind == "SlurmLauncher":
        _use_squeue()
    return prepare(launcher, cfg.hydra.sweeper.n_jobs)


def prepare(launcher: Any, n_jobs: int) -> JobLauncher:
    """Return a launcher whose processes on this machine end with this one, and share processors.

    Args:
        launcher: of Hydra, set up.
        n_jobs: jobs at a time.
    """
    if joblib_pool.supports(launcher):
        return joblib_pool.JoblibWorkers(launcher)
    kind = type(launcher).__name__
    if kind == "JoblibLauncher":
        launcher.joblib.update(joblib_pool.get_first_call())
    if kind == "LocalLauncher":
        track_local_jobs(_local_processes)
        os.environ[signals.LAUNCHER_VARIABLE] = str(os.getpid())
        threads = str(max(1, count_processors() // n_jobs))
        for name in signals.THREAD_VARIABLES:
            os.environ.setdefault(name, threads)
    prepared: JobLauncher = launcher
    return prepared


def _start_ray(cfg: DictConfig) -> None:
    """Start Ray, or connect to it.

    Ray ends with the thread that started it, two threads must not start it at once, and it
    replaces our handler of SIGTERM.
    """
    import ray

    if ray.is_initialized():
        return
    handler = signal.getsignal(signal.SIGTERM)
    settings: Any = OmegaConf.to_container(cfg.hydra.launcher.ray.init, resolve=True)
    try:
        ray.init(**settings)
    except (ConnectionError, RuntimeError, TypeError, ValueError) as error:
        text = " ".join(str(error).split())
        raise ConfigError(f"Ray does not start with hydra.launcher.ray.init: {text}") from error
    finally:
        signal.signal(signal.SIGTERM, handler)


def _use_squeue() -> None:
    """Let submitit ask `squeue` for the states of jobs.

    It asks `sacct`, which needs a database that small clusters do not have; without it, submitit
    does not notice that a job was killed.
    """
    if shutil.which("sbatch") is None:
        raise ConfigError(
            "hydra/launcher=slurm needs a Slurm cluster, and there is no sbatch here. To try it"
            " without one: hydra/launcher=slurm_local."
        )
    from submitit.slurm.slurm import SlurmJob

    SlurmJob.watcher = make_squeue_watcher()
    logging.getLogger("submitit").setLevel(logging.ERROR)


def end_jobs(launcher: JobLauncher, seconds: float) -> bool:
    """End the jobs that are not children of this process, and return whether this was possible.

    Args:
        launcher: of the jobs.
        seconds: that jobs on this machine may take to close their runs; Slurm has a limit of its
            own.
    """
    kind = type(launcher).__name__
    if kind == "SlurmLauncher":
        jobs = list_unfinished_slurm_jobs()
        if jobs:
            subprocess.run(["scancel", "--quiet", *jobs], check=False, capture_output=True)  # noqa: S603, S607 # nosec B603, B607
    if kind == "LocalLauncher":
        alive = [process for process in _local_processes if process.poll() is None]
        for process in alive:
            process.terminate()  # it passes the signal on
        until = time.monotonic() + seconds
        for process in alive:
            try:
                process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                if seconds:
                    descendants.kill(process.pid)
                    process.kill()
    return kind in ("SlurmLauncher", "LocalLauncher")


_local_processes: list[subprocess.Popen[bytes]] = []
"""Processes that submitit's local executor has started."""
