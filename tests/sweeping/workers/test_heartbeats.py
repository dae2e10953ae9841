from __future__ import annotations

import threading
from collections.abc import Callable

import optuna
import pytest
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.trial import TrialState

from tagifai.sweeping._optuna import get_trial_id
from tagifai.sweeping.workers import heartbeats as module
from tagifai.sweeping.workers.heartbeats import TrialHeartbeat
from tests.app import wait_until


class Heart:
    """Keeps the beats of trials, in place of a database."""

    def __init__(self) -> None:
        self.storage: BaseStorage = InMemoryStorage()
        self.beats: list[int] = []
        self.failures: list[Exception] = []
        self._study = optuna.create_study(storage=self.storage)

    def add_trial(self) -> int:
        return get_trial_id(self._study.ask())

    def beat(self, _: BaseStorage, trial_id: int) -> None:
        if self.failures:
            raise self.failures.pop()
        self.beats.append(trial_id)

    def wait_for(self, holds: Callable[[], bool]) -> None:
        wait_until(holds, seconds=20)


@pytest.fixture
def heart(monkeypatch: pytest.MonkeyPatch) -> Heart:
    made = Heart()
    monkeypatch.setattr(module, "HEARTBEAT_SECONDS", 0.01)
    monkeypatch.setattr(module, "has_heartbeat", lambda _: True)
    monkeypatch.setattr(module, "beat", made.beat)
    return made


def is_beating() -> bool:
    return any(thread.name == "beats" for thread in threading.enumerate())


def test_a_trial_is_beaten_for_as_long_as_it_is_watched(heart: Heart) -> None:
    one, other = heart.add_trial(), heart.add_trial()
    with TrialHeartbeat(heart.storage).open() as made:
        with made.watch(one):
            heart.wait_for(lambda: len(heart.beats) >= 3)
        assert set(heart.beats) == {one}
        with made.watch(other):
            heart.wait_for(lambda: heart.beats.count(other) >= 3)
        assert not made.has_ended
    # A beat under way at the end of a block is the last one.
    assert heart.beats == sorted(heart.beats)
    assert not is_beating()


def test_a_beat_that_does_not_get_through_is_tried_again(
    heart: Heart, caplog: pytest.LogCaptureFixture
) -> None:
    trial_id = heart.add_trial()
    heart.failures.append(StorageInternalError("database is locked"))
    with TrialHeartbeat(heart.storage).open() as made, made.watch(trial_id):
        heart.wait_for(lambda: len(heart.beats) >= 2)
    assert [r.getMessage() for r in caplog.records if r.name == module.__name__] == [
        f"No heartbeat for trial {trial_id}: database is locked"
    ]


def test_a_worker_learns_that_another_process_has_ended_its_trial(heart: Heart) -> None:
    trial_id = heart.add_trial()
    with TrialHeartbeat(heart.storage).open() as made:
        with made.watch(trial_id):
            heart.wait_for(lambda: bool(heart.beats))
            heart.storage.set_trial_state_values(trial_id, TrialState.FAIL)
            heart.wait_for(lambda: made.has_ended)
        with made.watch(heart.add_trial()):
            assert not made.has_ended


def test_a_study_in_memory_needs_no_beats() -> None:
    with TrialHeartbeat(InMemoryStorage()).open():
        assert not is_beating()
