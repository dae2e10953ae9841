"""Studies: Optuna's record of a search, shared by all that work on it, and which trials live.

Optuna's heartbeat says which trials are worked on. Two gaps in it are closed here: whoever asks
for a trial beats for it until its job does, and a trial that nobody ever beat for gets one beat
from each process that finds it, after which it is as dead as any other.
"""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, cast

import optuna
from filelock import FileLock
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler, GridSampler
from optuna.storages import BaseStorage, InMemoryStorage, RDBStorage
from optuna.study import Study as OptunaStudy
from optuna.trial import FrozenTrial, Trial, TrialState

from tagifai.exceptions import UserError
from tagifai.sweeping._optuna import get_trial_id, list_stale_trials
from tagifai.utils import sqlite
from tagifai.utils.secrets import mask
from tagifai.utils.urls import get_sqlite_path

HEARTBEAT_SECONDS = 3
GRACE_SECONDS = 9
"""A trial without a beat for so long is dead; the databases count in whole seconds."""

LOCK_SECONDS = 60
"""How long a process waits for its turn in a SQLite file."""

DIED = "died"
"""Attribute of a trial that ended with its process and is made up for, with the reason."""

RESULT = "result"
"""Attribute of a trial whose job is done: its values, or `PRUNED`."""

PRUNED = "pruned"

ERROR = "error"
"""Attribute of a trial that failed, with the reason."""

log = logging.getLogger(__name__)


class StudyError(UserError):
    """The store of studies failed, or the study there is another one."""


# --- the store ---------------------------------------------------------------------------------


def is_shared(url: str | None) -> bool:
    """Return whether other processes can reach what is stored at a URL."""
    return url is not None and ":memory:" not in url and url not in ("sqlite://", "sqlite:///")


@contextmanager
def silence_optuna() -> Iterator[None]:
    """Leave to a search what Optuna would say of it, which says it better."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


def connect(url: str | None) -> BaseStorage:
    """Return the store of studies: a new one in memory, or the process's own to a database.

    Raises:
        StudyError: there is no such store, or it does not answer.
    """
    if url is None or not is_shared(url):
        return InMemoryStorage()
    return connect_database(url)


@cache
def connect_database(url: str) -> BaseStorage:
    """Return the store of a URL; one a process, because making one takes a while."""
    alone: AbstractContextManager[Any] = nullcontext()
    arguments: dict[str, Any] = {}
    if url.startswith("sqlite"):
        arguments["connect_args"] = {"timeout": LOCK_SECONDS}
        sqlite.enable_wal()
    else:
        # A server may have closed a connection that nobody used for a while.
        arguments["pool_pre_ping"] = True
    try:
        path = get_sqlite_path(url)
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Two processes that make the tables of a new file at once fail.
            alone = FileLock(path.with_name(f".{path.name}.lock"))
        with (
            alone,
            warnings.catch_warnings(
                action="ignore", category=optuna.exceptions.ExperimentalWarning
            ),
        ):
            storage = RDBStorage(
                url,
                engine_kwargs=arguments,
                heartbeat_interval=HEARTBEAT_SECONDS if is_shared(url) else None,
                grace_period=GRACE_SECONDS,
            )
    except Exception as error:
        raise StudyError(
            f"hydra.sweeper.storage = {mask(url)!r} cannot be used: {_first_line(error)}."
            " It takes the URL of a database, such as sqlite:////folder/studies.db or"
            " postgresql://user@host/studies (pip install 'tagifai[postgres]')."
        ) from error
    return optuna.storages.get_storage(storage)


def _first_line(error: BaseException) -> str:
    cause = error.__cause__ if isinstance(error, ImportError) and error.__cause__ else error
    return (str(cause).splitlines() or [type(cause).__name__])[0].rstrip(".")


@contextmanager
def translate_storage_errors(url: str | None) -> Iterator[None]:
    """Turn a failure of the store into one message."""
    try:
        yield
    except optuna.exceptions.StorageInternalError as error:
        raise StudyError(
            f"The store of studies {mask(url or 'in memory')!r} failed:"
            f" {_first_line(error.__cause__ or error)}."
        ) from error


# --- who is alive ------------------------------------------------------------------------------


def has_heartbeat(storage: BaseStorage) -> bool:
    """Return whether trials of a store are beaten for: those that other processes can reach."""
    return not isinstance(storage, InMemoryStorage)


class TrialHeartbeat:
    """Beats for trials from a thread of its own, until it is told that a trial is not its any more.

    Args:
        storage: one without heartbeats needs none.
        is_done: told a trial's record before each beat; True ends the beating for it.
    """

    def __init__(self, storage: BaseStorage, is_done: Callable[[FrozenTrial], bool]) -> None:
        self._storage = storage
        self._is_done = is_done
        self._trials: set[int] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat_until_stopped, daemon=True, name="beats")

    def __enter__(self) -> TrialHeartbeat:
        if has_heartbeat(self._storage):
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def add(self, trial_id: int) -> None:
        """Beat for a trial, from now on."""
        if has_heartbeat(self._storage):
            _beat(self._storage, trial_id)
            self._trials.add(trial_id)

    def remove(self, trial_id: int) -> None:
        """Beat for it no longer."""
        self._trials.discard(trial_id)

    def _beat_until_stopped(self) -> None:
        while not self._stop.wait(HEARTBEAT_SECONDS):
            for trial_id in list(self._trials):
                try:
                    if self._is_done(self._storage.get_trial(trial_id)):
                        self.remove(trial_id)
                    else:
                        _beat(self._storage, trial_id)
                except Exception as error:
                    # The next beat may get through; without one the trial counts as dead.
                    log.warning("No beat for trial %s: %s", trial_id, _first_line(error))


def _beat(storage: BaseStorage, trial_id: int) -> None:
    # A method of the public class, which the cache that Optuna puts around it has as well.
    cast(RDBStorage, storage).record_heartbeat(trial_id)


# --- a study -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class TrialCounts:
    """The trials of a study by state.

    Args:
        complete: with a value.
        pruned: stopped by the pruner.
        failed: with a reason.
        died: ended with their process; others take their place.
        running: under way, in whatever process.
    """

    complete: int
    pruned: int
    failed: int
    died: int
    running: int

    @property
    def finished(self) -> int:
        """Trials that count towards the total."""
        return self.complete + self.pruned + self.failed


class Study:
    """A study in its store, with what a search asks of it. Methods may be called from threads.

    Args:
        study: Optuna's.
        storage: where it is.
        name: of the study.
    """

    def __init__(self, study: OptunaStudy, storage: BaseStorage, name: str) -> None:
        self.optuna = study
        self.name = name
        self._storage = storage
        self._id = storage.get_study_id_from_name(study.study_name)
        self._seen: set[int] = set()
        self._own: set[int] = set()
        self.heartbeat = TrialHeartbeat(storage, _is_taken_over)

    def ask(self, n_trials: int) -> Trial | None:
        """Return a new trial, beaten for; None if others were quicker and the study is full."""
        with warnings.catch_warnings():
            # It is meant for those who do not beat by themselves.
            warnings.filterwarnings("ignore", "Heartbeat of storage is supposed", UserWarning)
            trial = self.optuna.ask()
        self._own.add(get_trial_id(trial))
        self.heartbeat.add(get_trial_id(trial))
        before = [t for t in self.list_trials() if t.number < trial.number and not has_died(t)]
        if len(before) >= n_trials:
            self.abandon(get_trial_id(trial), "Another process was quicker; the study is full.")
            return None
        return trial

    def has_ended(self, trial: Trial) -> bool:
        """Return whether a trial has ended, by whomever."""
        return self._storage.get_trial(get_trial_id(trial)).state.is_finished()

    def set_trial_attribute(self, trial: Trial, name: str, value: Any) -> None:
        """Keep an attribute with a trial that has not ended."""
        try:
            trial.set_user_attr(name, value)
        except optuna.exceptions.UpdateFinishedTrialError:
            log.info("Trial %d has ended; not kept: %s", trial.number, name)

    def tell(
        self, trial: Trial, state: TrialState, values: Sequence[float] | None, reason: str = ""
    ) -> None:
        """Record how a trial ended, unless somebody else has done so."""
        if reason:
            self.set_trial_attribute(trial, ERROR, reason)
        self._tell(trial.number, get_trial_id(trial), state, values)

    def _tell(
        self, number: int, trial_id: int, state: TrialState, values: Sequence[float] | None
    ) -> None:
        try:
            self.optuna.tell(number, values, state, skip_if_finished=True)
        except optuna.exceptions.UpdateFinishedTrialError:
            log.info("Trial %d has been ended by somebody else.", number)
        except (RuntimeError, KeyError) as error:
            # A grid that is used up wants to stop a loop that is not Optuna's here, and looks for
            # a number that a point which was put back has not.
            if "Study.stop" not in str(error) and "grid_id" not in str(error):
                raise
        self._release(trial_id)

    def abandon(self, trial_id: int, reason: str) -> None:
        """Record that a trial died, unless it has ended."""
        try:
            self._storage.set_trial_user_attr(trial_id, DIED, reason)
            self._storage.set_trial_state_values(trial_id, TrialState.FAIL)
            if isinstance(self.optuna.sampler, GridSampler):
                # It would not come back to the point by itself.
                self.optuna.enqueue_trial(self._storage.get_trial(trial_id).params)
        except optuna.exceptions.UpdateFinishedTrialError:
            log.info("Trial id %d has ended by itself.", trial_id)
        self._release(trial_id)

    def abandon_own_trials(self, reason: str) -> None:
        """Record that all trials that this process asked for and that have not ended have died."""
        for trial_id in list(self._own):
            self.abandon(trial_id, reason)

    def _release(self, trial_id: int) -> None:
        self.heartbeat.remove(trial_id)
        self._own.discard(trial_id)

    def end_stale_trials(self) -> None:
        """Record as dead the trials that nobody beats for any more, or as done if they are."""
        if not has_heartbeat(self._storage):
            return
        for trial_id in list_stale_trials(self._storage, self._id):
            if not self._record_result(self._storage.get_trial(trial_id)):
                self.abandon(trial_id, "Its process ended unexpectedly.")
        for trial in self.list_trials(TrialState.RUNNING):
            if get_trial_id(trial) not in self._seen:
                self._seen.add(get_trial_id(trial))
                _beat(self._storage, get_trial_id(trial))

    def _record_result(self, trial: FrozenTrial) -> bool:
        """Record the result that a job has left with its trial, if nobody was there to hear it."""
        result = trial.user_attrs.get(RESULT)
        if result is None:
            return False
        state = TrialState.PRUNED if result == PRUNED else TrialState.COMPLETE
        values = None if result == PRUNED else result
        self._tell(trial.number, get_trial_id(trial), state, values)
        return True

    def list_trials(self, *states: TrialState) -> list[FrozenTrial]:
        """Return the trials by number, all of them or those in certain states."""
        return self.optuna.get_trials(deepcopy=False, states=states or None)

    def count_trials(self) -> TrialCounts:
        """Count the trials by state."""
        trials = self.list_trials()
        of = {state: sum(t.state is state for t in trials) for state in TrialState}
        dead = sum(map(has_died, trials))
        return TrialCounts(
            of[TrialState.COMPLETE],
            of[TrialState.PRUNED],
            of[TrialState.FAIL] - dead,
            dead,
            of[TrialState.RUNNING],
        )

    def get_attribute(self, name: str) -> Any:
        """Return what was kept with the study under a name, or None."""
        return self.optuna.user_attrs.get(name)

    def set_attribute(self, name: str, value: Any) -> None:
        """Keep something with the study."""
        self.optuna.set_user_attr(name, value)


def has_died(trial: FrozenTrial) -> bool:
    """Return whether a trial ended with its process."""
    return trial.state is TrialState.FAIL and DIED in trial.user_attrs


JOB = "job"
"""Attribute of a trial whose job has begun and beats for itself: where it runs."""


def _is_taken_over(trial: FrozenTrial) -> bool:
    return trial.state.is_finished() or JOB in trial.user_attrs


def list_names(storage: BaseStorage, name: str) -> list[str]:
    """Return the names in use of a study and its restarts (`name`, `name-2`, ...), newest first."""
    numbers = {}
    for study in storage.get_all_studies():
        stem, _, tail = study.study_name.rpartition("-")
        if study.study_name == name:
            numbers[name] = 1
        elif stem == name and tail.isdecimal() and int(tail) > 1:
            numbers[study.study_name] = int(tail)
    return sorted(numbers, key=numbers.__getitem__, reverse=True)


def has_study(storage: BaseStorage, name: str) -> bool:
    """Return whether there is a study of this name."""
    return any(study.study_name == name for study in storage.get_all_studies())


def has_trials(storage: BaseStorage, name: str) -> bool:
    """Return whether a study has a trial, in whatever state."""
    return storage.get_n_trials(storage.get_study_id_from_name(name)) > 0


def get_attributes(storage: BaseStorage, name: str) -> dict[str, Any]:
    """Return what was kept with a study."""
    return dict(storage.get_study_user_attrs(storage.get_study_id_from_name(name)))


def open_study(
    storage: BaseStorage,
    name: str,
    directions: Sequence[str],
    sampler: BaseSampler,
    pruner: BasePruner,
) -> Study:
    """Return a study, made if there is none of this name.

    Raises:
        StudyError: it has other directions.
    """
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
    return Study(study, storage, name)
