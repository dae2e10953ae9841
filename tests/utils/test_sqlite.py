from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from tagifai.utils import sqlite


@pytest.fixture
def quick() -> None:
    sqlite.enable_wal()


def settings(path: Path) -> tuple[str, int]:
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        mode = connection.execute(text("PRAGMA journal_mode")).scalar_one()
        waits = connection.execute(text("PRAGMA synchronous")).scalar_one()
    engine.dispose()
    return mode, waits


@pytest.mark.usefixtures("quick")
def test_a_database_keeps_a_log_and_does_not_wait_for_every_commit(tmp_path: Path) -> None:
    assert settings(tmp_path / "a.db") == ("wal", 1)


@pytest.mark.usefixtures("quick")
def test_a_draft_is_one_file_so_that_it_can_be_renamed(tmp_path: Path) -> None:
    assert settings(tmp_path / ".a.db.draft") == ("delete", 2)


@pytest.mark.usefixtures("quick")
def test_one_that_somebody_is_at_stays_what_it_is(tmp_path: Path) -> None:
    busy = sqlite3.connect(tmp_path / "a.db")
    busy.execute("CREATE TABLE t (x)")
    busy.execute("BEGIN EXCLUSIVE")
    engine = create_engine(f"sqlite:///{tmp_path}/a.db", connect_args={"timeout": 0})
    engine.connect().close()
    engine.dispose()
    busy.rollback()
    assert busy.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    busy.close()


KILLED = """
import os, signal, sys
from sqlalchemy import create_engine, text
from tagifai.utils import sqlite

sqlite.enable_wal()
connection = create_engine(f"sqlite:///{sys.argv[1]}").connect()
connection.execute(text("CREATE TABLE t (x)"))
connection.execute(text("INSERT INTO t VALUES (1)"))
connection.commit()
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.e2e
def test_what_is_committed_outlives_a_process_that_is_killed(tmp_path: Path) -> None:
    path, root = tmp_path / "a.db", Path(sqlite.__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], cwd=root, check=False)
    assert done.returncode == -9
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT x FROM t").fetchall() == [(1,)]
    connection.close()
