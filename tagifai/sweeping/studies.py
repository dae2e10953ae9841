"""Optuna's studies in a database that several processes share, and heartbeats of their trials.

Optuna's heartbeat says which trials are alive. Two gaps in it are closed here: the process that
asks for a trial sends its heartbeat until its job does, and a trial that never had a heartbeat
gets one from each process that finds it, after which it dies like any other.
"""

from __future__ import annotations

import logging
import os
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, cast

import optuna
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler, GridSampler
from optuna.storages import BaseStorage, InMemoryStorage, RDBStorage
from optuna.study import Study as OptunaStudy
from optuna.trial import FrozenTrial, Trial, TrialState

from tagifai.exceptions import UserError
from tagifai.sweeping._optuna import get_trial_id, list_stale_trials
from tagifai.training.trial import PRUNED, RESULT
from tagifai.utils import locks
from tagifai.utils.databases import servers, sqlite
from tagifai.utils.databases.waiting import call_within
from tagifai.utils.secrets import mask, mask_all
from tagifai.utils.urls import get_sqlite_path

HEARTBEAT_SECONDS = 3
GRACE_SECONDS = 9
"""Seconds without a heartbeat after which a trial is dead; databases count in whole seconds."""

LOCK_SECONDS = 60
"""Seconds that a process waits for the lock of a SQLite file."""

OWN_TABLES = {"studies", "trials", "version_info"}
"""Tables by which a database of studies is known, also one that is half made."""

DIED = "died"
"""Attribute of a trial that died with its process and is replaced: the reason."""

ERROR = "error"
"""Attribute of a trial that failed: the reason."""

log = logging.getLogger(__name__)


class StudyError(UserError):
    """The database of studies failed, or the study has other directions."""


# --- the storage -------------------------------------------------------------------------------


def is_shared(url: str | None) -> bool:
    """Return whether other processes can reach the database at a URL."""
    if url is None or url in ("sqlite://", "sqlite:///"):
        return False
    return ":memory:" not in url.replace("/:memory:/", "/")  # a folder may have that name


@contextmanager
def silence_optuna() -> Iterator[None]:
    """Silence Optuna's messages about studies and trials; the search shows better ones."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


def connect(url: str | None) -> BaseStorage:
    """Return the storage of studies: a new one in memory, or the process's one for a database.

    Args:
        url: of a database; None keeps studies in memory.

    Raises:
        StudyError: there is no such database, or it does not answer.
    """
    if url is None or not is_shared(url):
        return InMemoryStorage()
    return connect_database(url)


OPENING_SECONDS = 10
"""Seconds that a database has to answer for the first time."""

WHAT = "Opening the database of studies"


@cache
def connect_database(url: str) -> BaseStorage:
    """Return the storage at a URL, once for each process, because its creation takes a while."""
    try:
        _check_database(url)
        return optuna.storages.get_storage(_open_database(url))
    except StudyError:
        raise
    except Exception as error:
        raise StudyError(
            f"hydra.sweeper.storage = {mask(url)!r} cannot be used: {mask(_first_line(error))}."
            " It takes the URL of a database, such as sqlite:////folder/studies.db or"
            " postgresql://user@host/studies (pip install 'tagifai[postgres]')."
        ) from error


def _check_database(url: str) -> None:
    """Refuse a database that does not answer, is damaged or another program's.

    Optuna would wait for minutes, or say what only its makers understand.
    """
    path = get_sqlite_path(url)
    if path is None:
        if url.partition(":")[0].partition("+")[0] in servers.PORTS:
            servers.ask(url, OPENING_SECONDS, lambda connection: None, WHAT)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    if not os.path.lexists(path):
        return
    # Later than the lock's own time: a file system may hang, too.
    damage = call_within(
        OPENING_SECONDS + 1, lambda: sqlite.find_damage(path, OPENING_SECONDS), WHAT
    )
    if damage is None:
        with closing(sqlite.open_file(path, OPENING_SECONDS)) as connection:
            tables = sqlite.list_tables(connection)
            connection.execute("BEGIN IMMEDIATE")  # or Optuna waits, and says nothing
            connection.rollback()
        if not tables or tables & OWN_TABLES:
            return
        damage = f"belongs to another program (it has the tables {', '.join(sorted(tables)[:3])})"
    raise StudyError(
        f"hydra.sweeper.storage = {mask(url)!r} cannot be used: {path} {damage}. Give it another"
        " file, or move this one away: its studies then begin anew."
    )


def _open_database(url: str) -> RDBStorage:
    path = get_sqlite_path(url)
    arguments: dict[str, Any] = {}
    # Two processes that create the tables of a new database at once fail.
    alone: AbstractContextManager[None] = nullcontext()
    if path is not None:
        arguments["connect_args"] = {"timeout": LOCK_SECONDS}
        sqlite.enable_wal()
        alone = locks.wait_for(path.with_name(f".{path.name}.lock"), LOCK_SECONDS)
    else:
        # A server may have closed an idle connection.
        arguments["pool_pre_ping"] = True
        alone = servers.hold_lock(url, LOCK_SECONDS)
    ignored = optuna.exceptions.ExperimentalWarning
    with alone, warnings.catch_warnings(action="ignore", category=ignored):
        return RDBStorage(
            url,
            engine_kwargs=arguments,
            heartbeat_interval=HEARTBEAT_SECONDS if is_shared(url) else None,
            grace_period=GRACE_SECONDS,
        )


def _first_line(error: BaseException) -> str:
    cause = error.__cause__ if isinstance(error, ImportError) and error.__cause__ else error
    return (str(cause).splitlines() or [type(cause).__name__])[0].rstrip(".")


@contextmanager
def translate_storage_errors(url: str | None) -> Iterator[None]:
    """Turn a failure of the storage into a `StudyError`."""
    try:
        yield
    except optuna.exceptions.StorageInternalError as error:
        raise StudyError(
            f"The database of studies {mask(url or 'in memory')!r} failed:"
            f" {_first_line(error.__cause__ or error)}."
        ) from error


# --- heartbeats --------------------------------------------------------------------------------


def has_heartbeat(storage: BaseStorage) -> bool:
    """Return whether trials of a storage have heartbeats: all but those in memory."""
    return not isinstance(storage, InMemoryStorage)


class TrialHeartbeat:
    """Sends the heartbeats of trials from a thread of its own.

    Args:
        storage: of the trials; without heartbeats, nothing is sent.
        is_done: called with a trial before each heartbeat; True ends its heartbeats.
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
        """Start the heartbeats of a trial."""
        if has_heartbeat(self._storage):
            _beat(self._storage, trial_id)
            self._trials.add(trial_id)

    def remove(self, trial_id: int) -> None:
        """Stop the heartbeats of a trial."""
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
                    # The next one may succeed; without any, the trial counts as dead.
                    log.warning("No heartbeat for trial %s: %s", trial_id, _first_line(error))


def _beat(storage: BaseStorage, trial_id: int) -> None:
    # A method of the public class, which the cache that Optuna puts around it has as well.
    cast(RDBStorage, storage).record_heartbeat(trial_id)


# --- a study -----------------------------------------------------------------------------------


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


class Study:
    """A study of a search. Its methods may be called from several threads.

    Args:
        study: Optuna's study.
        storage: of the study.
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
        """Return a new trial and start its heartbeats; None if the study is full.

        Args:
            n_trials: of the full study.
        """
        with warnings.catch_warnings():
            # The warning is meant for users who do not send heartbeats themselves.
            warnings.filterwarnings("ignore", "Heartbeat of storage is supposed", UserWarning)
            trial = self.optuna.ask()
        self._own.add(get_trial_id(trial))
        self.heartbeat.add(get_trial_id(trial))
        before = [t for t in self.list_trials() if t.number < trial.number and not has_died(t)]
        if len(before) >= n_trials:
            self.abandon(get_trial_id(trial), "The study is full; another process was faster.")
            return None
        return trial

    def has_ended(self, trial: Trial) -> bool:
        """Return whether a trial has ended, recorded by any process."""
        return self._storage.get_trial(get_trial_id(trial)).state.is_finished()

    def set_trial_attribute(self, trial: Trial, name: str, value: Any) -> None:
        """Set an attribute of a trial, unless it has ended."""
        try:
            trial.set_user_attr(name, mask_all(value))
        except optuna.exceptions.UpdateFinishedTrialError:
            log.info("Trial %d has ended; %s is not recorded.", trial.number, name)

    def tell(
        self, trial: Trial, state: TrialState, values: Sequence[float] | None, reason: str = ""
    ) -> None:
        """Record how a trial ended, unless another process has done so.

        Args:
            trial: that has ended.
            state: COMPLETE, PRUNED or FAIL.
            values: of the objectives, or None.
            reason: of a failure.
        """
        if reason:
            self.set_trial_attribute(trial, ERROR, reason)
        self._tell(trial.number, get_trial_id(trial), state, values)

    def _tell(
        self, number: int, trial_id: int, state: TrialState, values: Sequence[float] | None
    ) -> None:
        try:
            self.optuna.tell(number, values, state, skip_if_finished=True)
        except optuna.exceptions.UpdateFinishedTrialError:
            log.info("Another process has recorded the end of trial %d.", number)
        except (RuntimeError, KeyError) as error:
            # An exhausted grid tries to stop Optuna's loop, which is not used here, and reads an
            # attribute that enqueued trials do not have.
            if "Study.stop" not in str(error) and "grid_id" not in str(error):
                raise
        self._release(trial_id)

    def abandon(self, trial_id: int, reason: str) -> None:
        """Record that a trial died, unless it has ended.

        Args:
            trial_id: of the trial.
            reason: of its death.
        """
        try:
            self._storage.set_trial_user_attr(trial_id, DIED, mask(reason))
            self._storage.set_trial_state_values(trial_id, TrialState.FAIL)
            if isinstance(self.optuna.sampler, GridSampler):
                # A grid would not try the point again by itself.
                self.optuna.enqueue_trial(self._storage.get_trial(trial_id).params)
        except optuna.exceptions.UpdateFinishedTrialError:
            log.info("The trial with id %d has ended by itself.", trial_id)
        self._release(trial_id)

    def abandon_own_trials(self, reason: str) -> None:
        """Record the death of all trials of this process that have not ended."""
        for trial_id in list(self._own):
            self.abandon(trial_id, reason)

    def _release(self, trial_id: int) -> None:
        self.heartbeat.remove(trial_id)
        self._own.discard(trial_id)

    def end_stale_trials(self) -> None:
        """Record the end of trials without heartbeats: by the result that they left, or as dead."""
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
        """Record the result that a job has left with its trial, and return whether there is one."""
        result = trial.user_attrs.get(RESULT)
        if result is None:
            return False
        state = TrialState.PRUNED if result == PRUNED else TrialState.COMPLETE
        values = None if result == PRUNED else result
        self._tell(trial.number, get_trial_id(trial), state, values)
        return True

    def list_trials(self, *states: TrialState) -> list[FrozenTrial]:
        """Return the trials in certain states, or all of them, by number."""
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
        """Return an attribute of the study, or None."""
        return self.optuna.user_attrs.get(name)

    def set_attribute(self, name: str, value: Any) -> None:
        """Set an attribute of the study."""
        self.optuna.set_user_attr(name, mask_all(value))


def has_died(trial: FrozenTrial) -> bool:
    """Return whether a trial died with its process."""
    return trial.state is TrialState.FAIL and DIED in trial.user_attrs


JOB = "job"
"""Attribute of a trial whose job has begun and sends its heartbeats: where the job runs."""


def _is_taken_over(trial: FrozenTrial) -> bool:
    return trial.state.is_finished() or JOB in trial.user_attrs


def list_names(storage: BaseStorage, name: str) -> list[str]:
    """Return the names of a study and its restarts (`name`, `name-2`, ...), newest first."""
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
    """Return the attributes of a study."""
    return dict(storage.get_study_user_attrs(storage.get_study_id_from_name(name)))


def open_study(
    storage: BaseStorage,
    name: str,
    directions: Sequence[str],
    sampler: BaseSampler,
    pruner: BasePruner,
) -> Study:
    """Return the study of a name, created if it does not exist.

    Args:
        storage: of studies.
        name: of the study.
        directions: of its objectives.
        sampler: chooses the values of trials.
        pruner: prunes trials.

    Raises:
        StudyError: the existing study has other directions.
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
