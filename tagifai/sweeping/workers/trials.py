"""A worker's trial as its training sees it: notes and reports."""

from __future__ import annotations

import logging
import warnings
from typing import Any

import optuna
from optuna.pruners import NopPruner
from optuna.trial import Trial

from tagifai.exceptions import StaleTrialError
from tagifai.sweeping import storage
from tagifai.sweeping.workers.heartbeats import TrialHeartbeat

log = logging.getLogger(__name__)


class OpenTrial:
    """The trial that a worker works on.

    Args:
        trial: Optuna's trial.
        heartbeat: of the worker.

    Attributes:
        notes: what the study is told with the trial's end, because each note takes milliseconds.
    """

    def __init__(self, trial: Trial, heartbeat: TrialHeartbeat) -> None:
        self._trial = trial
        self._heartbeat = heartbeat
        self._is_pruned = not isinstance(trial.study.pruner, NopPruner)
        self.notes: dict[str, Any] = {}

    def note(self, **attributes: Any) -> None:
        """Keep attributes with the trial."""
        self.notes |= attributes

    def report(self, step: int, value: float) -> bool:
        """Report a value and return whether to stop; without a pruner nothing is reported.

        Args:
            step: epoch over all repeats.
            value: of the objective.

        Raises:
            StaleTrialError: the trial has ended.
        """
        if not self._is_pruned:
            return False
        try:
            self._trial.report(value, step)
            with warnings.catch_warnings(action="ignore", category=RuntimeWarning):
                # NumPy warns where no report so far is a number; such a trial is pruned.
                return self._trial.should_prune()
        except optuna.exceptions.UpdateFinishedTrialError:
            raise StaleTrialError from None
        except storage.STORAGE_ERRORS as error:
            # The training goes on, and the study may answer later.
            log.warning("A value was not reported: %s", storage.describe(error))
            return False

    def check(self) -> None:
        """Raise `StaleTrialError` if the trial is known to have ended; the study is not asked."""
        if self._heartbeat.has_ended:
            raise StaleTrialError
