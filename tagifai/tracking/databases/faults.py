"""MLflow's SQLite databases: what is wrong with one, as a sentence with the way out."""

from __future__ import annotations

import importlib.util
import os
import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from tagifai.exceptions import StoreUnavailableError
from tagifai.utils import program
from tagifai.utils.databases import sqlite
from tagifai.utils.secrets import mask
from tagifai.utils.urls import get_sqlite_path

OWN_TABLES = {"experiments", "runs", "metrics", "params", "tags"}
"""Tables that a database of MLflow has from its first version on."""

FIRST_TABLES = OWN_TABLES | {"alembic_version", "experiment_tags", "latest_metrics"}

HALF_TABLE = "_alembic_tmp_"
"""Beginning of the names of tables that are there in the middle of a migration."""

OPENING_SECONDS = 2
"""Seconds to wait for a lock of the database itself where nobody says how long."""

Remedy = Literal["put aside", "complete"]


@dataclass(frozen=True)
class DatabaseFault:
    """What is wrong with the SQLite database of a tracking store.

    Args:
        name: path of the file, or URI of the server.
        problem: a phrase for behind the name, such as "is damaged (...)".
        remedy: what `repair_database` does about it; None if it can do nothing.
        advice: a sentence: the way out.
    """

    name: str
    problem: str
    remedy: Remedy | None
    advice: str

    def __str__(self) -> str:
        return f"The tracking database {self.name} {self.problem}. {self.advice}"


def inspect_database(uri: str, seconds: float = OPENING_SECONDS) -> DatabaseFault | None:
    """Return what is wrong with the SQLite database of a tracking store, or None.

    None is said as well of a database that is not there, and of a store of another kind.

    Args:
        uri: of the tracking store.
        seconds: to wait for the database's lock.

    Raises:
        StoreUnavailableError: another process has it locked for longer.
    """
    path = get_sqlite_path(uri)
    if path is None or not os.path.lexists(path):
        return None
    if not path.exists() and path.is_symlink():
        problem = f"is a link to {path.readlink()}, which is not there"
        return DatabaseFault(str(path), problem, None, "Bring the file back, or remove the link.")
    try:
        damage = sqlite.find_damage(path, seconds)
        if damage is not None:
            return _make_fault(str(path), damage)
        try:
            with closing(sqlite.open_file(path, seconds)) as connection:
                found = _read_tables(connection)
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            return _make_fault(str(path), sqlite.describe_error(error, path))
    except TimeoutError as error:
        raise StoreUnavailableError(
            f"{error}: the tracking database did not answer within {seconds:.0f} s. Try again when"
            " that process has ended."
        ) from error
    return judge_tables(str(path), uri, *found)


def _make_fault(name: str, damage: str) -> DatabaseFault:
    if damage.startswith("cannot be"):
        advice = "Check the disk, and the permissions of the file and its folder."
        return DatabaseFault(name, damage, None, advice)
    return DatabaseFault(
        name,
        damage,
        "put aside",
        f"{_name_repair()} puts it aside, and the next run makes a new one; or restore it from a"
        " backup.",
    )


def _name_repair() -> str:
    return program.format_command("task=repair", "task.apply=true")


def _read_tables(connection: sqlite3.Connection) -> tuple[set[str], str | None, bool]:
    """Return the tables, the schema's revision, and whether the database was ever whole."""
    tables = sqlite.list_tables(connection)
    revision, is_used = None, False
    if "alembic_version" in tables:
        found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        revision = None if found is None else str(found[0])
    if "experiments" in tables:
        # MLflow makes one as soon as the tables are complete.
        is_used = connection.execute("SELECT 1 FROM experiments LIMIT 1").fetchone() is not None
    return tables, revision, is_used


def judge_tables(
    name: str, uri: str, tables: set[str], revision: str | None, is_used: bool
) -> DatabaseFault | None:
    """Return what is wrong with the tables of an intact database, or None.

    Args:
        name: what the database is called in messages.
        uri: of the tracking store.
        tables: their names.
        revision: of the schema; None if the database has none.
        is_used: whether it has an experiment, which a complete one has.
    """
    known, head = read_revisions()
    is_complete = tables >= OWN_TABLES
    is_half = any(name.startswith(HALF_TABLE) for name in tables)
    if not tables:
        return _make_fault(name, "is empty")
    if revision is not None and revision not in known and is_complete:
        problem = f"is of a newer MLflow (its schema is {revision})"
        advice = "Install that MLflow, or give tracking.uri another database."
        return DatabaseFault(name, problem, None, advice)
    is_begun = revision is None and tables <= FIRST_TABLES
    if revision not in known and not is_begun and not is_complete:
        others = ", ".join(sorted(tables)[:3])
        problem = f"belongs to another program (it has the tables {others})"
        return DatabaseFault(name, problem, None, "Give tracking.uri another database.")
    if not is_used and not (revision == head and not is_half and is_complete):
        return _make_fault(name, "is half made: the process that made it was killed")
    if is_half or revision is None or not is_complete:
        problem = "is half migrated: a process that brought it up to date was killed"
        advice = f"{_name_repair()} completes it and keeps the old file."
        return DatabaseFault(name, problem, "complete", advice)
    if revision == head:
        return None
    problem = f"is of an older MLflow (its schema is {revision})"
    advice = f"Bring it up to date: mlflow db upgrade {mask(uri)}"
    return DatabaseFault(name, problem, None, advice)


@cache
def read_revisions() -> tuple[set[str], str]:
    """Return the schemas that the installed MLflow knows, and the one that it works with.

    They are read from its files: importing them would import all of MLflow.
    """
    found = importlib.util.find_spec("mlflow")
    folder = Path(str(found and found.origin)).parent / "store" / "db_migrations" / "versions"
    text = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
    known = set(re.findall(r"""(?m)^revision = ["'](\w+)""", text))
    before = set(re.findall(r"""(?m)^down_revision = ["'](\w+)""", text))
    return known, (known - before).pop()
