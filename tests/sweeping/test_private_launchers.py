"""What `sweeping/_launchers.py` takes of the joblib launcher and of submitit is still there."""

from __future__ import annotations

import inspect
import subprocess
from typing import Any

import pytest
from submitit.local import local
from submitit.slurm import slurm

from tagifai.sweeping import _launchers
from tests.private_names import fail, require, require_import

FENCE = "tagifai/sweeping/_launchers.py"


def test_the_joblib_launcher_completes_its_settings() -> None:
    name = "hydra_plugins.hydra_joblib_launcher._core.process_joblib_cfg"
    require_import(name, "hydra-joblib-launcher", FENCE)
    settings: dict[str, Any] = {"n_jobs": 2, "maxtasksperchild": None}
    _launchers.complete_joblib_settings(settings)
    assert settings["backend"] == "loky"
    assert "maxtasksperchild" not in settings


def test_submitit_asks_for_states_by_the_command_of_its_watcher() -> None:
    names = ["_make_command", "_registered", "_finished"]
    require(slurm.SlurmInfoWatcher(), names, "submitit", FENCE)
    watcher = _launchers.make_squeue_watcher()
    assert watcher._make_command() is None
    watcher.register_job("7")
    assert watcher._make_command()[0] == "squeue"
    if "_make_command()" not in inspect.getsource(slurm.SlurmInfoWatcher.update):
        fail("SlurmInfoWatcher.update does not call _make_command", "submitit", FENCE)


def test_submitit_knows_which_jobs_have_not_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    watcher = _launchers.make_squeue_watcher()
    monkeypatch.setattr(slurm.SlurmJob, "watcher", watcher)
    for job in ("7", "8"):
        watcher.register_job(job)
    assert _launchers.list_unfinished_slurm_jobs() == ["7", "8"]


def test_submitit_begins_local_jobs_by_a_function_of_its_module(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    require(local, ["start_controller"], "submitit", FENCE)
    if "start_controller(" not in inspect.getsource(local.LocalExecutor):
        fail("LocalExecutor does not call start_controller", "submitit", FENCE)
    process: Any = object()
    monkeypatch.setattr(local, "start_controller", lambda **_: process)
    begun: list[subprocess.Popen[bytes]] = []
    _launchers.track_local_jobs(begun)
    assert local.start_controller(folder="f") is process  # type: ignore[call-arg, arg-type]
    assert begun == [process]
