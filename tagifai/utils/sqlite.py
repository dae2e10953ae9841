"""SQLite: commits that do not wait for the disk, whichever library makes them."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from pathlib import PurePath
from typing import Any


@cache
def enable_wal() -> None:
    """Have the databases that this process opens from now on keep a write-ahead log.

    By default a commit waits for the disk several times, and a trial makes dozens of them. With the
    log, and `synchronous` NORMAL, what is committed outlives the process, however that ends. If the
    machine loses its power, the last commits may be missing, and the database is whole.
    """
    # Late: the libraries that keep databases have imported it.
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    event.listen(Engine, "connect", _set_wal_pragmas)


def _set_wal_pragmas(connection: Any, _record: object) -> None:
    import sqlite3

    if not isinstance(connection, sqlite3.Connection):
        return
    files = [PurePath(row[2]).name for row in connection.execute("PRAGMA database_list")]
    if any(name.startswith(".") for name in files):
        return  # a draft, which is to be renamed: its log would keep the old name
    # Somebody may be at it, or the file system may have no such locks: then it stays what it is.
    with suppress(sqlite3.OperationalError):
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
