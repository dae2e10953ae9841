from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.samplers import GridSampler, RandomSampler
from optuna.storages import InMemoryStorage
from optuna.trial import Trial, TrialState

from tagifai.sweeping import storage, studies
from tagifai.sweeping._optuna import get_trial_id
from tagifai.sweeping.storage import StudyError
from tagifai.sweeping.studies import (
    DIED,
    ERROR,
    KEPT_SESSIONS,
    WORKER,
    Study,
    TrialCounts,
)
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
        storage.connect_database.cache_clear()  # another process has another
        return studies.open_study(f"sqlite:///{database}", name, ["maximize"], sampler)

    return opened


@pytest.fixture(params=["memory", "database"])
def study(request: pytest.FixtureRequest) -> Study:
    if request.param == "memory":
        return studies.open_study(None, "s", ["maximize"])
    opened: Open = request.getfixturevalue("opened")
    return opened()


def states(study: Study) -> list[str]:
    return [trial.state.name for trial in study.list_trials()]


def tell(study: Study, trial: Trial, value: float | None = 1.0, **notes: Any) -> None:
    state = TrialState.FAIL if value is None else TrialState.COMPLETE
    study.tell(trial, state, None if value is None else [value], notes)


def age(database: Path, trial: Trial, seconds: int) -> None:
    """Make a trial's last beat older."""
    with closing(sqlite3.connect(database)) as connection, connection:
        changed = connection.execute(
            "UPDATE trial_heartbeats SET heartbeat = datetime(heartbeat, ?) WHERE trial_id = ?",
            (f"-{seconds} seconds", get_trial_id(trial)),
        )
        assert changed.rowcount == 1


def beats(database: Path) -> dict[int, str]:
    """Return the last beat by trial."""
    with closing(sqlite3.connect(database)) as connection:
        return dict(connection.execute("SELECT trial_id, heartbeat FROM trial_heartbeats"))


# --- who is alive ----------------------------------------------------------------------------


def test_a_new_trial_has_been_beaten_for(opened: Open, database: Path) -> None:
    trial = opened().ask({})
    assert list(beats(database)) == [get_trial_id(trial)]


@pytest.mark.parametrize(("late", "state"), [(1, "FAIL"), (-2, "RUNNING")])
def test_a_trial_whose_last_beat_is_old_is_dead_for_another_process(
    late: int, state: str, opened: Open, database: Path
) -> None:
    trial, other = opened().ask({}), opened()
    age(database, trial, storage.GRACE_SECONDS + late)
    other.end_stale_trials()
    (found,) = other.list_trials()
    assert (found.state.name, studies.has_died(found)) == (state, state == "FAIL")
    reason = "Its process ended unexpectedly." if state == "FAIL" else None
    assert found.user_attrs.get(DIED) == reason


def test_a_trial_that_was_never_beaten_for_gets_one_beat_and_is_dead_when_that_is_old(
    opened: Open, database: Path
) -> None:
    asker, other = opened(), opened()
    with pytest.warns(UserWarning, match="Heartbeat of storage"):
        trial = asker.optuna.ask()
    assert beats(database) == {}
    other.end_stale_trials()
    assert states(other) == ["RUNNING"]
    assert list(beats(database)) == [get_trial_id(trial)]
    age(database, trial, 4)
    before = beats(database)
    other.end_stale_trials()
    assert beats(database) == before  # there is no second one
    age(database, trial, storage.GRACE_SECONDS + 1)
    other.end_stale_trials()
    assert states(other) == ["FAIL"]


def test_only_trials_of_the_study_are_reaped(opened: Open, database: Path) -> None:
    trial, other = opened("another").ask({}), opened("s")
    age(database, trial, storage.GRACE_SECONDS + 1)
    other.end_stale_trials()
    assert states(opened("another")) == ["RUNNING"]


def test_a_trial_in_memory_is_never_dead() -> None:
    study = studies.open_study(None, "s", ["maximize"])
    study.ask({})
    study.end_stale_trials()
    assert states(study) == ["RUNNING"]


# --- asking and telling ----------------------------------------------------------------------


def test_trials_are_numbered_from_nought_and_have_their_attributes(study: Study) -> None:
    assert [study.ask({"turn": turn}).number for turn in (4, 5)] == [0, 1]
    assert [trial.user_attrs for trial in study.list_trials()] == [{"turn": 4}, {"turn": 5}]


@pytest.mark.parametrize(
    ("state", "values", "notes", "kept"),
    [
        (TrialState.COMPLETE, [0.5], {"run_id": None, "seconds": 2.5}, {"seconds": 2.5}),
        (TrialState.FAIL, None, {ERROR: "It failed."}, {ERROR: "It failed."}),
        (TrialState.PRUNED, None, {}, {}),
    ],
)
def test_an_end_is_told_with_what_was_noted(
    state: TrialState,
    values: list[float] | None,
    notes: Mapping[str, Any],
    kept: Mapping[str, Any],
    study: Study,
) -> None:
    trial = study.ask({})
    trial.report(0.25, 5)
    study.tell(trial, state, values, notes)
    (found,) = study.list_trials()
    # A pruned one has the value that was reported last.
    expected = [0.25] if state is TrialState.PRUNED else values
    assert (found.state, found.values, found.user_attrs) == (state, expected, kept)
    assert not studies.has_died(found)


@pytest.mark.parametrize("value", [1.0, None])
def test_what_is_told_of_a_trial_that_has_ended_changes_nothing(
    value: float | None, study: Study
) -> None:
    trial = study.ask({})
    study.abandon(get_trial_id(trial), "It died.")
    tell(study, trial, value, a=1)
    (found,) = study.list_trials()
    assert (found.state, found.values) == (TrialState.FAIL, None)
    assert found.user_attrs == {DIED: "It died."}


def test_so_does_what_is_told_of_one_that_ends_at_that_moment(study: Study) -> None:
    trial = study.ask({})

    class Slow(RandomSampler):
        def after_trial(self, *_: Any) -> None:
            study.abandon(get_trial_id(trial), "It died.")

    study.optuna.sampler = Slow(0)
    tell(study, trial)
    assert study.count_trials().died == 1


def test_a_trial_that_has_ended_is_not_abandoned(study: Study) -> None:
    told, dead = study.ask({}), study.ask({})
    tell(study, told, 0.5)
    for reason in ("first", "second"):
        study.abandon(get_trial_id(told), reason)
        study.abandon(get_trial_id(dead), reason)
    assert [t.user_attrs for t in study.list_trials()] == [{}, {DIED: "first"}]
    assert states(study) == ["COMPLETE", "FAIL"]


def test_a_session_abandons_those_of_its_trials_that_have_not_ended(opened: Open) -> None:
    mine, other = opened(), opened()
    done = mine.ask({WORKER: "mine host:1"})
    other.ask({WORKER: "other host:2"})
    mine.ask({WORKER: "mine host:3"})
    tell(mine, done, 0.5)
    for reason in ("Interrupted.", "Again."):
        other.abandon_session("mine", reason)
    assert states(other) == ["COMPLETE", "RUNNING", "FAIL"]
    assert mine.list_trials()[2].user_attrs[DIED] == "Interrupted."


def test_the_workers_of_a_session_are_stopped_and_those_of_others_are_not(opened: Open) -> None:
    mine, other = opened(), opened()
    assert not mine.is_stopped("mine")
    for _ in range(2):
        other.stop_session("mine")
    assert (mine.is_stopped("mine"), mine.is_stopped("other")) == (True, False)
    for number in range(KEPT_SESSIONS + 1):
        other.stop_session(str(number))
    # Its workers have ended long since.
    assert not mine.is_stopped("mine")
    assert mine.is_stopped(str(KEPT_SESSIONS))


def test_what_is_written_has_no_secrets(study: Study) -> None:
    url = "postgresql://me:s3cret@host/db"
    tell(study, study.ask({}), None, error=f"{url} is away")
    study.abandon(get_trial_id(study.ask({})), f"{url} is away")
    study.set_attribute("a", [url])
    kept = [*(t.user_attrs for t in study.list_trials()), study.get_attribute("a")]
    assert str(kept).count("postgresql://me:***@host/db") == 3
    assert "s3cret" not in str(kept)


@pytest.mark.parametrize("dies", [False, True])
def test_the_last_point_of_a_grid_is_told_like_the_others_and_a_lost_one_is_tried_again(
    dies: bool,
) -> None:
    study = studies.open_study(None, "s", ["maximize"], GridSampler({"a": [1, 2]}, seed=0))
    for number in range(2 + dies):
        trial = study.ask({})
        trial.suggest_int("a", 1, 2)
        if dies and number == 0:
            study.abandon(get_trial_id(trial), "It died.")
        else:
            tell(study, trial)
    done = study.list_trials(TrialState.COMPLETE)
    assert sorted(t.params["a"] for t in done) == [1, 2]


def test_another_error_of_a_sampler_is_not_hidden() -> None:
    class Broken(RandomSampler):
        def after_trial(self, *_: Any) -> None:
            raise RuntimeError("broken")

    study = studies.open_study(None, "s", ["maximize"], Broken(0))
    with pytest.raises(RuntimeError, match="broken"):
        tell(study, study.ask({}))


# --- looking up ------------------------------------------------------------------------------


def test_the_dead_are_counted_apart_from_the_failed(study: Study) -> None:
    assert study.count_trials() == TrialCounts(0, 0, 0, 0, 0)
    trials = [study.ask({}) for _ in range(7)]
    tell(study, trials[0])
    trials[1].set_user_attr(DIED, "It was slow.")  # and ended by itself after all
    tell(study, trials[1])
    study.tell(trials[2], TrialState.PRUNED, None, {})
    tell(study, trials[3], None, error="It failed.")
    for trial in trials[4:6]:
        study.abandon(get_trial_id(trial), "It died.")
    counts = study.count_trials()
    assert counts == TrialCounts(complete=2, pruned=1, failed=1, died=2, running=1)
    assert counts.finished == 4
    found = study.list_trials(TrialState.RUNNING, TrialState.PRUNED)
    assert [trial.number for trial in found] == [2, 6]


def test_a_study_is_found_again_with_its_trials_and_attributes(opened: Open) -> None:
    first = opened()
    assert first.get_attribute("a") is None
    first.set_attribute("a", {"b": [1, 2]})
    assert not storage.has_trials(first.storage, "s")
    first.ask({})
    again = opened()
    assert (again.get_attribute("a"), states(again)) == ({"b": [1, 2]}, ["RUNNING"])
    assert storage.has_trials(again.storage, "s")
    assert storage.has_study(again.storage, "s")
    assert not storage.has_study(again.storage, "t")
    assert storage.get_attributes(again.storage, "s") == {"a": {"b": [1, 2]}}


def test_a_study_of_other_directions_is_refused(opened: Open, database: Path) -> None:
    opened()
    with pytest.raises(StudyError) as caught:
        studies.open_study(f"sqlite:///{database}", "s", ["maximize", "minimize"])
    assert str(caught.value) == (
        "The study 's' has the directions maximize, and objective.direction = maximize, minimize."
        " Use another hydra.sweeper.study_name or sweep.restart=true."
    )


def test_names_are_those_of_the_study_and_its_restarts_the_newest_first() -> None:
    found = InMemoryStorage()
    for name in ("s-2", "other", "s", "s-10", "s-x", "s-x-2", "other-2", "s-1", "s-9"):
        optuna.create_study(storage=found, study_name=name)
    assert storage.list_names(found, "s") == ["s-10", "s-9", "s-2", "s"]
    assert storage.list_names(found, "s-x") == ["s-x-2", "s-x"]
    assert storage.list_names(found, "none") == []
