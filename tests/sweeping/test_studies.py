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
from typing import Any

import optuna
import pytest
from optuna.exceptions import StorageInternalError
from optuna.pruners import NopPruner
from optuna.samplers import GridSampler, RandomSampler
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.trial import FrozenTrial, Trial, TrialState

from tagifai.sweeping import studies
from tagifai.sweeping.studies import (
    DIED,
    ERROR,
    JOB,
    Study,
    StudyError,
    TrialCounts,
    TrialHeartbeat,
)
from tagifai.training.trial import PRUNED, RESULT
from tests.databases import make_studies

Open = Callable[..., Study]
"""Opens the study of the test as another process would, with a connection of its own."""


@pytest.fixture
def database(tmp_path: Path) -> Path:
    make_studies(tmp_path / "studies.db")
    return tmp_path / "studies.db"


@pytest.fixture
def opened(database: Path) -> Open:
    def opened(name: str = "s", sampler: Any = None) -> Study:
        # Not the cached one: another process has another.
        storage = studies.connect_database.__wrapped__(f"sqlite:///{database}")
        return studies.open_study(
            storage, name, ["maximize"], sampler or RandomSampler(0), NopPruner()
        )

    return opened


def in_memory() -> Study:
    return studies.open_study(InMemoryStorage(), "s", ["maximize"], RandomSampler(0), NopPruner())


def asked(study: Study, n_trials: int = 100) -> Trial:
    trial = study.ask(n_trials)
    assert trial is not None
    return trial


def states(study: Study) -> list[str]:
    return [trial.state.name for trial in study.list_trials()]


def age(database: Path, trial: Trial, seconds: int) -> None:
    """Make a trial's last beat older."""
    with closing(sqlite3.connect(database)) as connection, connection:
        changed = connection.execute(
            "UPDATE trial_heartbeats SET heartbeat = datetime(heartbeat, ?) WHERE trial_id = ?",
            (f"-{seconds} seconds", trial._trial_id),
        )
        assert changed.rowcount == 1


def beats(database: Path) -> dict[int, str]:
    """Return the last beat by trial."""
    with closing(sqlite3.connect(database)) as connection:
        return dict(connection.execute("SELECT trial_id, heartbeat FROM trial_heartbeats"))


# --- the store -------------------------------------------------------------------------------


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
    assert studies.is_shared(url) is shared


def test_without_a_url_the_studies_are_in_memory() -> None:
    assert isinstance(studies.connect(None), InMemoryStorage)
    # Of a process that searches twice, each time has its own.
    assert studies.connect(None) is not studies.connect(None)


def test_a_store_is_made_once_a_process(database: Path) -> None:
    url = f"sqlite:///{database}"
    assert studies.connect(url) is studies.connect(url)


def test_the_folder_of_a_database_is_made(tmp_path: Path) -> None:
    studies.connect(f"sqlite:///{tmp_path}/a/b c/studies.db")
    assert (tmp_path / "a" / "b c" / "studies.db").is_file()


def test_a_database_in_memory_has_no_heartbeat_and_works() -> None:
    storage = studies.connect("sqlite:///:memory:")
    study = studies.open_study(storage, "m", ["maximize"], RandomSampler(0), NopPruner())
    with study.heartbeat:
        trial = asked(study)
        study.end_stale_trials()
        study.tell(trial, TrialState.COMPLETE, [1.0])
    assert states(study) == ["COMPLETE"]


def test_its_studies_are_there_for_all_threads_of_the_process() -> None:
    storage = studies.connect("sqlite:///:memory:")
    study = studies.open_study(storage, "m", ["maximize"], RandomSampler(0), NopPruner())
    caught: list[Exception] = []

    def work() -> None:
        try:
            study.ask(5)
        except StorageInternalError as error:
            caught.append(error)

    worker = threading.Thread(target=work)
    worker.start()
    worker.join()
    if caught:
        raise caught[0]


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
    ],
)
def test_a_store_that_there_is_not_is_one_error_without_the_password(url: str, shown: str) -> None:
    with pytest.raises(StudyError) as caught:
        studies.connect(url)
    assert str(caught.value).startswith(f"hydra.sweeper.storage = {shown}")
    assert str(caught.value).endswith("(pip install 'tagifai[postgres]').")
    assert "s3c" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_server_that_does_not_answer_is_one_error_without_the_password(nobody: str) -> None:
    address = nobody.removeprefix("http://")
    with pytest.raises(StudyError) as caught:
        studies.connect(f"postgresql+psycopg://me:s3cret@{address}/db")
    assert f"postgresql+psycopg://me:***@{address}/db' cannot be used" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_password_among_the_options_is_not_shown_either() -> None:
    with pytest.raises(StudyError) as caught:
        studies.connect("nosuch:///db?user=me&password=s3cret")
    assert "s3cret" not in str(caught.value)


def test_a_file_that_is_no_database_is_one_error(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database, but long enough to look at it as one\n" * 20)
    with pytest.raises(StudyError, match=r"cannot be used: .* is no SQLite database"):
        studies.connect(f"sqlite:///{path}")


def make_songs(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE songs (x)")


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda path: path.write_bytes(bytes(9000)), "is no SQLite database"),
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
        studies.connect_database.__wrapped__(f"sqlite:///{database}")
    assert f"cannot be used: {database} {told}" in str(caught.value)
    assert "move this one away" in str(caught.value)


def test_a_database_that_is_cut_off_is_told(database: Path) -> None:
    database.write_bytes(database.read_bytes()[:9000])
    with pytest.raises(StudyError, match=r"cannot be used: .* is cut off: it has 9,000 of"):
        studies.connect_database.__wrapped__(f"sqlite:///{database}")


def test_an_empty_file_becomes_a_database(tmp_path: Path) -> None:
    (tmp_path / "studies.db").touch()
    storage = studies.connect_database.__wrapped__(f"sqlite:///{tmp_path}/studies.db")
    assert storage.get_all_studies() == []


@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
def test_a_locked_database_is_not_waited_for_without_an_end(
    database: Path, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(studies, "OPENING_SECONDS", 0.2)
    with closing(sqlite3.connect(database)) as other:
        other.execute(f"PRAGMA journal_mode = {mode}")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StudyError, match=r"cannot be used: .*is locked"):
            studies.connect_database.__wrapped__(f"sqlite:///{database}")


def test_a_server_that_accepts_and_says_nothing_is_mute_for_seconds_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(studies, "OPENING_SECONDS", 1)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"postgresql://me:s3cret@127.0.0.1:{mute.getsockname()[1]}/db"
        with pytest.raises(StudyError, match="cannot be used: no answer within 1 s") as caught:
            studies.connect(url)
    assert "s3cret" not in str(caught.value)


def test_a_store_that_fails_on_the_way_is_one_error(opened: Open, database: Path) -> None:
    study = opened()
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("DROP TABLE trials")
    url = "postgresql://me:s3cret@host/db"
    with pytest.raises(StudyError) as caught, studies.translate_storage_errors(url):
        study.ask(5)
    assert "The database of studies 'postgresql://me:***@host/db' failed: " in str(caught.value)
    assert "no such table: trials" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_failure_without_a_cause_is_told_too() -> None:
    message = r"'in memory' failed: StorageInternalError\."
    with pytest.raises(StudyError, match=message), studies.translate_storage_errors(None):
        raise StorageInternalError


def test_other_errors_are_left_alone() -> None:
    with pytest.raises(KeyError), studies.translate_storage_errors(None):
        raise KeyError("x")


# --- who is alive ----------------------------------------------------------------------------


def test_a_new_trial_has_been_beaten_for(opened: Open, database: Path) -> None:
    trial = asked(opened())
    assert list(beats(database)) == [trial._trial_id]


def test_a_trial_whose_last_beat_is_old_is_dead_for_another_process(
    opened: Open, database: Path
) -> None:
    trial, other = asked(opened()), opened()
    age(database, trial, studies.GRACE_SECONDS + 1)
    other.end_stale_trials()
    (found,) = other.list_trials()
    assert studies.has_died(found)
    assert found.user_attrs[DIED] == "Its process ended unexpectedly."


def test_a_trial_whose_last_beat_is_within_the_grace_time_lives(
    opened: Open, database: Path
) -> None:
    trial, other = asked(opened()), opened()
    age(database, trial, studies.GRACE_SECONDS - 2)
    other.end_stale_trials()
    assert states(other) == ["RUNNING"]


def test_a_trial_that_was_never_beaten_for_gets_one_beat_and_is_dead_when_that_is_old(
    opened: Open, database: Path
) -> None:
    asker, other = opened(), opened()
    with pytest.warns(UserWarning, match="Heartbeat of storage"):
        trial = asker.optuna.ask()
    assert beats(database) == {}
    other.end_stale_trials()
    assert states(other) == ["RUNNING"]
    assert list(beats(database)) == [trial._trial_id]
    age(database, trial, studies.GRACE_SECONDS + 1)
    other.end_stale_trials()
    assert states(other) == ["FAIL"]


def test_a_process_gives_it_no_second_beat(opened: Open, database: Path) -> None:
    trial, other = asked(opened()), opened()
    other.end_stale_trials()
    age(database, trial, 4)
    before = beats(database)
    other.end_stale_trials()
    assert beats(database) == before


@pytest.mark.parametrize(
    ("result", "state", "values"),
    [([0.5], TrialState.COMPLETE, [0.5]), (PRUNED, TrialState.PRUNED, [0.25])],
)
def test_a_silent_trial_whose_job_has_left_its_result_is_not_dead(
    result: Any, state: TrialState, values: list[float], opened: Open, database: Path
) -> None:
    trial, other = asked(opened()), opened()
    trial.report(0.25, 5)
    trial.set_user_attr(RESULT, result)
    age(database, trial, studies.GRACE_SECONDS + 1)
    other.end_stale_trials()
    (found,) = other.list_trials()
    assert (found.state, found.values) == (state, values)
    assert other.count_trials().died == 0


def test_neither_is_the_last_one_of_a_grid(opened: Open, database: Path) -> None:
    grid = {"a": [1]}
    trial, other = asked(opened(sampler=GridSampler(grid))), opened(sampler=GridSampler(grid))
    trial.suggest_int("a", 1, 1)
    trial.set_user_attr(RESULT, [0.5])
    age(database, trial, studies.GRACE_SECONDS + 1)
    other.end_stale_trials()
    assert states(other) == ["COMPLETE"]


def test_only_trials_of_the_study_are_reaped(opened: Open, database: Path) -> None:
    trial, other = asked(opened("another")), opened("s")
    age(database, trial, studies.GRACE_SECONDS + 1)
    other.end_stale_trials()
    assert states(opened("another")) == ["RUNNING"]


def test_a_trial_in_memory_is_never_dead() -> None:
    study = in_memory()
    with study.heartbeat:
        asked(study)
        study.end_stale_trials()
    assert states(study) == ["RUNNING"]
    assert not study.heartbeat._thread.is_alive()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(studies, "HEARTBEAT_SECONDS", 0.05)


def eventually(holds: Callable[[], bool], seconds: float = 5.0) -> bool:
    until = time.monotonic() + seconds
    while not holds() and time.monotonic() < until:
        time.sleep(0.02)
    return holds()


@pytest.mark.usefixtures("quick")
def test_a_beating_trial_outlives_the_grace_time_and_one_without_beats_does_not(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(studies, "GRACE_SECONDS", 1)
    beating, silent, other = opened(), opened(), opened()
    with beating.heartbeat:
        asked(beating)
        asked(silent)

        def is_dead() -> bool:
            other.end_stale_trials()
            return "FAIL" in states(other)

        assert eventually(is_dead)
        assert states(other) == ["RUNNING", "FAIL"]


class Heart:
    """Beats by a count of its own, in place of a database."""

    def __init__(self, storage: BaseStorage, monkeypatch: pytest.MonkeyPatch) -> None:
        self.beats: list[int] = []
        self.storage = storage
        monkeypatch.setattr(studies, "has_heartbeat", lambda _: True)
        monkeypatch.setattr(studies, "_beat", lambda _, trial_id: self.beats.append(trial_id))


@pytest.fixture
def heart(quick: None, monkeypatch: pytest.MonkeyPatch) -> Heart:
    return Heart(InMemoryStorage(), monkeypatch)


def a_trial(storage: BaseStorage) -> int:
    study = optuna.create_study(storage=storage)
    return study.ask()._trial_id


def test_a_trial_is_beaten_for_at_once_and_on_and_on(heart: Heart) -> None:
    trial_id = a_trial(heart.storage)
    with TrialHeartbeat(heart.storage, lambda _: False) as made:
        made.add(trial_id)
        assert heart.beats == [trial_id]
        assert eventually(lambda: len(heart.beats) >= 4)
    assert set(heart.beats) == {trial_id}


def test_after_its_block_nothing_is_beaten_for(heart: Heart) -> None:
    with TrialHeartbeat(heart.storage, lambda _: False) as made:
        made.add(a_trial(heart.storage))
    assert not made._thread.is_alive()
    count = len(heart.beats)
    time.sleep(0.15)
    assert len(heart.beats) == count


def test_a_trial_that_is_removed_is_not_beaten_for(heart: Heart) -> None:
    one, other = a_trial(heart.storage), a_trial(heart.storage)
    with TrialHeartbeat(heart.storage, lambda _: False) as made:
        made.add(one)
        made.add(other)
        made.remove(one)
        made.remove(99)
        assert eventually(lambda: heart.beats.count(other) >= 3)
    assert heart.beats.count(one) == 1


@pytest.mark.parametrize("how", ["job", "end"])
def test_a_search_beats_until_the_job_takes_over_or_the_trial_ends(heart: Heart, how: str) -> None:
    study = Study(optuna.create_study(storage=heart.storage), heart.storage, "s")
    with study.heartbeat:
        trial = asked(study)
        assert eventually(lambda: len(heart.beats) >= 3)
        if how == "job":
            trial.set_user_attr(JOB, "host:1")
        else:
            # By another process: this one is not told.
            heart.storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
        assert eventually(lambda: study.heartbeat._trials == set())
        count = len(heart.beats)
        time.sleep(0.15)
        assert len(heart.beats) == count


def test_a_beat_that_does_not_get_through_is_tried_again(
    heart: Heart, caplog: pytest.LogCaptureFixture
) -> None:
    trial_id = a_trial(heart.storage)
    calls: list[str] = []

    def done(trial: FrozenTrial) -> bool:
        calls.append(trial.state.name)
        if len(calls) == 1:
            raise StorageInternalError("database is locked\nand more")
        return False

    with TrialHeartbeat(heart.storage, done) as made:
        made.add(trial_id)
        assert eventually(lambda: len(heart.beats) >= 2)
    assert [
        record.getMessage() for record in caplog.records if record.name == studies.__name__
    ] == [f"No heartbeat for trial {trial_id}: database is locked"]


def test_a_job_learns_from_the_record_that_its_trial_has_ended(heart: Heart) -> None:
    trial_id = a_trial(heart.storage)
    seen: list[bool] = []

    def done(trial: FrozenTrial) -> bool:
        seen.append(trial.state.is_finished())
        return seen[-1]

    with TrialHeartbeat(heart.storage, done) as made:
        made.add(trial_id)
        assert eventually(lambda: bool(seen))
        heart.storage.set_trial_state_values(trial_id, TrialState.FAIL)
        assert eventually(lambda: seen[-1])
        count = len(seen)
        time.sleep(0.15)
        assert len(seen) == count


# --- asking ----------------------------------------------------------------------------------


@pytest.fixture(params=["memory", "database"])
def study(request: pytest.FixtureRequest) -> Study:
    if request.param == "memory":
        return in_memory()
    opened: Open = request.getfixturevalue("opened")
    return opened()


def test_trials_are_numbered_from_nought(study: Study) -> None:
    assert [asked(study, 3).number for _ in range(3)] == [0, 1, 2]


def test_a_trial_beyond_the_total_is_none_and_is_recorded_as_dead(study: Study) -> None:
    for _ in range(2):
        asked(study, 2)
    assert study.ask(2) is None
    assert states(study) == ["RUNNING", "RUNNING", "FAIL"]
    assert (
        study.list_trials()[2].user_attrs[DIED] == "The study is full; another process was faster."
    )
    assert study.count_trials() == TrialCounts(complete=0, pruned=0, failed=0, died=1, running=2)


def test_dead_trials_are_made_up_for(study: Study) -> None:
    study.abandon(asked(study, 2)._trial_id, "It died.")
    assert [asked(study, 2).number for _ in range(2)] == [1, 2]
    assert study.ask(2) is None


def test_failed_and_pruned_trials_are_not(study: Study) -> None:
    study.tell(asked(study, 2), TrialState.FAIL, None, "It failed.")
    study.tell(asked(study, 2), TrialState.PRUNED, None)
    assert study.ask(2) is None


def test_two_processes_do_not_make_more_trials_than_the_total(opened: Open) -> None:
    total = 12
    workers = [opened() for _ in range(2)]
    done: list[list[int]] = [[], []]
    caught: list[Exception] = []

    def work(number: int) -> None:
        try:
            while (trial := workers[number].ask(total)) is not None:
                workers[number].tell(trial, TrialState.COMPLETE, [1.0])
                done[number].append(trial.number)
        except Exception as error:
            caught.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert caught == []
    assert sorted(done[0] + done[1]) == list(range(total))
    assert workers[0].count_trials() == TrialCounts(
        complete=total, pruned=0, failed=0, died=2, running=0
    )


# --- telling ---------------------------------------------------------------------------------


def test_a_value_is_told(study: Study) -> None:
    study.tell(asked(study), TrialState.COMPLETE, [0.5])
    (trial,) = study.list_trials()
    assert (trial.state, trial.values, trial.user_attrs) == (TrialState.COMPLETE, [0.5], {})


def test_a_failure_is_told_with_its_reason(study: Study) -> None:
    study.tell(asked(study), TrialState.FAIL, None, "It failed.")
    (trial,) = study.list_trials()
    assert (trial.state, trial.user_attrs) == (TrialState.FAIL, {ERROR: "It failed."})
    assert not studies.has_died(trial)


def test_a_pruned_trial_has_the_value_that_was_reported_last(study: Study) -> None:
    trial = asked(study)
    trial.report(0.25, 5)
    study.tell(trial, TrialState.PRUNED, None)
    (found,) = study.list_trials()
    assert (found.state, found.values, found.intermediate_values) == (
        TrialState.PRUNED,
        [0.25],
        {5: 0.25},
    )


@pytest.mark.parametrize("state", [TrialState.COMPLETE, TrialState.FAIL])
def test_what_is_told_of_a_trial_that_has_ended_changes_nothing(
    state: TrialState, study: Study
) -> None:
    trial = asked(study)
    study.abandon(trial._trial_id, "It died.")
    values = [1.0] if state is TrialState.COMPLETE else None
    study.tell(trial, state, values, "" if values else "too late")
    (found,) = study.list_trials()
    assert (found.state, found.values, found.user_attrs) == (
        TrialState.FAIL,
        None,
        {DIED: "It died."},
    )


def test_so_does_what_is_told_of_one_that_ends_at_that_moment(study: Study) -> None:
    trial = asked(study)

    class Slow(RandomSampler):
        def after_trial(self, *_: Any) -> None:
            study.abandon(trial._trial_id, "It died.")

    study.optuna.sampler = Slow(0)
    study.tell(trial, TrialState.COMPLETE, [1.0])
    assert study.count_trials().died == 1


def test_a_trial_that_has_ended_is_not_abandoned(study: Study) -> None:
    trial = asked(study)
    study.tell(trial, TrialState.COMPLETE, [0.5])
    study.abandon(trial._trial_id, "It died.")
    (found,) = study.list_trials()
    assert (found.state, found.values, found.user_attrs) == (TrialState.COMPLETE, [0.5], {})


def test_abandoning_a_trial_twice_keeps_the_first_reason(study: Study) -> None:
    trial = asked(study)
    study.abandon(trial._trial_id, "first")
    study.abandon(trial._trial_id, "second")
    assert study.list_trials()[0].user_attrs == {DIED: "first"}


def test_a_note_is_kept_with_a_trial_until_it_ends(study: Study) -> None:
    trial = asked(study)
    study.set_trial_attribute(trial, "a", 1)
    study.abandon(trial._trial_id, "It died.")
    study.set_trial_attribute(trial, "b", 2)
    assert study.list_trials()[0].user_attrs == {"a": 1, DIED: "It died."}


def test_a_process_abandons_those_of_its_trials_that_have_not_ended(opened: Open) -> None:
    mine, other = opened(), opened()
    done = asked(mine)
    asked(other)
    asked(mine)
    mine.tell(done, TrialState.COMPLETE, [0.5])
    mine.abandon_own_trials("Interrupted.")
    assert states(other) == ["COMPLETE", "RUNNING", "FAIL"]
    assert other.count_trials() == TrialCounts(complete=1, pruned=0, failed=0, died=1, running=1)
    mine.abandon_own_trials("Again.")
    assert mine.list_trials()[2].user_attrs[DIED] == "Interrupted."


def test_the_last_point_of_a_grid_is_told_like_the_others() -> None:
    study = studies.open_study(
        InMemoryStorage(), "s", ["maximize"], GridSampler({"a": [1, 2]}, seed=0), NopPruner()
    )
    for _ in range(2):
        trial = asked(study)
        trial.suggest_int("a", 1, 2)
        study.tell(trial, TrialState.COMPLETE, [1.0])
    assert states(study) == ["COMPLETE", "COMPLETE"]


def test_another_error_of_a_sampler_is_not_hidden() -> None:
    class Broken(RandomSampler):
        def after_trial(self, *_: Any) -> None:
            raise RuntimeError("broken")

    study = in_memory()
    study.optuna.sampler = Broken(0)
    with pytest.raises(RuntimeError, match="broken"):
        study.tell(asked(study), TrialState.COMPLETE, [1.0])


# --- looking up ------------------------------------------------------------------------------


def test_the_tally_counts_the_dead_apart_from_the_failed(study: Study) -> None:
    trials = [asked(study) for _ in range(7)]
    study.tell(trials[0], TrialState.COMPLETE, [1.0])
    study.tell(trials[1], TrialState.COMPLETE, [2.0])
    study.tell(trials[2], TrialState.PRUNED, None)
    study.tell(trials[3], TrialState.FAIL, None, "It failed.")
    study.abandon(trials[4]._trial_id, "It died.")
    study.abandon(trials[5]._trial_id, "It died.")
    tally = study.count_trials()
    assert tally == TrialCounts(complete=2, pruned=1, failed=1, died=2, running=1)
    assert tally.finished == 4


def test_a_complete_trial_that_was_to_be_abandoned_did_not_die(study: Study) -> None:
    trial = asked(study)
    trial.set_user_attr(DIED, "It was slow.")
    study.tell(trial, TrialState.COMPLETE, [1.0])
    assert study.count_trials() == TrialCounts(complete=1, pruned=0, failed=0, died=0, running=0)


def test_an_empty_study_has_a_tally_of_noughts(study: Study) -> None:
    assert study.count_trials() == TrialCounts(0, 0, 0, 0, 0)
    assert study.count_trials().finished == 0


def test_trials_are_found_by_their_state(study: Study) -> None:
    study.tell(asked(study), TrialState.COMPLETE, [1.0])
    asked(study)
    assert [t.number for t in study.list_trials(TrialState.RUNNING)] == [1]
    assert [t.number for t in study.list_trials(TrialState.RUNNING, TrialState.COMPLETE)] == [0, 1]


def test_attributes_are_kept_with_the_study(study: Study) -> None:
    assert study.get_attribute("a") is None
    study.set_attribute("a", {"b": [1, 2]})
    assert study.get_attribute("a") == {"b": [1, 2]}


def test_a_study_is_found_again_with_its_trials_and_attributes(opened: Open) -> None:
    first = opened()
    first.set_attribute("a", 1)
    asked(first)
    again = opened()
    assert (again.get_attribute("a"), states(again)) == (1, ["RUNNING"])
    assert studies.has_study(again._storage, "s")
    assert not studies.has_study(again._storage, "t")
    assert studies.get_attributes(again._storage, "s") == {"a": 1}


def test_a_study_of_other_directions_is_refused(opened: Open) -> None:
    storage = opened()._storage
    with pytest.raises(StudyError) as caught:
        studies.open_study(storage, "s", ["maximize", "minimize"], RandomSampler(0), NopPruner())
    assert str(caught.value) == (
        "The study 's' has the directions maximize, and objective.direction = maximize, minimize."
        " Use another hydra.sweeper.study_name or sweep.restart=true."
    )


def test_names_are_those_of_the_study_and_its_restarts_the_newest_first() -> None:
    storage = InMemoryStorage()
    for name in ("s-2", "other", "s", "s-10", "s-x", "s-x-2", "other-2", "s-1", "s-9"):
        optuna.create_study(storage=storage, study_name=name)
    assert studies.list_names(storage, "s") == ["s-10", "s-9", "s-2", "s"]
    assert studies.list_names(storage, "s-x") == ["s-x-2", "s-x"]
    assert studies.list_names(storage, "none") == []


def test_nothing_of_what_optuna_says_reaches_the_user(
    opened: Open, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    study = opened()
    with study.heartbeat:
        study.tell(asked(study, 1), TrialState.COMPLETE, [1.0])
        study.ask(1)
    assert capfd.readouterr() == ("", "")
    assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []
