from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from tagifai.utils.databases import sqlite


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
    assert settings(tmp_path / ".a.db.draft") == ("delete", 0)


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
from tagifai.utils.databases import sqlite

sqlite.enable_wal()
connection = create_engine(f"sqlite:///{sys.argv[1]}").connect()
connection.execute(text("CREATE TABLE t (x)"))
connection.execute(text("INSERT INTO t VALUES (1)"))
connection.commit()
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.e2e
def test_what_is_committed_outlives_a_process_that_is_killed(tmp_path: Path) -> None:
    path, root = tmp_path / "a.db", Path(sqlite.__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], cwd=root, check=False)
    assert done.returncode == -9
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT x FROM t").fetchall() == [(1,)]
    connection.close()


WRITER = """
import sqlite3, sys
try:
    sqlite3.connect(sys.argv[1], timeout=0).execute("INSERT INTO t VALUES (2)")
except sqlite3.OperationalError as error:
    print(error)
"""


@pytest.mark.e2e
def test_a_look_at_a_database_does_not_release_the_locks_that_its_process_has(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (x)")
        connection.execute("BEGIN IMMEDIATE")
        assert sqlite.find_damage(path, 1) is None
        written = subprocess.run(
            [sys.executable, "-c", WRITER, str(path)], capture_output=True, text=True, check=True
        )
    assert written.stdout == "database is locked\n"
