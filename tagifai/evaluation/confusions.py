"""Confusions: what is taken for what, and the order of classes that follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tagifai.preprocessing.labels import Indices

Counts = npt.NDArray[np.int64]


class Confusion(NamedTuple):
    """A class that is taken for another one.

    Args:
        label: index of the true class.
        predicted: index of the predicted one.
        rows: how many.
        share: of the true class.
    """

    label: int
    predicted: int
    rows: int
    share: float


def compute_confusion_matrix(y_true: Indices, y_pred: Indices, classes: int) -> Counts:
    """Return how many rows of each true class (line) got each predicted class (column).

    Args:
        y_true: label indices, shape (n,).
        y_pred: predicted indices, shape (n,).
        classes: how many there are.

    Returns:
        Counts, shape (classes, classes).
    """
    counts = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(counts, (y_true, y_pred), 1)
    return counts


def rank_classes(counts: Counts) -> list[int]:
    """Return all classes, those with most rows taken wrongly from or for them first.

    Of equal ones, that with more rows comes first.

    Args:
        counts: the confusion matrix, shape (classes, classes).
    """
    rows, said, right = counts.sum(axis=1), counts.sum(axis=0), np.diag(counts)
    ranked: list[int] = np.lexsort((-rows, -(rows + said - 2 * right))).tolist()
    return ranked


def find_confusions(counts: Counts, limit: int) -> list[Confusion]:
    """Return the confusions with most rows.

    Args:
        counts: the confusion matrix, shape (classes, classes).
        limit: most of them.
    """
    pairs = np.argwhere(counts)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    ranked = pairs[np.argsort(-counts[pairs[:, 0], pairs[:, 1]], kind="stable")][:limit]
    totals = counts.sum(axis=1)
    return [
        Confusion(i, j, int(counts[i, j]), float(counts[i, j] / totals[i]))
        for i, j in ranked.tolist()
    ]


def fold_classes(counts: Counts, kept: Sequence[int]) -> Counts:
    """Return the lines and columns of some classes, with all others as a last one if there are any.

    Args:
        counts: the confusion matrix, shape (classes, classes).
        kept: indices of classes, in the order that they are to have.
    """
    places = np.full(len(counts), len(kept))
    places[list(kept)] = np.arange(len(kept))
    size = len(kept) + (len(kept) < len(counts))
    folded = np.zeros((size, size), dtype=np.int64)
    np.add.at(folded, (places[:, None], places[None, :]), counts)
    return folded
