"""Tuning: the threshold that scores best on the validation rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tagifai.evaluation.metrics import compute_score
from tagifai.exceptions import InvalidValueError
from tagifai.models.thresholds import Probabilities, decide
from tagifai.preprocessing.labels import Indices

SCORES = ("f1", "precision", "recall")


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
        highest = np.unique(y_prob.max(axis=1))
        # Below all of them no row falls back; above all of them every row does, which is no model.
        candidates = [0.0, *((highest[:-1] + highest[1:]) / 2).tolist()]
        found = [
            compute_score(self.score, y_true, decide(y_prob, t, other), (), {}) for t in candidates
        ]
        return float(candidates[int(np.argmax(found))])
