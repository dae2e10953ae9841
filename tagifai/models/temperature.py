"""Probabilities of models that have decision values only: temperature scaling (C. Guo, 2017)."""

from __future__ import annotations

import math

import numpy as np

from tagifai.models.thresholds import Probabilities
from tagifai.preprocessing.labels import Indices

BOUNDS = (-10.0, 10.0)
"""Of the inverse temperature's logarithm; scikit-learn's."""


def fit_temperature(values: Probabilities, y_true: Indices) -> float:
    """Return the temperature with the lowest log loss; a class may have no rows.

    Where the highest value of every row is its label's, the log loss only falls on the way to
    temperature 0. There the labels count as (n + 1) / (n + classes), and no label as certain (J.
    Platt, 1999).

    Args:
        values: decision values of rows that the model has not seen, shape (n, classes).
        y_true: their label indices, shape (n,).
    """
    from scipy.optimize import minimize_scalar  # late: only a training asks

    finite = np.isfinite(values).all(axis=1)
    values, y_true = values[finite], y_true[finite]
    if not len(values):
        return 1.0
    rows, classes = values.shape
    below = values - values.max(axis=1, keepdims=True)
    own = below[np.arange(rows), y_true]
    if not own.any():
        certain = rows / (rows + classes)
        own = certain * own + (1 - certain) * below.mean(axis=1)

    def compute_log_loss(log_inverse: float) -> float:
        inverse = math.exp(log_inverse)
        return float(np.mean(np.log(np.exp(inverse * below).sum(axis=1)) - inverse * own))

    found = minimize_scalar(compute_log_loss, bounds=BOUNDS, options={"xatol": 1e-9})
    return math.exp(-float(found.x))


def calibrate(values: Probabilities, temperature: float) -> Probabilities:
    """Return probabilities, the softmax of decision values over a temperature.

    Args:
        values: shape (n, classes).
        temperature: above 0.

    Returns:
        Shape (n, classes); the highest of a row is where its highest decision value is.
    """
    if not len(values):
        return values
    best = values.argmax(axis=1)
    # What is infinite gives numbers that are none, and whoever predicts says so of the row.
    with np.errstate(invalid="ignore"):
        found: Probabilities = np.exp((values - values.max(axis=1, keepdims=True)) / temperature)
    found /= found.sum(axis=1, keepdims=True)
    # Values that differ in the last digit may give equal probabilities, and the first would win.
    tied = np.flatnonzero(found.argmax(axis=1) != best)
    found[tied, best[tied]] = np.nextafter(found[tied].max(axis=1), np.inf)
    return found
