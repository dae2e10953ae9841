"""Servers of databases: whether one answers, and an end to every wait for it."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from tagifai.utils.databases.waiting import call_within

if TYPE_CHECKING:
    from sqlalchemy import Connection

CONNECT_SECONDS = 10
"""Seconds that a driver has for a connection, unless its URL has a `connect_timeout`."""

ANSWER_SECONDS = 20
"""Seconds that a server has for an answer to a statement."""

PORTS = {"postgresql": 5432, "mysql": 3306, "mariadb": 3306, "http": 80, "https": 443}

REFUSED = re.compile(
    "authentication|password|does not exist|pg_hba.conf|permission denied|Access denied|"
    "Unknown database|SSL|certificate",
    re.IGNORECASE,
)
"""What a server says that answers, and will say the same to the next try."""

LOCKS = {
    "postgresql": "SELECT pg_try_advisory_lock(74616769)",
    "mysql": "SELECT GET_LOCK('tagifai', 0)",
    "mariadb": "SELECT GET_LOCK('tagifai', 0)",
}
"""Statements that try to take a lock, which the end of the connection releases."""

T = TypeVar("T")


def check_port(uri: str, seconds: float, what: str) -> None:
    """Connect to the port of a server that a URI names, if it names one.

    Args:
        uri: of a server.
        seconds: for its name and the connection.
        what: as in `call_within`.

    Raises:
        ConnectionError: there is no such name, or nobody listens there.
        TimeoutError: it takes too long.
        ValueError: the port is none.
    """
    parts = urlsplit(uri)
    host = parts.hostname
    port = parts.port or PORTS.get(parts.scheme.partition("+")[0])
    if host is None or port is None:
        return

    def connect() -> None:
        try:
            socket.create_connection((host, port), timeout=seconds).close()
        except socket.gaierror as error:
            raise ConnectionError(f"the name {host} is not known ({error.strerror})") from error
        except TimeoutError:
            raise
        except OSError as error:
            reason = error.strerror or str(error)
            raise ConnectionError(f"nobody answers at {host}:{port} ({reason})") from error

    call_within(seconds, connect, what)


def ask(uri: str, seconds: float, question: Callable[[Connection], T], what: str) -> T:
    """Connect to a server of a database, and return its answer to a question.

    Args:
        uri: of the database.
        seconds: for all of it.
        question: called with a connection.
        what: as in `call_within`.

    Raises:
        ConnectionError: it is away.
        TimeoutError: it is mute.
        PermissionError: it refuses the connection and will do so again: a password, for one.
        ValueError: the URI is none.
        ImportError: its driver is not installed.
    """
    from sqlalchemy import create_engine
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.pool import NullPool

    limit_waits()
    engine = create_engine(uri, poolclass=NullPool)
    ends = time.monotonic() + seconds
    check_port(uri, seconds, what)

    def connect() -> T:
        with engine.connect() as connection:
            return question(connection)

    try:
        return call_within(max(0.1, ends - time.monotonic()), connect, what)
    except DBAPIError as error:
        text = " ".join(str(error.orig).split())
        if REFUSED.search(text):
            raise PermissionError(text) from error
        if "timeout" in text:
            raise TimeoutError(text) from error
        raise ConnectionError(text) from error


@contextmanager
def hold_lock(uri: str, seconds: float) -> Iterator[None]:
    """Hold the one lock in the database of a server for a block.

    Args:
        uri: of the database.
        seconds: to wait at most for another process.

    Raises:
        TimeoutError: another process has it for longer.
    """
    from sqlalchemy import create_engine, text
    from sqlalchemy.pool import NullPool

    with create_engine(uri, poolclass=NullPool).connect() as connection:
        statement = LOCKS.get(connection.dialect.name)
        ends = time.monotonic() + seconds
        while statement is not None and not connection.execute(text(statement)).scalar():
            if time.monotonic() > ends:
                raise TimeoutError(f"another process has held its lock for {seconds:.0f} s")
            time.sleep(0.1)
        yield


@cache
def limit_waits() -> None:
    """Let no connection that SQLAlchemy opens from now on wait for its server without an end."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    event.listen(Engine, "do_connect", _connect)


def _connect(dialect: Any, _record: object, arguments: list[Any], options: dict[str, Any]) -> Any:
    """Give the driver's connection limits; None lets SQLAlchemy connect as it would."""
    if dialect.name == "postgresql" and dialect.driver in ("psycopg", "psycopg2"):
        options.setdefault("connect_timeout", CONNECT_SECONDS)
        if dialect.driver == "psycopg":
            return _make_postgres_class().connect(*arguments, **options)
    elif dialect.name in ("mysql", "mariadb") and dialect.driver in ("pymysql", "mysqldb"):
        options.setdefault("connect_timeout", CONNECT_SECONDS)
        options.setdefault("read_timeout", ANSWER_SECONDS)
        options.setdefault("write_timeout", ANSWER_SECONDS)
    return None


@cache
def _make_postgres_class() -> Any:
    """Return a class of connections that give up; PostgreSQL itself only limits statements.

    A server that is stopped, or whose machine is gone, enforces no limit of its own.
    """
    import psycopg

    class LimitedConnection(psycopg.Connection[Any]):
        def wait(self, gen: Generator[Any, Any, T], *args: Any, **options: Any) -> T:
            return super().wait(self._limit(gen), *args, **options)

        def _limit(self, gen: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
            """Pass on what a wait yields and gets, until its time is over."""
            ends = time.monotonic() + ANSWER_SECONDS
            ready = None
            while True:
                try:
                    state = gen.send(ready)
                except StopIteration as end:
                    result: T = end.value
                    return result
                ready = yield state
                if not ready and time.monotonic() > ends:
                    # Otherwise the rollback would wait as long again.
                    self.close()
                    raise psycopg.OperationalError(
                        f"timeout: the server did not answer within {ANSWER_SECONDS} s"
                    )

    return LimitedConnection
