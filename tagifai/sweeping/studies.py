"""A study that several processes share: each asks for trials, and tells how they ended.

Optuna's heartbeat says which trials are alive. A gap in it is closed here: a trial whose process
died before its first heartbeat gets one from each process that finds it, after which it dies like
any other.
"""

from __future__ import annotations

import logging
import threading
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, cast

import optuna
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler, GridSampler
from optuna.storages import BaseStorage
from optuna.study import Study as OptunaStudy
from optuna.trial import FrozenTrial, Trial, TrialState

from tagifai.sweeping import storage as databases
from tagifai.sweeping._optuna import get_trial_id, list_stale_trials, tell_alone
from tagifai.sweeping.storage import StudyError, beat, has_heartbeat
from tagifai.utils.secrets import mask, mask_all

DIED = "died"
"""Attribute of a trial that died with its process and is replaced: the reason."""

ERROR = "error"
"""Attribute of a trial that failed: the reason."""

SAME_AS = "same_as"
"""Attribute of a trial that was not trained: the number of the earlier trial with its values."""

FIRST = "first"
"""Attribute of a trial whose values were named before the search began: which guess it is."""

WORKER = "worker"
"""Attribute of a trial: the session of its worker, and where that is."""

STOPPED = "stopped"
"""Attribute of a study: the last sessions whose workers are to end."""

KEPT_SESSIONS = 20

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrialCounts:
    """The trials of a study by state.

    Args:
        complete: with a value.
        pruned: ended by the pruner.
        failed: with a reason.
        died: ended with their process; others replace them.
        running: under way in any process.
    """

    complete: int
    pruned: int
    failed: int
    died: int
    running: int

    @property
    def finished(self) -> int:
        """Trials that count towards the total: complete, pruned and failed."""
        return self.complete + self.pruned + self.failed


def count_trials(trials: Sequence[FrozenTrial]) -> TrialCounts:
    """Count trials by state."""
    of, died = Counter(trial.state.name for trial in trials), sum(map(has_died, trials))
    return TrialCounts(of["COMPLETE"], of["PRUNED"], of["FAIL"] - died, died, of["RUNNING"])


class Study:
    """A study of a search. Its methods may be called from several threads.

    Args:
        study: Optuna's study.
        storage: of the study.
        url: of the storage; None where it is in memory.
    """

    def __init__(self, study: OptunaStudy, storage: BaseStorage, url: str | None) -> None:
        self.optuna = study
        self.name = study.study_name
        self.storage = storage
        self._url = url
        self._id = storage.get_study_id_from_name(study.study_name)
        self._seen: set[int] = set()
        self._lock = threading.Lock()

    @contextmanager
    def hold_lock(self) -> Iterator[None]:
        """Hold the lock under which trials are counted and asked for, in all processes."""
        with self._lock, databases.hold_lock(self._url):
            yield

    def ask(self, attributes: Mapping[str, Any], lost: FrozenTrial | None = None) -> Trial:
        """Return a new trial with its first heartbeat; the caller holds the lock.

        Args:
            attributes: of the trial.
            lost: a guess that died, and is to be tried now.
        """
        with warnings.catch_warnings():
            # The warning is meant for users who do not send heartbeats themselves.
            warnings.filterwarnings("ignore", "Heartbeat of storage is supposed", UserWarning)
            trial = self.optuna.ask() if lost is None else self._repeat(lost)
        beat(self.storage, get_trial_id(trial))
        for name, value in attributes.items():
            trial.set_user_attr(name, value)
        return trial

    def _repeat(self, guess: FrozenTrial) -> Trial:
        """Return a new trial with the values of a guess; the queue has others before it."""
        copied = optuna.trial.create_trial(
            state=TrialState.RUNNING,
            user_attrs={FIRST: guess.user_attrs[FIRST]},
            system_attrs=guess.system_attrs,
        )
        return Trial(self.optuna, self.storage.create_new_trial(self._id, copied))

    def tell(
        self,
        trial: Trial,
        state: TrialState,
        values: Sequence[float] | None,
        attributes: Mapping[str, Any],
    ) -> None:
        """Record how a trial ended, unless another process has done so.

        Args:
            trial: that has ended.
            state: COMPLETE, PRUNED or FAIL.
            values: of the objectives, or None.
            attributes: of the trial, which are set before it ends; None sets none.
        """
        try:
            for name, value in filter(lambda item: item[1] is not None, attributes.items()):
                trial.set_user_attr(name, mask_all(value))
            tell_alone(self.optuna, trial, state, values)
        except optuna.exceptions.UpdateFinishedTrialError:
            log.info("Another process has recorded the end of trial %d.", trial.number)

    def abandon(self, trial_id: int, reason: str) -> None:
        """Record that a trial died, unless it has ended.

        Args:
            trial_id: of the trial.
            reason: of its death.
        """
        try:
            self.storage.set_trial_user_attr(trial_id, DIED, mask(reason))
            self.storage.set_trial_state_values(trial_id, TrialState.FAIL)
            if isinstance(self.optuna.sampler, GridSampler):
                # A grid would not try the point again by itself.
                self.optuna.enqueue_trial(self.storage.get_trial(trial_id).params)
        except optuna.exceptions.UpdateFinishedTrialError:
            log.info("The trial with id %d has ended by itself.", trial_id)

    def abandon_session(self, session: str, reason: str) -> None:
        """Record the death of all trials of a session's workers that have not ended."""
        for trial in list_under_way(self.list_trials(), session):
            self.abandon(get_trial_id(trial), reason)

    def end_stale_trials(self) -> None:
        """Record the death of trials whose heartbeats have stopped."""
        if not has_heartbeat(self.storage):
            return
        for trial_id in list_stale_trials(self.storage, self._id):
            self.abandon(trial_id, "Its process ended unexpectedly.")
        for trial in self.list_trials(TrialState.RUNNING):
            if WORKER not in trial.user_attrs and trial.number not in self._seen:
                self._seen.add(trial.number)
                beat(self.storage, get_trial_id(trial))

    def stop_session(self, session: str) -> None:
        """Have the workers of a session take no further trial."""
        kept = [s for s in self.get_attribute(STOPPED) or [] if s != session]
        self.set_attribute(STOPPED, [*kept[-KEPT_SESSIONS:], session])

    def is_stopped(self, session: str) -> bool:
        """Return whether the workers of a session are to take no further trial."""
        return session in (self.get_attribute(STOPPED) or [])

    def list_trials(self, *states: TrialState) -> list[FrozenTrial]:
        """Return the trials in certain states, or all of them, by number."""
        return self.optuna.get_trials(deepcopy=False, states=states or None)

    def count_trials(self) -> TrialCounts:
        """Count the trials by state."""
        return count_trials(self.list_trials())

    def get_attribute(self, name: str) -> Any:
        """Return an attribute of the study, or None."""
        return self.optuna.user_attrs.get(name)

    def set_attribute(self, name: str, value: Any) -> None:
        """Set an attribute of the study."""
        self.optuna.set_user_attr(name, mask_all(value))


def has_died(trial: FrozenTrial) -> bool:
    """Return whether a trial died with its process."""
    return trial.state is TrialState.FAIL and DIED in trial.user_attrs


def list_under_way(trials: Sequence[FrozenTrial], session: str) -> list[FrozenTrial]:
    """Return those trials that workers of a session are at work on."""
    running = (t for t in trials if t.state is TrialState.RUNNING)
    return [t for t in running if str(t.user_attrs.get(WORKER)).startswith(session)]


def open_study(
    url: str | None,
    name: str,
    directions: Sequence[str],
    sampler: BaseSampler | None = None,
    pruner: BasePruner | None = None,
) -> Study:
    """Return the study of a name, created if it does not exist.

    Args:
        url: of the database; None for one in memory.
        name: of the study.
        directions: of its objectives.
        sampler: chooses the values of trials.
        pruner: prunes trials.

    Raises:
        StudyError: the existing study has other directions, or the database fails.
    """
    storage = databases.connect(url)
    study = optuna.create_study(
        storage=storage,
        study_name=name,
        directions=cast(list[Literal["minimize", "maximize"]], list(directions)),
        sampler=sampler,
        pruner=pruner,
        load_if_exists=True,
    )
    found = [direction.name.lower() for direction in study.directions]
    if found != list(directions):
        raise StudyError(
            f"The study {name!r} has the directions {', '.join(found)}, and"
            f" objective.direction = {', '.join(directions)}. Use another hydra.sweeper.study_name"
            " or sweep.restart=true."
        )
    return Study(study, storage, url)
