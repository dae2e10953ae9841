"""Trials: a job's own trial, opened again by study and number, beaten for and reported to."""

from __future__ import annotations

import os
import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import optuna
from optuna.samplers import RandomSampler
from optuna.trial import FrozenTrial, Trial

from tagifai.config.job import SearchTrial
from tagifai.exceptions import StaleTrialError
from tagifai.sweeping import samplers, studies


class OpenTrial:
    """A trial that is worked on.

    Args:
        trial: Optuna's.
    """

    def __init__(self, trial: Trial) -> None:
        self._trial = trial
        self.is_stale = False

    def note(self, **attributes: Any) -> None:
        """Keep attributes with the trial.

        Raises:
            Reaped: the trial has ended.
        """
        with _raise_if_stale():
            for name, value in attributes.items():
                self._trial.set_user_attr(name, value)

    def report(self, step: int, value: float) -> bool:
        """Report a value and return whether to stop.

        Raises:
            Reaped: the trial has ended.
        """
        with _raise_if_stale():
            self._trial.report(value, step)
        with warnings.catch_warnings(action="ignore", category=RuntimeWarning):
            # NumPy's, where no report so far is a number; such a trial is pruned.
            return self._trial.should_prune()

    def check(self) -> None:
        """Raise `Reaped` if it is known that the trial has ended; asks nobody."""
        if self.is_stale:
            raise StaleTrialError

    def update_stale(self, trial: FrozenTrial) -> bool:
        """Learn from the trial's record whether it has ended."""
        self.is_stale = trial.state.is_finished()
        return self.is_stale


@contextmanager
def _raise_if_stale() -> Iterator[None]:
    try:
        yield
    except optuna.exceptions.UpdateFinishedTrialError:
        raise StaleTrialError from None


@contextmanager
def open_trial(address: SearchTrial) -> Iterator[OpenTrial]:
    """Open a trial and beat for it as long as the block is worked on.

    Raises:
        Reaped: it has ended.
        StudyError: the store of studies does not answer.
    """
    with studies.translate_storage_errors(address.storage):
        storage = studies.connect(address.storage)
        study = optuna.load_study(
            study_name=address.study,
            storage=storage,
            sampler=RandomSampler(),  # the values have been chosen
            pruner=samplers.make_pruner(address.pruner),
        )
        study_id = storage.get_study_id_from_name(address.study)
        trial_id = storage.get_trial_id_from_study_id_trial_number(study_id, address.number)
        opened = OpenTrial(Trial(study, trial_id))
        with studies.TrialHeartbeat(storage, opened.update_stale) as heartbeat:
            heartbeat.add(trial_id)
            opened.note(**{studies.JOB: f"{socket.gethostname()}:{os.getpid()}"})
            yield opened
