"""Searches of several processes: workers, signals and kills, two at one study."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from optuna.trial import TrialState

from tests.app import TIMEOUT_SECONDS, App
from tests.showcase import SEARCH, SERIAL, Showcase
from tests.sweeping.searches import by_state, results, runs, study

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
    assert len({trial.user_attrs["job"] for trial in trials}) == 2
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
            if len(trials) >= 3 and any("run_id" in t.user_attrs for t in under_way):
                break
        time.sleep(0.1)
    assert process.poll() is None, process.communicate()[0]
    stop(process)
    return process


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


def test_the_jobs_of_a_search_that_was_killed_bring_their_trials_home(app: App) -> None:
    arguments = [*JOBLIB, *LONG]

    process = stopped_in_a_trial(app, lambda p: p.kill(), *arguments)
    with process, suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=120)  # its workers end their trials and then themselves
    app.ok(*arguments)

    trials = study(app).trials
    assert len(by_state(trials, TrialState.COMPLETE, TrialState.PRUNED)) == 5
    # One that was asked for and not yet begun when the search was killed has no job to bring it.
    failed = by_state(trials, TrialState.FAIL)
    assert [t.user_attrs for t in failed if "job" in t.user_attrs] == []
    assert len(trials) == 5 + len(failed)


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
    hosts = {trial.user_attrs["job"] for trial in finished[1:]}
    assert len(hosts) == 2
    parent, children = runs(app)
    assert parent.info.status == "FINISHED"
    assert len(children) >= 8
