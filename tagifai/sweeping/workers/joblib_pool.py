"""Workers of joblib for the jobs of a search or a multirun."""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Sequence
from typing import Any

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, run_job, setup_globals
from hydra.plugins.launcher import Launcher
from joblib import Parallel, delayed
from joblib.externals.loky import get_reusable_executor
from joblib.externals.loky.backend.reduction import dumps
from omegaconf import open_dict

from tagifai.config.job import set_hydra_config
from tagifai.sweeping._launchers import complete_joblib_settings
from tagifai.utils.processes import descendants

_shared: dict[str, Any] = {}
"""In a worker: the content that the jobs of its search share, by its digest."""


def get_first_call() -> dict[str, Any]:
    """Return what joblib is to call in each process that it begins, even if no job follows."""
    return {"initializer": descendants.end_with, "initargs": (os.getpid(),)}


def end_workers(launcher: object) -> None:
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
        settings = self._settings | get_first_call()
        returned: Sequence[JobReturn] = Parallel(**settings)(calls)
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
