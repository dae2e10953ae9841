from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.pruners import NopPruner
from optuna.samplers import RandomSampler
from optuna.trial import FrozenTrial, TrialState

from tagifai.config.job import SearchTrial
from tagifai.exceptions import StaleTrialError
from tagifai.sweeping import studies, trials
from tagifai.sweeping.studies import DIED, JOB, Study, StudyError
from tagifai.sweeping.trials import OpenTrial, open_trial
from tests.databases import make_studies

MEDIAN = {
    "_target_": "optuna.pruners.MedianPruner",
    "n_startup_trials": 3,
    "n_warmup_steps": 5,
}
OTHERS = ([0.3, 0.4, 0.5], [0.4, 0.5, 0.6], [0.5, 0.6, 0.7])
"""Values at the steps 0, 5 and 10 of the trials that are there already."""


@pytest.fixture
def url(tmp_path: Path) -> str:
    return make_studies(tmp_path / "studies.db")


Begin = Callable[..., Study]


@pytest.fixture
def begin(url: str) -> Begin:
    """Return a function that opens the study as the search does, in a process of its own."""

    def begin(direction: str = "maximize") -> Study:
        storage = studies.connect_database.__wrapped__(url)
        return studies.open_study(storage, "s", [direction], RandomSampler(0), NopPruner())

    return begin


def address(
    url: str, number: int, pruner: Mapping[str, Any] | None = MEDIAN, study: str = "s"
) -> SearchTrial:
    return SearchTrial(number, study, url, pruner)


def asked(study: Study) -> int:
    trial = study.ask(100)
    assert trial is not None
    return trial.number


def record(study: Study, number: int) -> FrozenTrial:
    return study.list_trials()[number]


def end(study: Study, number: int, state: TrialState = TrialState.FAIL) -> None:
    """End a trial as another process would, by its record."""
    values = [1.0] if state is TrialState.COMPLETE else None
    study._storage.set_trial_state_values(record(study, number)._trial_id, state, values)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(studies, "HEARTBEAT_SECONDS", 0.05)


def eventually(holds: Callable[[], bool], seconds: float = 5.0) -> bool:
    until = time.monotonic() + seconds
    while not holds() and time.monotonic() < until:
        time.sleep(0.02)
    return holds()


# --- pruning ---------------------------------------------------------------------------------


def with_others(begin: Begin, direction: str) -> Study:
    """Return a study with three complete trials whose values lie side by side."""
    study = begin(direction)
    for values in OTHERS:
        trial = study.ask(100)
        assert trial is not None
        for step, value in zip((0, 5, 10), values, strict=True):
            trial.report(value, step)
        study.tell(trial, TrialState.COMPLETE, [values[-1]])
    return study


def worked(url: str, number: int, values: Mapping[int, float]) -> list[bool]:
    with open_trial(address(url, number)) as opened:
        return [opened.report(step, value) for step, value in values.items()]


@pytest.mark.parametrize(("direction", "bad"), [("maximize", 0.1), ("minimize", 0.9)])
def test_a_bad_trial_is_pruned_after_the_warm_up(
    direction: str, bad: float, begin: Begin, url: str
) -> None:
    study = with_others(begin, direction)
    number = asked(study)
    assert worked(url, number, {0: bad, 5: bad, 10: bad}) == [False, True, True]
    assert record(study, number).intermediate_values == {0: bad, 5: bad, 10: bad}


@pytest.mark.parametrize(("direction", "good"), [("maximize", 0.9), ("minimize", 0.1)])
def test_a_good_trial_never_is(direction: str, good: float, begin: Begin, url: str) -> None:
    study = with_others(begin, direction)
    values = dict.fromkeys(range(0, 100, 5), good)
    assert not any(worked(url, asked(study), values))


@pytest.mark.parametrize(("direction", "bad"), [("maximize", 0.1), ("minimize", 0.9)])
def test_no_trial_is_pruned_before_there_are_enough_of_them(
    direction: str, bad: float, begin: Begin, url: str
) -> None:
    study = begin(direction)
    numbers = [asked(study) for _ in range(3)]
    for number in numbers:
        assert not any(worked(url, number, {0: bad, 5: bad, 10: bad}))


def test_without_a_pruner_no_trial_is(begin: Begin, url: str) -> None:
    study = with_others(begin, "maximize")
    with open_trial(address(url, asked(study), None)) as opened:
        assert not opened.report(5, 0.0)


def test_what_is_not_a_number_is_pruned(begin: Begin, url: str) -> None:
    study = with_others(begin, "maximize")
    assert worked(url, asked(study), {5: float("nan")}) == [True]


# --- opening ---------------------------------------------------------------------------------


def test_a_job_takes_its_trial_over(begin: Begin, url: str) -> None:
    study = begin()
    asked(study)
    number = asked(study)
    with open_trial(address(url, number)) as opened:
        opened.note(run_id="abc", a=[1, 2])
    attributes = record(study, number).user_attrs
    assert attributes.pop(JOB).endswith(f":{os.getpid()}")
    assert attributes == {"run_id": "abc", "a": [1, 2]}
    assert record(study, 0).user_attrs == {}


def test_the_job_beats_as_long_as_it_works(begin: Begin, url: str, tmp_path: Path) -> None:
    study = begin()
    number = asked(study)

    def age_beats() -> None:
        with closing(sqlite3.connect(tmp_path / "studies.db")) as connection, connection:
            connection.execute(
                "UPDATE trial_heartbeats SET heartbeat = datetime(heartbeat, '-60 seconds')"
            )

    def lives() -> bool:
        return not study._storage._get_stale_trial_ids(study.optuna._study_id)  # type: ignore[attr-defined]

    age_beats()
    assert not lives()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(studies, "HEARTBEAT_SECONDS", 0.05)
        with open_trial(address(url, number)):
            assert lives()
            age_beats()
            assert eventually(lives)
    age_beats()
    time.sleep(0.15)
    assert not lives()


def test_the_values_that_the_search_chose_are_not_chosen_again(begin: Begin, url: str) -> None:
    study = begin()
    trial = study.ask(100)
    assert trial is not None
    trial.suggest_float("x", 0, 1)
    before = trial.params
    with open_trial(address(url, trial.number)):
        pass
    assert record(study, trial.number).params == before


def test_leaving_the_block_does_not_end_the_trial(begin: Begin, url: str) -> None:
    study = begin()
    with pytest.raises(ValueError, match="bad"), open_trial(address(url, asked(study))):
        raise ValueError("bad")
    assert record(study, 0).state is TrialState.RUNNING


def test_nothing_of_what_optuna_says_reaches_the_user(
    begin: Begin, url: str, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    study = with_others(begin, "maximize")
    worked(url, asked(study), {0: 0.1, 5: 0.1})
    assert capfd.readouterr() == ("", "")
    assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []


def test_a_store_that_is_gone_is_one_error() -> None:
    gone = address("postgres://me:s3cret@host/db", 0)
    with pytest.raises(StudyError, match=r"postgres://me:\*\*\*@host/db"), open_trial(gone):
        pass


def test_a_store_that_fails_on_the_way_is_one_error(begin: Begin, url: str, tmp_path: Path) -> None:
    study = begin()
    opening = open_trial(address(url, asked(study)))
    opened = opening.__enter__()
    with closing(sqlite3.connect(tmp_path / "studies.db")) as connection, connection:
        connection.execute("DROP TABLE trial_intermediate_values")
    with pytest.raises(optuna.exceptions.StorageInternalError) as failed:
        opened.report(0, 0.5)
    with pytest.raises(StudyError, match=r"The database of studies .* failed"):
        opening.__exit__(failed.type, failed.value, failed.tb)


# --- a trial that somebody else has ended ----------------------------------------------------


@pytest.mark.parametrize("state", [TrialState.FAIL, TrialState.COMPLETE])
def test_a_trial_that_has_ended_is_not_opened(state: TrialState, begin: Begin, url: str) -> None:
    study = begin()
    number = asked(study)
    end(study, number, state)
    with pytest.raises(StaleTrialError), open_trial(address(url, number)):
        raise AssertionError("there is nothing to work on")
    assert JOB not in record(study, number).user_attrs


def test_a_trial_that_ends_on_the_way_is_found_out_at_a_report(begin: Begin, url: str) -> None:
    study = begin()
    number = asked(study)
    with open_trial(address(url, number)) as opened:
        assert not opened.report(0, 0.5)
        study.abandon(record(study, number)._trial_id, "It was slow.")
        with pytest.raises(StaleTrialError):
            opened.report(5, 0.6)
    assert record(study, number).intermediate_values == {0: 0.5}
    assert record(study, number).user_attrs[DIED] == "It was slow."


def test_or_at_a_note(begin: Begin, url: str) -> None:
    study = begin()
    number = asked(study)
    with open_trial(address(url, number)) as opened:
        end(study, number)
        with pytest.raises(StaleTrialError):
            opened.note(run_id="abc")


@pytest.mark.usefixtures("quick")
def test_or_at_a_check_after_the_next_beat(begin: Begin, url: str) -> None:
    study = begin()
    number = asked(study)
    with open_trial(address(url, number)) as opened:
        opened.check()
        end(study, number)
        assert eventually(lambda: opened.is_stale)
        with pytest.raises(StaleTrialError):
            opened.check()


def test_a_check_asks_nobody(begin: Begin, url: str) -> None:
    study = begin()
    number = asked(study)
    with open_trial(address(url, number)) as opened:
        end(study, number)
        opened.check()
        assert not opened.is_stale


def test_reaping_hides_where_it_came_from() -> None:
    def ended() -> None:
        raise optuna.exceptions.UpdateFinishedTrialError

    with pytest.raises(StaleTrialError) as caught, trials._raise_if_stale():
        ended()
    assert caught.value.__suppress_context__


def test_a_record_tells_whether_a_trial_goes_on() -> None:
    study = optuna.create_study()
    trial = study.ask()
    opened = OpenTrial(trial)
    assert opened.update_stale(study.trials[0]) is False
    study.tell(trial, 1.0)
    assert opened.update_stale(study.trials[0]) is True
    with pytest.raises(StaleTrialError):
        opened.check()
