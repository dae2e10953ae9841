"""What a search has found so far, and how it is said."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from tagifai.sweeping.limits.constraints import is_feasible
from tagifai.sweeping.spaces.space import SearchSpace
from tagifai.sweeping.studies import ERROR, SAME_AS, Study, TrialCounts, has_died
from tagifai.utils import board_cells
from tagifai.utils.board_cells import MISSING, describe_settings
from tagifai.utils.excerpts import format_duration, shorten_id

MOST_REASONS = 4
"""Most reasons of failures that an error names beside the first one."""


@dataclass(frozen=True)
class SearchResult:
    """The results of a search so far.

    Args:
        study: its name.
        metrics: of the objective.
        best: the best trial, or with several objectives the Pareto front.
        top: the first five by the objective, the best first.
        counts: trials by state.
        told: complete and pruned trials that were told from an earlier equal one, not trained.
        broken: complete trials that break a constraint.
        failures: numbers of the failed trials, by reason.
        saved_seconds: seconds that pruning has saved, as an estimate.
    """

    study: str
    metrics: tuple[str, ...]
    best: list[FrozenTrial]
    top: list[FrozenTrial]
    counts: TrialCounts
    told: tuple[int, int]
    broken: int
    failures: dict[str, list[int]]
    saved_seconds: float

    def describe_counts(self, n_trials: int | None = None) -> str:
        """Return how many trials there are of each kind, in words.

        Args:
            n_trials: that the search is to have; None if that is not known.
        """
        complete, pruned = self.told
        kinds = {
            "complete": self.counts.complete - complete,
            "pruned": self.counts.pruned - pruned,
            "the same as earlier ones": complete + pruned,
            "failed": self.counts.failed,
        }
        said = ", ".join(f"{n} {kind}" for kind, n in kinds.items() if n or kind == "complete")
        finished = self.counts.finished
        total = "" if n_trials is None or finished >= n_trials else f" of {n_trials}"
        more = []
        if self.broken:
            more.append(f"{self.broken} break a constraint")
        if self.counts.died:
            more.append(f"{self.counts.died} died and replaced")
        if kinds["pruned"]:
            more.append(f"pruning saved about {format_duration(self.saved_seconds)}")
        return "; ".join([f"{finished}{total}: {said}", *more])


def summarize_study(study: Study, metrics: Sequence[str]) -> SearchResult:
    """Return the results of a study."""
    trials = study.list_trials()
    # What was told from another trial is no result of its own.
    own = [t for t in trials if SAME_AS not in t.user_attrs]
    complete = [t for t in own if t.state is TrialState.COMPLETE]
    kept = [t for t in complete if is_feasible(t)]
    if len(metrics) == 1:
        sign = -1 if study.optuna.direction is StudyDirection.MAXIMIZE else 1
        # Of equal trials the first, as in Optuna.
        top = sorted(kept, key=lambda t: (sign * t.values[0], t.number))
        best = top[:1]
    else:
        front = {t.number for t in study.optuna.best_trials} if kept else set()
        best = top = [t for t in kept if t.number in front]
    failures: dict[str, list[int]] = {}
    for trial in trials:
        if trial.state is TrialState.FAIL and not has_died(trial):
            reason = str(trial.user_attrs.get(ERROR, "no reason is known"))
            failures.setdefault(reason, []).append(trial.number)
    counts, pruned = study.count_trials(), sum(t.state is TrialState.PRUNED for t in own)
    return SearchResult(
        study.name,
        tuple(metrics),
        best,
        top[:5],
        counts,
        (counts.complete - len(complete), counts.pruned - pruned),
        len(complete) - len(kept),
        failures,
        _estimate_saved_seconds(own),
    )


def describe_state(trial: FrozenTrial) -> str:
    """Return how a trial ended, in words."""
    state = "died" if has_died(trial) else trial.state.name.lower().replace("fail", "failed")
    if SAME_AS in trial.user_attrs:
        return f"{state}, the same as {trial.user_attrs[SAME_AS]}"
    if trial.state is TrialState.COMPLETE and not is_feasible(trial):
        return f"{state}, breaks a constraint"
    return state


def _estimate_saved_seconds(trials: Sequence[FrozenTrial]) -> float:
    """Return how many seconds more the pruned trials would have taken with the mean duration."""
    whole = [_get_seconds(t) for t in trials if t.state is TrialState.COMPLETE]
    if not whole:
        return 0.0
    mean = sum(whole) / len(whole)
    return sum(max(0.0, mean - _get_seconds(t)) for t in trials if t.state is TrialState.PRUNED)


def _get_seconds(trial: FrozenTrial) -> float:
    return trial.duration.total_seconds() if trial.duration is not None else 0.0


def describe_failures(result: SearchResult, report: Path | None) -> str:
    """Return in one sentence that trials have failed, and why.

    Args:
        result: of the search, with at least one failed trial.
        report: the file, or None if it could not be written.
    """
    first, *others = [
        (reason.rstrip("."), len(numbers)) for reason, numbers in result.failures.items()
    ]
    text = (
        f"{result.counts.failed} of {result.counts.finished} trials of {result.study!r} failed;"
        f" the first reason: {first[0]}"
    )
    if others:
        text += "; others: " + "; ".join(f"{reason} ({n})" for reason, n in others[:MOST_REASONS])
        left = len(others) - MOST_REASONS
        text += f"; and {left} more" if left > 0 else ""
    return text if report is None else f"{text}. All of them are in {report}"


def make_table(
    result: SearchResult, space: SearchSpace
) -> tuple[list[str], list[list[str]], dict[str, str]]:
    """Return the best trials as a board: value of each metric, run, trial and settings.

    Returns:
        Headings, rows, and what is to be known of them, by a word before it.
    """
    heading, told, common = describe_parameters(space, result.top)
    shown = {
        name: [board_cells.format_number(trial.values[place]) for trial in result.top]
        for place, name in enumerate(result.metrics)
    }
    runs = [shorten_id(str(t.user_attrs.get("run_id") or MISSING)) for t in result.top]
    shown |= {"run": runs} if {*runs} != {MISSING} else {}
    shown |= {"trial": [str(trial.number) for trial in result.top], heading: told}
    notes = {"Most common": common} if common else {}
    if len(result.metrics) == 1 and result.top:
        first = result.top[0]
        equal = [str(t.number) for t in result.top[1:] if t.values == first.values]
        if equal:
            of = "trial" if len(equal) == 1 else "trials"
            notes["Equal"] = f"{of} {', '.join(equal)} to trial {first.number}, which was first"
    return [*shown], [list(row) for row in zip(*shown.values(), strict=True)], notes


def describe_parameters(
    space: SearchSpace, trials: Sequence[FrozenTrial]
) -> tuple[str, list[str], str]:
    """Return what tells trials apart: as `board_cells.describe_settings`."""
    given = [space.index_by_key(trial.params) for trial in trials]
    keys = dict.fromkeys(key for own in given for key in own)
    return describe_settings([{k: str(own.get(k, MISSING)) for k in keys} for own in given])


def format_number(value: Any) -> str:
    """Return a number with four decimals, or four significant digits if it is small or large."""
    if not isinstance(value, float) or not math.isfinite(value):
        return str(value)
    if value == int(value) and abs(value) < 1e9:
        return str(int(value)) if abs(value) >= 10 else f"{value:.4f}"
    return f"{value:.4f}" if 0.01 <= abs(value) < 1e4 else f"{value:.4g}"
