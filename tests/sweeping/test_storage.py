"""Databases of studies: which there are, what is wrong with them, and their one lock."""

from __future__ import annotations

import logging
import os
import socket
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from optuna.exceptions import StorageInternalError
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState

from tagifai.sweeping import storage as module
from tagifai.sweeping import studies
from tagifai.sweeping.storage import StudyError
from tests.databases import make_studies


@pytest.fixture
def database(tmp_path: Path) -> Path:
    make_studies(tmp_path / "studies.db")
    return tmp_path / "studies.db"


@pytest.mark.parametrize(
    ("url", "shared"),
    [
        (None, False),
        ("sqlite://", False),
        ("sqlite:///", False),
        ("sqlite:///:memory:", False),
        ("sqlite:///file::memory:?cache=shared&uri=true", False),
        ("sqlite:////x/studies.db", True),
        ("sqlite:////x/:memory:/studies.db", True),
        ("postgresql://host/studies", True),
    ],
)
def test_what_is_in_the_memory_of_a_process_is_shared_with_no_other(
    url: str | None, shared: bool
) -> None:
    assert module.is_shared(url) is shared


def test_without_a_url_the_studies_are_in_memory() -> None:
    assert isinstance(module.connect(None), InMemoryStorage)
    # Of a process that searches twice, each time has its own.
    assert module.connect(None) is not module.connect(None)


def test_a_store_is_made_once_a_process(database: Path) -> None:
    url = f"sqlite:///{database}"
    assert module.connect(url) is module.connect(url)


def test_the_folder_of_a_database_is_made(tmp_path: Path) -> None:
    module.connect(f"sqlite:///{tmp_path}/a/b c/studies.db")
    assert (tmp_path / "a" / "b c" / "studies.db").is_file()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("nonsense", "'nonsense' cannot be used: Could not parse SQLAlchemy URL"),
        ("postgres://me:s3cret@host/db", "'postgres://me:***@host/db' cannot be used: Can't load"),
        (
            "mysql+pymysql://me:s3cret@host/db",
            "'mysql+pymysql://me:***@host/db' cannot be used: No module named 'pymysql'.",
        ),
        ("postgresql://me:s3c@r/et@host:x/db", "'postgresql://me:***@host:x/db' cannot be used"),
        ("sqlite:////proc/none/studies.db", "'sqlite:////proc/none/studies.db' cannot be used"),
        ("nosuch:///db?user=me&password=s3cret", "'nosuch:///db?user=me&password=***' cannot"),
    ],
)
def test_a_store_that_there_is_not_is_one_error_without_the_password(url: str, shown: str) -> None:
    with pytest.raises(StudyError) as caught:
        module.connect(url)
    assert str(caught.value).startswith(f"hydra.sweeper.storage = {shown}")
    assert str(caught.value).endswith("(pip install 'tagifai[postgres]').")
    assert "s3c" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_server_that_does_not_answer_is_one_error_without_the_password(nobody: str) -> None:
    address = nobody.removeprefix("http://")
    with pytest.raises(StudyError) as caught:
        module.connect(f"postgresql+psycopg://me:s3cret@{address}/db")
    assert f"postgresql+psycopg://me:***@{address}/db' cannot be used" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def make_songs(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE songs (x)")


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda path: path.write_bytes(bytes(9000)), "is no SQLite database"),
        (lambda path: path.write_text("not a database\n" * 99), "is no SQLite database"),
        (Path.mkdir, "is a folder"),
        (os.mkfifo, "is not a regular file"),
        (make_songs, "belongs to another program"),
    ],
)
def test_a_damaged_database_is_told_before_it_is_opened(
    database: Path, spoil: Callable[[Path], object], told: str
) -> None:
    database.unlink()
    spoil(database)
    with pytest.raises(StudyError) as caught:
        module.connect_database.__wrapped__(f"sqlite:///{database}")
    assert f"cannot be used: {database} {told}" in str(caught.value)
    assert "move this one away" in str(caught.value)


def test_a_database_that_is_cut_off_is_told(database: Path) -> None:
    database.write_bytes(database.read_bytes()[:9000])
    with pytest.raises(StudyError, match=r"cannot be used: .* is cut off: it has 9,000 of"):
        module.connect_database.__wrapped__(f"sqlite:///{database}")


def test_an_empty_file_becomes_a_database(tmp_path: Path) -> None:
    (tmp_path / "studies.db").touch()
    storage = module.connect_database.__wrapped__(f"sqlite:///{tmp_path}/studies.db")
    assert storage.get_all_studies() == []


@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
def test_a_locked_database_is_not_waited_for_without_an_end(
    database: Path, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "OPENING_SECONDS", 0.2)
    with closing(sqlite3.connect(database)) as other:
        other.execute(f"PRAGMA journal_mode = {mode}")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StudyError, match=r"cannot be used: .*is locked"):
            module.connect_database.__wrapped__(f"sqlite:///{database}")


def test_a_server_that_accepts_and_says_nothing_is_mute_for_seconds_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "OPENING_SECONDS", 1)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"postgresql://me:s3cret@127.0.0.1:{mute.getsockname()[1]}/db"
        with pytest.raises(StudyError, match="cannot be used: no answer within 1 s") as caught:
            module.connect(url)
    assert "s3cret" not in str(caught.value)


def test_a_store_that_fails_on_the_way_is_one_error(database: Path) -> None:
    study = studies.open_study(f"sqlite:///{database}", "s", ["maximize"])
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("DROP TABLE trials")
    url = "postgresql://me:s3cret@host/db"
    with pytest.raises(StudyError) as caught, module.translate_storage_errors(url):
        study.ask({})
    assert "The database of studies 'postgresql://me:***@host/db' failed: " in str(caught.value)
    assert "no such table: trials" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "found", "message"),
    [
        (StorageInternalError(), StudyError, r"'in memory' failed: StorageInternalError\."),
        (KeyError("x"), KeyError, "x"),
    ],
)
def test_a_failure_without_a_cause_is_told_and_other_errors_are_left_alone(
    error: Exception, found: type[Exception], message: str
) -> None:
    with pytest.raises(found, match=message), module.translate_storage_errors(None):
        raise error


# --- the lock, and patience ------------------------------------------------------------------


def test_the_lock_of_a_database_is_held_by_one_at_a_time(database: Path) -> None:
    url = f"sqlite:///{database}"
    order: list[str] = []

    def hold(name: str) -> None:
        with module.hold_lock(url):
            order.append(name)
            time.sleep(0.1)
            order.append(name)

    threads = [threading.Thread(target=hold, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert order in (list("aabb"), list("bbaa"))


def test_studies_in_memory_need_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with module.hold_lock(None), module.hold_lock("sqlite://"):
        assert list(tmp_path.iterdir()) == []


def test_a_database_that_is_away_for_a_while_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "PAUSES", (0.0, 0.0))
    failures: list[Exception] = [StorageInternalError("away"), TimeoutError("slow")]

    def ask() -> str:
        if failures:
            raise failures.pop(0)
        return "here"

    assert module.call_patiently(ask) == "here"
    assert [r.getMessage() for r in caplog.records] == [
        "The database of studies is asked again: away",
        "The database of studies is asked again: slow",
    ]


def test_one_that_stays_away_is_an_error_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSES", (0.0,))

    def ask() -> None:
        raise StorageInternalError("away")

    with pytest.raises(StorageInternalError, match="away"):
        module.call_patiently(ask)


def test_only_databases_have_heartbeats(database: Path) -> None:
    in_memory = InMemoryStorage()
    trial_id = optuna.create_study(storage=in_memory).ask()._trial_id
    assert not module.has_heartbeat(in_memory)
    module.beat(in_memory, trial_id)  # which does nothing
    assert module.has_heartbeat(module.connect(f"sqlite:///{database}"))


def test_nothing_of_what_optuna_says_reaches_the_user(
    database: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with module.silence_optuna():
        study = studies.open_study(f"sqlite:///{database}", "s", ["maximize"])
        study.tell(study.ask({}), TrialState.COMPLETE, [1.0], {})
    assert capfd.readouterr() == ("", "")
    assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []
