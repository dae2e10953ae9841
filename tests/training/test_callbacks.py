from __future__ import annotations

import math
from typing import Any

import pytest

from tagifai.exceptions import StaleTrialError
from tagifai.training.callbacks import HistoryCallback, ProgressCallback, PruningCallback
from tagifai.training.loop import History, TrainingPruned


def test_progress_shows_the_epoch_that_has_ended_and_its_losses() -> None:
    shown: list[tuple[int, float, float]] = []
    progress = ProgressCallback(lambda *values: shown.append(values))
    history = History([0.9], [1.1])
    progress.on_epoch_end(history)
    history.train_loss.append(0.5)
    history.val_loss.append(0.7)
    progress.on_epoch_end(history)
    assert shown == [(0, 0.9, 1.1), (1, 0.5, 0.7)]


def test_progress_lets_what_it_calls_stop_the_training() -> None:
    def prune(epoch: int, train_loss: float, val_loss: float) -> None:
        raise TrainingPruned(f"epoch {epoch}")

    with pytest.raises(TrainingPruned, match="epoch 0"):
        ProgressCallback(prune).on_epoch_end(History([0.9], [1.1]))


# --- reports to a search -----------------------------------------------------------------------


class Search:
    """Remembers in one list what it was asked and told, and stops from a step on."""

    def __init__(self, stop_at: int = 10**6, reaped: bool = False) -> None:
        self.stop_at = stop_at
        self.reaped = reaped
        self.told: list[tuple[int, float] | str] = []

    def report(self, step: int, value: float) -> bool:
        self.told.append((step, value))
        return step >= self.stop_at

    def check(self) -> None:
        self.told.append("check")
        if self.reaped:
            raise StaleTrialError


def report(search: Search, **arguments: Any) -> PruningCallback:
    return PruningCallback(search.report, search.check, **arguments)


def after(epoch: int, scores: dict[int, float]) -> History:
    losses = [1.0] * (epoch + 1)
    return History(losses, losses, scores)


def test_the_score_of_an_epoch_is_reported_after_a_check() -> None:
    search = Search()
    report(search).on_epoch_end(after(0, {0: 0.25}))
    assert search.told == ["check", (0, 0.25)]


def test_an_epoch_without_a_score_is_checked_and_not_reported() -> None:
    search = Search()
    for epoch in (0, 1, 2):
        report(search).on_epoch_end(after(epoch, {0: 0.25, 2: 0.0}))
    assert search.told == ["check", (0, 0.25), "check", "check", (2, 0.0)]


def test_without_scores_nothing_is_reported() -> None:
    search = Search(stop_at=0)
    report(search, first_step=5, earlier=[0.5]).on_epoch_end(after(0, {}))
    assert search.told == ["check"]


def test_steps_go_on_after_those_of_earlier_repeats_and_values_are_the_mean_with_theirs() -> None:
    search = Search()
    listener = report(search, first_step=200, earlier=[0.5, 0.75])
    listener.on_epoch_end(after(0, {0: 0.25}))
    listener.on_epoch_end(after(10, {0: 0.25, 10: 1.0}))
    assert search.told == ["check", (200, 0.5), "check", (210, 0.75)]


def test_earlier_repeats_are_those_that_there_were_when_training_began() -> None:
    search, earlier = Search(), [0.5]
    listener = report(search, earlier=earlier)
    earlier.append(100.0)
    listener.on_epoch_end(after(0, {0: 0.25}))
    assert search.told[-1] == (0, 0.375)


def test_a_training_that_the_search_stops_is_pruned() -> None:
    search = Search(stop_at=3)
    listener = report(search, first_step=2)
    listener.on_epoch_end(after(0, {0: 0.25}))
    with pytest.raises(TrainingPruned):
        listener.on_epoch_end(after(1, {1: 0.5}))
    assert search.told == ["check", (2, 0.25), "check", (3, 0.5)]


def test_a_training_that_nobody_waits_for_is_not_reported_and_ends_at_any_epoch() -> None:
    for scores in ({0: 0.25}, {}):
        search = Search(reaped=True)
        with pytest.raises(StaleTrialError):
            report(search).on_epoch_end(after(0, scores))
        assert search.told == ["check"]


def test_a_score_that_is_not_a_number_is_reported_as_that() -> None:
    search = Search()
    report(search, earlier=[0.5]).on_epoch_end(after(0, {0: math.nan}))
    _, told = search.told
    assert isinstance(told, tuple)
    assert told[0] == 0
    assert math.isnan(told[1])


# --- what is kept ------------------------------------------------------------------------------


def test_before_the_first_epoch_the_kept_history_is_empty() -> None:
    assert HistoryCallback().history == History([], [])


def test_the_kept_history_is_the_one_that_training_records() -> None:
    keep, history = HistoryCallback(), History([0.9], [1.1])
    keep.on_epoch_end(history)
    assert keep.history is history


def test_two_keepers_do_not_share_their_histories() -> None:
    one, two = HistoryCallback(), HistoryCallback()
    one.history.val_loss.append(1.0)
    assert two.history.val_loss == []
