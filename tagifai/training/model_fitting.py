"""Fit a model to feature rows, once or for one epoch, with errors that the user can act on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.model_selection import StratifiedGroupKFold

from tagifai.exceptions import ConfigError, UserError
from tagifai.models.sampling import FeatureRows, RowStream

CALIBRATION_FOLDS = 5
"""Folds of a calibration that has no number of its own; scikit-learn's default."""


class DivergenceError(UserError):
    """Training left the range of floating-point numbers."""


class FitError(UserError):
    """The model does not take these features or these arguments."""


def is_trained_by_epochs(model: Any) -> bool:
    """Return whether one call of the model's `partial_fit` is one epoch of several.

    Naive Bayes, for one, has a `partial_fit` too, but there a second pass counts every row twice.
    """
    return all(hasattr(model, name) for name in ("partial_fit", "warm_start", "max_iter"))


def refit_model(model: Any, balanced: FeatureRows, epochs: int) -> None:
    """Fit a model as the epoch loop does, but without recording losses.

    Args:
        model: unfitted; it is fitted in place.
        balanced: rows to fit on.
        epochs: passes over them, for a model that trains by epochs.

    Raises:
        DivergenceError: the weights left the range of floating-point numbers.
        FitError: the model refuses the features or its arguments.
    """
    by_epochs = is_trained_by_epochs(model)
    if by_epochs:
        prepare_partial_fit(model, balanced.count_by_class())
    for epoch in range(epochs if by_epochs else 1):
        fit_once(model, balanced, by_epochs, epoch)


def prepare_partial_fit(model: Any, counts: dict[int, int]) -> None:
    """Set the class weights, which `partial_fit` cannot compute from one call.

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


def fit_once(model: Any, rows: FeatureRows | RowStream, by_epochs: bool, epoch: int) -> None:
    """Fit a model for one epoch, or completely.

    Args:
        model: fitted in place.
        rows: to fit on; a stream only for a model with a `partial_fit`.
        by_epochs: whether this is one epoch of several.
        epoch: its number, from 0.

    Raises:
        DivergenceError: the weights left the range of floating-point numbers.
        FitError: the model refuses the features or its arguments.
    """
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
    """Turn errors of scikit-learn into errors that the user can act on."""
    try:
        yield
    except (ValueError, TypeError) as error:
        if "overflow" in str(error):
            raise make_divergence_error(model, epoch, str(error)) from None
        raise FitError(
            f"{type(model).__name__} cannot be fitted to these features"
            f" ({rows.X.shape[0]} rows, {rows.X.shape[1]} columns): {error}"
        ) from error


@contextmanager
def _group_calibration_folds(model: Any, rows: FeatureRows) -> Iterator[None]:
    """Keep all copies of a row in one fold of a calibration."""
    folds = getattr(model, "cv", None)
    if not isinstance(model, CalibratedClassifierCV) or not isinstance(folds, int | None):
        yield
        return
    cutter = StratifiedGroupKFold(folds or CALIBRATION_FOLDS)
    groups = np.arange(len(rows.y)) if rows.groups is None else rows.groups
    model.set_params(cv=list(cutter.split(rows.X, rows.y, groups)))
    try:
        yield
    finally:
        model.set_params(cv=folds)


def make_divergence_error(model: Any, epoch: int, reason: str) -> DivergenceError:
    """Return the error of a training that diverged, with advice.

    Args:
        model: that was trained.
        epoch: in which it happened.
        reason: what happened.
    """
    advice = " Lower model.eta0 or raise model.alpha." if hasattr(model, "eta0") else ""
    if getattr(model, "learning_rate", None) == "optimal":
        advice = " Lower model.C or raise model.alpha."  # by which the steps are made
    return DivergenceError(f"Training diverged in epoch {epoch}: {reason}{advice}")
