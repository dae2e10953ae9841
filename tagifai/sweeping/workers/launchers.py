"""Hydra's launchers, as they start the workers of a search."""

from __future__ import annotations

import copy
import os
import queue
import shutil
import signal
import subprocess
import threading
from collections.abc import Sequence
from typing import Any

from hydra.core.utils import JobReturn, configure_log
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext
from joblib import register_parallel_backend
from joblib.externals.loky import get_reusable_executor
from joblib.parallel import LokyBackend
from omegaconf import DictConfig, OmegaConf

from tagifai.config.instantiate import build_launcher
from tagifai.exceptions import ConfigError
from tagifai.sweeping import composition
from tagifai.sweeping.settings import JOBLIB, LOCAL, RAY, SLURM, get_launcher_kind
from tagifai.tracking import multirun
from tagifai.utils import signals
from tagifai.utils.process_pool import count_processors
from tagifai.utils.processes import descendants

WORKERS = ".workers"
"""Folder of the workers' own jobs, in that of the search."""

SHUTDOWN_SECONDS = 2.0
"""Seconds that interrupted jobs may take to close their runs."""

QUEUE_SECONDS = 20.0
"""Seconds that pass between two looks at the queue of a cluster."""


class WatchedBackend(LokyBackend):  # type: ignore[misc]
    """joblib's processes, which end with the one that began them, also while they have no job."""

    def configure(self, *args: Any, **options: Any) -> int:
        """Begin the processes; arguments as of joblib's."""
        watched = {"initializer": descendants.end_with, "initargs": (os.getpid(),)}
        n_jobs: int = super().configure(*args, **options, **watched)
        return n_jobs


def make(cfg: DictConfig, context: HydraContext, worker: Any, session: str) -> Launcher:
    """Return the launcher of a search's workers, set up; call it in the main thread.

    Args:
        cfg: that trials are composed from.
        context: of Hydra.
        worker: what each job calls.
        session: name of the command's workers.

    Raises:
        ConfigError: the cluster does not exist or does not start.
    """
    cfg, kind = copy.deepcopy(cfg), get_launcher_kind(cfg)
    subdir = f"{WORKERS}/{session}-${{hydra.job.num}}"
    composition.set_hydra_value(cfg, "hydra.sweep.subdir", subdir)
    if kind == SLURM:
        if shutil.which("sbatch") is None:
            raise ConfigError(
                "hydra/launcher=slurm needs a Slurm cluster, and there is no sbatch here. To try it"
                " without one: hydra/launcher=slurm_local."
            )
        # By which the jobs of this command are found in the queue.
        composition.set_hydra_value(cfg, "hydra.launcher.name", session)
    launcher = build_launcher(cfg, context, worker)
    # Some launchers do so themselves; submitit's does not, and logs lines for every job.
    configure_log(cfg.hydra.hydra_logging, cfg.hydra.verbose, context.execution_whitelist)
    if kind == RAY:
        _start_ray(cfg)
    prepare(kind, cfg.hydra.sweeper.n_jobs)
    return launcher


def prepare(kind: str, n_jobs: int) -> None:
    """Have the processes that a launcher begins on this machine end with it, and share processors.

    Args:
        kind: of the launcher.
        n_jobs: jobs at a time.
    """
    if kind == JOBLIB:
        # Processes that joblib has begun for somebody else do not know the present environment.
        get_reusable_executor().shutdown(wait=True)
        register_parallel_backend("loky", WatchedBackend)
    if kind == LOCAL:
        os.environ[signals.LAUNCHER_VARIABLE] = str(os.getpid())
        threads = str(max(1, count_processors() // n_jobs))
        for name in signals.THREAD_VARIABLES:
            os.environ.setdefault(name, threads)


def close(kind: str) -> None:
    """End the processes that wait for more jobs, of which there are none, or that are Ray's."""
    if kind == JOBLIB:
        get_reusable_executor().shutdown(wait=True, kill_workers=True)
        register_parallel_backend("loky", LokyBackend)  # as others in this process expect it
    if kind == RAY:
        # It ends its processes itself: without them it would end this one, and nothing be written.
        import ray

        ray.shutdown()


def begin(
    launcher: Any, job_overrides: Sequence[Sequence[str]], first: int
) -> queue.SimpleQueue[Any]:
    """Launch jobs in a thread; what is returned gets how they ended, or the launcher's error.

    By itself a launcher would kill its processes when it is interrupted.

    Args:
        launcher: of Hydra, set up.
        job_overrides: of each job.
        first: number of the first job.
    """
    outcome: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def launch() -> None:
        try:
            # Ctrl-C is for this process, which ends the others.
            with signals.keep_from_children():
                outcome.put(launcher.launch(job_overrides, initial_job_idx=first))
        except BaseException as error:
            outcome.put(error)

    threading.Thread(target=launch, name="launch", daemon=True).start()
    return outcome


class PatientLauncher:
    """Runs the jobs of a multirun so that they close their runs when it is interrupted.

    Args:
        launcher: of Hydra, set up, that has processes on this machine.
        kind: of the launcher.
    """

    def __init__(self, launcher: Any, kind: str) -> None:
        self._launcher = launcher
        self._kind = kind
        prepare(kind, count_processors())

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run jobs, and return how they ended; arguments as of the launcher."""
        spared = descendants.list_children()
        outcome = begin(self._launcher, job_overrides, initial_job_idx)
        try:
            with signals.hold_back():
                multirun.load_tracking()
            returned: Any = outcome.get()
        except KeyboardInterrupt:
            descendants.end_children(spared, SHUTDOWN_SECONDS)
            raise
        finally:
            close(self._kind)
        if isinstance(returned, BaseException):
            raise returned
        found: Sequence[JobReturn] = returned
        return found


def _start_ray(cfg: DictConfig) -> None:
    """Start Ray, or connect to it.

    Ray ends with the thread that started it, and it replaces our handler of SIGTERM.
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


def count_queued(session: str) -> int:
    """Return how many jobs of a session are in Slurm's queue, waiting or running."""
    command = ["squeue", "--me", "--noheader", "--array", f"--name={session}", "--format=%i"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 # nosec B603
    # A controller that does not answer says nothing about its jobs.
    return len(done.stdout.split()) if done.returncode == 0 else 1


def cancel_queued(session: str) -> None:
    """Take the jobs of a session out of Slurm's queue, and end those that run."""
    command = ["scancel", "--quiet", "--me", f"--name={session}"]
    subprocess.run(command, check=False, capture_output=True)  # noqa: S603 # nosec B603
