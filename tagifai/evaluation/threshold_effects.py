"""What a threshold costs or gains on the rows that it was found on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tagifai.evaluation.metrics import compute_score
from tagifai.models.tagger import Tagger
from tagifai.models.thresholds import Probabilities, decide
from tagifai.preprocessing.labels import Indices


@dataclass(frozen=True)
class ThresholdEffect:
    """A threshold's effect on rows.

    Args:
        threshold: the highest probability must be above it.
        other: the fallback label.
        rows: how many there are.
        sent: rows that are not above the threshold, and so get the fallback label.
        right: of these, how many have that label.
        f1_with: weighted F1 with the threshold.
        f1_without: weighted F1 of the most probable labels.
    """

    threshold: float
    other: str
    rows: int
    sent: int
    right: int
    f1_with: float
    f1_without: float

    @property
    def coverage(self) -> float:
        """The share of rows that are above the threshold."""
        return 1 - self.sent / self.rows


def compute_threshold_effect(
    tagger: Tagger, y_true: Indices, y_prob: Probabilities
) -> ThresholdEffect | None:
    """Return what a tagger's threshold does to rows; None without a threshold.

    Args:
        tagger: with its threshold.
        y_true: label indices, shape (n,).
        y_prob: class probabilities, shape (n, classes).
    """
    if tagger.threshold is None or tagger.other is None:
        return None
    classes, other = tagger.encoder.classes, tagger.encoder.index(tagger.other)
    with_it, without = tagger.decide(y_prob), decide(y_prob, None, other)
    unsure = decide(y_prob, tagger.threshold, -1) < 0
    return ThresholdEffect(
        threshold=tagger.threshold,
        other=tagger.other,
        rows=len(y_true),
        sent=int(unsure.sum()),
        right=int(np.sum(y_true[unsure] == other)),
        f1_with=compute_score("f1", y_true, with_it, classes, {}),
        f1_without=compute_score("f1", y_true, without, classes, {}),
    )
