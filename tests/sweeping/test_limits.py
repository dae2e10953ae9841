from __future__ import annotations

from typing import Any

import optuna
import pytest
from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from tagifai.config.arguments import quote
from tagifai.config.schema import ObjectiveConfig
from tagifai.exceptions import InvalidValueError
from tagifai.sweeping.limits.constraints import (
    CONSTRAINTS,
    compute_violations,
    is_feasible,
    record_violations,
)
from tagifai.sweeping.limits.stopping import has_stagnated
from tests.sweeping.conftest import Searching, strip

LIMITS = {"model_bytes": "<= 2e6", "val_f1": ">=0.5"}


# --- constraints -----------------------------------------------------------------------------


@pytest.mark.parametrize("limit", ["<= 2e6", ">=-.5", " <= 3. ", "<=1E-3"])
def test_a_constraint_is_a_sign_and_a_number(limit: str) -> None:
    assert ObjectiveConfig(constraints={"model_bytes": limit}).measured == ["val_f1", "model_bytes"]


@pytest.mark.parametrize(
    ("metric", "limit", "said"),
    [
        ("model_bytes", "< 5", "constraints = 'model_bytes: < 5' is not allowed: '<=' or '>='"),
        ("model_bytes", "5", "constraints = 'model_bytes: 5' is not allowed"),
        ("model_bytes", "<= many", "constraints = 'model_bytes: <= many' is not allowed"),
        ("test_f1", "<= 1", "constraints = 'test_f1' is not allowed: metrics of the objective's"),
    ],
)
def test_another_form_is_refused_in_a_sentence(metric: str, limit: str, said: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        ObjectiveConfig(constraints={metric: limit})
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("measured", "violations"),
    [
        ({"model_bytes": 3e6, "val_f1": 0.75}, {"model_bytes": 1e6, "val_f1": -0.25}),
        ({"model_bytes": 2e6, "val_f1": 0.25}, {"model_bytes": 0.0, "val_f1": 0.25}),
        (None, {}),
    ],
)
def test_a_violation_is_above_0_and_a_pruned_trial_has_none(
    measured: dict[str, float] | None, violations: dict[str, float]
) -> None:
    assert compute_violations({CONSTRAINTS: measured}, LIMITS) == violations


@pytest.mark.filterwarnings("error")
def test_optuna_and_the_search_know_the_best_that_keeps_to_them() -> None:
    study = optuna.create_study(direction="maximize", sampler=TPESampler(n_startup_trials=1))
    for size, value in [(5.0, 0.9), (2.0, 0.5), (1.0, 0.4), (9.0, 0.95)]:
        trial = study.ask()
        trial.suggest_float("x", 0, 1)
        record_violations(trial, {CONSTRAINTS: {"size": size}}, {"size": "<= 2"})
        study.tell(trial, value)
    pruned = study.ask()
    record_violations(pruned, {}, {"size": "<= 2"})
    study.tell(pruned, state=TrialState.PRUNED)
    assert [is_feasible(trial) for trial in study.trials] == [False, True, True, False, False]
    assert study.best_trial.number == 1


def test_without_constraints_every_complete_trial_may_win() -> None:
    assert is_feasible(create_trial(value=1.0))


def test_constraints_are_taken_as_they_are_typed(searching: Searching) -> None:
    for typed in ("{model_bytes: <= 2e6}", '{model_bytes: "<= 2e6"}'):
        made = strip(searching(quote(f"objective.constraints={typed}")))
        assert made.objective.constraints == {"model_bytes": "<= 2e6"}


# --- the end of the improvement ----------------------------------------------------------------


def ended(*values: float | None) -> list[FrozenTrial]:
    """Return trials with values; those of None were pruned."""
    pruned: dict[str, Any] = {"state": TrialState.PRUNED}
    return [create_trial(**(pruned if v is None else {"value": v})) for v in values]


@pytest.mark.parametrize(
    ("values", "stagnated"),
    [
        ([0.5] + [0.4] * 19, False),
        ([0.5] + [0.4] * 20, True),
        ([0.5] + [None] * 20, True),
        ([0.5] + [0.5] * 20, True),  # as good is no better
        ([0.5] * 10 + [0.6] + [0.5] * 19, False),
        # Of a long search nearly a third.
        ([0.5] * 69 + [0.6] + [0.5] * 29, False),
        ([0.5] * 69 + [0.6] + [0.5] * 30, True),
        ([None] * 30, False),
        ([], False),
    ],
)
def test_a_search_has_stagnated_after_long_without_a_better_value(
    values: list[float | None], *, stagnated: bool
) -> None:
    assert has_stagnated(ended(*values), "maximize") is stagnated
    less = [None if value is None else -value for value in values]
    assert has_stagnated(ended(*less), "minimize") is stagnated


def test_running_and_failed_trials_and_those_that_cannot_win_are_no_improvement() -> None:
    others = [create_trial(state=state) for state in (TrialState.RUNNING, TrialState.FAIL)]
    trials = ended(0.5, *[0.4] * 19)
    assert not has_stagnated([*trials, *others], "maximize")
    better = [*trials, *ended(0.9)]
    assert not has_stagnated(better, "maximize")
    assert has_stagnated(better, "maximize", lambda trial: trial.value != 0.9)
