"""The epoch loop, the history that it records, and the protocol of those who listen."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from scipy.sparse import issparse, vstack
from sklearn.calibration import CalibratedClassifierCV
from sklearn.model_selection import StratifiedGroupKFold

from tagifai.exceptions import ConfigError, UserError
from tagifai.models.losses import get_loss_function
from tagifai.models.outputs import compute_outputs
from tagifai.models.sampling import FeatureRows, RowStream
from tagifai.models.thresholds import Probabilities
from tagifai.preprocessing.labels import Indices

CALIBRATION_FOLDS = 5
"""Of a calibration that says no number; scikit-learn's own default."""


class DivergenceError(UserError):
    """Training left the range of floating-point numbers."""


class FitError(UserError):
    """The model does not take these features or these arguments."""


class TrainingPruned(Exception):
    """Raised by a callback to end a training that is not worth going on with."""


@dataclass
class History:
    """Losses by epoch; the last epoch is the last item. Scores of some epochs.

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


class Callback(Protocol):
    """Told about every epoch, after it was recorded."""

    def on_epoch_end(self, history: History) -> None:
        """Look at the history so far; raise `Pruned` to stop."""
        ...


@dataclass(frozen=True)
class ValidationScorer:
    """What else to record of the validation rows, and how often.

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


def is_trained_by_epochs(model: Any) -> bool:
    """Return whether one call of the model's `partial_fit` is one epoch of several.

    Naive Bayes, for one, has a `partial_fit` too, but there a second pass counts every row twice.
    """
    return all(hasattr(model, name) for name in ("partial_fit", "warm_start", "max_iter"))


def train_model(
    model: Any,
    balanced: FeatureRows | RowStream,
    train_rows: FeatureRows,
    val_rows: FeatureRows,
    *,
    epochs: int,
    patience: int | None = None,
    callbacks: Sequence[Callback] = (),
    scorer: ValidationScorer | None = None,
) -> TrainedModel:
    """Fit the model epoch by epoch, or at once if it does not train by epochs.

    Args:
        model: a scikit-learn classifier; it is fitted in place.
        balanced: rows to fit on. A model that does not train by epochs takes a stream too, if it
            has a `partial_fit`.
        train_rows: rows of the train loss, before balancing; of a stream, a sample.
        val_rows: rows of the validation loss.
        epochs: passes over the balanced rows, for a model that trains by epochs.
        patience: stop after so many epochs without a lower validation loss, and keep the weights
            of the best one; None goes through all epochs and keeps the last.
        callbacks: told after every epoch, in this order.
        scorer: gives the history's scores.

    Raises:
        Diverged: the weights left the range of floating-point numbers.
        CannotFit: the model refuses the features or its arguments.
        Pruned: a callback asked to stop.
    """
    history = History()
    by_epochs = is_trained_by_epochs(model)
    if by_epochs:
        _prepare_partial_fit(model, balanced.count_by_class())
    both = _stack_features(train_rows, val_rows)
    best = model
    for epoch in range(epochs if by_epochs else 1):
        _fit_once(model, balanced, by_epochs, epoch)
        y_prob = _record_losses(history, model, both, train_rows.y, val_rows.y)
        if scorer is not None and epoch % scorer.every == 0:
            history.scores[epoch] = scorer.score(y_prob)
        for callback in callbacks:
            callback.on_epoch_end(history)
        if patience is None:
            continue
        if history.best_epoch == epoch:
            best = copy.deepcopy(model)
        elif epoch - history.best_epoch >= patience:
            break
    return TrainedModel(best, history, history.epoch if patience is None else history.best_epoch)


def refit_model(model: Any, balanced: FeatureRows, epochs: int) -> None:
    """Fit a model as `train` does, without looking at any rows on the way.

    Args:
        model: unfitted; it is fitted in place.
        balanced: rows to fit on.
        epochs: passes over them, for a model that trains by epochs.

    Raises:
        Diverged: the weights left the range of floating-point numbers.
        CannotFit: the model refuses the features or its arguments.
    """
    by_epochs = is_trained_by_epochs(model)
    if by_epochs:
        _prepare_partial_fit(model, balanced.count_by_class())
    for epoch in range(epochs if by_epochs else 1):
        _fit_once(model, balanced, by_epochs, epoch)


def _prepare_partial_fit(model: Any, counts: dict[int, int]) -> None:
    """Set what `partial_fit` cannot work out from one call.

    Args:
        model: unfitted.
        counts: rows by class.

    Raises:
        ConfigError: the model would stop early by itself.
    """
    if getattr(model, "early_stopping", False):
        raise ConfigError(
            "model.early_stopping is not for a model that is trained epoch by epoch from outside;"
            " set training.patience instead."
        )
    if getattr(model, "class_weight", None) == "balanced":
        # As scikit-learn's compute_class_weight, which wants the labels of all rows.
        weights = sum(counts.values()) / (len(counts) * np.array([*counts.values()], np.float64))
        model.set_params(class_weight=dict(zip(counts, weights, strict=True)))


def _fit_once(model: Any, rows: FeatureRows | RowStream, by_epochs: bool, epoch: int) -> None:
    if not isinstance(rows, FeatureRows):
        classes = [*rows.count_by_class()]
        for chunk in rows.iterate_chunks(epoch):
            with _translate_errors(model, chunk, epoch):
                model.partial_fit(chunk.X, chunk.y, classes=classes)
        return
    with _translate_errors(model, rows, epoch):
        if by_epochs:
            # Not `fit` with a warm start: that restarts the learning-rate schedule in every epoch.
            model.partial_fit(rows.X, rows.y, classes=np.unique(rows.y))
        else:
            with _group_calibration_folds(model, rows):
                model.fit(rows.X, rows.y)


@contextmanager
def _translate_errors(model: Any, rows: FeatureRows, epoch: int) -> Iterator[None]:
    """Make errors of scikit-learn such that a person can act on."""
    try:
        yield
    except (ValueError, TypeError) as error:
        if "overflow" in str(error):
            raise _make_divergence_error(model, epoch, str(error)) from None
        raise FitError(
            f"{type(model).__name__} cannot be fitted to these features"
            f" ({rows.X.shape[0]} rows, {rows.X.shape[1]} columns): {error}"
        ) from error


@contextmanager
def _group_calibration_folds(model: Any, rows: FeatureRows) -> Iterator[None]:
    """Have a calibration cut its folds so that no copy of a row is scored by what saw another."""
    folds = getattr(model, "cv", None)
    if not isinstance(model, CalibratedClassifierCV) or not isinstance(folds, int | None):
        yield
        return
    cutter = StratifiedGroupKFold(folds or CALIBRATION_FOLDS)
    origin = np.arange(len(rows.y)) if rows.origin is None else rows.origin
    model.set_params(cv=list(cutter.split(rows.X, rows.y, origin)))
    try:
        yield
    finally:
        model.set_params(cv=folds)


def _stack_features(train_rows: FeatureRows, val_rows: FeatureRows) -> Any:
    """Return the features of both parts as one matrix: one product an epoch instead of two."""
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
        raise _make_divergence_error(model, history.epoch + 1, f"{error}.") from None
    if not np.isfinite(losses).all():
        raise _make_divergence_error(model, history.epoch + 1, "the loss is not a number any more.")
    for recorded, loss in zip((history.train_loss, history.val_loss), losses, strict=True):
        recorded.append(loss)
    return y_prob


def _make_divergence_error(model: Any, epoch: int, reason: str) -> DivergenceError:
    advice = " Lower model.eta0 or raise model.alpha." if hasattr(model, "eta0") else ""
    return DivergenceError(f"Training diverged in epoch {epoch}: {reason}{advice}")
