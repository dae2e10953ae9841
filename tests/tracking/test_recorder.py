"""Processes of their own, as the clerk is for those that have not imported MLflow."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from tagifai.tracking import recorder
from tagifai.tracking import session as tracking_session
from tests.app import ROOT, children, environment

COMMAND = """
import signal, sys, time
from pathlib import Path
from tagifai.tracking import recorder
from tagifai.tracking import session
from tagifai.tracking.store import Experiment
from tagifai.exceptions import TrackingError

def terminate(*_):
    raise KeyboardInterrupt

signal.signal(signal.SIGTERM, terminate)
stores, uri = Path(sys.argv[1]), sys.argv[2] or f"sqlite:///{sys.argv[1]}/mlflow.db"
experiment = Experiment(uri, "e", stores)

def started():
    return session.start_run(
        experiment, "mine", {"purpose": "test"}, log_file=stores / "run.log"
    )

def say(*words):
    print(*words, flush=True)

try:
    with recorder.allow_start():
        recorder.start_if_useful(uri)
        assert recorder.get_active() is not None
        exec(sys.argv[3])
        assert "mlflow" not in sys.modules
except TrackingError as error:
    say("refused:", error)
    sys.exit(1)
except KeyboardInterrupt:
    sys.exit(130)
"""
"""Does what its third argument says where a recorder is at work."""

WAITING = """
with started() as run:
    run.log_params({"alpha": 1})
    run.wait_until_open()
    run.log_metrics({"f1": 0.5})
    say(run.id)
    sys.stdin.readline()
    run.log_metrics({"late": 1.0})
"""


@pytest.fixture
def stores(tracked_stores: Path) -> Path:
    (tracked_stores / "run.log").write_text("a line\n")
    return tracked_stores


Begin = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def begin(stores: Path) -> Iterator[Begin]:
    """A function that begins a command in a session of its own, which is empty at the end."""
    begun: list[subprocess.Popen[str]] = []

    def start(code: str, uri: str = "") -> subprocess.Popen[str]:
        command = [sys.executable, "-c", COMMAND, str(stores), uri, code]
        process = subprocess.Popen(
            command,
            cwd=stores,
            env=environment({"PYTHONPATH": str(ROOT)}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        begun.append(process)
        return process

    yield start
    for process in begun:
        left = in_session(process.pid)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        assert left == []


def in_session(number: int) -> list[int]:
    """Return the processes of a session that have not ended."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            if int(fields[3]) == number and fields[0] != "Z":
                found.append(int(path.parent.name))
    return found


def ended(session: int) -> bool:
    """Return whether the processes of a session end within seconds."""
    deadline = time.monotonic() + 60
    while in_session(session) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not in_session(session)


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def recorded(stores: Path, run_id: str) -> Run:
    return MlflowClient(f"sqlite:///{stores}/mlflow.db").get_run(run_id)


def only(stores: Path) -> Run:
    client = MlflowClient(f"sqlite:///{stores}/mlflow.db")
    experiment = client.get_experiment_by_name("e")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert isinstance(run, Run)
    return run


def marks(stores: Path) -> list[str]:
    return sorted(path.name for path in (stores / "running").iterdir())


# --- a command that ends by itself -------------------------------------------------------------


@pytest.mark.e2e
def test_what_is_told_is_in_the_store_when_the_command_has_ended(
    stores: Path, begin: Begin
) -> None:
    (stores / "bundle").mkdir()
    (stores / "bundle" / "part").write_text("a")
    process = begin(
        """
with started() as run:
    assert not run.rpc.has_result(run.opening_call)
    run.log_params({"alpha": 1})
    run.log_epochs({"val_loss": [1.0, 0.5]})
    run.log_dataset("mine", "ab", "/data/a.csv", {"rows": 3})
    run.log_file(stores / "mlflow.db")
    run.log_bundle(stores / "bundle")
    run.log_tags({"team": "x"})
    assert (run.get_tag("team"), run.get_model_id(), run.get_status()) == ("x", None, "RUNNING")
    say(run.id, run)
"""
    )
    output, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (0, "")
    run_id, shown = output.split()
    run = recorded(stores, run_id)
    assert (run.info.status, run.info.run_name, shown) == ("FINISHED", "mine", run_id)
    assert (run.data.params, run.data.metrics) == ({"alpha": "1"}, {"val_loss": 0.5})
    assert (run.data.tags["purpose"], run.data.tags["team"]) == ("test", "x")
    kept = stores / "artifacts" / run_id / "artifacts"
    files = {str(path.relative_to(kept)) for path in kept.rglob("*") if path.is_file()}
    assert files == {"bundle/part", "mlflow.db", "run.log"}
    assert marks(stores) == []


@pytest.mark.e2e
def test_jobs_of_one_command_and_their_parent_have_one_recorder(stores: Path, begin: Begin) -> None:
    process = begin(
        """
parent = session.create_run(experiment, "sweep")
for _ in range(2):
    recorder.start_if_useful(uri)
    with started() as run:
        say(run.id)
session.reopen_run(parent.id, uri).end("KILLED", "because")
say(parent.id)
"""
    )
    output, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (0, "")
    first, second, parent = (recorded(stores, run_id) for run_id in output.split())
    assert [run.info.status for run in (first, second, parent)] == ["FINISHED"] * 2 + ["KILLED"]
    assert parent.data.tags["error"] == "because"


@pytest.mark.e2e
def test_a_block_that_fails_closes_its_run_with_the_error(stores: Path, begin: Begin) -> None:
    process = begin("with started() as run:\n    raise ValueError('no such thing')")
    _, errors = process.communicate(timeout=120)
    assert "ValueError: no such thing" in errors
    run = only(stores)
    assert (run.info.status, run.data.tags["error"]) == ("FAILED", "ValueError: no such thing")
    assert (stores / "artifacts" / run.info.run_id / "artifacts" / "run.log").exists()
    assert marks(stores) == []


@pytest.mark.e2e
def test_a_command_that_opens_no_run_does_not_wait_and_leaves_no_trace(
    stores: Path, begin: Begin
) -> None:
    before = sorted(stores.iterdir())
    process = begin("say('done')")
    assert process.communicate(timeout=120) == ("done\n", "")
    assert sorted(stores.iterdir()) == before


# --- signals and kills -------------------------------------------------------------------------


@pytest.mark.e2e
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_all_processes_of_the_terminal_closes_the_run_as_killed(
    stores: Path, begin: Begin, number: signal.Signals
) -> None:
    process = begin(WAITING)
    run_id = first_line(process)
    os.killpg(process.pid, number)
    _, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (130, "")
    run = recorded(stores, run_id)
    assert (run.info.status, run.data.tags["error"]) == ("KILLED", "Interrupted.")
    assert run.data.metrics == {"f1": 0.5}
    assert marks(stores) == []


@pytest.mark.e2e
def test_an_interrupt_while_mlflow_is_imported_leaves_no_run_open(
    stores: Path, begin: Begin
) -> None:
    process = begin("with started() as run:\n    say('begun')\n    time.sleep(60)")
    assert first_line(process) == "begun"
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (130, "")
    assert only(stores).info.status == "KILLED"
    assert marks(stores) == []


@pytest.mark.e2e
def test_an_interrupt_before_a_run_is_opened_ends_at_once(stores: Path, begin: Begin) -> None:
    process = begin("say('begun')\ntime.sleep(60)")
    assert first_line(process) == "begun"
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (130, "")
    assert not (stores / "running").exists()


@pytest.mark.e2e
def test_a_command_that_is_killed_leaves_what_it_had_told_and_a_failed_run(
    stores: Path, begin: Begin
) -> None:
    process = begin(WAITING)
    run_id = first_line(process)
    process.kill()
    process.wait(timeout=60)
    assert ended(process.pid)
    run = recorded(stores, run_id)
    assert (run.info.status, run.data.tags["error"]) == (
        "FAILED",
        tracking_session.ABANDONED_REASON,
    )
    assert (run.data.params, run.data.metrics) == ({"alpha": "1"}, {"f1": 0.5})
    assert marks(stores) == []


@pytest.mark.e2e
def test_a_command_whose_recorder_is_killed_is_told_and_the_next_one_closes_the_run(
    stores: Path, begin: Begin
) -> None:
    process = begin(WAITING)
    run_id = first_line(process)
    (helper,) = children(process.pid)
    os.kill(helper, signal.SIGKILL)
    output, errors = process.communicate("go on\n", timeout=120)
    assert (process.returncode, errors) == (1, "")
    assert output.startswith("refused: The process that records in MLflow ended before")
    assert recorded(stores, run_id).info.status == "RUNNING"
    assert tracking_session.close_abandoned_runs(stores) == [run_id]
    assert recorded(stores, run_id).info.status == "FAILED"
    assert marks(stores) == []


@pytest.mark.e2e
def test_a_recorder_that_is_killed_before_the_run_is_open_is_told_at_the_first_wait(
    stores: Path, begin: Begin
) -> None:
    process = begin("with started() as run:\n    say('begun')\n    run.wait_until_open()")
    assert first_line(process) == "begun"
    (helper,) = children(process.pid)
    os.kill(helper, signal.SIGKILL)
    output, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (1, "")
    assert output.startswith("refused: The process that records in MLflow ended before")


# --- stores that fail --------------------------------------------------------------------------


USED = "with started() as run:\n    run.log_params({'alpha': 1})\n    run.wait_until_open()"


@pytest.mark.e2e
def test_a_server_out_of_reach_is_refused_as_in_one_process(begin: Begin, nobody: str) -> None:
    process = begin(USED, nobody)
    output, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (1, "")
    for part in ("refused: Tracking failed: ", "tracking.uri", "tracking=none"):
        assert part in output


@pytest.mark.e2e
@pytest.mark.parametrize("waits", ["run.wait_until_open()", "pass"])
def test_a_deleted_experiment_is_refused_when_the_run_is_closed_at_the_latest(
    stores: Path, begin: Begin, waits: str
) -> None:
    client = MlflowClient(f"sqlite:///{stores}/mlflow.db")
    number = client.create_experiment("e", artifact_location=str(stores / "artifacts"))
    client.delete_experiment(number)
    process = begin(f"with started() as run:\n    {waits}")
    output, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (1, "")
    assert output.startswith("refused: tracking.experiment = 'e' was deleted")
    assert f"mlflow experiments restore -x {number}" in output
    assert marks(stores) == []


@pytest.mark.e2e
def test_what_was_told_in_ignorance_of_a_failure_is_not_done(stores: Path, begin: Begin) -> None:
    process = begin(
        """
with started() as run:
    run.log_params({"alpha": 1})
    run.log_params({"alpha": 2})
    run.log_tags({"later": 1})
"""
    )
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert output.startswith("refused: Tracking failed: MlflowException")
    run = only(stores)
    assert run.info.status == "FAILED"
    assert run.data.tags["error"].startswith("TrackingError: Tracking failed: MlflowException")
    assert "later" not in run.data.tags


@pytest.mark.e2e
def test_a_database_that_fails_is_a_tracking_error_and_the_run_is_closed_later(
    stores: Path, begin: Begin
) -> None:
    process = begin(WAITING)
    run_id = first_line(process)
    with sqlite3.connect(stores / "mlflow.db") as other:
        other.execute("ALTER TABLE runs RENAME TO away")
    output, errors = process.communicate("go on\n", timeout=120)
    with sqlite3.connect(stores / "mlflow.db") as other:
        other.execute("ALTER TABLE away RENAME TO runs")
    assert (process.returncode, errors) == (1, "")
    assert "refused: Tracking failed: MlflowException: (sqlite3.OperationalError)" in output
    assert marks(stores) == [f"{run_id}.run"]
    assert tracking_session.close_abandoned_runs(stores) == [run_id]
    assert recorded(stores, run_id).info.status == "FAILED"


# --- where there is none -----------------------------------------------------------------------


def test_a_process_that_has_mlflow_or_is_no_command_has_no_recorder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with recorder.allow_start():
        recorder.start_if_useful("sqlite:///nowhere.db")
        assert recorder.get_active() is None
    monkeypatch.delitem(sys.modules, "mlflow")
    recorder.start_if_useful("sqlite:///nowhere.db")
    assert recorder.get_active() is None
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    with recorder.allow_start():
        recorder.start_if_useful("sqlite:///nowhere.db")
        assert recorder.get_active() is None
