from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from mlflow import MlflowClient

from tagifai.exceptions import StoreUnavailableError, TrackingError
from tagifai.tracking import databases
from tagifai.tracking.databases import making
from tagifai.utils.urls import get_sqlite_path


def uri(folder: Path) -> str:
    return f"sqlite:///{folder}/mlflow.db"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


class Quick:
    """Stands in for MLflow's client: copies a database that is whole instead of making one."""

    migrated: Path
    asked: list[Path]
    before: Callable[[Path], object]

    def __init__(self, address: str, registry: str) -> None:
        draft = get_sqlite_path(address)
        assert draft is not None
        assert registry == address
        Quick.asked.append(draft)
        Quick.before(draft)
        shutil.copyfile(Quick.migrated, draft)

    def search_experiments(self, **_: Any) -> None:
        """Do nothing."""


@pytest.fixture
def quick(migrated: Path, monkeypatch: pytest.MonkeyPatch) -> type[Quick]:
    Quick.migrated, Quick.asked, Quick.before = migrated, [], lambda _: None
    monkeypatch.setattr("mlflow.MlflowClient", Quick)
    return Quick


def test_a_database_is_made_under_another_name_and_is_there_when_it_is_whole(
    quick: type[Quick], tmp_path: Path
) -> None:
    folder = tmp_path / "a b %20?" / "made"
    address = "sqlite:///" + str(folder / "mlflow.db").replace("%", "%25").replace("?", "%3F")
    for _ in range(2):
        databases.make_database(address)
    (draft,) = quick.asked
    assert draft.parent == folder
    assert draft.name.startswith(".mlflow.db.")
    assert names(folder) == ["mlflow.db"]
    assert databases.inspect_database(address) is None


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_kill_while_a_database_is_made_leaves_no_half_one_and_it_is_begun_again(
    quick: type[Quick], tmp_path: Path, error: type[BaseException]
) -> None:
    def kill(draft: Path) -> None:
        draft.write_text("half")
        raise error

    quick.before = kill
    for _ in range(2):
        with pytest.raises(error):
            databases.make_database(uri(tmp_path))
        assert not (tmp_path / "mlflow.db").exists()
        assert len(names(tmp_path)) == 1
    quick.before = lambda _: None
    databases.make_database(uri(tmp_path))
    assert names(tmp_path) == ["mlflow.db"]
    assert len(set(quick.asked)) == 3


def test_one_that_another_process_has_made_in_spite_of_the_lock_stays(
    quick: type[Quick], tmp_path: Path
) -> None:
    quick.before = lambda _: (tmp_path / "mlflow.db").write_text("another's")
    databases.make_database(uri(tmp_path))
    assert (tmp_path / "mlflow.db").read_text() == "another's"
    assert names(tmp_path) == ["mlflow.db"]


@pytest.mark.usefixtures("quick")
def test_the_log_of_a_database_that_is_gone_is_not_played_into_the_new_one(
    migrated: Path, tmp_path: Path
) -> None:
    old = tmp_path / "mlflow.db"
    shutil.copyfile(migrated, old)
    with closing(sqlite3.connect(old)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("CREATE TABLE of_the_old_one (x)")
        connection.commit()
        kept = {end: old.with_name(f"mlflow.db{end}").read_bytes() for end in ("-wal", "-shm")}
    old.unlink()
    for end, content in kept.items():
        old.with_name(f"mlflow.db{end}").write_bytes(content)
    databases.make_database(uri(tmp_path))
    with closing(sqlite3.connect(old)) as connection:
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    assert "of_the_old_one" not in tables
    (day,) = tmp_path.glob("damaged/*")
    assert names(day) == ["mlflow.db-shm", "mlflow.db-wal"]


def test_a_file_system_without_links_has_its_database_renamed(
    quick: type[Quick], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr(Path, "hardlink_to", unknown)
    databases.make_database(uri(tmp_path))
    assert names(tmp_path) == ["mlflow.db"]
    assert quick.asked


def test_one_that_cannot_be_made_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TrackingError) as caught:
        databases.make_database(f"sqlite:///{tmp_path}/file/mlflow.db")
    assert str(caught.value).startswith(f"The tracking database {tmp_path}/file/mlflow.db cannot")


def test_nobody_waits_without_an_end_for_who_makes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "LOCK_SECONDS", 0.1)
    with (
        FileLock(tmp_path / ".mlflow.db.lock"),
        pytest.raises(StoreUnavailableError, match="Another process has been making"),
    ):
        databases.make_database(uri(tmp_path))


@pytest.mark.parametrize("address", ["http://127.0.0.1:1", "postgresql://h/d", "nonsense"])
def test_only_a_sqlite_database_is_made(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("mlflow.MlflowClient")
    databases.make_database(address)


# --- repair ------------------------------------------------------------------------------------


def test_a_damaged_database_is_put_aside_with_what_is_beside_it(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("damaged" * 100)
    (tmp_path / "mlflow.db-wal").write_text("log")
    kept = databases.repair_database(uri(tmp_path))
    assert kept is not None
    assert kept.read_text() == "damaged" * 100
    assert Path(f"{kept}-wal").read_text() == "log"
    assert kept.parents[1] == tmp_path / "damaged"
    assert names(kept.parent) == ["mlflow.db", "mlflow.db-wal"]
    assert names(tmp_path) == ["damaged"]
    assert databases.repair_database(uri(tmp_path)) is None


def test_databases_that_are_put_aside_on_the_same_day_are_all_kept(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / "mlflow.db").write_text(f"{number}" * 100)
        databases.repair_database(uri(tmp_path))
    kept = sorted(tmp_path.glob("damaged/*/mlflow.db*"))
    assert [path.read_text()[0] for path in kept] == ["0", "1", "2"]


def test_what_is_whole_or_another_s_is_left_alone(migrated: Path, tmp_path: Path) -> None:
    shutil.copyfile(migrated, tmp_path / "mlflow.db")
    assert databases.repair_database(uri(tmp_path)) is None
    with closing(sqlite3.connect(tmp_path / "other.db")) as connection:
        connection.execute("CREATE TABLE songs (x)")
    with pytest.raises(TrackingError, match="belongs to another program"):
        databases.repair_database(f"sqlite:///{tmp_path}/other.db")
    assert names(tmp_path) == ["mlflow.db", "other.db"]


def half_migrated(migrated: Path, folder: Path, *statements: str) -> Path:
    """Make a database with a run, as a kill in its last migration left it."""
    (folder / "elsewhere").mkdir()
    path = Path(shutil.copyfile(migrated, folder / "elsewhere" / "mlflow.db"))
    # This process's connections stay with the file that they were opened for.
    MlflowClient(uri(path.parent)).create_run("0", tags={"mine": "yes"})
    with closing(sqlite3.connect(path)) as connection:
        path = folder / "mlflow.db"
        connection.execute(f"VACUUM INTO '{path}'")
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    return path


@pytest.mark.parametrize(
    "copying",
    [
        ("CREATE TABLE _alembic_tmp_runs (x)",),
        ("ALTER TABLE runs RENAME TO _alembic_tmp_runs",),
    ],
)
def test_a_half_migrated_database_is_completed_on_a_copy(
    migrated: Path, tmp_path: Path, copying: tuple[str, ...]
) -> None:
    path = half_migrated(migrated, tmp_path, *copying)
    before = path.read_bytes()
    kept = databases.repair_database(uri(tmp_path))
    assert kept is not None
    assert kept.read_bytes() == before
    assert databases.inspect_database(uri(tmp_path)) is None
    (run,) = MlflowClient(uri(tmp_path)).search_runs(["0"])
    assert run.data.tags["mine"] == "yes"


def test_one_that_cannot_be_completed_is_put_aside(migrated: Path, tmp_path: Path) -> None:
    # Its tables are of the newest schema: the migrations from this one on cannot run again.
    older = "UPDATE alembic_version SET version_num = '451aebb31d03'"
    half_migrated(migrated, tmp_path, older, "CREATE TABLE _alembic_tmp_runs (x)")
    kept = databases.repair_database(uri(tmp_path))
    assert kept is not None
    assert kept.parents[1] == tmp_path / "damaged"
    assert names(tmp_path) == ["damaged", "elsewhere"]
