"""A training as a process: signals, a tracking server."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.app import SMALL, App, end_group, environment, tracked_runs, wait_until
from tests.showcase import Showcase

pytestmark = pytest.mark.e2e

PATIENT = ("vectorizer=tfidf_word", "training.patience=null")
"""A training that takes as many epochs as it is told."""

TEXT = "Transfer learning with transformers for text"


@pytest.mark.parametrize(
    ("number", "code", "status"),
    [
        (signal.SIGINT, 130, "KILLED"),
        (signal.SIGTERM, 143, "KILLED"),
        (signal.SIGHUP, 129, "KILLED"),
        (signal.SIGKILL, -9, "FAILED"),
    ],
)
def test_an_interrupted_run_is_closed_and_the_latest_run_stays(
    tmp_path: Path, showcase: Showcase, number: signal.Signals, code: int, status: str
) -> None:
    app = showcase.copy("run", tmp_path)
    finished = app.run_id()
    latest = {name: (app.stores / name).read_bytes() for name in ("run_id.txt", "performance.json")}
    process = app.start(*PATIENT, "training.epochs=100000")
    try:
        app.wait_for("Epoch 20")
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()

    assert process.returncode == code
    assert "Traceback" not in errors
    if status == "FAILED":
        # Nobody was left to close it; the next command does, whatever it is.
        assert [run.info.status for run in tracked_runs(app)].count("RUNNING") == 1
        assert "as failed" in app.ok("task=info")
    (run,) = [run for run in tracked_runs(app) if run.info.run_id != finished]
    assert run.info.status == status
    assert run.data.tags["error"]
    if status == "KILLED":
        assert run.data.metrics["per_epoch/val_loss"] > 0
    assert {name: (app.stores / name).read_bytes() for name in latest} == latest
    assert not list((app.stores / "running").iterdir())


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A tracking server on loopback, and its process, which is ended with its children."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    folder = tmp_path / "server"
    folder.mkdir()
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "mlflow", "server", "--workers", "1"),
            *("--host", "127.0.0.1", "--port", str(port)),
            *("--backend-store-uri", f"sqlite:///{folder}/mlflow.db"),
            *("--artifacts-destination", str(folder / "artifacts")),
        ],
        cwd=folder,
        env=environment({"MLFLOW_DISABLE_TELEMETRY": "true"}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_until(lambda: answers(port))
        yield f"http://127.0.0.1:{port}", process
    finally:
        end_group(process)


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_server_that_dies_in_the_middle_does_not_take_the_model_with_it(
    app: App, server: tuple[str, subprocess.Popen[bytes]]
) -> None:
    uri, process = server
    training = app.start(*PATIENT, "training.epochs=1500", env={"MLFLOW_TRACKING_URI": uri})
    try:
        app.wait_for("Epoch 20 ")
        end_group(process)
        _, errors = training.communicate(timeout=120)
    finally:
        training.kill()

    assert training.returncode == 3, errors
    assert errors.splitlines()[-1].startswith("Error: The run is trained and kept, and not")
    assert list((app.stores / "running").iterdir()) == []
    (run_id,) = [path.name for path in (app.stores / "pending").iterdir()]
    assert app.run_id() == run_id
    # It can be used, and is recorded when the server is back.
    output = app.run("task=predict", f"task.text={TEXT}", f"task.run_id={run_id}").stdout
    assert json.loads(output)[0]["input_text"] == TEXT


def test_a_run_is_tracked_by_a_server_and_its_model_fetched_from_there(
    app: App, server: tuple[str, subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    env = {"MLFLOW_TRACKING_URI": server[0]}
    done = app.run(*SMALL, env=env)
    assert done.returncode == 0, done.stderr
    # The server may be a slow one.
    assert {
        line for line in done.stderr.splitlines() if "has not answered for" not in line
    } == set()
    assert f"MLflow:        {server[0]}" in done.stdout

    elsewhere = App(tmp_path / "elsewhere")
    elsewhere.folder.mkdir()
    arguments = ("task=predict", f"task.text={TEXT}", f"task.run_id={app.run_id()}")
    fetched = elsewhere.run(*arguments, env=env)
    assert (fetched.returncode, fetched.stderr) == (0, "")
    assert fetched.stdout == app.ok(*arguments)
