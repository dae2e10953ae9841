from __future__ import annotations

import pytest

from tagifai.callbacks import Keep, Progress
from tagifai.training import History, Pruned


def test_progress_shows_the_epoch_that_has_ended_and_its_losses() -> None:
    shown: list[tuple[int, float, float]] = []
    progress = Progress(lambda *values: shown.append(values))
    history = History([0.9], [1.1])
    progress.on_epoch_end(history)
    history.train_loss.append(0.5)
    history.val_loss.append(0.7)
    progress.on_epoch_end(history)
    assert shown == [(0, 0.9, 1.1), (1, 0.5, 0.7)]


def test_progress_lets_what_it_calls_stop_the_training() -> None:
    def prune(epoch: int, train_loss: float, val_loss: float) -> None:
        raise Pruned(f"epoch {epoch}")

    with pytest.raises(Pruned, match="epoch 0"):
        Progress(prune).on_epoch_end(History([0.9], [1.1]))


def test_before_the_first_epoch_the_kept_history_is_empty() -> None:
    assert Keep().history == History([], [])


def test_the_kept_history_is_the_one_that_training_records() -> None:
    keep, history = Keep(), History([0.9], [1.1])
    keep.on_epoch_end(history)
    assert keep.history is history


def test_two_keepers_do_not_share_their_histories() -> None:
    one, two = Keep(), Keep()
    one.history.val_loss.append(1.0)
    assert two.history.val_loss == []
