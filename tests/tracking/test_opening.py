from __future__ import annotations

import logging
import os
import signal
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from tagifai.config.schema.settings import TrackingConfig
from tagifai.exceptions import StoreUnavailableError, TrackingError
from tagifai.tracking import opening, session, store
from tagifai.tracking.store import Experiment
from tagifai.utils.databases import servers, waiting
from tests.databases import Postgres, run_postgres
from tests.tracking.misbehaving import BEHAVIOURS, misbehave


@pytest.fixture(autouse=True)
def two_seconds() -> Iterator[None]:
    """Let stores have two seconds to open."""
    opening.limit_opening(2)
    yield
    opening.limit_opening(10)


def refuse(uri: str) -> TrackingError:
    """Open a store that cannot be opened, in a short time, and return the error."""
    begun = time.monotonic()
    with pytest.raises(TrackingError) as caught:
        store.connect(uri)
    assert time.monotonic() - begun < 5
    assert "\n" not in str(caught.value)
    return caught.value


# --- servers -----------------------------------------------------------------------------------

FINAL = ("garbage", "round", "page", "not found", "endless")
"""What will be no better at the next try."""


@pytest.mark.usefixtures("tracked_stores")
@pytest.mark.parametrize("how", BEHAVIOURS)
def test_a_server_that_misbehaves_is_told_in_one_line_within_the_time(how: str) -> None:
    with misbehave(how) as uri:
        error = refuse(uri)
    assert isinstance(error, StoreUnavailableError) == (how not in FINAL)
    assert "tracking.uri" in str(error)


@pytest.mark.usefixtures("tracked_stores")
def test_a_server_that_is_not_there_may_come_back(nobody: str) -> None:
    error = refuse(nobody)
    assert isinstance(error, StoreUnavailableError)
    assert "nobody answers at 127.0.0.1:" in str(error)
    assert "(Connection refused)" in str(error)


@pytest.mark.usefixtures("tracked_stores")
def test_a_name_server_that_does_not_answer_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: over.wait(60))
    error = refuse("http://somewhere.example:5000")
    over.set()
    assert isinstance(error, StoreUnavailableError)
    assert "no answer within 2 s" in str(error)


@pytest.mark.usefixtures("tracked_stores")
@pytest.mark.parametrize(
    "uri", ["http://127.0.0.1:99999", "http://h:port", "sqlite:///:memory:", "sqlite://", "no://h"]
)
def test_a_store_that_there_cannot_be_is_refused(uri: str) -> None:
    assert not isinstance(refuse(uri), StoreUnavailableError)


@pytest.mark.usefixtures("tracked_stores")
def test_a_wait_of_seconds_is_not_silent(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "QUIET_SECONDS", 0.2)
    with caplog.at_level(logging.WARNING, "tagifai"), misbehave("mute") as uri:
        refuse(uri)
    (record,) = caplog.records
    assert record.getMessage() == "Opening the tracking store takes a while: at most 2 s."


def test_the_settings_of_requests_are_as_before_when_a_store_is_open(
    tracked_stores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "7")
    with misbehave("not found") as uri:
        refuse(uri)
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "7"
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "1"
    assert os.environ["MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER"] == "false"


@pytest.mark.parametrize("seconds", [0, 0.5, -1, 601, float("nan"), float("inf")])
def test_the_time_to_open_has_a_range(seconds: float) -> None:
    with pytest.raises(ValueError, match=r"timeout = .* seconds from 1 to 600"):
        TrackingConfig(timeout=seconds)


# --- files -------------------------------------------------------------------------------------


def test_a_damaged_database_is_told_before_mlflow_opens_it(tracked_stores: Path) -> None:
    path = tracked_stores / "mlflow.db"
    path.write_bytes(b"")
    error = refuse(f"sqlite:///{path}")
    assert not isinstance(error, StoreUnavailableError)
    assert "is empty" in str(error)
    assert "task=repair" in str(error)
    assert path.read_bytes() == b""


def test_a_locked_database_may_answer_later_and_one_that_is_freed_in_time_is_opened(
    tracked_stores: Path,
) -> None:
    path = tracked_stores / "mlflow.db"
    with closing(sqlite3.connect(path, check_same_thread=False)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert isinstance(refuse(f"sqlite:///{path}"), StoreUnavailableError)
        timer = threading.Timer(0.5, other.rollback)
        timer.start()
        assert store.connect(f"sqlite:///{path}").search_experiments()
        timer.join()


def test_a_database_that_breaks_later_is_told_with_what_tells_more(tracked_stores: Path) -> None:
    client = store.connect(f"sqlite:///{tracked_stores}/mlflow.db")
    with closing(sqlite3.connect(tracked_stores / "mlflow.db")) as other:
        other.execute("ALTER TABLE runs RENAME TO away")
    with (
        pytest.raises(TrackingError, match="is damaged: tagifai task=repair") as caught,
        store.translate_errors(),
    ):
        client.create_run("0")
    assert not isinstance(caught.value, StoreUnavailableError)


def test_the_registry_is_in_the_store_whatever_the_environment_says(
    tracked_stores: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", f"sqlite:///{tmp_path}/other.db")
    client = store.connect(f"sqlite:///{tracked_stores}/mlflow.db")
    client.create_registered_model("m")
    assert not (tmp_path / "other.db").exists()


def test_a_deleted_experiment_is_refused_before_there_is_a_run(tracked_stores: Path) -> None:
    uri = f"sqlite:///{tracked_stores}/mlflow.db"
    client = store.connect(uri)
    number = client.create_experiment("e", artifact_location=str(tracked_stores / "artifacts"))
    client.delete_experiment(number)
    opened = session.start_run(Experiment(uri, "e", tracked_stores))
    with pytest.raises(TrackingError, match=f"mlflow experiments restore -x {number}"):
        opened.__enter__()
    assert list((tracked_stores / "running").glob("*")) == []


# --- PostgreSQL --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with run_postgres() as server:
        yield server


def address(server: Postgres, name: str = "postgres") -> str:
    return server.url.set(database=name).render_as_string(hide_password=False)


def make_database(server: Postgres, name: str) -> str:
    engine = create_engine(address(server), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return address(server, name)


@pytest.mark.e2e
@pytest.mark.usefixtures("tracked_stores")
@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ("pass%3Aword", "wrong%3Aone", "password authentication failed"),
        ("/postgres", "/nowhere", 'database "nowhere" does not exist'),
    ],
)
def test_a_server_that_refuses_is_no_server_that_is_away(
    postgres: Postgres, right: str, wrong: str, told: str
) -> None:
    error = refuse(address(postgres).replace(right, wrong))
    assert not isinstance(error, StoreUnavailableError)
    assert told in str(error)
    assert "pass:word" not in str(error)
    assert "wrong:one" not in str(error)


@pytest.mark.e2e
@pytest.mark.usefixtures("tracked_stores")
def test_tables_of_another_program_on_a_server_are_left_alone(postgres: Postgres) -> None:
    uri = make_database(postgres, "studies")
    engine = create_engine(uri)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE alembic_version (version_num varchar)"))
        connection.execute(text("INSERT INTO alembic_version VALUES ('v3.0.0.a')"))
    engine.dispose()
    assert "belongs to another program" in str(refuse(uri))


@pytest.mark.e2e
@pytest.mark.usefixtures("tracked_stores")
def test_a_server_that_is_stopped_is_mute_for_seconds_only(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(servers, "ANSWER_SECONDS", 2)
    monkeypatch.setattr(servers, "CONNECT_SECONDS", 2)
    monkeypatch.setattr(waiting, "LONG_SECONDS", 1)
    uri = make_database(postgres, "stopped")
    opening.limit_opening(30)
    client = store.connect(uri)
    opening.limit_opening(2)
    postgres.signal(signal.SIGSTOP)
    try:
        begun = time.monotonic()
        with (
            caplog.at_level(logging.WARNING, "tagifai"),
            pytest.raises(StoreUnavailableError, match="timeout"),
            store.translate_errors(),
        ):
            client.search_experiments()
        assert time.monotonic() - begun < 10
        assert "The tracking store has not answered for 1 s" in caplog.text
        assert isinstance(refuse(uri), StoreUnavailableError)
    finally:
        postgres.signal(signal.SIGCONT)
    assert client.search_experiments()
