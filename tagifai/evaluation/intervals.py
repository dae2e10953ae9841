"""Intervals of scores on a set of rows, and the scores of always saying the same class."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypedDict

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from tagifai.preprocessing.labels import Indices

METHOD = "bootstrap over rows, 95 %"

RESAMPLES = 1000

BOUNDS = (0.025, 0.975)

SEED = 0
"""The same for all runs, so that the same predictions have the same intervals everywhere."""

SCORES = (
    *("accuracy", "macro_f1", "micro_f1", "balanced_accuracy", "matthews"),
    *("f1", "precision", "recall"),
)
"""Scores of predicted labels, which have intervals."""

MAX_COUNTS = 4_000_000
"""Most counts of resampled rows that are in memory at a time."""

Counts = npt.NDArray[np.float64]


class Intervals(TypedDict):
    """Intervals of scores.

    `method` names what they are, `resamples` says of how many, and `bounds` has the lower and the
    upper one by the score's name.
    """

    method: str
    resamples: int
    bounds: dict[str, tuple[float, float]]


def compute_intervals(y_true: Indices, y_pred: Indices, classes: int) -> Intervals:
    """Return percentile intervals of the scores of all rows (B. Efron, 1979).

    To draw n of n rows with replacement is to draw from a multinomial distribution how often each
    pair of true and predicted class occurs. So it takes no more time for more rows.

    Args:
        y_true: label indices, shape (n,), at least one.
        y_pred: predicted indices, shape (n,).
        classes: how many there are.
    """
    parts = [
        compute_scores(counts, true, predicted, classes)
        for counts, true, predicted in _resample(y_true, y_pred, classes)
    ]
    bounds = {
        name: np.quantile(np.concatenate([part[name] for part in parts]), BOUNDS)
        for name in parts[0]
    }
    return {
        "method": METHOD,
        "resamples": RESAMPLES,
        "bounds": {name: (float(low), float(high)) for name, (low, high) in bounds.items()},
    }


def compute_class_intervals(
    y_true: Indices, y_pred: Indices, classes: int
) -> npt.NDArray[np.float64]:
    """Return percentile intervals of each class's F1, of the same rows drawn again and again.

    Args:
        y_true: label indices, shape (n,), at least one.
        y_pred: predicted indices, shape (n,).
        classes: how many there are.

    Returns:
        The lower and the upper bound of each class, shape (classes, 2); 0 of one that has neither
        rows nor predictions.
    """
    parts = []
    for counts, true, predicted in _resample(y_true, y_pred, classes):
        right = _sum_by_class(counts * (true == predicted), true, classes)
        rows = _sum_by_class(counts, true, classes) + _sum_by_class(counts, predicted, classes)
        # A draw without rows of a class and without predictions of it says nothing of its F1.
        parts.append(np.where(rows > 0, _divide(2 * right, rows), np.nan))
    drawn, bounds = np.concatenate(parts), np.zeros((classes, 2))
    seen = ~np.isnan(drawn).all(axis=0)
    bounds[seen] = np.nanquantile(drawn[:, seen], BOUNDS, axis=0).T
    return bounds


def _resample(
    y_true: Indices, y_pred: Indices, classes: int
) -> Iterator[tuple[Counts, Indices, Indices]]:
    """Yield sets of rows as counts of pairs of classes, and the two classes of each pair."""
    pairs, rows = np.unique(y_true * classes + y_pred, return_counts=True)
    true, predicted = np.divmod(pairs, classes)
    state, n = np.random.RandomState(SEED), len(y_true)
    step = max(1, MAX_COUNTS // max(len(pairs), classes))
    for start in range(0, RESAMPLES, step):
        drawn = state.multinomial(n, rows / n, size=min(step, RESAMPLES - start))
        yield drawn.astype(np.float64), true, predicted


def compute_scores(
    counts: Counts, true: Indices, predicted: Indices, classes: int
) -> dict[str, Counts]:
    """Return the scores of several sets of rows, each as counts of pairs of classes.

    Args:
        counts: rows of each pair of classes, shape (sets, pairs).
        true: class of each pair, shape (pairs,).
        predicted: likewise.
        classes: how many there are.

    Returns:
        By name, shape (sets,).
    """
    n = counts.sum(axis=1)
    right = _sum_by_class(counts * (true == predicted), true, classes)
    of_class = _sum_by_class(counts, true, classes)
    said = _sum_by_class(counts, predicted, classes)
    f1, recall = _divide(2 * right, of_class + said), _divide(right, of_class)
    correct, weights = right.sum(axis=1), of_class / n[:, None]
    agreement = correct * n - (of_class * said).sum(axis=1)
    spreads = [n**2 - (part**2).sum(axis=1) for part in (of_class, said)]
    return {
        "accuracy": correct / n,
        "macro_f1": f1.sum(axis=1) / ((of_class + said) > 0).sum(axis=1),
        "micro_f1": correct / n,
        "balanced_accuracy": recall.sum(axis=1) / (of_class > 0).sum(axis=1),
        "matthews": _divide(agreement, np.sqrt(spreads[0] * spreads[1])),
        "f1": (f1 * weights).sum(axis=1),
        "precision": (_divide(right, said) * weights).sum(axis=1),
        "recall": correct / n,
    }


def _sum_by_class(counts: Counts, label: Indices, classes: int) -> Counts:
    pairs = np.arange(len(label))
    belongs = csr_array((np.ones(len(label)), (pairs, label)), shape=(len(label), classes))
    return np.asarray(counts @ belongs)


def _divide(one: Counts, other: Counts) -> Counts:
    return np.divide(one, other, out=np.zeros_like(one), where=other > 0)
