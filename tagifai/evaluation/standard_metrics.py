"""The metrics that every run has beside precision, recall and F1 weighted by support."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef, recall_score

from tagifai.models.losses import log_loss
from tagifai.models.thresholds import Probabilities
from tagifai.preprocessing.labels import Indices

CALIBRATION_BINS = 15


def compute_matthews(y_true: Indices, y_pred: Indices) -> float:
    """Return Matthews' coefficient (B. W. Matthews, 1975; J. Gorodkin, 2004, for many classes).

    Args:
        y_true: label indices, shape (n,).
        y_pred: predicted indices, shape (n,).
    """
    # For a single label scikit-learn says 0 too, but with a warning about its shape.
    single = (y_true == y_true[0]).all() and (y_pred == y_true[0]).all()
    return 0.0 if single else float(matthews_corrcoef(y_true, y_pred))


def compute_balanced_accuracy(y_true: Indices, y_pred: Indices) -> float:
    """Return the mean recall of the classes that have rows (K. H. Brodersen et al., 2010).

    Args:
        y_true: label indices, shape (n,).
        y_pred: predicted indices, shape (n,).
    """
    labels = np.unique(y_true)
    return float(recall_score(y_true, y_pred, labels=labels, average="macro", zero_division=0))


def compute_calibration(
    y_true: Indices, y_prob: Probabilities
) -> tuple[float, npt.NDArray[np.float64]]:
    """Return the expected calibration error of the most probable class, and its bins.

    C. Guo, G. Pleiss, Y. Sun and K. Q. Weinberger, "On calibration of modern neural networks",
    2017: bins of equal width, a bin without its lower bound and with its upper one.

    Args:
        y_true: label indices, shape (n,).
        y_prob: class probabilities, shape (n, classes).

    Returns:
        The error from 0 to 1, and for each of 15 bins mean probability, share of correct
        predictions, and rows.
    """
    highest, right = y_prob.max(axis=1), y_prob.argmax(axis=1) == y_true
    inner_edges = np.linspace(0, 1, CALIBRATION_BINS + 1)[1:-1]
    numbers = np.searchsorted(inner_edges, highest, side="left")
    rows = np.bincount(numbers, minlength=CALIBRATION_BINS)
    divisor = np.maximum(rows, 1)
    said = np.bincount(numbers, weights=highest, minlength=CALIBRATION_BINS) / divisor
    share = np.bincount(numbers, weights=right, minlength=CALIBRATION_BINS) / divisor
    error = float(np.sum(np.abs(said - share) * rows) / max(len(highest), 1))
    return error, np.column_stack([said, share, rows.astype(np.float64)])


def compute_calibration_error(y_true: Indices, y_prob: Probabilities) -> float:
    """Return the error of `compute_calibration`, without its bins.

    Args:
        y_true: label indices, shape (n,).
        y_prob: class probabilities, shape (n, classes).
    """
    return compute_calibration(y_true, y_prob)[0]


OF_LABELS: dict[str, Callable[[Indices, Indices], float]] = {
    "accuracy": accuracy_score,
    "macro_f1": partial(f1_score, average="macro", zero_division=0),
    "micro_f1": partial(f1_score, average="micro", zero_division=0),
    "balanced_accuracy": compute_balanced_accuracy,
    "matthews": compute_matthews,
}
"""Functions of label indices and predicted indices, both of shape (n,), by the metric's name.

Macro F1 is the mean over the classes that have rows or predictions, as in scikit-learn.
"""

OF_PROBABILITIES: dict[str, Callable[[Indices, Probabilities], float]] = {
    "log_loss": log_loss,
    "ece": compute_calibration_error,
}
"""Functions of label indices, shape (n,), and class probabilities, shape (n, classes).

They are of what the model says, whatever a threshold makes of it.
"""
