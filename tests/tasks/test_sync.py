"""Commands whose tracking store is away, and the ones that record their runs later."""

from __future__ import annotations

import logging
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run, ViewType

import tagifai
from tagifai.runs.recording import syncing
from tagifai.tracking import provenance
from tests.app import SMALL, TIMEOUT_SECONDS, App, wait_until
from tests.runner import COMMIT
from tests.servers import MlflowServer, Proxy, fail_from, serve_mlflow

SEARCH = (
    *("-m", "hydra/sweeper=tagifai", "hydra.sweeper.n_trials=2"),
    *("model.C=tag(log,interval(0.5,100))", *SMALL),
)


@dataclass
class Place:
    """An application, and a tracking server whose database can be read past it."""

    app: App
    database: Path
    url: str

    @property
    def client(self) -> MlflowClient:
        return MlflowClient(f"sqlite:///{self.database}")

    @property
    def uri(self) -> str:
        return f"tracking.uri={self.url}"

    def runs(self) -> list[Run]:
        found = self.client.get_experiment_by_name("tagifai")
        ids = [] if found is None else [found.experiment_id]
        return list(self.client.search_runs(ids, run_view_type=ViewType.ALL)) if ids else []

    def kept(self) -> list[str]:
        folder = self.app.stores / "pending"
        paths = folder.iterdir() if folder.is_dir() else ()
        return sorted(path.name for path in paths if path.name[0] != ".")


@pytest.fixture
def proxy(migrated: Path, tmp_path: Path, tracked_stores: Path) -> Iterator[tuple[Proxy, Path]]:
    database = tmp_path / "server.db"
    shutil.copyfile(migrated, database)
    with serve_mlflow(database, tmp_path / "served") as url:
        made = Proxy(url)
        yield made, database
        made.stop()


@pytest.fixture
def place(
    proxy: tuple[Proxy, Path], ready: Callable[[Path], App], tmp_path: Path
) -> tuple[Place, Proxy]:
    return Place(ready(tmp_path / "app"), proxy[1], proxy[0].url), proxy[0]


def check_trained(place: Place) -> str:
    """Check that a run is whole in the store and on disk, once; return its id."""
    (run,) = place.runs()
    run_id = str(run.info.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.metrics["test_f1"] > 0.5
    assert run.data.params["seed"] == "42"
    assert len(place.client.get_metric_history(run_id, "per_epoch/train_loss")) == 3
    (model,) = place.client.search_logged_models([run.info.experiment_id])
    assert (model.source_run_id, str(model.status)) == (run_id, "READY")
    assert place.app.run_id() == run_id
    assert place.app.bundle().is_dir()
    return run_id


def test_a_training_whose_store_is_away_is_kept_and_the_exit_code_says_so(
    place: tuple[Place, Proxy],
) -> None:
    there, proxy = place
    proxy.stop()
    done = there.app.run(*SMALL, there.uri)
    assert done.returncode == 3, done.stderr
    assert "test f1" in done.stdout or "overall (weighted)" in done.stdout
    assert "Traceback" not in done.stderr
    assert "does not answer" in done.stderr
    (run_id,) = there.kept()
    assert re.search(r"so does: .* task=sync paths\.stores=\S+/app/stores$", done.stderr.strip())
    assert there.app.run_id() == run_id
    assert there.app.ok("task=predict", "task.text=a graph", there.uri)
    again = there.app.run("task=sync", there.uri)
    assert (again.returncode, there.kept()) == (3, [run_id])
    assert f"Not recorded:  {run_id}: " in again.stdout
    proxy.start()
    assert "The run is recorded." in there.app.ok("task=sync", there.uri)
    sent = check_trained(there)
    assert "There is nothing to record." in there.app.ok("task=sync", there.uri)
    for known in (run_id, sent):
        assert there.app.ok("task=predict", f"task.run_id={known}", "task.text=a", there.uri)


def test_the_next_run_that_reaches_the_store_sends_what_was_kept(
    place: tuple[Place, Proxy],
) -> None:
    there, proxy = place
    proxy.plan = fail_from(12, "refuse")
    assert there.app.run(*SMALL, there.uri).returncode == 3
    proxy.plan = lambda number, request: "pass"
    done = there.app.run(*SMALL, there.uri, "seed=1")
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == [
        "WARNING: The tracking store answers: runs that were kept are recorded now."
    ]
    assert there.kept() == []
    assert sorted(run.data.params["seed"] for run in there.runs()) == ["1", "42"]
    assert {run.info.status for run in there.runs()} == {"FINISHED"}


@pytest.mark.parametrize("words", [SEARCH, ("-m", "seed=1,2", *SMALL)])
def test_a_search_or_multirun_whose_store_is_away_is_recorded_later_as_one(
    place: tuple[Place, Proxy], words: tuple[str, ...]
) -> None:
    there, proxy = place
    proxy.stop()
    done = there.app.run(*words, there.uri)
    assert done.returncode == 3, done.stderr
    assert "3 runs are trained and kept" in done.stderr
    assert len(there.kept()) == 3
    proxy.start()
    there.app.ok("task=sync", there.uri)
    (parent,) = [run for run in there.runs() if "mlflow.parentRunId" not in run.data.tags]
    children = [run for run in there.runs() if run is not parent]
    parents = {
        run.data.tags["mlflow.parentRunId"]
        for run in there.runs()
        if "mlflow.parentRunId" in run.data.tags
    }
    assert parents == {parent.info.run_id}
    assert len(children) == 3
    assert {run.info.status for run in there.runs()} == {"FINISHED"}


def test_a_rerun_whose_store_is_away_is_compared_and_kept(place: tuple[Place, Proxy]) -> None:
    there, proxy = place
    there.app.ok(*SMALL, there.uri)
    proxy.stop()
    done = there.app.run("task=rerun", there.uri)
    assert done.returncode == 3, done.stderr
    assert "is reproduced to the last bit" in done.stdout
    proxy.start()
    there.app.ok("task=sync", there.uri)
    assert len(there.runs()) == 2


def test_from_python_the_run_is_returned_with_a_warning(
    place: tuple[Place, Proxy], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, proxy = place
    proxy.stop()
    monkeypatch.chdir(there.app.cwd)
    paths = [f"paths.stores={there.app.stores}", f"paths.outputs={there.app.outputs}"]
    monkeypatch.setattr(provenance, "_get_git_state", lambda: COMMIT)
    with caplog.at_level(logging.WARNING, "tagifai"):
        run = tagifai.train(*SMALL, there.uri, *paths)
    assert run.id == there.kept()[0]
    assert caplog.messages[-1].startswith("The run is trained and kept, and not recorded yet: ")
    proxy.start()
    assert syncing.send_records(there.app.stores, there.url).left == {}


# --- with a server of MLflow's own -------------------------------------------------------------


@pytest.fixture
def served(
    migrated: Path, ready: Callable[[Path], App], tmp_path: Path
) -> Iterator[tuple[Place, MlflowServer]]:
    database = tmp_path / "server.db"
    shutil.copyfile(migrated, database)
    server = MlflowServer(database, tmp_path / "served")
    yield Place(ready(tmp_path / "app"), database, server.url), server
    server.kill()


@pytest.mark.e2e
@pytest.mark.usefixtures("unmeasured")
def test_a_server_that_dies_in_the_middle_and_comes_back_has_the_run_once(
    served: tuple[Place, MlflowServer],
) -> None:
    there, server = served
    server.start()
    process = there.app.start(*SMALL[:1], *SMALL[2:], "training.epochs=3", there.uri)
    wait_until(lambda: bool(there.runs()), TIMEOUT_SECONDS)
    server.kill()
    _, errors = process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == 3, errors
    assert "Traceback" not in errors
    server.start()
    # Killed at moments that differ, until one gets through.
    for seconds in (2.5, 3.5, 4.5):
        sync = there.app.start("task=sync", there.uri)
        time.sleep(seconds)
        sync.send_signal(signal.SIGKILL)
        sync.communicate(timeout=TIMEOUT_SECONDS)
    sync = there.app.start("task=sync", there.uri)
    output, errors = sync.communicate(timeout=TIMEOUT_SECONDS)
    assert sync.returncode == 0, output + errors
    check_trained(there)
    assert there.kept() == []
