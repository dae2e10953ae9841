from __future__ import annotations

import json
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from tagifai.config.job import Job, use_job
from tagifai.config.schema import Config, check
from tagifai.exceptions import ConfigError, UserError
from tagifai.runs import nested_estimate
from tagifai.runs.nested_estimate import NestedEstimate, SplitEstimate, SplitEstimator
from tagifai.utils import program
from tests.conftest import Compose

CHILD = """
import json, sys
from pathlib import Path

def scored(f1):
    return {"overall": {"precision": f1, "recall": f1, "f1": f1, "num_samples": 9}, "class": {},
            "slices": {}}

with open("calls.jsonl", "a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\\n")
for word in sys.argv[1:]:
    key, _, value = word.partition("=")
    if key == "hydra.sweep.dir":
        Path(value).mkdir(parents=True)
        Path(value, "optimization_results.yaml").write_text("best_params: {model.alpha: 0.1}")
    if key == "hydra.run.dir":
        bundle = Path(value, "bundle")
        bundle.mkdir(parents=True)
        (bundle / "splits.json").write_text(json.dumps({"test": ["1", "2"]}))
        scores = {"val": scored(0.9), "test": scored(0.8)}
        Path(value, "performance.json").write_text(json.dumps(scores))
"""
"""Stands for the program: it notes how it was called, and leaves what a search and a run leave."""


def stand_in(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr(
        program, "list_words", lambda *arguments: [sys.executable, "-c", script, *arguments]
    )


def configured(composed: Compose, folder: Path, *overrides: str) -> Config:
    return check(composed("task=nested", f"paths.stores={folder / 'stores'}", *overrides))


@pytest.mark.e2e
def test_a_search_chooses_and_its_winner_is_scored_with_the_users_overrides(
    composed: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(monkeypatch, tmp_path, CHILD)
    config = configured(composed, tmp_path, "task.trials=4")
    given = ("task=nested", "task.trials=4", "model=sgd", "experiment=best", "seed=1")
    of_search = ("sweep.budget=9", "sweep.restart=true")
    with use_job(Job(tmp_path / "out", overrides=(*given, *of_search))):
        found = SplitEstimator(config).estimate(7)
    assert (found.seed, found.chosen, found.test["test_f1"]) == (7, {"model.alpha": 0.1}, 0.8)
    search, training = map(json.loads, (tmp_path / "calls.jsonl").read_text().splitlines())
    assert search[:4] == ["-m", "sweep=quick", "model=sgd", "experiment=best"]
    assert "sweep.budget=9" in search
    assert "sweep.restart=true" not in search
    assert {"seed=7", "tracking=none", "hydra.sweeper.n_trials=4"} <= {*search}
    # By its name an interrupted search is found again.
    assert "hydra.sweeper.study_name=nested-7" in search
    assert training[:2] == ["experiment=nested-7", "model=sgd"]
    assert "seed=1" not in [*search, *training]
    (stores,) = {word for word in [*search, *training] if word.startswith("paths.stores")}
    assert Path(stores.partition("=")[2]).parent == tmp_path / "stores" / "cache" / "nested"


@pytest.mark.e2e
def test_what_fails_inside_a_split_is_said_with_its_seed(
    composed: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = "import sys; sys.stderr.write('WARNING: x\\nError: there is no such file\\n'); exit(2)"
    stand_in(monkeypatch, tmp_path, script)
    with use_job(Job(tmp_path)), pytest.raises(UserError) as caught:
        SplitEstimator(configured(composed, tmp_path)).estimate(7)
    assert str(caught.value) == "The split with seed 7: there is no such file"


@pytest.mark.e2e
def test_what_fails_inside_a_split_is_a_sentence_and_no_traceback(
    composed: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As the command sets it for itself.
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    said = "'Traceback' if 'HYDRA_FULL_ERROR' in os.environ else 'Error: no such option'"
    stand_in(monkeypatch, tmp_path, f"import os, sys; sys.exit({said})")
    with use_job(Job(tmp_path)), pytest.raises(UserError) as caught:
        SplitEstimator(configured(composed, tmp_path)).estimate(7)
    assert str(caught.value) == "The split with seed 7: no such option"


@pytest.mark.e2e
def test_an_interrupt_ends_the_search_inside_a_split(
    composed: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = """
import signal, sys, time
from pathlib import Path

def end(*_):
    Path("ended").touch()
    sys.exit(1)

signal.signal(signal.SIGTERM, end)
Path("begun").touch()
time.sleep(60)
"""
    stand_in(monkeypatch, tmp_path, script)

    main = threading.get_ident()

    def interrupt() -> None:
        while not (tmp_path / "begun").exists():
            time.sleep(0.02)
        signal.pthread_kill(main, signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with use_job(Job(tmp_path)), pytest.raises(KeyboardInterrupt):
        SplitEstimator(configured(composed, tmp_path)).estimate(7)
    assert (tmp_path / "ended").exists()


def estimate(*scores: float, rows: str = "distinct") -> NestedEstimate:
    return NestedEstimate(
        "test_f1",
        [
            SplitEstimate(n, {}, {}, {"test_f1": s}, ["1"] if rows == "same" else [str(n)])
            for n, s in enumerate(scores)
        ],
    )


def test_mean_deviation_and_interval_are_those_of_scipy() -> None:
    scores = [0.7, 0.8, 0.75, 0.9]
    found = estimate(*scores).to_document()
    low, high = stats.t.interval(0.95, 3, np.mean(scores), stats.sem(scores))
    assert found["mean"] == pytest.approx(np.mean(scores))
    assert found["std"] == pytest.approx(np.std(scores, ddof=1))
    assert (found["interval"]["low"], found["interval"]["high"]) == pytest.approx((low, high))
    assert estimate(*scores).describe() == (
        "test_f1 = 0.7875 ± 0.0854 (mean and standard deviation over 4 splits); 95 % interval"
        " 0.6516 to 0.9234, Student's t"
    )


def test_splits_with_the_same_test_rows_are_said() -> None:
    assert len(estimate(0.1, 0.2).list_notes()) == 1
    assert "same test rows" in estimate(0.1, 0.2, rows="same").list_notes()[1]


@pytest.mark.parametrize("override", ["objective.metric=model_bytes", "objective.metric=val_loss"])
def test_an_objective_that_test_rows_do_not_have_is_refused(
    composed: Compose, tmp_path: Path, override: str
) -> None:
    direction = "objective.direction=minimize"
    with pytest.raises(ConfigError, match="test rows have no such metric"):
        nested_estimate.check_objective(configured(composed, tmp_path, override, direction))
