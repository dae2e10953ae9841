"""Whether a search paid: its gain over the present configuration, and how the gain moved."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from tagifai.sweeping.findings.results import SearchResult, format_number
from tagifai.sweeping.limits.constraints import is_feasible
from tagifai.sweeping.spaces.guesses import CURRENT
from tagifai.sweeping.studies import FIRST, SAME_AS, Study, has_died

if TYPE_CHECKING:
    from tagifai.evaluation.paired import ScoreDifference
    from tagifai.sweeping.plan import SearchPlan

FEWEST_TRIALS = 4
"""That say how the best of a search has moved."""


@dataclass(frozen=True)
class Gain:
    """The gain of the best trial over the present configuration.

    Args:
        value: how much better the best trial is, of the objective.
        current: value of the present configuration.
        choices: trained trials that the best was chosen from, without the present configuration.
        present: the present configuration in words.
        found: the difference on the validation rows; a text says why there is none, or is empty
            where the present configuration is the best itself.
    """

    value: float
    current: float
    choices: int
    present: str
    found: ScoreDifference | str

    def to_dict(self) -> dict[str, float]:
        """Return the gain, the present value and, where there is one, the interval by name."""
        found = {"value": self.value, "current": self.current}
        if not isinstance(self.found, str):
            found |= {"low": self.found.low, "high": self.found.high}
        return found

    def describe(self) -> str:
        """Return the gain in words, and whether it may be chance."""
        if not self.found:
            return f"none: {self.present} is the best of {self.choices + 1} trials"
        better = "better" if self.value >= 0 else "worse"
        said = f"{format_number(abs(self.value))} {better} than {self.present}"
        if isinstance(self.found, str):
            chosen = f"; the best of {self.choices} is flattered by the choice"
            return f"{said}, without an interval: {self.found}{chosen * (self.choices > 1)}"
        how = f"bootstrap over the same {self.found.rows} validation rows"
        if self.choices > 1:
            how += f", widened because it is the best of {self.choices}"
        low, high = self.found.low, self.found.high
        verdict = "it paid" if self.value > 0 else "it did not pay"
        if low <= 0 <= high:
            verdict = "the interval has 0 in it: perhaps chance"
        elif not self.found.is_shown:
            verdict = f"only {self.found.differing} rows are predicted differently: perhaps chance"
        interval = f"95 % interval {format_number(low)} to {format_number(high)}"
        return f"{said}, {interval} ({how}): {verdict}"


def compute(plan: SearchPlan, result: SearchResult) -> Gain | None:
    """Return the gain over the present configuration; None if the search has no value of it."""
    trials, current = plan.study.list_trials(), find_current(plan.study)
    if current is None or len(result.metrics) != 1 or not result.best:
        return None
    best, metric, trained = result.best[0], result.metrics[0], _get_trained(current)
    others = [
        trial
        for trial in trials
        if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)
        and trial.number not in (trained, current.number)
        and SAME_AS not in trial.user_attrs
    ]
    sign = 1 if plan.study.optuna.direction is StudyDirection.MAXIMIZE else -1
    present = f"the present configuration ({metric} {format_number(current.values[0])})"
    if not is_feasible(current):
        present += ", which breaks a constraint"
    found: ScoreDifference | str = ""
    if best.number != trained:
        folders = (plan.folder / str(best.number), plan.folder / str(trained))
        values = (float(best.values[0]), float(current.values[0]))
        try:
            found = _compare(*folders, metric, values, max(1, len(others)))
            if sign < 0:
                found = replace(found, low=-found.high, high=-found.low)
        except ValueError as error:
            found = str(error)
    value = sign * (best.values[0] - current.values[0])
    return Gain(value, float(current.values[0]), len(others), present, found)


def find_current(study: Study) -> FrozenTrial | None:
    """Return the complete trial of the present configuration, or None."""
    complete = study.list_trials(TrialState.COMPLETE)
    return next((t for t in complete if t.user_attrs.get(FIRST) == CURRENT), None)


def _get_trained(trial: FrozenTrial) -> int:
    """Return the number of the trial that trained: its own, or that of an equal earlier one."""
    return int(trial.user_attrs.get(SAME_AS, trial.number))


# Asked for three times: by the file of results, the terminal and the report.
@lru_cache(maxsize=8)
def _compare(
    one: Path, other: Path, metric: str, values: tuple[float, float], choices: int
) -> ScoreDifference:
    from tagifai.tracking.recording import validation_rows  # late: needed at the end

    return validation_rows.compare([(one, other)], metric, values, choices)


def describe_absence(plan: SearchPlan, result: SearchResult) -> str | None:
    """Return why the gain is not known though the present configuration was tried, or None."""
    if len(result.metrics) != 1 or not result.best:
        return None
    for trial in plan.study.list_trials(TrialState.PRUNED, TrialState.FAIL):
        if trial.user_attrs.get(FIRST) == CURRENT and not has_died(trial):
            end = "was pruned" if trial.state is TrialState.PRUNED else "failed"
            return f"not known: the present configuration (trial {trial.number}) {end}"
    return None


def describe_moves(study: Study, result: SearchResult) -> str | None:
    """Return in one line how the best value has moved with the trials; None of few trials."""
    ended = [t for t in study.list_trials() if t.state.is_finished() and not has_died(t)]
    if len(result.metrics) != 1 or not result.best or len(ended) < FEWEST_TRIALS:
        return None
    choose = max if study.optuna.direction is StudyDirection.MAXIMIZE else min
    moves: dict[int, str] = {}
    # After all trials, and after up to three smaller numbers, each double the last.
    doubled = [5 * 2**power for power in range(20) if 5 * 2**power < len(ended)]
    for n in [*doubled[-3:], len(ended)]:
        values = [t.values[0] for t in ended[:n] if t.values and is_feasible(t)]
        if values:
            moves[n] = format_number(choose(values))
    best = result.best[0].number
    last = "still moving" if best == ended[-1].number else f"no better since trial {best}"
    return f"{', '.join(map(str, moves))} trials: {', '.join(moves.values())}; {last}"
