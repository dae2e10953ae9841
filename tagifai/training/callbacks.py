"""Callbacks of the epoch loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tagifai.training.loop import History, TrainingPruned


class ProgressCallback:
    """Shows the progress of a training.

    Args:
        show: called with epoch, train loss and validation loss.
    """

    def __init__(self, show: Callable[[int, float, float], None]) -> None:
        self._show = show

    def on_epoch_end(self, history: History) -> None:
        """Show the losses of the epoch."""
        self._show(history.epoch, history.train_loss[-1], history.val_loss[-1])


class PruningCallback:
    """Reports the scores of a training to a search, and stops when the search prunes the trial.

    Args:
        report: called with a step and a value; returns whether to stop.
        check: called after every epoch; raises if the result is not needed any more.
        first_step: step of the training's first epoch, after those of earlier repeats.
        earlier: objectives of the earlier repeats, whose mean with this one's score is reported.
    """

    def __init__(
        self,
        report: Callable[[int, float], bool],
        check: Callable[[], None],
        first_step: int = 0,
        earlier: Sequence[float] = (),
    ) -> None:
        self._report = report
        self._check = check
        self._first_step = first_step
        self._earlier = tuple(earlier)

    def on_epoch_end(self, history: History) -> None:
        """Report the epoch's score, if it has one."""
        self._check()
        score = history.scores.get(history.epoch)
        if score is None:
            return
        values = (*self._earlier, score)
        if self._report(self._first_step + history.epoch, sum(values) / len(values)):
            raise TrainingPruned


class HistoryCallback:
    """Keeps the history, so that it can be recorded even if training ends early."""

    def __init__(self) -> None:
        self.history = History()

    def on_epoch_end(self, history: History) -> None:
        """Keep the history."""
        self.history = history
