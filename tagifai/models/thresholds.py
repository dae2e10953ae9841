"""Thresholds: from class probabilities to label indices, with a fallback label for unsure texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from tagifai.exceptions import InvalidValueError
from tagifai.preprocessing.labels import Indices

Probabilities = npt.NDArray[np.float64]

SCORES = ("f1", "precision", "recall")
"""Scores that a threshold may be tuned for."""


def decide(y_prob: Probabilities, threshold: float | None, other: int) -> Indices:
    """Return the most probable class of each row, or `other` where its probability is too low.

    Args:
        y_prob: class probabilities, shape (n, classes).
        threshold: the highest probability must be above it; None accepts any.
        other: index of the class to fall back to.

    Returns:
        Label indices, shape (n,).
    """
    best: Indices = y_prob.argmax(axis=1)
    return best if threshold is None else fall_back(best, y_prob.max(axis=1), threshold, other)


def fall_back(best: Indices, highest: Probabilities, threshold: float, other: int) -> Indices:
    """Return the most probable classes, or `other` where their probability is too low.

    Args:
        best: the most probable class of each row, shape (n,).
        highest: its probability, shape (n,).
        threshold: the probability must be above it.
        other: index of the class to fall back to.
    """
    # "not above" and not "at or below", so that a NaN falls back too.
    return np.where(highest > threshold, best, other)


class Threshold(Protocol):
    """Finds the threshold on validation rows."""

    def fit(self, y_prob: Probabilities, y_true: Indices, other: int) -> float:
        """Return the threshold for validation rows.

        Args:
            y_prob: their class probabilities, shape (n, classes).
            y_true: their label indices, shape (n,).
            other: index of the class to fall back to.
        """
        ...


@dataclass(frozen=True)
class FixedThreshold:
    """The same threshold whatever the data.

    Args:
        value: a probability, at least 0 and below 1.
    """

    value: float

    def __post_init__(self) -> None:
        if not 0 <= self.value < 1:
            raise InvalidValueError("value", self.value, "a probability, at least 0 and below 1")

    def fit(self, y_prob: Probabilities, y_true: Indices, other: int) -> float:
        """Return the value."""
        return self.value


@dataclass(frozen=True)
class QuantileThreshold:
    """A quantile of the predicted classes' probabilities.

    Args:
        q: the share of validation rows that fall below the threshold, from 0 to 1.
    """

    q: float

    def __post_init__(self) -> None:
        if not 0 <= self.q <= 1:
            raise InvalidValueError("q", self.q, "a share from 0 to 1")

    def fit(self, y_prob: Probabilities, y_true: Indices, other: int) -> float:
        """Return the q-quantile of each row's highest probability, linearly interpolated."""
        return float(np.quantile(y_prob.max(axis=1), self.q))


@dataclass(frozen=True)
class AutoThreshold(QuantileThreshold):
    """A quantile where there is a fallback label and the model has probabilities of its own."""


@dataclass(frozen=True)
class TunedThreshold:
    """The threshold with the best score on the validation rows; of equal ones the lowest.

    Args:
        score: f1, precision or recall, weighted by the classes' rows.
    """

    score: str = "f1"

    def __post_init__(self) -> None:
        if self.score not in SCORES:
            raise InvalidValueError("score", self.score, f"one of {', '.join(SCORES)}")

    def fit(self, y_prob: Probabilities, y_true: Indices, other: int) -> float:
        """Return the threshold; it lies midway between two of the rows' highest probabilities.

        Args:
            y_prob: class probabilities of the validation rows, shape (n, classes).
            y_true: their label indices, shape (n,).
            other: index of the class to fall back to.
        """
        from sklearn.metrics import precision_recall_fscore_support  # late: only a training asks

        highest = np.unique(y_prob.max(axis=1))
        # Below all of them no row falls back; above all of them every row does, which is no model.
        candidates = [0.0, *((highest[:-1] + highest[1:]) / 2).tolist()]
        place = ("precision", "recall", "f1").index(self.score)
        found = [
            precision_recall_fscore_support(
                y_true, decide(y_prob, threshold, other), average="weighted", zero_division=0
            )[place]
            for threshold in candidates
        ]
        return float(candidates[int(np.argmax(found))])
