"""The trial of a job, opened by study and number, with its heartbeats and reports."""

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
from tagifai.utils.secrets import mask_all


class OpenTrial:
    """The open trial of a job.

    Args:
        trial: Optuna's trial.
    """

    def __init__(self, trial: Trial) -> None:
        self._trial = trial
        self.is_stale = False

    def note(self, **attributes: Any) -> None:
        """Set attributes of the trial.

        Raises:
            StaleTrialError: the trial has ended.
        """
        with _raise_if_stale():
            for name, value in attributes.items():
                self._trial.set_user_attr(name, mask_all(value))

    def report(self, step: int, value: float) -> bool:
        """Report a value and return whether to stop.

        Args:
            step: epoch over all repeats.
            value: of the objective.

        Raises:
            StaleTrialError: the trial has ended.
        """
        with _raise_if_stale():
            self._trial.report(value, step)
        with warnings.catch_warnings(action="ignore", category=RuntimeWarning):
            # NumPy warns where no report so far is a number; such a trial is pruned.
            return self._trial.should_prune()

    def check(self) -> None:
        """Raise `StaleTrialError` if the trial is known to have ended; the study is not asked."""
        if self.is_stale:
            raise StaleTrialError

    def update_stale(self, trial: FrozenTrial) -> bool:
        """Note and return whether the trial has ended, from its record."""
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
    """Open a trial, and send its heartbeats during the block.

    Args:
        address: study, storage and number of the trial.

    Raises:
        StaleTrialError: the trial has ended.
        StudyError: the database of studies does not answer.
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
