"""Fast commits for the SQLite databases of this process, whichever library opens them."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from pathlib import PurePath
from typing import Any


@cache
def enable_wal() -> None:
    """Let the databases that this process opens from now on use a write-ahead log.

    By default a commit waits for the disk several times, and a trial makes dozens of commits. With
    the log, and `synchronous` NORMAL, what is committed outlives the process, however it ends. If
    the machine loses its power, the last commits may be missing, but the database is intact.
    """
    # Late: the libraries that use databases import it anyway.
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    event.listen(Engine, "connect", _set_wal_pragmas)


def _set_wal_pragmas(connection: Any, _record: object) -> None:
    import sqlite3

    if not isinstance(connection, sqlite3.Connection):
        return
    files = [PurePath(row[2]).name for row in connection.execute("PRAGMA database_list")]
    if any(name.startswith(".") for name in files):
        return  # a draft that will be renamed: its log would keep the old name
    # Another process may use it, or the file system may have no such locks: then it stays as it is.
    with suppress(sqlite3.OperationalError):
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
