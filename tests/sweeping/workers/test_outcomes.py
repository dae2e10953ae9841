from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from optuna.trial import TrialState

from tagifai.config.job import Job, use_job
from tagifai.exceptions import ConfigError
from tagifai.sweeping.workers import outcomes
from tagifai.tracking import multirun
from tagifai.training.trial import PRUNED, STALE
from tests.sweeping.conftest import Planning

NAN = float("nan")


@pytest.mark.parametrize(
    ("value", "n_values", "state", "values", "reason"),
    [
        (0.5, 1, "COMPLETE", [0.5], ""),
        ([0.5, 3], 2, "COMPLETE", [0.5, 3.0], ""),
        (float("inf"), 1, "COMPLETE", [float("inf")], ""),
        (PRUNED, 1, "PRUNED", None, ""),
        (NAN, 1, "FAIL", None, "The job returned nan."),
        ([0.5, NAN], 2, "FAIL", None, "The job returned [0.5, nan]."),
        (None, 2, "FAIL", None, "The job returned None, not a number."),
        ([0.5], 2, "FAIL", None, "The job returned 1 values for 2 objectives."),
        (STALE, 1, "FAIL", None, outcomes.INTERRUPTED),
    ],
)
def test_a_trial_ends_by_what_its_job_returns(
    value: Any, n_values: int, state: str, values: Any, reason: str
) -> None:
    found = outcomes.judge(value, n_values)
    assert (found.state.name, found.values, found.reason) == (state, values, reason)
    assert found.is_dead is (value == STALE)


@pytest.mark.parametrize(
    ("error", "reason", "is_dead"),
    [
        (ConfigError("It makes\nno sense."), "It makes no sense.", False),
        (ValueError(), "ValueError", False),
        (OSError(28, "No space left on device"), "the disk is full", True),
    ],
)
def test_an_error_is_its_reason_and_a_full_disk_is_not_its_fault(
    error: Exception, reason: str, is_dead: bool
) -> None:
    found = outcomes.judge_error(error)
    assert (found.state, found.is_dead) == (TrialState.FAIL, is_dead)
    assert reason in found.reason


@pytest.fixture
def record(
    planning: Planning, tracked_stores: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[str | None, list[Run], str]]:
    """Records a failure of a trial of a search with these overrides."""

    def record(*overrides: str) -> tuple[str | None, list[Run], str]:
        plan = planning({"model.alpha": "interval(0.0,1.0)"}, *overrides)
        monkeypatch.setenv(multirun.PARENT_RUN_VARIABLE, "parent")
        trial = plan.study.ask({})
        plan.space.suggest_overrides(trial)
        with use_job(Job(tracked_stores / "0", multirun_dir=tracked_stores)):
            run_id = outcomes.record_failure(plan.make_worker(), trial, "It does not compose.")
        client = MlflowClient(f"sqlite:///{tracked_stores}/mlflow.db")
        found = client.get_experiment_by_name("tagifai")
        runs = [] if found is None else list(client.search_runs([found.experiment_id]))
        return run_id, runs, str(trial.params["model.alpha"])

    return record


def test_a_trial_that_failed_before_it_had_a_run_gets_one_that_says_why(
    record: Callable[..., tuple[str | None, list[Run], str]],
) -> None:
    run_id, (run,), alpha = record("sweep=quick", "seed=3", "hydra/launcher=basic")
    assert (run.info.run_id, run.info.status) == (run_id, "FAILED")
    assert run.info.run_name.startswith("trial 0 · ")
    assert f"alpha={float(alpha):.4g}" in run.info.run_name
    tags = {key: value for key, value in run.data.tags.items() if "source" not in key}
    del tags["mlflow.user"], tags["mlflow.runName"], tags["tagifai.id"]
    assert tags == {
        "mlflow.parentRunId": "parent",
        "study": "s",
        "trial.number": "0",
        "trial.state": "FAIL",
        "command": f"tagifai seed=3 hydra/launcher=basic model.alpha={alpha}",
        "error": "It does not compose.",
    }


def test_without_tracking_it_gets_none(
    record: Callable[..., tuple[str | None, list[Run], str]],
) -> None:
    assert record("tracking=none")[:2] == (None, [])
