"""Several runs by one command: the combinations, their parent run, and signals."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow.entities import Run

from tagifai.runs import trainer
from tests.app import SMALL, App, end_group, environment, tracked_runs
from tests.showcase import Showcase


def test_a_multirun_runs_every_combination_below_outputs(
    tmp_path: Path, showcase: Showcase
) -> None:
    app = showcase.copy("multirun", tmp_path)

    saved = sorted(app.outputs.glob("*/*-multirun/*/performance.json"))
    assert [path.parent.name for path in saved] == ["0", "1", "2", "3"]
    assert len(list(app.stores.glob("artifacts/*/artifacts/bundle"))) == 4


STEEP = ("model=sgd_huber", "model.learning_rate=constant")
ENDLESS = ("training.epochs=100000", "training.patience=null")
SWEEP = ("-m", "vectorizer=tfidf_word", "model.alpha=1e-4,1e-5", "plots=none")


ALL_OF_TWO = (*SWEEP, "training.epochs=2", "console=quiet")


def parent_and_children(app: App) -> tuple[Run, list[Run]]:
    """Return the run that all others are children of, and those by their job's number."""
    runs = tracked_runs(app)
    (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    children = [run for run in runs if run is not parent]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} <= {parent.info.run_id}
    return parent, sorted(children, key=lambda run: Path(run.data.tags.get("output_dir", "")).name)


def test_a_multirun_is_one_run_with_a_child_for_each_combination(app: App) -> None:
    arguments = (*ALL_OF_TWO, "hydra/launcher=basic")
    done = app.run(*arguments)
    assert done.returncode == 0, done.stderr
    check_parent_and_children(app, arguments)


@pytest.mark.parametrize("job", [0, 1])
def test_an_interrupt_says_which_jobs_are_kept_and_how_to_compare_them(
    app: App, monkeypatch: pytest.MonkeyPatch, job: int
) -> None:
    train, begun = trainer.train, []

    def train_or_interrupt(*arguments: Any) -> Any:
        begun.append(arguments)
        if len(begun) > job:
            raise KeyboardInterrupt
        return train(*arguments)

    monkeypatch.setattr(trainer, "train", train_or_interrupt)
    done = app.run(*ALL_OF_TWO, "hydra/launcher=basic")
    assert done.returncode == 130
    assert done.stderr.endswith("\nInterrupted.\n")
    if job == 0:
        assert "Done: no job" in " ".join(done.stdout.split())
        assert "task=compare" not in done.stdout
        return
    assert "Done: 1 of 2 jobs, whose runs are kept" in " ".join(done.stdout.split())
    parent, _ = parent_and_children(app)
    assert f"task=compare task.parent={parent.info.run_id}" in done.stdout


@pytest.mark.e2e
def test_it_is_so_with_the_workers_of_joblib(app: App) -> None:
    arguments = (*ALL_OF_TWO, "hydra/launcher=joblib")
    done = app.fork(*arguments)
    assert done.returncode == 0, done.stderr
    check_parent_and_children(app, arguments)


def check_parent_and_children(app: App, arguments: tuple[str, ...]) -> None:
    parent, children = parent_and_children(app)
    assert [run.info.status for run in (parent, *children)] == ["FINISHED"] * 3
    assert [run.data.params["model.alpha"] for run in children] == ["0.0001", "1e-05"]
    (folder,) = app.outputs.glob("*/*-multirun")
    assert (parent.info.run_name, parent.data.tags["sweep.dir"]) == (
        "multirun · alpha",
        str(folder),
    )
    scores = {run.data.metrics["objective"]: run.info.run_id for run in children}
    assert parent.data.metrics == {"val_f1": max(scores)}
    assert parent.data.tags["best.run_id"] in scores.values()
    told = [f"paths.stores={app.stores}", f"paths.outputs={app.outputs}"]
    assert shlex.split(parent.data.tags["command"]) == ["run.py", *arguments, *told]
    for child, alpha in zip(children, ("0.0001", "1e-05"), strict=True):
        assert re.search(r" · alpha=1e-[45]", child.info.run_name)
        words = shlex.split(child.data.tags["command"])
        assert {f"model.alpha={alpha}", "training.epochs=2", *told} <= set(words)
        assert "-m" not in words
        assert child.data.metrics["val_loss"] > 0
    assert app.run_id() in {run.info.run_id for run in children}
    assert not list((app.stores / "running").iterdir())


def test_a_multirun_of_which_a_job_fails_has_a_failed_parent_that_says_why(app: App) -> None:
    done = app.run("-m", *SMALL, *STEEP, "model.eta0=0.01,1e308")

    assert done.returncode == 2
    assert "diverged in epoch 0" in done.stderr
    assert "Traceback" not in done.stderr
    parent, children = parent_and_children(app)
    assert [run.info.status for run in children] == ["FINISHED", "FAILED"]
    assert parent.info.status == "FAILED"
    assert "diverged in epoch 0" in parent.data.tags["error"]
    assert not list((app.stores / "running").iterdir())


@pytest.fixture
def long_multirun(app: App, request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[str]]:
    """A multirun in the middle of its first job, by the named launcher; ended with its workers."""
    process = subprocess.Popen(
        app.command(*SWEEP, *ENDLESS, f"hydra/launcher={request.param}"),
        cwd=app.cwd,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        app.wait_for("Epoch 20")
        yield process
    finally:
        end_group(process)
        process.communicate()


@pytest.mark.e2e
@pytest.mark.parametrize("long_multirun", ["basic", "joblib"], indirect=True)
def test_the_parent_of_a_multirun_that_was_killed_is_closed_by_the_next_command(
    app: App, long_multirun: subprocess.Popen[str]
) -> None:
    long_multirun.kill()
    long_multirun.wait(timeout=60)
    assert parent_and_children(app)[0].info.status == "RUNNING"
    # Workers may be at their jobs still; the parent is the first process's alone.
    assert "as failed" in app.ok("task=info")
    parent, _ = parent_and_children(app)
    assert parent.info.status == "FAILED"
    assert parent.data.tags["error"].startswith("The process ended unexpectedly")
    end_group(long_multirun)
    app.ok("task=elt")
    app.ok("task=info")
    parent, children = parent_and_children(app)
    assert children
    assert parent.info.status == "FAILED"
    # A worker that is told so in time closes its run itself.
    assert {run.info.status for run in children} <= {"FAILED", "KILLED"}
    assert not list((app.stores / "running").iterdir())


@pytest.mark.e2e
@pytest.mark.parametrize("long_multirun", ["basic"], indirect=True)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_multirun_that_is_interrupted_is_killed_with_its_job(
    app: App, long_multirun: subprocess.Popen[str], number: signal.Signals, code: int
) -> None:
    long_multirun.send_signal(number)
    _, errors = long_multirun.communicate(timeout=120)

    assert long_multirun.returncode == code
    assert "Traceback" not in errors
    parent, children = parent_and_children(app)
    assert [run.info.status for run in (parent, *children)] == ["KILLED"] * 2
    assert parent.data.tags["error"] == "Interrupted."
    assert not list((app.stores / "running").iterdir())


@pytest.mark.e2e
@pytest.mark.parametrize("long_multirun", ["joblib"], indirect=True)
def test_workers_of_a_multirun_that_is_interrupted_close_their_runs(
    app: App, long_multirun: subprocess.Popen[str]
) -> None:
    os.killpg(long_multirun.pid, signal.SIGINT)  # as Ctrl-C does
    _, errors = long_multirun.communicate(timeout=120)

    assert long_multirun.returncode == 130
    assert "Traceback" not in errors
    parent, children = parent_and_children(app)
    assert parent.info.status == "KILLED"
    assert children
    assert {run.info.status for run in children} == {"KILLED"}
    assert not list((app.stores / "running").iterdir())
