from __future__ import annotations

import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tagifai.exceptions import StoreUnavailableError
from tagifai.sweeping import storage
from tagifai.tracking.databases import DatabaseFault, inspect_database
from tagifai.tracking.databases.faults import read_revisions


@pytest.fixture
def database(migrated: Path, tmp_path: Path) -> Path:
    """A tracking database in a folder of its own, for writing into."""
    return Path(shutil.copyfile(migrated, tmp_path / "mlflow.db"))


def inspect(path: Path) -> DatabaseFault | None:
    return inspect_database(f"sqlite:///{path}", 0.2)


def execute(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def write_in_the_middle(path: Path) -> None:
    content = bytearray(path.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 4096] = random.Random(0).randbytes(4096)
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def make_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def make_link(path: Path) -> None:
    path.rename(path.with_name("unplugged"))
    path.symlink_to("elsewhere")


def make_studies(path: Path) -> None:
    path.unlink()
    storage.connect_database.__wrapped__(f"sqlite:///{path}")


def delete_experiments(path: Path) -> None:
    execute(path, "PRAGMA foreign_keys = OFF", "DELETE FROM experiments")


def replace_tables(path: Path, *statements: str) -> None:
    path.unlink()
    execute(path, *statements)


def stop_at_the_beginning(path: Path) -> None:
    delete_experiments(path)
    execute(path, "DROP TABLE alembic_version")


def stop_in_the_middle(path: Path) -> None:
    delete_experiments(path)
    execute(path, OLDER)


OLDER = "UPDATE alembic_version SET version_num = '451aebb31d03'"

DAMAGE: dict[str, tuple[Callable[[Path], object], str, str | None, str]] = {
    "no bytes": (lambda path: path.write_bytes(b""), "is empty", "put aside", "task=repair"),
    "zeros": (
        lambda path: path.write_bytes(bytes(8192)),
        "is no SQLite database",
        "put aside",
        "task=repair",
    ),
    "text": (
        lambda path: path.write_text("not a database" * 100),
        "is no SQLite database",
        "put aside",
        "task=repair",
    ),
    "a few bytes": (
        lambda path: path.write_bytes(b"SQLite format 3\0"),
        "is no SQLite database",
        "put aside",
        "task=repair",
    ),
    "no tables": (
        lambda path: replace_tables(path, "CREATE TABLE t (x)", "DROP TABLE t"),
        "is empty",
        "put aside",
        "task=repair",
    ),
    "cut": (cut, "is cut off: it has ", "put aside", "task=repair"),
    "a page of noise": (write_in_the_middle, "is damaged (", "put aside", "task=repair"),
    "a folder": (make_folder, "is a folder", "put aside", "task=repair"),
    "a pipe": (make_pipe, "is not a regular file", "put aside", "task=repair"),
    "a link to nothing": (
        make_link,
        "is a link to elsewhere, which is not there",
        None,
        "Bring the file back",
    ),
    "half made": (
        stop_in_the_middle,
        "is half made",
        "put aside",
        "task=repair",
    ),
    "half made, at the beginning": (
        stop_at_the_beginning,
        "is half made",
        "put aside",
        "task=repair",
    ),
    "half migrated": (
        lambda path: execute(path, OLDER, "CREATE TABLE _alembic_tmp_runs (x)"),
        "is half migrated",
        "complete",
        "task=repair",
    ),
    "older": (
        lambda path: execute(path, OLDER),
        "is of an older MLflow (its schema is 451aebb31d03)",
        None,
        "mlflow db upgrade sqlite:///",
    ),
    "newer": (
        lambda path: execute(path, "UPDATE alembic_version SET version_num = 'ffffffffffff'"),
        "is of a newer MLflow (its schema is ffffffffffff)",
        None,
        "Install that MLflow",
    ),
    "studies": (
        make_studies,
        "belongs to another program (it has the tables alembic_version, studies, ",
        None,
        "Give tracking.uri another database",
    ),
    "another program's": (
        lambda path: replace_tables(path, "CREATE TABLE songs (x)"),
        "belongs to another program (it has the tables songs)",
        None,
        "Give tracking.uri another database",
    ),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_what_is_wrong_with_a_database_is_told_with_a_way_out(database: Path, kind: str) -> None:
    spoil, problem, remedy, advice = DAMAGE[kind]
    spoil(database)
    fault = inspect(database)
    assert fault is not None
    assert fault.problem.startswith(problem)
    assert fault.remedy == remedy
    assert advice in fault.advice
    assert str(fault).startswith(f"The tracking database {database} {problem}")


def test_nothing_is_wrong_with_a_whole_database_one_that_is_not_there_and_a_server(
    database: Path, tmp_path: Path
) -> None:
    assert inspect(database) is None
    assert inspect(tmp_path / "none.db") is None
    assert inspect_database("postgresql://u@h/d") is None
    assert not (tmp_path / "none.db").exists()


def test_a_database_whose_last_changes_are_in_its_log_is_whole(database: Path) -> None:
    with closing(sqlite3.connect(database)) as other:
        other.execute("PRAGMA journal_mode = WAL")
        other.execute("CREATE TABLE t AS SELECT randomblob(100000)")
        other.commit()
        assert inspect(database) is None


def test_a_database_that_another_process_has_locked_may_answer_later(database: Path) -> None:
    with closing(sqlite3.connect(database)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreUnavailableError, match="is locked by another process"):
            inspect(database)
    assert inspect(database) is None


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_database_that_may_not_be_read_is_told(database: Path) -> None:
    database.chmod(0)
    fault = inspect(database)
    assert fault is not None
    assert fault.problem == "cannot be read (Permission denied)"
    assert fault.remedy is None


def test_the_revision_that_is_read_is_the_one_that_mlflow_writes(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        (written,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    known, head = read_revisions()
    assert head == written
    assert "451aebb31d03" in known


def test_any_bytes_are_a_fault_and_no_error(database: Path) -> None:
    whole = database.read_bytes()
    chosen = random.Random(1)
    for _ in range(100):
        content = bytearray(whole)
        for _ in range(chosen.randrange(1, 20)):
            start = chosen.randrange(len(content))
            size = min(chosen.choice([1, 16, 4096]), len(content) - start)
            content[start : start + size] = chosen.randbytes(size)
        database.write_bytes(content[: chosen.choice([len(content), chosen.randrange(20_000)])])
        fault = inspect(database)
        assert fault is None or str(fault).count("\n") == 0
