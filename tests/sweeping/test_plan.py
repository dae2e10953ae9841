from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from omegaconf import DictConfig
from optuna.pruners import MedianPruner
from optuna.samplers import GridSampler
from optuna.trial import Trial, TrialState

from tagifai.sweeping import plan as module
from tagifai.sweeping.plan import SearchPlan
from tagifai.tracking import session
from tagifai.tracking.recording import operations
from tagifai.tracking.store import Experiment
from tagifai.utils import program
from tests.sweeping.conftest import Planning, kept, tried

ALPHA = {"model.alpha": "interval(0.0,1.0)"}
TWO = ("objective.metric=[val_f1,model_bytes]", "objective.direction=[maximize,minimize]")


def asked(plan: SearchPlan) -> Trial:
    trial = plan.study.ask(100)
    assert trial is not None
    return trial


# --- overrides -------------------------------------------------------------------------------


def test_the_overrides_of_a_trial_are_those_of_the_space(planning: Planning) -> None:
    plan = planning(ALPHA, "seed=3")
    trial = asked(plan)
    assert plan.suggest_overrides(trial) == ["seed=3", f"model.alpha={trial.params['model.alpha']}"]


def test_a_function_may_add_to_them_and_sees_what_was_chosen(planning: Planning) -> None:
    seen: list[Any] = []

    def extend(cfg: DictConfig, trial: Trial) -> None:
        seen.append((cfg.model.loss, dict(trial.params)))
        trial.suggest_int("model.extra", 5, 5)

    plan = planning(ALPHA, extend=extend)
    trial = asked(plan)
    overrides = plan.suggest_overrides(trial)
    alpha = trial.params["model.alpha"]
    assert overrides == [f"model.alpha={alpha}", "model.extra=5"]
    assert seen == [("log_loss", {"model.alpha": alpha})]


# --- the best so far -------------------------------------------------------------------------


def test_before_the_first_trial_there_is_no_best(planning: Planning) -> None:
    assert planning(ALPHA).describe_best() == ""


def test_the_best_so_far_is_a_value_and_its_trial(planning: Planning) -> None:
    plan = planning(ALPHA)
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


# --- a failure without a run -----------------------------------------------------------------


@pytest.fixture
def recorded(tracked_stores: Path) -> Any:
    def recorded() -> list[Run]:
        client = MlflowClient(f"sqlite:///{tracked_stores}/mlflow.db")
        found = client.get_experiment_by_name("tagifai")
        return [] if found is None else list(client.search_runs([found.experiment_id]))

    return recorded


def test_a_trial_that_failed_before_it_had_a_run_gets_one_that_says_why(
    planning: Planning, recorded: Any
) -> None:
    plan = planning(ALPHA, "sweep=quick", "seed=3", "hydra/launcher=basic")
    trial = asked(plan)
    overrides = plan.suggest_overrides(trial)
    plan.record_failure(trial.number, "It does not compose.")
    (run,) = recorded()
    assert (run.info.status, run.info.run_name) == ("FAILED", "trial-0")
    tags = {key: value for key, value in run.data.tags.items() if "source" not in key}
    del tags["mlflow.user"], tags["mlflow.runName"], tags["tagifai.id"]
    assert tags == {
        "mlflow.parentRunId": "parent",
        "study": "s",
        "trial.number": "0",
        "trial.state": "FAIL",
        "command": f"tagifai seed=3 hydra/launcher=basic {overrides[-1]}",
        "error": "It does not compose.",
    }


def test_one_that_had_a_run_gets_no_second_one(planning: Planning, recorded: Any) -> None:
    plan = planning(ALPHA)
    trial = asked(plan)
    plan.suggest_overrides(trial)
    trial.set_user_attr("run_id", "abc")
    plan.record_failure(trial.number, "It failed.")
    assert recorded() == []


def test_without_tracking_it_gets_none(planning: Planning, recorded: Any) -> None:
    plan = planning(ALPHA, "tracking=none")
    trial = asked(plan)
    plan.suggest_overrides(trial)
    plan.record_failure(trial.number, "It failed.")
    assert recorded() == []


# --- the dead ---------------------------------------------------------------------------------


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
    begun.study.abandon(killed._trial_id, "killed")
    begun.study.abandon(failed._trial_id, "killed")
    begun.study.abandon(asked(begun)._trial_id, "It had no run yet.")
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
    ("state", "status"), [("DIED", "KILLED"), ("FAIL", "FAILED"), ("COMPLETE", "FINISHED")]
)
def test_a_job_that_was_killed_while_it_closed_its_run_leaves_none_open(
    state: str, status: str, begun: SearchPlan, recorded: Any, tracked_stores: Path
) -> None:
    trial = asked(begun)
    run_id = child(begun, trial, tracked_stores, state).id
    begun.study.abandon(trial._trial_id, "killed")
    begun.close_dead_runs()
    (run,) = [run for run in recorded() if run.info.run_id == run_id]
    assert (run.info.status, run.data.tags["trial.state"]) == (status, state)


def test_a_run_that_was_closed_without_a_word_says_that_its_trial_died(
    begun: SearchPlan, recorded: Any, tracked_stores: Path
) -> None:
    trial = asked(begun)
    run = child(begun, trial, tracked_stores)
    run.end("FAILED", operations.ABANDONED_REASON)
    begun.study.abandon(trial._trial_id, "killed")
    begun.close_dead_runs()
    (found,) = [one for one in recorded() if one.info.run_id == run.id]
    assert (found.info.status, found.data.tags["trial.state"]) == ("FAILED", "DIED")
    assert found.data.tags["error"] == operations.ABANDONED_REASON


def test_runs_of_other_searches_are_left(
    begun: SearchPlan, recorded: Any, tracked_stores: Path
) -> None:
    trial = asked(begun)
    mine, begun.parent = begun.parent, session.TrackedRun("another")
    child(begun, trial, tracked_stores)
    begun.parent = mine
    begun.study.abandon(trial._trial_id, "killed")
    begun.close_dead_runs()
    assert {run.info.status for run in recorded()} == {"RUNNING"}


def test_a_store_that_is_gone_does_not_hide_how_the_search_ended(
    begun: SearchPlan, caplog: pytest.LogCaptureFixture
) -> None:
    begun.study.abandon(asked(begun)._trial_id, "killed")
    begun.parent = session.TrackedRun("unknown")
    with caplog.at_level("INFO"):
        begun.close_dead_runs()
    assert "The runs of dead trials could not be closed" in caplog.text


def test_without_tracking_there_is_nothing_to_close(planning: Planning, recorded: Any) -> None:
    plan = planning(ALPHA, "tracking=none")
    trial = asked(plan)
    trial.set_user_attr("run_id", "abc")
    plan.study.abandon(trial._trial_id, "killed")
    plan.close_dead_runs()
    assert recorded() == []


# --- how many --------------------------------------------------------------------------------


@pytest.mark.parametrize(("wanted", "n_trials"), [(20, 6), (6, 6), (4, 4)])
def test_a_grid_has_no_more_trials_than_points(
    wanted: int, n_trials: int, planning: Planning
) -> None:
    params = {"model.average": "true,false", "vectorizer.ngram_max": "range(3,6)"}
    plan = planning(params, f"hydra.sweeper.n_trials={wanted}")
    assert module._count_trials(plan.settings, plan.study, plan.space) == wanted
    plan.study.optuna.sampler = GridSampler(plan.space.make_grid(), seed=0)
    assert module._count_trials(plan.settings, plan.study, plan.space) == n_trials


# --- the run and the header ------------------------------------------------------------------


def test_the_run_of_a_search_holds_what_it_is_a_search_of(
    planning: Planning, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(program.COMMAND_VARIABLE, "run.py -m 'sweep=my own'")
    plan = planning(ALPHA, *TWO)
    module._log_search(plan, {"parameters": plan.space.describe(), "data digest": "d1"})
    assert kept(plan).params == {
        "space.model.alpha": "from 0.0 to 1.0",
        "objective.metric": "val_f1, model_bytes",
        "objective.direction": "maximize, minimize",
        "data": "sample",
        "data.digest": "d1",
    }
    tags = kept(plan).tags
    assert tags["command"] == "run.py -m 'sweep=my own'"
    assert (tags["storage"], tags["n_trials"], tags["preset"]) == ("in memory", 10, None)
    assert tags["sampler"] == "optuna.samplers.TPESampler"
    assert tags["pruner"] == "optuna.pruners.MedianPruner"
    assert tags["launcher"] == "basic"


def header(plan: SearchPlan, capsys: pytest.CaptureFixture[str]) -> str:
    module._show_header(plan, MedianPruner())
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
    plan.study.abandon(asked(plan)._trial_id, "killed")
    assert "Resumed:       0 of 2 trials are done." in header(plan, capsys)
    tried(plan, {"model.alpha": 0.5}, 0.5)
    assert "Resumed:       1 of 2 trials are done." in header(plan, capsys)
    plan.study.tell(asked(plan), TrialState.PRUNED, None)
    assert "Nothing to do: 2 of 2 trials are done. For more trials, raise" in header(plan, capsys)
