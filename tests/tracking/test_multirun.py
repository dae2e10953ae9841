from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from mlflow import MlflowClient
from mlflow.entities import Run
from omegaconf import OmegaConf

from tagifai.config import job
from tagifai.config.job import Job
from tagifai.config.schema import Config, check
from tagifai.exceptions import DamagedFileError
from tagifai.runs.recording import syncing
from tagifai.tracking import multirun, session
from tagifai.utils import program
from tests.conftest import CONF, Compose

JOB = """
import sys
from types import SimpleNamespace as Names

from pathlib import Path

from tagifai.config import job
from tagifai.tracking import multirun

folder, stores, uri = sys.argv[1:]
job._given.append(job.Job(Path(folder, "3"), number=3, multirun_dir=Path(folder)))
config = Names(
    tracking=Names(enabled=True, uri=uri, experiment="e", tags={}), paths=Names(stores=stores)
)
print(sys.stdin.readline().strip(), multirun.ensure_parent_run(config))
"""

WATCHED = """
import sys

from omegaconf import OmegaConf

from tagifai.tracking import multirun

folder, stores = sys.argv[1:]
cfg = {"hydra": {"sweep": {"dir": folder}}, "paths": {"stores": stores}}
multirun.MultirunCallback().on_multirun_start(OmegaConf.create(cfg))
print("watched", flush=True)
sys.stdin.read()
"""


def job_of(monkeypatch: pytest.MonkeyPatch, folder: Path, mode: RunMode = RunMode.MULTIRUN) -> None:
    """Make this process one at the job number 3 of a multirun, or at one alone."""
    number, multirun_dir = (3, folder) if mode == RunMode.MULTIRUN else (None, None)
    present = Job(folder / "3", number=number, multirun_dir=multirun_dir)
    monkeypatch.setattr(job, "_given", [present])


# --- the parent run ----------------------------------------------------------------------------


@pytest.fixture
def stores(tracked_stores: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv(multirun.PARENT_RUN_VARIABLE, raising=False)
    monkeypatch.setenv(program.COMMAND_VARIABLE, "run.py -m seed=1,2")
    return tracked_stores


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a sweep, not there yet."""
    return tmp_path / "outputs" / "a-multirun"


@pytest.fixture
def config(composed: Compose, stores: Path) -> Config:
    """The configuration of a job; its stores are those of the fixture."""
    return check(composed("preprocessing=none", "++tracking.tags={team: x}"))


def uri(stores: Path) -> str:
    return f"sqlite:///{stores}/mlflow.db"


def recorded(stores: Path, run_id: str) -> Run:
    return MlflowClient(uri(stores)).get_run(run_id)


def runs(stores: Path) -> list[str]:
    client = MlflowClient(uri(stores))
    experiments = [found.experiment_id for found in client.search_experiments()]
    return [run.info.run_id for run in client.search_runs(experiments)]


def running(stores: Path) -> list[str]:
    where = stores / "running"
    return sorted(path.suffix for path in where.iterdir()) if where.is_dir() else []


def found_parent(config: Config) -> str:
    found = multirun.ensure_parent_run(config)
    assert found is not None
    return found


def test_a_single_run_has_no_parent(
    config: Config, folder: Path, stores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(multirun.PARENT_RUN_VARIABLE, "abc")
    job_of(monkeypatch, folder, RunMode.RUN)
    assert multirun.ensure_parent_run(config) is None
    assert (runs(stores), folder.exists()) == ([], False)


def test_a_sweep_that_is_not_tracked_has_no_parent(
    config: Config, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_of(monkeypatch, folder)
    config.tracking.enabled = False
    assert multirun.ensure_parent_run(config) is None
    assert not folder.exists()


def test_a_search_tells_its_jobs_their_parent(
    config: Config, folder: Path, stores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_of(monkeypatch, folder)
    monkeypatch.setenv(multirun.PARENT_RUN_VARIABLE, "abc")
    assert multirun.ensure_parent_run(config) == "abc"
    assert (runs(stores), folder.exists()) == ([], False)


def test_the_first_job_of_a_sweep_makes_its_parent_and_the_others_find_it(
    config: Config, folder: Path, stores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_of(monkeypatch, folder)
    parent = found_parent(config)
    assert [multirun.ensure_parent_run(config) for _ in range(2)] == [parent, parent]
    assert runs(stores) == [parent]
    run = recorded(stores, parent)
    assert (run.info.status, run.info.run_name) == ("RUNNING", "a-multirun")
    assert run.data.tags["command"] == "run.py -m seed=1,2"
    assert run.data.tags["sweep.dir"] == str(folder)
    assert run.data.tags["team"] == "x"
    assert running(stores) == [".run"]
    known = json.loads((folder / "parent_run.json").read_text())
    assert known == {"run_id": parent, "uri": uri(stores), "experiment": "tagifai"}


def test_a_parent_is_made_where_the_environment_says_that_runs_are(
    config: Config, folder: Path, stores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_of(monkeypatch, folder)
    monkeypatch.delenv(program.COMMAND_VARIABLE)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri(stores))
    config.tracking.uri = "sqlite:////nowhere/mlflow.db"
    run = recorded(stores, found_parent(config))
    assert run.data.tags["command"] == "tagifai"
    assert json.loads((folder / "parent_run.json").read_text())["uri"] == uri(stores)


def test_sweeps_into_two_folders_have_two_parents(
    config: Config, folder: Path, stores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parents = []
    for name in ("one", "two"):
        job_of(monkeypatch, folder / name)
        parents.append(found_parent(config))
    assert sorted(runs(stores)) == sorted(parents)
    assert len(set(parents)) == 2
    assert running(stores) == [".run", ".run"]


@pytest.mark.e2e
def test_jobs_of_several_processes_at_once_have_one_parent(folder: Path, stores: Path) -> None:
    command = [sys.executable, "-c", JOB, str(folder), str(stores), uri(stores)]
    jobs = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    try:
        for job in jobs:
            assert job.stdin is not None
            job.stdin.write("at once\n")
            job.stdin.flush()
        said = [job.communicate(timeout=120)[0].split() for job in jobs]
    finally:
        for job in jobs:
            job.kill()
            job.wait()
    parents = {words[-1] for words in said}
    assert [words[:2] for words in said] == [["at", "once"]] * 3
    assert [*parents] == runs(stores)
    assert running(stores) == [".run"]


# --- watching and closing ----------------------------------------------------------------------


@pytest.fixture
def watch(
    stores: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], None]]:
    """What begins a multirun in this process; it is forgotten afterwards."""
    cfg = OmegaConf.create({"hydra": {"sweep": {"dir": str(folder)}}, "paths": {"stores": stores}})
    watched = ExitStack()
    monkeypatch.setattr(multirun, "_watched", watched)
    monkeypatch.setattr(multirun, "_folders", [])
    yield lambda: multirun.MultirunCallback().on_multirun_start(cfg, config_name="config")
    watched.close()


def test_every_command_of_the_application_is_watched() -> None:
    callbacks = OmegaConf.load(CONF / "choices.yaml").hydra.callbacks
    assert callbacks == {"sweep": {"_target_": "tagifai.tracking.MultirunCallback"}}
    assert issubclass(multirun.MultirunCallback, Callback)


def test_watching_holds_a_lock_and_makes_no_run(
    watch: Callable[[], None], stores: Path, folder: Path
) -> None:
    watch()
    assert running(stores) == [".lock"]
    assert (runs(stores), folder.exists()) == ([], False)
    multirun.close_parent_run("FINISHED")
    assert (running(stores), runs(stores)) == ([], [])


@pytest.mark.parametrize(
    ("status", "reason"), [("FINISHED", ""), ("FAILED", "no rows"), ("KILLED", "Interrupted.")]
)
def test_the_parent_is_closed_with_its_sweep(
    watch: Callable[[], None],
    config: Config,
    stores: Path,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    status: str,
    reason: str,
) -> None:
    job_of(monkeypatch, folder)
    watch()
    parent = found_parent(config)
    assert running(stores) == [".lock", ".run"]
    multirun.close_parent_run(status, reason)
    ended = recorded(stores, parent)
    assert ended.info.status == status
    assert ended.data.tags.get("error", "") == reason
    assert running(stores) == []


def test_closing_twice_closes_once(
    watch: Callable[[], None],
    config: Config,
    stores: Path,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job_of(monkeypatch, folder)
    watch()
    parent = found_parent(config)
    multirun.close_parent_run("FAILED", "no rows")
    multirun.close_parent_run("FINISHED")
    assert recorded(stores, parent).info.status == "FAILED"


@pytest.mark.usefixtures("watch")
def test_where_there_was_no_multirun_there_is_nothing_to_close(stores: Path) -> None:
    multirun.close_parent_run("FINISHED")
    assert (running(stores), runs(stores)) == ([], [])


def test_a_parent_that_cannot_be_closed_is_kept_and_closed_when_it_is_sent(
    watch: Callable[[], None],
    config: Config,
    stores: Path,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError("disk full")

    job_of(monkeypatch, folder)
    watch()
    parent = found_parent(config)
    with monkeypatch.context() as broken:
        broken.setattr(MlflowClient, "set_terminated", full)
        multirun.close_parent_run("FINISHED")
    assert running(stores) == []
    assert recorded(stores, parent).info.status == "RUNNING"
    assert syncing.send_records(stores, uri(stores)).sent == {parent: parent}
    assert recorded(stores, parent).info.status == "FINISHED"


@pytest.mark.e2e
def test_a_live_sweep_s_parent_is_left_alone_and_a_dead_one_s_is_closed(
    config: Config, stores: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_of(monkeypatch, folder)
    command = [sys.executable, "-c", WATCHED, str(folder), str(stores)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "watched\n"
            parent = found_parent(config)
            assert session.close_abandoned_runs(stores) == []
            assert recorded(stores, parent).info.status == "RUNNING"
        finally:
            process.kill()
            process.wait(timeout=30)
    assert session.close_abandoned_runs(stores) == [parent]
    ended = recorded(stores, parent)
    assert ended.info.status == "FAILED"
    assert ended.data.tags["error"].startswith("The process ended unexpectedly")
    assert running(stores) == []


# --- a folder that is used again ---------------------------------------------------------------


def test_a_sweep_into_the_folder_of_an_earlier_one_has_an_open_parent(
    watch: Callable[[], None],
    config: Config,
    stores: Path,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job_of(monkeypatch, folder)
    watch()
    found_parent(config)
    multirun.close_parent_run("FAILED", "no rows")
    watch()
    assert recorded(stores, found_parent(config)).info.status == "RUNNING"
    assert running(stores) == [".lock", ".run"]


def test_a_sweep_into_the_folder_of_one_with_other_stores_has_a_parent_in_its_own(
    config: Config,
    stores: Path,
    migrated: Path,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job_of(monkeypatch, folder)
    first = found_parent(config)
    other = tmp_path / "other"
    other.mkdir()
    (other / "mlflow.db").write_bytes(migrated.read_bytes())
    config.paths.stores, config.tracking.uri = str(other), uri(other)
    second = found_parent(config)
    assert (runs(stores), runs(other)) == ([first], [second])


def test_the_environment_of_this_process_names_no_parent() -> None:
    # It would be taken for the parent of every sweep of these tests.
    assert multirun.PARENT_RUN_VARIABLE not in os.environ


@pytest.mark.parametrize("missing", ["run_id", "uri", "experiment"])
def test_a_file_that_does_not_say_all_of_the_parent_run_is_damaged(
    tmp_path: Path, missing: str
) -> None:
    whole = {"run_id": "abc", "uri": "sqlite:///there.db", "experiment": "e"}
    (tmp_path / "parent_run.json").write_text(json.dumps(whole))
    assert multirun.read_parent(tmp_path) == whole
    del whole[missing]
    (tmp_path / "parent_run.json").write_text(json.dumps(whole))
    with pytest.raises(DamagedFileError, match="it names no run"):
        multirun.read_parent(tmp_path)
