"""The databases of studies, and the lock under which their trials are handed out."""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from functools import cache
from typing import Any, TypeVar, cast

import optuna
from optuna.storages import BaseStorage, InMemoryStorage, RDBStorage
from sqlalchemy.exc import SQLAlchemyError

from tagifai.exceptions import UserError
from tagifai.utils import locks
from tagifai.utils.databases import servers, sqlite
from tagifai.utils.databases.waiting import call_within
from tagifai.utils.secrets import mask
from tagifai.utils.urls import get_sqlite_path

HEARTBEAT_SECONDS = 3
GRACE_SECONDS = 9
"""Seconds without a heartbeat after which a trial is dead; databases count in whole seconds."""

LOCK_SECONDS = 60
"""Seconds that a process waits for the lock of a SQLite file."""

OWN_TABLES = {"studies", "trials", "version_info"}
"""Tables by which a database of studies is known, also one that is half made."""


STORAGE_ERRORS = (optuna.exceptions.StorageInternalError, SQLAlchemyError, TimeoutError)
"""What a database that does not answer raises, here or inside of Optuna."""


PAUSES = (1, 2, 4, 8, 15, 30)
"""Seconds after which a database that did not answer is asked again."""

T = TypeVar("T")

log = logging.getLogger(__name__)


class StudyError(UserError):
    """The database of studies failed, or the study has other directions."""


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
            f"hydra.sweeper.storage = {mask(url)!r} cannot be used: {mask(describe(error))}."
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
    if path is not None:
        arguments["connect_args"] = {"timeout": LOCK_SECONDS}
        sqlite.enable_wal()
    else:
        # A server may have closed an idle connection.
        arguments["pool_pre_ping"] = True
    ignored = optuna.exceptions.ExperimentalWarning
    # Two processes that create the tables of a new database at once fail.
    with hold_lock(url), warnings.catch_warnings(action="ignore", category=ignored):
        return RDBStorage(
            url,
            engine_kwargs=arguments,
            heartbeat_interval=HEARTBEAT_SECONDS if is_shared(url) else None,
            grace_period=GRACE_SECONDS,
        )


def describe(error: BaseException) -> str:
    """Return the first line of an error, or of its cause."""
    hides = (ImportError, optuna.exceptions.StorageInternalError)
    cause = error.__cause__ if isinstance(error, hides) and error.__cause__ else error
    return (str(cause).splitlines() or [type(cause).__name__])[0].rstrip(".")


@contextmanager
def translate_storage_errors(url: str | None) -> Iterator[None]:
    """Turn a failure of the storage into a `StudyError`."""
    try:
        yield
    except STORAGE_ERRORS as error:
        raise StudyError(
            f"The database of studies {mask(url or 'in memory')!r} failed: {describe(error)}."
        ) from error


def hold_lock(url: str | None) -> AbstractContextManager[None]:
    """Hold the one lock of a database of studies for a block; it ends with its process.

    Args:
        url: of the database; one in memory has no lock.

    Raises:
        TimeoutError: another process has it for longer than a minute.
    """
    if url is None or not is_shared(url):
        return nullcontext()
    path = get_sqlite_path(url)
    if path is None:
        return servers.hold_lock(url, LOCK_SECONDS)
    return locks.wait_for(path.with_name(f".{path.name}.lock"), LOCK_SECONDS)


def has_heartbeat(storage: BaseStorage) -> bool:
    """Return whether trials of a storage have heartbeats: all but those in memory."""
    return not isinstance(storage, InMemoryStorage)


def beat(storage: BaseStorage, trial_id: int) -> None:
    """Record a heartbeat of a trial."""
    if has_heartbeat(storage):
        # A method of the public class, which the cache that Optuna puts around it has as well.
        cast(RDBStorage, storage).record_heartbeat(trial_id)


def call_patiently(function: Callable[[], T]) -> T:
    """Return what a function returns that asks a database, which may be away for a minute.

    Args:
        function: called again after each pause.
    """
    for pause in PAUSES:
        try:
            return function()
        except STORAGE_ERRORS as error:
            log.warning("The database of studies is asked again: %s", describe(error))
            time.sleep(pause)
    return function()


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
