"""SQLite files: what is wrong with one, and fast commits for those that this process opens."""

from __future__ import annotations

import errno
import os
import stat
import time
from contextlib import closing, suppress
from functools import cache
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tagifai.utils.system import errors
from tagifai.utils.system.space import has_room

if TYPE_CHECKING:
    import sqlite3

HEADER = b"SQLite format 3\0"
HEADER_BYTES = 100

BESIDE = ("-wal", "-shm", "-journal")
"""Endings of the files that SQLite keeps beside a database."""

LOG_INDEX_BYTES = 2**16
"""Room that the file beside a write-ahead log needs, with some to spare."""

DRAFT = ".draft"
"""Ending of the name of a database that is renamed when it is whole."""

CHECKED_BYTES = 20 * 10**6
"""Size up to which every page of a file is looked at; above it the first error tells."""

CHECK_SECONDS = 0.5


def open_file(path: Path, seconds: float) -> sqlite3.Connection:
    """Return a connection to a database that is there; none is made.

    Args:
        path: of the file.
        seconds: to wait for its lock.
    """
    import sqlite3

    connection = sqlite3.connect(f"file:{quote(str(path))}?mode=rw", timeout=seconds, uri=True)
    # Names in a damaged one may be of any bytes.
    connection.text_factory = lambda text: text.decode("utf-8", "replace")
    return connection


def list_tables(connection: sqlite3.Connection) -> set[str]:
    """Return the names of a database's tables."""
    found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    return {str(row[0]) for row in found}


def find_damage(path: Path, seconds: float) -> str | None:
    """Return what is wrong with a SQLite database, as a phrase for behind its path, or None.

    An empty file is a database without tables.

    Args:
        path: of a file, a folder or anything else.
        seconds: to wait for the database's lock.

    Raises:
        TimeoutError: another process has it locked for longer.
    """
    import sqlite3

    try:
        kind = path.stat().st_mode
        if not stat.S_ISREG(kind):
            return "is a folder" if stat.S_ISDIR(kind) else "is not a regular file"
        if damage := _find_damaged_header(path):
            return damage
        with closing(open_file(path, seconds)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            return _check_pages(path, connection)
    except (sqlite3.DatabaseError, UnicodeDecodeError, OSError) as error:
        return describe_error(error, path)


def describe_error(error: Exception, path: Path) -> str:
    """Return what an error says about a database, as a phrase for behind its path.

    Raises:
        TimeoutError: another process has it locked.
        OSError: the system has no room for what reading it takes, or none for more files.
    """
    import sqlite3

    if (number := _find_limit(error, path)) is not None:
        raise OSError(number, os.strerror(number), str(path)) from error
    if is_locked(error):
        raise TimeoutError(f"{path} is locked by another process") from error
    if isinstance(error, UnicodeDecodeError):
        return "is damaged (its names are no text)"
    if isinstance(error, OSError):
        return f"cannot be read ({error.strerror or error})"
    # Such an error is of the disk or of the folder, and may be gone the next time.
    passes = isinstance(error, sqlite3.OperationalError)
    return f"cannot be opened ({error})" if passes else f"is damaged ({error})"


def _find_limit(error: Exception, path: Path) -> int | None:
    """Return the system's code of an error that says nothing of the database itself, or None."""
    number = errors.find_code(error)
    # To read a write-ahead log takes a file beside it; what failed with that SQLite does not say.
    unsaid = getattr(error, "sqlite_errorcode", 0) & 0xFF == errors.SQLITE_IOERR
    if unsaid and not has_room(path, LOG_INDEX_BYTES):
        return errno.ENOSPC
    return number if number in errors.LIMITS else None


def is_locked(error: BaseException) -> bool:
    """Return whether an error says that another process has the database."""
    return "is locked" in str(error)


def _find_damaged_header(path: Path) -> str | None:
    """Say what SQLite would not say, or would clean up behind: it removes logs that fit no file."""
    found = path.stat()
    header = os.pread(_keep_open(path, found.st_dev, found.st_ino), HEADER_BYTES, 0)
    if not header:
        return None
    if not header.startswith(HEADER) or len(header) < HEADER_BYTES:
        return "is no SQLite database"
    log = path.with_name(f"{path.name}-wal")
    # A log may have pages that the file does not have yet.
    counted = header[24:28] == header[92:96] and not (log.exists() and log.stat().st_size)
    page = int.from_bytes(header[16:18], "big")
    expected = int.from_bytes(header[28:32], "big") * (2**16 if page == 1 else page)
    if counted and found.st_size < expected:
        return f"is cut off: it has {found.st_size:,} of {expected:,} bytes"
    return None


@cache
def _keep_open(path: Path, _device: int, _inode: int) -> int:
    """Open a file to read, and leave it open while the process lives.

    Where a process closes a file, the system releases all locks that it has on it: those of SQLite,
    too, so that another process could write at the same time.
    """
    return os.open(path, os.O_RDONLY)


def _check_pages(path: Path, connection: sqlite3.Connection) -> str | None:
    """Look at each page of a small file, for as long as that is quick."""
    import sqlite3

    if path.stat().st_size > CHECKED_BYTES:
        return None
    deadline = time.monotonic() + CHECK_SECONDS
    connection.set_progress_handler(lambda: time.monotonic() > deadline, 10_000)
    try:
        found = [str(row[0]) for row in connection.execute("PRAGMA quick_check(1)")]
    except sqlite3.OperationalError as error:
        if "interrupted" in str(error):
            return None
        raise
    first = (found[0].splitlines() or [""])[-1] if found else ""
    return None if found == ["ok"] else f"is damaged ({first})"


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
    if any(name.endswith(DRAFT) for name in files):
        connection.execute("PRAGMA synchronous = OFF")  # it is synchronized when it is whole
        return  # a log would keep the draft's name
    # Another process may use it, or the file system may have no such locks: then it stays as it is.
    with suppress(sqlite3.OperationalError):
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
