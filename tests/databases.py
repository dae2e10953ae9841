"""Databases of studies that are there already, and a server of PostgreSQL."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from sqlalchemy import URL

from tagifai.sweeping import storage
from tests.app import children


def make_studies(path: Path) -> str:
    """Make a database without studies, and return its URL.

    Making one anew takes ten times as long as opening it.
    """
    path.write_bytes(_empty())
    return f"sqlite:///{path}"


@cache
def _empty() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "studies.db.draft"  # of a draft all is in one file
        storage.connect_database.__wrapped__(f"sqlite:///{path}")
        return path.read_bytes()


def _initdb() -> str | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return str(found[-1]) if found else shutil.which("initdb")


@dataclass(frozen=True)
class Postgres:
    """A server of PostgreSQL.

    Args:
        url: of its database, with the password.
        data: the folder of its data.
    """

    url: URL
    data: Path

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the server and to all processes that it has begun."""
        first = int((self.data / "postmaster.pid").read_text().splitlines()[0])
        for process in (first, *children(first)):
            with suppress(ProcessLookupError):
                os.kill(process, number)


@contextmanager
def run_postgres() -> Iterator[Postgres]:
    """Run a PostgreSQL server on the loopback device, with a password; skips if there is none."""
    initdb = _initdb()
    if initdb is None:
        pytest.skip("PostgreSQL's initdb is not installed")
    as_owner: list[str] = []
    if os.geteuid() == 0:
        # It refuses to be run by root.
        with suppress(KeyError):
            pwd.getpwnam("postgres")
            as_owner = ["runuser", "-u", "postgres", "--"]
        if not as_owner:
            pytest.skip("there is no user postgres, and root may not run PostgreSQL")
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    password = folder / "password"
    password.write_text("pass:word")
    if as_owner:
        for path in (folder, password):
            shutil.chown(path, "postgres")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    data = folder / "data"
    make: list[str | Path] = [
        initdb,
        "-D",
        data,
        "-U",
        "tagger",
        f"--pwfile={password}",
        "-A",
        "scram-sha-256",
    ]
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
    control: list[str | Path] = [
        Path(initdb).with_name("pg_ctl"),
        "-D",
        data,
        "-l",
        folder / "log",
        "-w",
    ]

    def run(*command: str | Path) -> None:
        subprocess.run(
            [*as_owner, *command], check=True, stdout=subprocess.DEVNULL, cwd=folder.parent
        )

    try:
        run(*make, "--no-sync")
        run(*control, "-o", options, "start")
        url = URL.create("postgresql", "tagger", "pass:word", "127.0.0.1", port, "postgres")
        yield Postgres(url, data)
        run(*control, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)
