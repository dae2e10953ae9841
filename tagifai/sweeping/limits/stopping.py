"""When a search has stopped to improve."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from optuna.trial import FrozenTrial, TrialState

LEAST_TRIALS = 20
"""Trials in a row without an improvement, at least; tpe chooses its first ten at random."""

SHARE = 0.3
"""Share of the trials so far that have to be without one, too."""


def has_stagnated(
    trials: Sequence[FrozenTrial],
    direction: str,
    may_win: Callable[[FrozenTrial], bool] = lambda trial: True,
) -> bool:
    """Return whether the best value of a search has not improved for long.

    Optuna's `BestValueStagnationEvaluator` leaves out pruned trials, which are most of them.

    Args:
        trials: of a study with one objective, by number.
        direction: "maximize" or "minimize".
        may_win: whether a complete trial can be the best: keeps to the constraints.
    """
    sign = 1 if direction == "maximize" else -1
    ended = [t for t in trials if t.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    best, improved = float("-inf"), 0
    for count, trial in enumerate(ended, start=1):
        if trial.state is TrialState.COMPLETE and may_win(trial):
            value = sign * (trial.value or 0.0)
            if value > best:
                best, improved = value, count
    return improved > 0 and len(ended) - improved >= max(LEAST_TRIALS, SHARE * len(ended))
