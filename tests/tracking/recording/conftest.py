"""A tracking server behind a proxy that misbehaves, and a run that records everything that one can.

Every test sees the store past the proxy, as it is.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run as Recorded
from mlflow.entities import ViewType

from tagifai.models import bundles
from tagifai.runs import latest
from tagifai.serving import saving
from tagifai.tracking import session
from tagifai.tracking.recording import outcome, recorder, records
from tagifai.tracking.recording.sync import RecordSync, SyncResult
from tagifai.tracking.session import TrackedRun
from tagifai.tracking.store import Experiment
from tests.servers import PASS, Proxy, serve_mlflow


@dataclass
class Place:
    """Stores of a user, and a server with stores of its own.

    Args:
        stores: the user's.
        proxy: between the user and the server.
        database: the server's.
        artifacts: the server's.
    """

    stores: Path
    proxy: Proxy
    database: Path
    artifacts: Path

    @property
    def experiment(self) -> Experiment:
        return Experiment(self.proxy.url, "e", self.stores)

    @property
    def client(self) -> MlflowClient:
        """A client of what the server keeps, past the server."""
        return MlflowClient(f"sqlite:///{self.database}")

    def runs(self) -> list[Recorded]:
        experiment = self.client.get_experiment_by_name("e")
        found = [] if experiment is None else [experiment.experiment_id]
        return list(self.client.search_runs(found, run_view_type=ViewType.ALL)) if found else []

    def run(self) -> Recorded:
        """The only run."""
        (found,) = self.runs()
        return found

    def heal(self) -> None:
        """Let the server be as it should, and be asked again."""
        self.proxy.plan = lambda number, request: PASS
        outcome._away.clear()

    def sync(self) -> SyncResult:
        def follow(known: str, run_id: str) -> None:
            latest.rename_run(self.stores, known, run_id)

        return RecordSync(self.stores, self.proxy.url, follow).send_all()

    def kept(self) -> list[str]:
        return [record.run_id for record in records.list_records(self.stores)]


@pytest.fixture(autouse=True)
def _new_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have each test begin as a process does, and wait for nothing."""
    monkeypatch.setattr(recorder, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")
    outcome._away.clear()
    with outcome.take_present():
        yield
    outcome._away.clear()


@pytest.fixture
def place(
    migrated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tracked_stores: Path
) -> Iterator[Place]:
    def save(folder: Path, model_id: str, *, bundle: Path, run_id: str) -> None:
        folder.mkdir()
        (folder / "MLmodel").write_text(f"run_id: {run_id}\n")
        shutil.copyfile(bundle / "part", folder / "part")

    monkeypatch.setattr(saving, "save", save)
    database, artifacts = tmp_path / "server.db", tmp_path / "served"
    shutil.copyfile(migrated, database)
    with serve_mlflow(database, artifacts) as url:
        proxy = Proxy(url)
        try:
            yield Place(tracked_stores, proxy, database, artifacts)
        finally:
            proxy.stop()


def record_all(run: TrackedRun, stores: Path) -> None:
    """Record of a run everything that one records, as a training does."""
    folder = stores.parent / "output"
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    (folder / "figures" / "a.svg").write_text("<svg/>")
    (folder / "config.yaml").write_text("seed: 1\n")
    with run.batch_logging():
        run.log_params({"seed": 1, "model.alpha": 0.5})
        run.log_tags({"command": "tagifai"})
    run.log_dataset("mine", "ab" * 32, "/data/a.csv", {"rows": 3})
    run.log_file(folder / "config.yaml")
    bundle = bundles.get_path(stores, run.id)
    bundle.mkdir(parents=True, exist_ok=True)
    (bundle / "part").write_text("weights")
    run.log_epochs({"train_loss": [0.75, 0.5], "reported": {1: 0.25}})
    run.log_model(bundle, "first")
    run.log_metrics({"test_f1": 0.875}, of_model=True)
    run.log_bundle(bundle)
    run.log_folder(folder / "figures")


def trained(place: Place, **given: Any) -> str:
    """Train, as it were, and return the run's id."""
    with session.start_run(
        place.experiment, "first", log_file=place.stores / "log.txt", **given
    ) as run:
        (place.stores / "log.txt").write_text("a line\n")
        record_all(run, place.stores)
    latest.set_run(place.stores, run.id, {})
    return run.id


def check_whole(place: Place, run: Recorded, status: str = "FINISHED") -> None:
    """Check that a run has everything, and nothing twice."""
    run_id = run.info.run_id
    run = place.client.get_run(run_id)
    assert (run.info.status, run.info.run_name) == (status, "first")
    assert run.data.params == {"seed": "1", "model.alpha": "0.5"}
    assert run.data.tags["command"] == "tagifai"
    for name, points in {
        "train_loss": [(0, 0.75), (1, 0.5)],
        "reported": [(1, 0.25)],
        "test_f1": [(0, 0.875)],
    }.items():
        history = place.client.get_metric_history(run_id, name)
        assert [(point.step, point.value) for point in history] == points
    assert run.inputs is not None
    assert run.outputs is not None
    (given,) = run.inputs.dataset_inputs
    assert (given.dataset.name, given.dataset.digest) == ("mine", "ab" * 18)
    (output,) = run.outputs.model_outputs
    (model,) = place.client.search_logged_models([run.info.experiment_id])
    assert (output.model_id, model.source_run_id) == (model.model_id, run_id)
    assert str(model.status) == "READY"
    assert Counter(metric.key for metric in model.metrics or ()) == {"test_f1": 1}
    kept = place.artifacts / run.info.experiment_id / run_id / "artifacts"
    files = {str(p.relative_to(kept)): p.read_text() for p in kept.rglob("*") if p.is_file()}
    assert files == {
        "config.yaml": "seed: 1\n",
        "bundle/part": "weights",
        "figures/a.svg": "<svg/>",
        "log.txt": "a line\n",
    }
    of_model = {p.name: p.read_text() for p in place.artifacts.rglob("*/models/*/artifacts/*")}
    assert of_model == {"MLmodel": f"run_id: {run_id}\n", "part": "weights"}
