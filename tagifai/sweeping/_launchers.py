"""What launchers and submitit keep to themselves and a search needs; nothing else.

Read in hydra-joblib-launcher 1.4.0rc3 and submitit 1.5.4;
`tests/sweeping/test_private_launchers.py` fails when it changes. submitit is imported late: it need
not be installed.
"""

from __future__ import annotations

import subprocess
from typing import Any

from hydra_plugins.hydra_joblib_launcher._core import process_joblib_cfg


def complete_joblib_settings(settings: dict[str, Any]) -> None:
    """Make the joblib launcher's settings, in place, what joblib takes.

    The launcher does so inside of a launch, which is what `JoblibWorkers` does in its place.
    """
    process_joblib_cfg(settings)


def make_squeue_watcher() -> Any:
    """Return what tells submitit the states of Slurm's jobs, as `squeue` has them.

    submitit has no setting for the command that it asks, nor one that lists its jobs.
    """
    from submitit.slurm.slurm import SlurmInfoWatcher

    class Watcher(SlurmInfoWatcher):
        def _make_command(self) -> list[str] | None:
            if not self._registered - self._finished:
                return None
            return ["squeue", "--me", "--noheader", "--states=all", "--format=%i|%T"]

        def read_info(self, string: bytes | str) -> dict[str, dict[str, str]]:
            text = string if isinstance(string, str) else string.decode()
            known = dict(line.split("|", 1) for line in text.split())
            # Slurm forgets a job some minutes after its end.
            return {job: {"State": known.get(job, "ENDED")} for job in list(self._registered)}

    return Watcher(delay_s=10)


def list_unfinished_slurm_jobs() -> list[str]:
    """Return the ids of the jobs that this process has given to Slurm and that have not ended."""
    from submitit.slurm.slurm import SlurmJob

    return sorted(SlurmJob.watcher._registered - SlurmJob.watcher._finished)


def track_local_jobs(begun: list[subprocess.Popen[bytes]]) -> None:
    """Have submitit's local executor add the processes that it begins to a list.

    Its jobs know their process, and the launcher does not hand out its jobs.
    """
    from submitit.local import local

    begin = local.start_controller

    def track(*args: Any, **kwargs: Any) -> subprocess.Popen[bytes]:
        process = begin(*args, **kwargs)
        begun.append(process)
        return process

    local.start_controller = track
