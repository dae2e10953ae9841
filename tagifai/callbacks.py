"""Callbacks of the epoch loop; each is handed the function that it calls."""

from __future__ import annotations

from collections.abc import Callable

from tagifai.training import History


class Progress:
    """Tell how far training is.

    Args:
        show: called with epoch, train loss and validation loss.
    """

    def __init__(self, show: Callable[[int, float, float], None]) -> None:
        self._show = show

    def on_epoch_end(self, history: History) -> None:
        """Show the epoch that has ended."""
        self._show(history.epoch, history.train_loss[-1], history.val_loss[-1])


class Keep:
    """Hold on to the history, so that it can be recorded even if training ends early."""

    def __init__(self) -> None:
        self.history = History()

    def on_epoch_end(self, history: History) -> None:
        """Remember the history."""
        self.history = history
