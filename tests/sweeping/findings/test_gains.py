from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf
from optuna.trial import TrialState

from tagifai.evaluation.paired import PredictedRows
from tagifai.sweeping.findings import ending, gains, report
from tagifai.sweeping.findings.results import summarize_study
from tagifai.sweeping.plan import SearchPlan
from tagifai.tracking.recording import validation_rows
from tests.sweeping.conftest import Planning, kept, tried

ALPHA = {"model.alpha": "interval(0.0,1.0)"}
ACCURACY = ("objective.metric=val_accuracy",)
ROWS = 400
TRUE = np.arange(ROWS) % 2


def predict(plan: SearchPlan, number: int, wrong: int, rows: Any = None) -> None:
    """Write the predictions of a trial that has the first rows wrong."""
    said = np.where(np.arange(ROWS) < wrong, 1 - TRUE, TRUE)
    part = PredictedRows(np.arange(ROWS) if rows is None else rows, TRUE, said)
    validation_rows.write(plan.folder / str(number) / validation_rows.FILE_NAME, [part])


def add(plan: SearchPlan, wrong: int, **attributes: Any) -> int:
    """Add a trial with predictions that has the first rows wrong."""
    number = tried(plan, {"model.alpha": 0.5}, 1 - wrong / ROWS, **attributes)
    predict(plan, number, wrong)
    return number


def compute(plan: SearchPlan) -> gains.Gain | None:
    return gains.compute(plan, summarize_study(plan.study, plan.metrics))


def found(plan: SearchPlan) -> gains.Gain:
    gain = compute(plan)
    assert gain is not None
    return gain


@pytest.fixture
def plan(planning: Planning) -> SearchPlan:
    return planning(ALPHA, *ACCURACY)


def test_a_search_that_paid_says_by_how_much_and_how_sure_that_is(plan: SearchPlan) -> None:
    add(plan, 100, first="current")
    add(plan, 60)
    gain = found(plan).to_dict()
    # 40 of 400 rows are better, and none is worse: the spread is that of a share.
    half = 1.96 * np.sqrt(0.1 * 0.9 / ROWS)
    assert gain["value"] == pytest.approx(0.1)
    assert (gain["low"], gain["high"]) == pytest.approx((0.1 - half, 0.1 + half), abs=0.004)
    assert found(plan).describe() == (
        "0.1000 better than the present configuration (val_accuracy 0.7500), 95 % interval"
        f" {gain['low']:.4f} to {gain['high']:.4f} (bootstrap over the same 400 validation rows):"
        " it paid"
    )
    # The file and the run of the search have it, too.
    ending.write(plan)
    assert kept(plan).tags["gain"] == found(plan).describe()
    assert [*kept(plan).metrics] == ["val_accuracy"]
    assert OmegaConf.load(plan.folder / "optimization_results.yaml").gain == gain


def test_the_best_of_many_needs_more_to_have_paid(plan: SearchPlan) -> None:
    add(plan, 100, first="current")
    add(plan, 91)
    alone = found(plan)
    assert alone.describe().endswith("it paid")
    for _ in range(30):
        add(plan, 100)
    many = found(plan)
    assert many.to_dict()["low"] < 0 < alone.to_dict()["low"]
    assert many.describe().endswith(
        "validation rows, widened because it is the best of 31): the interval has 0 in it:"
        " perhaps chance"
    )


def test_few_rows_that_differ_may_be_chance_though_all_are_better(plan: SearchPlan) -> None:
    add(plan, 100, first="current")
    add(plan, 95)
    assert found(plan).describe().endswith("only 5 rows are predicted differently: perhaps chance")


def test_where_the_present_configuration_is_the_best_nothing_was_gained(plan: SearchPlan) -> None:
    number = add(plan, 60)
    # Told from an equal trial, which is the best.
    tried(plan, {"model.alpha": 0.5}, 1 - 60 / ROWS, first="current", same_as=number)
    add(plan, 80)
    wanted = "none: the present configuration (val_accuracy 0.8500) is the best of 2 trials"
    assert found(plan).describe() == wanted
    assert ("gain", wanted) in report.build(plan).summary


def test_a_search_without_it_says_nothing(planning: Planning) -> None:
    plan = planning(ALPHA)
    tried(plan, {"model.alpha": 0.5}, 0.5)
    tried(plan, {"model.alpha": 0.5}, 0.6, first=0)
    assert compute(plan) is None
    several = planning(
        ALPHA, "objective.metric=[val_f1,model_bytes]", "objective.direction=[maximize,minimize]"
    )
    tried(several, {"model.alpha": 0.5}, 0.5, 10, first="current")
    assert compute(several) is None
    assert "gain" not in dict(report.build(several).summary)


def other_rows(plan: SearchPlan) -> None:
    predict(plan, 1, 60, np.arange(ROWS) + 1)


def other_values(plan: SearchPlan) -> None:
    predict(plan, 1, 61)


def no_file(plan: SearchPlan) -> None:
    (plan.folder / "1" / "validation.npz").unlink()


def half_a_file(plan: SearchPlan) -> None:
    path = plan.folder / "1" / "validation.npz"
    path.write_bytes(path.read_bytes()[:100])


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (no_file, "the predictions are not in {folder}/1/validation.npz"),
        (half_a_file, "the predictions are not in {folder}/1/validation.npz"),
        (other_rows, "the two have other validation rows"),
        (other_values, "the predictions in {folder}/1 are of another training"),
    ],
)
def test_without_predictions_to_compare_there_is_no_interval_and_the_reason(
    spoil: Any, reason: str, plan: SearchPlan
) -> None:
    add(plan, 100, first="current")
    add(plan, 60)
    spoil(plan)
    assert found(plan).describe() == (
        "0.1000 better than the present configuration (val_accuracy 0.7500), without an interval:"
        f" {reason.format(folder=plan.folder)}"
    )


def test_a_loss_has_no_interval_and_less_of_it_is_better(planning: Planning) -> None:
    plan = planning(ALPHA, "objective.metric=val_loss", "objective.direction=minimize")
    tried(plan, {"model.alpha": 0.5}, 0.75, first="current")
    tried(plan, {"model.alpha": 0.5}, 0.8)
    tried(plan, {"model.alpha": 0.5}, 0.5)
    assert found(plan).describe() == (
        "0.2500 better than the present configuration (val_loss 0.7500), without an interval:"
        " val_loss is no score of predicted labels; the best of 2 is flattered by the choice"
    )


def test_where_less_is_better_the_interval_is_turned(planning: Planning) -> None:
    plan = planning(ALPHA, *ACCURACY, "objective.direction=minimize")
    add(plan, 60, first="current")
    add(plan, 100)
    gain = found(plan).to_dict()
    assert gain["value"] == pytest.approx(0.1)
    assert 0 < gain["low"] < gain["value"] < gain["high"]


def test_a_present_configuration_that_breaks_a_constraint_is_said_to(plan: SearchPlan) -> None:
    tried(plan, {"model.alpha": 0.5}, 0.9, constraint=1.0, first="current")
    add(plan, 60)
    assert (
        found(plan)
        .describe()
        .startswith(
            "0.0500 worse than the present configuration (val_accuracy 0.9000), which breaks a"
            " constraint, without an interval"
        )
    )


@pytest.mark.parametrize(("state", "end"), [("PRUNED", "was pruned"), ("FAIL", "failed")])
def test_a_present_configuration_without_a_value_is_said_to_have_none(
    state: str, end: str, plan: SearchPlan
) -> None:
    tried(plan, {"model.alpha": 0.5}, state=TrialState[state], first="current")
    add(plan, 60)
    said = f"not known: the present configuration (trial 0) {end}"
    assert (compute(plan), dict(report.build(plan).summary)["gain"]) == (None, said)


@pytest.mark.parametrize(
    ("values", "moves"),
    [
        ([0.5, 0.6, 0.55], None),
        ([0.5, 0.6, 0.55, 0.7], "4 trials: 0.7000; still moving"),
        ([0.5, 0.6, *[0.1] * 5], "5, 7 trials: 0.6000, 0.6000; no better since trial 1"),
        (
            [0.5, *[0.1] * 7, 0.6, *[0.1] * 12, 0.7, *[0.1] * 20],
            "10, 20, 40, 42 trials: 0.6000, 0.6000, 0.7000, 0.7000; no better since trial 21",
        ),
    ],
)
def test_how_the_best_has_moved_is_one_line(
    values: list[float], moves: str | None, planning: Planning
) -> None:
    plan = planning(ALPHA)
    for value in values:
        tried(plan, {"model.alpha": 0.5}, value)
    assert gains.describe_moves(plan.study, summarize_study(plan.study, plan.metrics)) == moves
    assert dict(report.build(plan).summary).get("best after") == moves


def test_what_a_pruned_trial_reported_last_and_what_breaks_a_constraint_are_no_best(
    planning: Planning,
) -> None:
    plan = planning(ALPHA)
    for _ in range(3):
        tried(plan, {"model.alpha": 0.5}, 0.5)
    tried(plan, {"model.alpha": 0.5}, 0.9, state=TrialState.PRUNED)
    tried(plan, {"model.alpha": 0.5}, 0.9, constraint=1.0)
    moves = gains.describe_moves(plan.study, summarize_study(plan.study, plan.metrics))
    assert moves == "5 trials: 0.5000; no better since trial 0"
