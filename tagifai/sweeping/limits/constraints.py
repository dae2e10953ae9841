"""Constraints of an objective, such as `model_bytes: "<= 2e6"`.

A training notes with its trial what it measured, which becomes Optuna's constraints of the trial:
samplers that can (tpe, nsgaii, nsgaiii, gp) keep to them when they choose values, and the best of
all samplers keeps to them. A pruned trial has none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna.trial import FrozenTrial, Trial, TrialState

from tagifai.config.schema.objective import read_limit

CONSTRAINTS = "constraints"
"""Attribute of a trial: the constraints' metrics as its training measured them."""


def compute_violations(
    user_attrs: Mapping[str, Any], constraints: Mapping[str, str]
) -> dict[str, float]:
    """Return by how much a trial violates each constraint: 0 or less if it does not.

    Args:
        user_attrs: of the trial.
        constraints: limits by metric, of the objective.

    Returns:
        Nothing if the trial measured nothing.
    """
    measured = user_attrs.get(CONSTRAINTS) or {}
    limits = {metric: read_limit(text) for metric, text in constraints.items()}
    return {
        metric: sign * (float(measured[metric]) - limit)
        for metric, (sign, limit) in limits.items()
        if metric in measured
    }


def record_violations(
    trial: Trial, user_attrs: Mapping[str, Any], constraints: Mapping[str, str]
) -> None:
    """Record with a trial that has not been told yet how it keeps to the constraints.

    Args:
        trial: that has ended.
        user_attrs: that it is told with.
        constraints: limits by metric, of the objective.
    """
    for metric, violation in compute_violations(user_attrs, constraints).items():
        trial.set_constraint(metric, violation)


def is_feasible(trial: FrozenTrial) -> bool:
    """Return whether a complete trial keeps to the constraints that it has."""
    kept = all(violation <= 0 for violation in trial.constraints.values())
    return trial.state is TrialState.COMPLETE and kept
