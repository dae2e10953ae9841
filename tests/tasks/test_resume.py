"""training.resume: runs that are interrupted, and the same command again."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from tagifai.models import bundles
from tagifai.training.checkpoints import CheckpointFile
from tests.app import App, tracked_runs
from tests.training.test_streaming import reviews

SHORT = ("vectorizer=tfidf_word", "plots=none", "training.epochs=4", "training.patience=null")
RESUME = "training.resume=true"


@pytest.fixture
def interrupt(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """A function that has a command interrupted after so many checkpoints; 0 never."""
    keep = CheckpointFile.save

    def set_number(number: int) -> None:
        def save(self: CheckpointFile, state: Any) -> None:
            saved.append(state)
            keep(self, state)
            if len(saved) == number:
                raise KeyboardInterrupt

        saved: list[Any] = []
        monkeypatch.setattr(CheckpointFile, "save", save)

    return set_number


def list_kept(app: App) -> list[Path]:
    return [p for p in app.stores.glob("cache/checkpoints/**/*") if p.is_file()]


def compared(app: App) -> tuple[bytes, dict[str, str]]:
    """Return the scores and the sums of what a run's training made."""
    parts = bundles.read_manifest(app.bundle())["parts"]
    circumstances = ("config.yaml", "provenance.json")
    scores = (app.bundle() / "performance.json").read_bytes()
    return scores, {name: of_part for name, of_part in parts.items() if name not in circumstances}


def resumed_after(output: str) -> list[int]:
    found = re.findall(r"^Note: Resumed after epoch (\d+) of a training that was", output, re.M)
    return [int(epoch) for epoch in found]


def test_a_run_goes_on_from_each_of_its_trainings(
    app: App, interrupt: Callable[[int], None]
) -> None:
    command = (*SHORT, "objective.repeats=2", "tracking=none")
    app.ok(*command)
    whole = compared(app)
    interrupt(6)
    assert app.run(*command, RESUME).returncode == 130
    assert sorted(path.name for path in list_kept(app)) == ["run.skops", "seed_1.skops"]
    interrupt(0)
    # The first training is complete, and is not made again.
    assert resumed_after(app.ok(*command, RESUME)) == [3, 1]
    assert compared(app) == whole
    assert list_kept(app) == []
    assert "is reproduced to the last bit" in app.ok("task=rerun", "tracking=none")


def test_all_epochs_are_recorded_with_the_run_that_went_on(
    app: App, interrupt: Callable[[int], None]
) -> None:
    interrupt(2)
    assert app.run(*SHORT, RESUME).returncode == 130
    interrupt(0)
    assert resumed_after(app.ok(*SHORT, RESUME)) == [1]
    client = MlflowClient(f"sqlite:///{app.stores}/mlflow.db")
    later, first = tracked_runs(app)
    assert (first.info.status, later.info.status) == ("KILLED", "FINISHED")
    (logged,) = app.outputs.glob("*/*/bundle/../run.log")
    epochs = re.findall(r"Epoch (\d) \| train_loss (\S+) ", logged.read_text())
    assert [int(epoch) for epoch, _ in epochs] == [0, 1, 2, 3]
    history = client.get_metric_history(later.info.run_id, "per_epoch/train_loss")
    assert [(p.step, f"{p.value:.5f}") for p in history] == [(int(e), loss) for e, loss in epochs]


def test_other_settings_do_not_go_on_from_a_checkpoint(
    app: App, interrupt: Callable[[int], None]
) -> None:
    interrupt(2)
    app.run(*SHORT, RESUME, "tracking=none")
    interrupt(0)
    assert resumed_after(app.ok(*SHORT, RESUME, "tracking=none", "model.C=3")) == []
    # Of the first, the checkpoint is still there, and is what is removed as a cache.
    assert [path.name for path in list_kept(app)] == ["run.skops"]
    app.ok("task=clean", "task.days=0", "task.apply=true")
    assert list_kept(app) == []


def test_a_trial_that_was_interrupted_goes_on_in_the_next_one(
    app: App, interrupt: Callable[[int], None]
) -> None:
    search = (
        *("-m", "model.C=1,2", *SHORT, "hydra/sweeper=tagifai", "hydra.sweeper.n_trials=2"),
        *("hydra/launcher=basic", "objective.report_every=1", "console=quiet"),
    )
    interrupt(3)
    assert app.run(*search, RESUME).returncode == 130
    assert len(list_kept(app)) == 1
    interrupt(0)
    app.ok(*search, RESUME)
    logs = "".join(path.read_text() for path in app.outputs.glob("*/*/*/run.log"))
    assert logs.count("Resumed after epoch 2 of a training that was interrupted.") == 1
    assert list_kept(app) == []


def test_a_learning_curve_says_that_it_keeps_none(app: App) -> None:
    done = app.run("task=curve", RESUME)
    assert done.returncode == 2
    assert "training.resume = true: task=curve keeps no checkpoints" in done.stderr


@pytest.mark.e2e
@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -9), (signal.SIGTERM, 143)])
def test_a_streamed_training_that_is_killed_goes_on_to_the_same_result(
    app: App, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    reviews(3000).to_csv(tmp_path / "rows.csv", index=False)
    command = (
        *("experiment=streamed", f"data.path={tmp_path}/rows.csv", "data.chunk_rows=500"),
        *("training.epochs=30", "plots=none", "tracking=none"),
    )
    process = app.start(*command, RESUME)
    try:
        app.wait_for("Epoch 3 ")
        process.send_signal(number)
        process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == code
    (after,) = resumed_after(app.ok(*command, RESUME))
    assert 2 <= after < 30
    resumed = compared(app)
    app.ok(*command)
    assert compared(app) == resumed
    performance = json.loads((app.stores / "performance.json").read_text())
    assert performance["test"]["overall"]["f1"] == 1.0
    assert list_kept(app) == []
    assert list((app.stores / "running").iterdir()) == []
