"""Hydra's launchers, prepared for a search: quiet, and callable from several threads."""

from __future__ import annotations

import hashlib
import logging
import pickle
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Protocol

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, configure_log, run_job, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from joblib import Parallel, delayed
from joblib.externals.loky import get_reusable_executor
from joblib.externals.loky.backend.reduction import dumps
from omegaconf import DictConfig, OmegaConf, open_dict

from tagifai.config.instantiate import build_launcher
from tagifai.config.job import set_hydra_config
from tagifai.exceptions import ConfigError
from tagifai.sweeping._launchers import (
    complete_joblib_settings,
    list_unfinished_slurm_jobs,
    make_squeue_watcher,
    track_local_jobs,
)


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
    if supports(launcher):
        return JoblibWorkers(launcher)
    if kind == "RayLauncher":
        _start_ray(cfg)
    if kind == "SlurmLauncher":
        _use_squeue()
    if kind == "LocalLauncher":
        track_local_jobs(_local_processes)
    return launcher


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
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, until - time.monotonic()))
    return kind in ("SlurmLauncher", "LocalLauncher")


_local_processes: list[subprocess.Popen[bytes]] = []
"""Processes that submitit's local executor has started."""


_shared: dict[str, Any] = {}
"""In a worker: the content that the jobs of its search share, by its digest."""


def end_workers(launcher: JobLauncher) -> None:
    """End the processes that wait for more jobs of a search that has none."""
    if isinstance(launcher, JoblibWorkers):
        get_reusable_executor().shutdown(wait=True)


class JoblibWorkers:
    """Runs jobs as Hydra's joblib launcher does, but faster.

    Hydra's launcher pickles the state of the whole application for every job, and the worker looks
    for all plugins each time, which takes as long as a short training.

    Args:
        launcher: Hydra's joblib launcher, set up.
    """

    def __init__(self, launcher: Any) -> None:
        # Processes that joblib has begun for somebody else do not know the present environment.
        get_reusable_executor().shutdown(wait=True)
        self._settings = dict(launcher.joblib)
        complete_joblib_settings(self._settings)
        shared = (launcher.hydra_context, launcher.config, launcher.task_function)
        self._content = bytes(dumps((*shared, Singleton.get_state())))
        self._sum = hashlib.sha256(self._content).hexdigest()

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run jobs, and return how they ended, without their configurations.

        Args:
            job_overrides: of each job.
            initial_job_idx: number of the first one.
        """
        calls = [
            delayed(_run_in_worker)(
                initial_job_idx + number, list(overrides), self._sum, self._content
            )
            for number, overrides in enumerate(job_overrides)
        ]
        returned: Sequence[JobReturn] = Parallel(**self._settings)(calls)
        return returned


def supports(launcher: Launcher) -> bool:
    """Return whether `JoblibWorkers` can replace a launcher."""
    if type(launcher).__name__ != "JoblibLauncher":
        return False
    settings = dict(launcher.joblib)  # type: ignore[attr-defined]
    is_loky = (settings.get("backend") or "loky") == "loky"
    return is_loky and settings.get("inner_max_num_threads") is None


def _run_in_worker(number: int, overrides: list[str], digest: str, content: bytes) -> JobReturn:
    """Run a job in a worker, with the steps of the launcher's own `execute_job`."""
    if digest not in _shared:
        _shared.clear()
        setup_globals()
        *shared, state = pickle.loads(content)  # noqa: S301 - of the search that began the worker # nosec B301
        Singleton.set_state(state)
        _shared[digest] = shared
    context, config, function = _shared[digest]
    cfg = context.config_loader.load_sweep_config(config, overrides)
    with open_dict(cfg):
        cfg.hydra.job.id = f"{cfg.hydra.job.name}_{number}"
        cfg.hydra.job.num = number
    set_hydra_config(cfg)
    returned = run_job(
        hydra_context=context,
        config=cfg,
        task_function=function,
        job_dir_key="hydra.sweep.dir",
        job_subdir_key="hydra.sweep.subdir",
    )
    returned.cfg = returned.hydra_cfg = None
    return returned
