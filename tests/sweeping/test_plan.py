from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from optuna.pruners import MedianPruner
from optuna.trial import Trial, TrialState

from tagifai.sweeping._optuna import get_trial_id
from tagifai.sweeping.plan import SearchPlan
from tagifai.tracking import session
from tagifai.tracking.recording import operations
from tagifai.tracking.store import Experiment
from tagifai.utils import program
from tests.sweeping.conftest import Planning, kept, tried

ALPHA = {"model.alpha": "interval(0.0,1.0)"}
TWO = ("objective.metric=[val_f1,model_bytes]", "objective.direction=[maximize,minimize]")


def asked(plan: SearchPlan) -> Trial:
    return plan.study.ask({})


# --- the best so far -------------------------------------------------------------------------


def test_the_best_so_far_is_a_value_and_its_trial(planning: Planning) -> None:
    plan = planning(ALPHA)
    assert plan.describe_best() == ""
    for value in (0.5, 0.75, 0.25):
        tried(plan, {"model.alpha": 0.5}, value)
    assert plan.describe_best() == "best 0.7500 (trial 1)"


def test_with_several_objectives_it_is_how_many_are_on_the_front(planning: Planning) -> None:
    plan = planning(ALPHA, *TWO)
    for values in ((0.5, 10), (0.4, 20), (0.9, 90)):
        tried(plan, {"model.alpha": 0.5}, *values)
    assert plan.describe_best() == "2 on the Pareto front"


def test_values_are_shown_with_the_names_of_their_metrics(planning: Planning) -> None:
    plan = planning(ALPHA, *TWO)
    assert plan.format_values([0.5, 1234.0]) == ["val_f1 0.5000", "model_bytes 1234"]
    assert plan.format_values([]) == []


# --- the dead ---------------------------------------------------------------------------------


@pytest.fixture
def recorded(tracked_stores: Path) -> Any:
    def recorded() -> list[Run]:
        client = MlflowClient(f"sqlite:///{tracked_stores}/mlflow.db")
        found = client.get_experiment_by_name("tagifai")
        return [] if found is None else list(client.search_runs([found.experiment_id]))

    return recorded


@pytest.fixture
def begun(planning: Planning, tracked_stores: Path) -> SearchPlan:
    """A search whose own run is in the tracking store."""
    plan = planning(ALPHA)
    uri = f"sqlite:///{tracked_stores}/mlflow.db"
    plan.parent = session.create_run(Experiment(uri, "tagifai", tracked_stores), "search")
    return plan


def child(
    plan: SearchPlan, trial: Trial, stores: Path, state: str = "RUNNING"
) -> session.TrackedRun:
    """Return a run as a job makes one."""
    tags = {
        "mlflow.parentRunId": plan.parent.id,
        "trial.number": str(trial.number),
        "trial.state": state,
    }
    return session.create_run(
        Experiment(f"sqlite:///{stores}/mlflow.db", "tagifai", stores), None, tags
    )


def test_the_runs_of_the_dead_say_what_became_of_them(
    begun: SearchPlan, recorded: Any, tracked_stores: Path
) -> None:
    killed, failed, living = asked(begun), asked(begun), asked(begun)
    ids = {trial: child(begun, trial, tracked_stores).id for trial in (killed, living)}
    closed_by_its_job = child(begun, failed, tracked_stores, "FAIL")
    closed_by_its_job.end("FAILED", "its own reason")
    begun.study.abandon(get_trial_id(killed), "killed")
    begun.study.abandon(get_trial_id(failed), "killed")
    begun.study.abandon(get_trial_id(asked(begun)), "It had no run yet.")
    begun.close_dead_runs()
    runs = {run.info.run_id: run for run in recorded()}
    run = runs[ids[killed]]
    assert (run.info.status, run.data.tags["trial.state"]) == ("KILLED", "DIED")
    assert run.data.tags["error"] == "killed"
    run = runs[closed_by_its_job.id]
    assert (run.info.status, run.data.tags["error"]) == ("FAILED", "its own reason")
    run = runs[ids[living]]
    assert (run.info.status, run.data.tags["trial.state"]) == ("RUNNING", "RUNNING")


@pytest.mark.parametrize(
    ("state", "closed", "status", "told"),
    [
        # Its job was killed while it closed its run,
        ("DIED", False, "KILLED", "DIED"),
        ("FAIL", False, "FAILED", "FAIL"),
        ("COMPLETE", False, "FINISHED", "COMPLETE"),
        # or another command has closed it, which did not know that it was a trial's.
        ("RUNNING", True, "FAILED", "DIED"),
    ],
)
def test_no_run_of_a_dead_trial_stays_open_or_says_nothing(
    state: str,
    closed: bool,
    status: str,
    told: str,
    begun: SearchPlan,
    recorded: Any,
    tracked_stores: Path,
) -> None:
    trial = asked(begun)
    run = child(begun, trial, tracked_stores, state)
    if closed:
        run.end("FAILED", operations.ABANDONED_REASON)
    begun.study.abandon(get_trial_id(trial), "killed")
    begun.close_dead_runs()
    (found,) = [one for one in recorded() if one.info.run_id == run.id]
    assert (found.info.status, found.data.tags["trial.state"]) == (status, told)
    if closed:
        assert found.data.tags["error"] == operations.ABANDONED_REASON


def test_runs_of_other_searches_are_left(
    begun: SearchPlan, recorded: Any, tracked_stores: Path
) -> None:
    trial = asked(begun)
    mine, begun.parent = begun.parent, session.TrackedRun("another")
    child(begun, trial, tracked_stores)
    begun.parent = mine
    begun.study.abandon(get_trial_id(trial), "killed")
    begun.close_dead_runs()
    assert {run.info.status for run in recorded()} == {"RUNNING"}


def test_a_store_that_is_gone_does_not_hide_how_the_search_ended(
    begun: SearchPlan, caplog: pytest.LogCaptureFixture
) -> None:
    begun.study.abandon(get_trial_id(asked(begun)), "killed")
    begun.parent = session.TrackedRun("unknown")
    with caplog.at_level("INFO"):
        begun.close_dead_runs()
    assert "The runs of dead trials could not be closed" in caplog.text


def test_without_tracking_there_is_nothing_to_close(planning: Planning, recorded: Any) -> None:
    plan = planning(ALPHA, "tracking=none")
    trial = asked(plan)
    trial.set_user_attr("run_id", "abc")
    plan.study.abandon(get_trial_id(trial), "killed")
    plan.close_dead_runs()
    assert recorded() == []


# --- the run and the header ------------------------------------------------------------------


def test_the_run_of_a_search_holds_what_it_is_a_search_of(
    planning: Planning, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(program.COMMAND_VARIABLE, "run.py -m 'sweep=my own'")
    plan = planning(ALPHA, *TWO)
    plan.record({"parameters": plan.space.describe(), "data digest": "d1"})
    assert kept(plan).params == {
        "space.model.alpha": "from 0.0 to 1.0",
        "objective.metric": "val_f1, model_bytes",
        "objective.direction": "maximize, minimize",
        "data": "sample",
        "data.digest": "d1",
    }
    tags = kept(plan).tags
    assert tags["command"] == "run.py -m 'sweep=my own'"
    assert (tags["storage"], tags["trials"], tags["preset"]) == ("in memory", "0 of 10", None)
    assert tags["sampler"] == "optuna.samplers.TPESampler, optuna.pruners.MedianPruner"
    assert tags["launcher"] == "basic"


def test_the_header_has_names_alone_in_their_column_and_conditions_behind_the_values(
    planning: Planning, capsys: pytest.CaptureFixture[str]
) -> None:
    when = {
        "model=sgd": {"model.alpha": "choice(1,2)"},
        "model=sgd_huber": {"model.alpha": "choice(3,4)"},
    }
    plan = planning({"model": "choice(sgd,sgd_huber)"}, when=when)
    lines = [line.split(maxsplit=1) for line in header(plan, capsys).splitlines()]
    assert ["model", "choice(sgd,sgd_huber)"] in lines
    assert ["model.alpha", "choice(1,2) if model=sgd; choice(3,4) if model=sgd_huber"] in lines


def header(plan: SearchPlan, capsys: pytest.CaptureFixture[str]) -> str:
    plan.study.optuna.pruner = MedianPruner()
    plan.show_header()
    return capsys.readouterr().out


def test_the_header_names_study_objective_and_space(
    planning: Planning, capsys: pytest.CaptureFixture[str]
) -> None:
    text = header(planning(ALPHA, "objective.report_every=5"), capsys)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert lines[0] == "tagifai search"
    assert "objective" in text
    assert "maximize val_f1" in text
    assert "sampler=TPESampler" in text
    assert "pruner=MedianPruner" in text
    assert "basic, 1 at a time" in text
    assert "from 0.0 to 1.0" in text
    assert "Resumed" not in text
    assert "nothing is pruned" not in text


def test_a_pruner_that_is_told_nothing_is_noted(
    planning: Planning, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "Note: nothing is pruned, because objective.report_every is not set." in header(
        planning(ALPHA), capsys
    )


def test_a_search_that_goes_on_says_so(
    planning: Planning, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = planning(ALPHA, n_trials=2)
    plan.study.abandon(get_trial_id(asked(plan)), "killed")
    assert "Resumed:       0 of 2 trials are done." in header(plan, capsys)
    tried(plan, {"model.alpha": 0.5}, 0.5)
    assert "Resumed:       1 of 2 trials are done." in header(plan, capsys)
    plan.study.tell(asked(plan), TrialState.PRUNED, None, {})
    assert "Nothing to do: 2 of 2 trials are done. For more trials, raise" in header(plan, capsys)
