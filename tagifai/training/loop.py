"""The epoch loop, the history that it records, and the protocol of its callbacks."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.random import RandomState
from scipy.sparse import issparse, vstack

from tagifai.models.losses import get_loss_function
from tagifai.models.outputs import compute_outputs
from tagifai.models.sampling import FeatureRows, RowStream
from tagifai.models.thresholds import Probabilities
from tagifai.preprocessing.labels import Indices
from tagifai.training.model_fitting import (
    fit_once,
    is_trained_by_epochs,
    make_divergence_error,
    prepare_partial_fit,
)


class TrainingPruned(Exception):
    """Raised by a callback to end a training that is not promising."""


@dataclass
class History:
    """The losses of all epochs, in order, and the scores of some epochs.

    Losses are in nats, or the model's own where it has no probabilities: see `losses`.
    """

    train_loss: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    scores: dict[int, float] = field(default_factory=dict)

    @property
    def epoch(self) -> int:
        """Number of the last recorded epoch, from 0."""
        return len(self.val_loss) - 1

    @property
    def best_epoch(self) -> int:
        """Number of the first epoch with the lowest validation loss."""
        return int(np.argmin(self.val_loss))

    def shorten(self, epochs: int) -> History:
        """Return what the history was after so many epochs."""
        scores = {epoch: score for epoch, score in self.scores.items() if epoch < epochs}
        return History(self.train_loss[:epochs], self.val_loss[:epochs], scores)


@dataclass
class TrainingState:
    """All that changes from one epoch to the next.

    Args:
        model: that is fitted.
        stream: of the order of streamed rows; None where they are in memory.
        history: of the epochs so far.
        best: a copy of the model as it was after the best epoch, where it is wanted.
    """

    model: Any
    stream: RandomState | None = None
    history: History = field(default_factory=History)
    best: Any = None


class Checkpoint(Protocol):
    """Keeps the state of a training that may be interrupted."""

    def restore(self, state: TrainingState, inputs: Sequence[Any]) -> None:
        """Set the state to the one that was kept of a training with the same inputs, if any."""
        ...

    def save(self, state: TrainingState) -> None:
        """Keep the state in place of the one before."""
        ...


class Callback(Protocol):
    """Called after every epoch, when it has been recorded."""

    def on_epoch_end(self, history: History) -> None:
        """Look at the history so far; raise `TrainingPruned` to stop."""
        ...


@dataclass(frozen=True)
class ValidationScorer:
    """A score of the validation rows that is recorded beside the losses.

    Args:
        score: takes the model's outputs for the validation rows, shape (n, classes).
        every: epochs from one score to the next, from epoch 0 on.
    """

    score: Callable[[Probabilities], float]
    every: int


@dataclass(frozen=True)
class TrainedModel:
    """A fitted model, its history and the epoch whose weights it has."""

    model: Any
    history: History
    epoch: int


@dataclass(frozen=True)
class EpochLoop:
    """Trains a model epoch by epoch, or at once if it does not train by epochs.

    Args:
        epochs: passes over the balanced rows, for a model that trains by epochs.
        patience: stop after so many epochs without a lower validation loss, and keep the weights
            of the best one; None goes through all epochs and keeps the last.
        callbacks: called after every epoch, in this order.
        scorer: of the history's scores.
        checkpoint: from which a training that was interrupted goes on; the callbacks are called
            for its earlier epochs again.
    """

    epochs: int
    patience: int | None = None
    callbacks: Sequence[Callback] = ()
    scorer: ValidationScorer | None = None
    checkpoint: Checkpoint | None = None

    def train(
        self,
        model: Any,
        balanced: FeatureRows | RowStream,
        train_rows: FeatureRows,
        val_rows: FeatureRows,
    ) -> TrainedModel:
        """Fit a model and record its losses.

        Args:
            model: a scikit-learn classifier; it is fitted in place.
            balanced: rows to fit on. A model that does not train by epochs takes a stream too, if
                it has a `partial_fit`.
            train_rows: rows of the train loss, before balancing; of a stream, a sample.
            val_rows: rows of the validation loss.

        Raises:
            DivergenceError: the weights left the range of floating-point numbers.
            FitError: the model refuses the features or its arguments.
            TrainingPruned: a callback asked to stop.
        """
        by_epochs = is_trained_by_epochs(model)
        if by_epochs:
            prepare_partial_fit(model, balanced.count_by_class())
        both = _stack_features(train_rows, val_rows)
        state = self._begin(model, balanced, train_rows, val_rows)
        history = state.history
        for epoch in range(history.epoch + 1, self.epochs if by_epochs else 1):
            if self._is_over(history):
                break
            fit_once(model, balanced, by_epochs, epoch)
            y_prob = _record_losses(history, model, both, train_rows.y, val_rows.y)
            if self.scorer is not None and epoch % self.scorer.every == 0:
                history.scores[epoch] = self.scorer.score(y_prob)
            if self.patience is not None and history.best_epoch == epoch:
                state.best = copy.deepcopy(model)
            if self.checkpoint is not None:
                self.checkpoint.save(state)
            for callback in self.callbacks:
                callback.on_epoch_end(history)
        if self.patience is None:
            return TrainedModel(model, history, history.epoch)
        return TrainedModel(state.best, history, history.best_epoch)

    def _begin(
        self, model: Any, balanced: FeatureRows | RowStream, *scored: FeatureRows
    ) -> TrainingState:
        """Return the state of a training before its first epoch, or after its last checkpoint."""
        state = TrainingState(model)
        inputs: Any = balanced
        if not isinstance(balanced, FeatureRows):
            state.stream = balanced.random_state
            inputs = (balanced.count_by_class(), balanced.random_state)
        if self.checkpoint is None:
            return state
        self.checkpoint.restore(state, [model, inputs, *scored])
        history = state.history
        if self.patience is not None and state.best is None and history.val_loss:
            state.best = copy.deepcopy(model)
        for epoch in range(len(history.val_loss)):
            for callback in self.callbacks:
                callback.on_epoch_end(history.shorten(epoch + 1))
        return state

    def _is_over(self, history: History) -> bool:
        """Return whether the validation loss has not become lower for too long."""
        if self.patience is None or not history.val_loss:
            return False
        return history.epoch - history.best_epoch >= self.patience


def _stack_features(train_rows: FeatureRows, val_rows: FeatureRows) -> Any:
    """Return the features of both parts as one matrix, for one product an epoch instead of two."""
    parts: list[Any] = [train_rows.X, val_rows.X]
    return vstack(parts, format="csr") if issparse(parts[0]) else np.vstack(parts)


def _record_losses(
    history: History, model: Any, X: Any, y_train: Indices, y_val: Indices
) -> Probabilities:
    """Record the losses, and return the model's outputs for the validation rows.

    Args:
        history: gets one epoch more.
        model: fitted.
        X: features of the train rows, then of the validation rows.
        y_train: label indices of the train rows.
        y_val: label indices of the validation rows.
    """
    try:
        with np.errstate(over="raise", invalid="raise"):
            of_train, y_prob = np.split(compute_outputs(model, X), [len(y_train)])
            loss_between = get_loss_function(model)
            losses = [loss_between(y_train, of_train), loss_between(y_val, y_prob)]
    except FloatingPointError as error:
        raise make_divergence_error(model, history.epoch + 1, f"{error}.") from None
    if not np.isfinite(losses).all():
        raise make_divergence_error(model, history.epoch + 1, "the loss is not a number any more.")
    for recorded, loss in zip((history.train_loss, history.val_loss), losses, strict=True):
        recorded.append(loss)
    return y_prob
