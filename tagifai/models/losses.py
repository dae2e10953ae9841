"""Losses by epoch, for models with probabilities and for models without."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from tagifai.models.outputs import has_probabilities
from tagifai.models.thresholds import Probabilities
from tagifai.preprocessing.labels import Indices

Loss = Callable[[Indices, Probabilities], float]


def get_loss_name(model: Any) -> str:
    """Return the name of a model's loss: log_loss where it has probabilities, else its own.

    A model without a loss of its own has the share of misclassified rows.
    """
    if has_probabilities(model):
        return "log_loss"
    own = getattr(model, "loss", None)
    return own if isinstance(own, str) and own in MARGINS else "zero_one"


def get_loss_function(model: Any) -> Loss:
    """Return the function from label indices, shape (n,), and a model's outputs to its loss."""
    name = get_loss_name(model)
    if name == "log_loss":
        return log_loss
    if name == "zero_one":
        return compute_zero_one_loss
    return lambda y_true, values: _one_vs_rest(MARGINS[name], y_true, values)


def compute_zero_one_loss(y_true: Indices, values: Probabilities) -> float:
    """Return the share of rows whose highest value belongs to another class.

    Args:
        y_true: label indices, shape (n,).
        values: the model's outputs, shape (n, classes).
    """
    return float(np.mean(values.argmax(axis=1) != y_true))


Margins = npt.NDArray[np.float64]

MARGINS: dict[str, Callable[[Margins], Margins]] = {
    "hinge": lambda margin: np.maximum(0.0, 1.0 - margin),
    "squared_hinge": lambda margin: np.maximum(0.0, 1.0 - margin) ** 2,
    "perceptron": lambda margin: np.maximum(0.0, -margin),
}
"""Losses of a row by its margin y * f(x), where y is -1 or 1; scikit-learn's `SGDClassifier`."""


def _one_vs_rest(
    loss: Callable[[Margins], Margins], y_true: Indices, values: Probabilities
) -> float:
    """Return the mean over rows of the one-vs-rest losses, summed over classes.

    Args:
        loss: of a margin.
        y_true: label indices, shape (n,).
        values: decision values, shape (n, classes); of two classes the second alone counts.
    """
    targets = np.where(np.arange(values.shape[1]) == y_true[:, None], 1.0, -1.0)
    first = 1 if values.shape[1] == 2 else 0
    return float(loss(targets * values)[:, first:].sum(axis=1).mean())


def log_loss(y_true: Indices, y_prob: Probabilities) -> float:
    """Return the mean negative log-likelihood in nats, bit-equal to scikit-learn's `log_loss`.

    Args:
        y_true: label indices, shape (n,).
        y_prob: class probabilities, shape (n, classes).
    """
    clipped = np.clip(y_prob, np.finfo(y_prob.dtype).eps, 1 - np.finfo(y_prob.dtype).eps)
    own: npt.NDArray[np.float64] = clipped[np.arange(len(y_true)), y_true]
    return float(np.mean(-np.log(own)))
