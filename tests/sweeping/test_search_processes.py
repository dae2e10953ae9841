"""Searches of several processes: workers, signals and kills, two at one study."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from mlflow.entities import Run
from optuna.trial import FrozenTrial, TrialState

from tagifai.sweeping.storage import GRACE_SECONDS
from tests.app import (
    SMALL,
    TIMEOUT_SECONDS,
    App,
    children,
    session_of,
    tracked_runs,
    wait_until,
)
from tests.showcase import SEARCH, SERIAL, Showcase
from tests.sweeping.searches import by_state, is_training, results, runs, study

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("unmeasured")]

JOBLIB = (*SEARCH, "hydra/launcher=joblib")
LONG = ("training.epochs=1500", "hydra.sweeper.n_trials=5")


@pytest.fixture
def app(tmp_path: Path, showcase: Showcase) -> App:
    """An application without runs, whose data and databases are made."""
    return showcase.prepare(tmp_path)


def test_two_workers_leave_what_one_leaves(app: App) -> None:
    done = app.fork(*JOBLIB, "hydra.sweeper.n_trials=6", "objective.report_every=1")

    assert (done.returncode, done.stderr) == (0, "")
    assert "6 of 6 done" in done.stdout
    trials = study(app).trials
    assert [trial.number for trial in trials] == list(range(6))
    assert len(by_state(trials, TrialState.COMPLETE, TrialState.PRUNED)) == 6
    assert len({trial.user_attrs["worker"] for trial in trials}) == 2
    folder, content = results(app)
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == list("012345")
    assert content["best_value"] == study(app).best_value
    parent, children = runs(app)
    assert parent.info.status == "FINISHED"
    assert {number: child.data.tags["trial.state"] for number, child in children.items()} == {
        trial.number: trial.state.name for trial in trials
    }


def stopped_in_a_trial(
    app: App, stop: Callable[[subprocess.Popen[str]], None], *arguments: str
) -> subprocess.Popen[str]:
    """Start a search, and stop it while its third trial is under way."""
    process = subprocess.Popen(
        app.command(*arguments),
        cwd=app.cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env={k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"},
    )
    until = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with suppress(Exception):  # there is no study yet, or the file is locked
            trials = study(app).trials
            under_way = by_state(trials, TrialState.RUNNING)
            if len(trials) >= 3 and any(is_training(app, t.number) for t in under_way):
                break
        time.sleep(0.1)
    assert process.poll() is None, process.communicate()[0]
    stop(process)
    return process


def wait_for_total(
    app: App, process: subprocess.Popen[str]
) -> tuple[list[FrozenTrial], list[FrozenTrial]]:
    """Wait for the good end of a search, and return its five finished trials and the others."""
    output = process.communicate(timeout=TIMEOUT_SECONDS)[0]
    assert process.returncode == 0, output
    assert "5 of 5 done" in output
    trials = study(app).trials
    finished = by_state(trials, TrialState.COMPLETE, TrialState.PRUNED)
    assert len(finished) == 5
    return finished, [trial for trial in trials if trial not in finished]


def test_a_search_goes_on_after_ctrl_c_to_the_exact_total(app: App) -> None:
    arguments = [*JOBLIB, *LONG]

    process = stopped_in_a_trial(app, lambda p: os.killpg(p.pid, signal.SIGINT), *arguments)
    output = process.communicate(timeout=60)[0]

    assert process.returncode == 130, output
    assert output.endswith("Interrupted.\n")
    assert "Traceback" not in output
    parent, children = runs(app)
    assert parent.info.status == "KILLED"
    assert "RUNNING" not in {child.info.status for child in children.values()}
    assert by_state(study(app).trials, TrialState.RUNNING) == []
    parent_id = parent.info.run_id

    app.ok(*arguments)

    trials = study(app).trials
    finished = by_state(trials, TrialState.COMPLETE, TrialState.PRUNED)
    assert len(finished) == 5
    assert {t.user_attrs.get("died") for t in trials if t not in finished} <= {
        "Interrupted with its search."
    }
    parent, children = runs(app)
    assert (parent.info.run_id, parent.info.status) == (parent_id, "FINISHED")
    assert "error" not in parent.data.tags


def test_a_search_goes_on_after_kill_9_to_the_exact_total(app: App) -> None:
    arguments = [*SERIAL, *LONG]

    process = stopped_in_a_trial(app, lambda p: os.killpg(p.pid, signal.SIGKILL), *arguments)
    process.communicate(timeout=60)
    before = study(app).trials
    (dead,) = by_state(before, TrialState.RUNNING)
    began = time.monotonic()
    app.ok(*arguments)

    trials = study(app).trials
    finished = by_state(trials, TrialState.COMPLETE, TrialState.PRUNED)
    assert len(finished) == 5
    assert [t.number for t in trials] == list(range(6))
    reaped = trials[dead.number]
    assert reaped.state is TrialState.FAIL
    assert reaped.user_attrs["died"] == "Its process ended unexpectedly."
    # Its successor has its parameters: one seed, whatever happens in between.
    assert reaped.params in [trial.params for trial in trials[dead.number + 1 :]]
    # What was done is as it was.
    for old in by_state(before, TrialState.COMPLETE):
        assert trials[old.number].datetime_complete == old.datetime_complete
    _, children = runs(app)
    assert children[dead.number].data.tags["trial.state"] == "DIED"
    assert children[dead.number].info.status in ("FAILED", "KILLED")
    assert time.monotonic() - began < TIMEOUT_SECONDS


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
def test_the_jobs_of_a_search_that_was_killed_end_with_it_and_are_tried_again(app: App) -> None:
    arguments = [*JOBLIB, *LONG]

    process = stopped_in_a_trial(app, lambda p: p.kill(), *arguments)
    process.wait(timeout=60)
    wait_until(lambda: session_of(process.pid) == [], seconds=10)
    process.communicate(timeout=60)
    assert "RUNNING" not in {run.info.status for run in runs(app)[1].values()}
    app.ok(*arguments)

    trials = study(app).trials
    finished = by_state(trials, TrialState.COMPLETE, TrialState.PRUNED)
    assert len(finished) == 5
    died = [trial for trial in trials if trial not in finished]
    # A worker that has the time for it says so itself.
    assert {trial.user_attrs["died"] for trial in died} <= {
        "Its job was interrupted.",
        "Its process ended unexpectedly.",
    }
    assert died
    assert by_state(trials, TrialState.RUNNING) == []


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
def test_a_second_signal_ends_a_search_and_its_workers_at_once(app: App) -> None:
    def twice(process: subprocess.Popen[str]) -> None:
        for worker in children(process.pid):
            os.kill(worker, signal.SIGSTOP)  # so that the first signal has to wait for it
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)

    process = stopped_in_a_trial(app, twice, *JOBLIB, *LONG)
    output = process.communicate(timeout=60)[0]

    assert process.returncode == 130, output
    assert "Interrupted at once: the next command closes what was open.\n" in output
    assert "Traceback" not in output
    wait_until(lambda: session_of(process.pid) == [], seconds=10)
    app.ok(*JOBLIB, *LONG)
    trials = study(app).trials
    assert len(by_state(trials, TrialState.COMPLETE, TrialState.PRUNED)) == 5


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
@pytest.mark.parametrize("whom", ["a worker", "all"])
def test_what_stands_still_for_longer_than_a_heartbeat_loses_no_trial(app: App, whom: str) -> None:
    def pause(process: subprocess.Popen[str]) -> None:
        busy = [p for p in session_of(process.pid) if p != process.pid]
        paused = busy[-1:] if whom == "a worker" else [process.pid, *busy]
        for number in paused:
            os.kill(number, signal.SIGSTOP)
        time.sleep(GRACE_SECONDS + 4)
        for number in paused:
            os.kill(number, signal.SIGCONT)

    process = stopped_in_a_trial(app, pause, *JOBLIB, *LONG)
    finished, died = wait_for_total(app, process)

    assert len({tuple(trial.params.values()) for trial in finished}) == 5
    assert all("died" in trial.user_attrs for trial in died)


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
def test_a_search_whose_worker_is_killed_ends_with_the_exact_total_by_itself(app: App) -> None:
    killed: list[str] = []

    def kill_worker(process: subprocess.Popen[str]) -> None:
        (busy, *_) = by_state(study(app).trials, TrialState.RUNNING)
        killed.append(busy.user_attrs["worker"])
        os.kill(int(killed[0].rpartition(":")[2]), signal.SIGKILL)

    process = stopped_in_a_trial(app, kill_worker, *JOBLIB, *LONG)
    _, died = wait_for_total(app, process)

    assert killed[0] in [trial.user_attrs["worker"] for trial in died]
    assert all("died" in trial.user_attrs for trial in died)
    assert "RUNNING" not in {run.info.status for run in runs(app)[1].values()}


@pytest.mark.parametrize("launcher", ["basic", "joblib"])
def test_each_trial_may_have_a_job_of_its_own(app: App, launcher: str) -> None:
    own = ("sweep.trials_per_worker=1", "hydra.sweeper.n_trials=3", "console=quiet")
    done = app.fork(*SEARCH, f"hydra/launcher={launcher}", *own, "tracking=none")

    assert (done.returncode, done.stderr) == (0, "")
    assert [trial.state for trial in study(app).trials] == 3 * [TrialState.COMPLETE]
    assert sorted(path.name for path in results(app)[0].iterdir() if path.is_dir()) == list("012")


def test_a_multirun_with_joblib_has_a_job_for_each_combination(app: App) -> None:
    done = app.fork("-m", *SMALL, "hydra/launcher=joblib", "model.alpha=1e-4,1e-5")

    assert done.returncode == 0, done.stderr
    parent, children = list_multirun(app)
    assert parent.info.status == "FINISHED"
    assert sorted(run.data.params["model.alpha"] for run in children) == ["0.0001", "1e-05"]
    assert {run.info.status for run in children} == {"FINISHED"}


def list_multirun(app: App) -> tuple[Run, list[Run]]:
    found = tracked_runs(app)
    (parent,) = [run for run in found if "mlflow.parentRunId" not in run.data.tags]
    children = [run for run in found if run is not parent]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    return parent, children


def test_two_processes_on_one_study_share_the_work(app: App) -> None:
    arguments = [*SERIAL, "hydra.sweeper.n_trials=8"]
    app.ok(*SERIAL, "hydra.sweeper.n_trials=1")

    processes = [app.start(*arguments) for _ in range(2)]
    outputs = [process.communicate(timeout=TIMEOUT_SECONDS) for process in processes]

    assert [process.returncode for process in processes] == [0, 0], outputs
    trials = study(app).trials
    finished = by_state(trials, TrialState.COMPLETE, TrialState.PRUNED)
    assert len(finished) == 8
    assert len({tuple(trial.params.values()) for trial in finished}) == 8
    hosts = {trial.user_attrs["worker"] for trial in finished[1:]}
    assert len(hosts) == 2
    parent, children = runs(app)
    assert parent.info.status == "FINISHED"
    assert len(children) >= 8
