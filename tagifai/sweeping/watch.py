"""What is shown of a search while its workers work."""

from __future__ import annotations

import time
from collections.abc import Callable

from optuna.trial import FrozenTrial, TrialState

from tagifai.console.progress import SearchProgress
from tagifai.sweeping import storage
from tagifai.sweeping.plan import SearchPlan
from tagifai.sweeping.studies import SAME_AS, TrialCounts, count_trials, has_died
from tagifai.training.trial import RESULT


class SearchWatch:
    """Looks at a study, and shows what has ended since.

    Args:
        plan: of the search.

    Attributes:
        show: takes the progress whenever it has changed.
        n_ended: trials that have ended since, with a result.
    """

    def __init__(self, plan: SearchPlan) -> None:
        self._plan = plan
        self.show: Callable[[SearchProgress], None] = lambda state: None
        self.n_ended = 0
        # From the first end on: before it, workers begin and load libraries.
        self._since: tuple[float, int] | None = None
        self._known = {t.number for t in plan.study.list_trials() if t.state.is_finished()}
        self._counts: TrialCounts | None = None
        self._best = ""

    def update(self) -> list[FrozenTrial]:
        """Show the trials that have ended since; return all, when the database answers."""
        return storage.call_patiently(self._show_ended)

    def _show_ended(self) -> list[FrozenTrial]:
        trials = self._plan.study.list_trials()
        counts = count_trials(trials)
        fresh = [t for t in trials if t.state.is_finished() and t.number not in self._known]
        if any(t.state is TrialState.COMPLETE for t in fresh) or not self._best:
            self._best = self._plan.describe_best()
        for trial in sorted(fresh, key=lambda t: (t.datetime_complete, t.number)):
            self._known.add(trial.number)
            self.n_ended += not has_died(trial)
            self._show_state(counts, self._describe_end(trial))
        if not fresh and counts != self._counts:
            self._show_state(counts, "")
        self._counts = counts
        return trials

    def _describe_end(self, trial: FrozenTrial) -> str:
        if has_died(trial):
            return f"Trial {trial.number} died"
        told = trial.user_attrs.get(RESULT)
        if self._plan.is_on_sample(trial) and isinstance(told, list):
            return f"Trial {trial.number} on a sample {', '.join(self._plan.format_values(told))}"
        state = "failed" if trial.state is TrialState.FAIL else trial.state.name.lower()
        values = trial.values if trial.state is TrialState.COMPLETE else None
        shown = [f"Trial {trial.number} {state}", ", ".join(self._plan.format_values(values or []))]
        twin = trial.user_attrs.get(SAME_AS)
        same = "" if twin is None else f"(the same as trial {twin})"
        return " ".join(filter(None, [*shown, same]))

    def _show_state(self, counts: TrialCounts, event: str) -> None:
        now = time.monotonic()
        if self.n_ended and self._since is None:
            self._since = (now, self.n_ended)
        since, ended = self._since or (now, self.n_ended)
        counted = self.n_ended - ended
        self.show(
            SearchProgress(
                done=counts.finished,
                running=counts.running,
                pruned=counts.pruned,
                failed=counts.failed,
                best=self._best,
                event=event,
                seconds_per_trial=(now - since) / counted if counted else None,
            )
        )
