"""How MLflow's SQLite databases are made, put aside and completed: as drafts, under a lock."""

from __future__ import annotations

import glob
import logging
import os
import sqlite3
import uuid
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from tagifai.exceptions import DamagedFileError, StoreUnavailableError, TrackingError
from tagifai.tracking.databases.faults import HALF_TABLE, OPENING_SECONDS, inspect_database
from tagifai.utils import locks
from tagifai.utils.databases import sqlite
from tagifai.utils.state import aside, drafts
from tagifai.utils.urls import get_sqlite_path

LOCK_SECONDS = 120
"""Seconds to wait for another process that makes or mends the database."""

log = logging.getLogger(__name__)


def make_database(uri: str) -> None:
    """Create a missing SQLite database, under another name until it is complete.

    MLflow's migrations cannot be resumed after a kill in the middle of them.

    Raises:
        StoreUnavailableError: another process has been making it for too long.
        TrackingError: it cannot be made there.
    """
    path = get_sqlite_path(uri)
    if path is None or os.path.lexists(path):
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with lock_database(path):
            if not path.exists():
                for left in path.parent.glob(f".{glob.escape(path.name)}.*{sqlite.DRAFT}*"):
                    left.unlink(missing_ok=True)  # of a process that was killed
                _publish(_make_draft(path), path)
    except (OSError, DamagedFileError) as error:
        reason = error.reason if isinstance(error, DamagedFileError) else error.strerror or error
        raise TrackingError(
            f"The tracking database {path} cannot be made: {reason}. Give tracking.uri another"
            " place, or run with tracking=none."
        ) from error


def _make_draft(path: Path) -> Path:
    """Make a complete database under a name that no other process uses, and return that."""
    import mlflow

    draft = _name_draft(path)
    draft.touch()  # or it fails here: MLflow would try again for minutes
    made = _make_uri(draft)
    mlflow.MlflowClient(made, made).search_experiments(max_results=1)
    return draft


def _name_draft(path: Path) -> Path:
    """Return a name that no other process uses, whatever became of the lock."""
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}{sqlite.DRAFT}")


def _make_uri(path: Path) -> str:
    return f"sqlite:///{quote(str(path))}"


def _publish(draft: Path, path: Path) -> None:
    """Give a draft its name, unless there is a database by now."""
    if any(os.path.lexists(f"{path}{end}") for end in sqlite.BESIDE) and not path.exists():
        # SQLite would play the log of a database that is gone into the new one.
        kept = aside.put_aside(path.parent, path, sqlite.BESIDE)
        log.warning("Of a tracking database that is gone, %s is left.", kept)
    drafts.sync(draft)
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        draft.unlink()
    except OSError:  # a file system without links
        draft.rename(path)
    else:
        draft.unlink()
    drafts.sync_folder(path.parent)


def repair_database(uri: str) -> Path | None:
    """Put a damaged SQLite database aside, or complete a half migrated one; nothing is deleted.

    Args:
        uri: of the tracking store.

    Returns:
        Where the old database is now, or None if there was nothing to do.

    Raises:
        StoreUnavailableError: another process has it.
        TrackingError: it cannot be mended here; the message says what can.
    """
    path = get_sqlite_path(uri)
    if path is None or inspect_database(uri) is None:
        return None
    with lock_database(path):
        fault = inspect_database(uri)
        if fault is None:
            return None
        if fault.remedy is None:
            raise TrackingError(str(fault))
        # What cannot be completed is put aside.
        completed = _complete(path) if fault.remedy == "complete" else None
        kept = aside.put_aside(path.parent, path, sqlite.BESIDE)
        if completed is not None:
            _publish(completed, path)
        return kept


@contextmanager
def lock_database(path: Path) -> Iterator[None]:
    """Hold the lock for making and mending a database for a block.

    Raises:
        StoreUnavailableError: another process has it for too long.
    """
    try:
        with locks.wait_for(path.with_name(f".{path.name}.lock"), LOCK_SECONDS):
            yield
    except TimeoutError as error:
        raise StoreUnavailableError(
            f"Another process has been making the tracking database {path} for {LOCK_SECONDS} s."
            " Try again when it has ended."
        ) from error


def _complete(path: Path) -> Path | None:
    """Return a copy of a half migrated database that is complete, or None if that fails."""
    draft = _name_draft(path)
    try:
        with (
            closing(sqlite.open_file(path, OPENING_SECONDS)) as old,
            closing(sqlite3.connect(draft)) as new,
        ):
            old.backup(new)
            new.execute("PRAGMA journal_mode = DELETE")
            _end_copies(new)
        _upgrade(_make_uri(draft))
        if inspect_database(_make_uri(draft)) is None:
            return draft
    except Exception as error:  # of a migration, which was written for other databases
        log.warning("%s cannot be completed: %s", path, error)
    draft.unlink(missing_ok=True)
    return None


def _end_copies(connection: sqlite3.Connection) -> None:
    """Undo or end the copies of tables that a migration was at: it drops a table, then renames."""
    names = sqlite.list_tables(connection)
    for name in names:
        original = name.removeprefix(HALF_TABLE)
        if original in names - {name}:
            connection.execute(f'DROP TABLE "{name}"')
        elif original != name:
            connection.execute(f'ALTER TABLE "{name}" RENAME TO "{original}"')
    connection.commit()


def _upgrade(uri: str) -> None:
    """Bring a database up to date by the command that MLflow has for it."""
    from mlflow.db import upgrade

    with warnings.catch_warnings(action="ignore"):
        upgrade.main([uri], standalone_mode=False)
