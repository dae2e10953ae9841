"""Rows that a model is fitted to, and balancing of their classes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.random import RandomState

from tagifai.exceptions import DataError
from tagifai.preprocessing.labels import Indices


@dataclass(frozen=True)
class FeatureRows:
    """Features, shape (n, features), and label indices, shape (n,).

    Args:
        groups: rows with the same number are copies of one row; None if there are no copies.
    """

    X: Any
    y: Indices
    groups: Indices | None = None

    def count_by_class(self) -> dict[int, int]:
        """Return rows by class."""
        classes, counts = np.unique(self.y, return_counts=True)
        return dict(zip(classes.tolist(), counts.tolist(), strict=True))


class RowStream(Protocol):
    """Rows to fit on, of which only some are in memory at a time."""

    @property
    def random_state(self) -> RandomState:
        """What decides the order of the rows; each epoch changes it."""
        ...

    def count_by_class(self) -> dict[int, int]:
        """Return rows by class, in the classes' order."""
        ...

    def iterate_chunks(self, epoch: int) -> Iterator[FeatureRows]:
        """Yield all rows once, in an order that may depend on the epoch."""
        ...


class Sampler(Protocol):
    """A sampler of imbalanced-learn."""

    def fit_resample(self, X: Any, y: Indices) -> tuple[Any, Indices]:
        """Return a balanced feature matrix and its label indices."""
        ...


def balance(sampler: Sampler | None, X: Any, y: Indices) -> tuple[Any, Indices, Indices]:
    """Return the train rows balanced by the sampler, or as they are without one.

    Args:
        sampler: an imbalanced-learn sampler, or None.
        X: feature matrix of the train rows, shape (n, features).
        y: their label indices, shape (n,).

    Returns:
        Features, label indices, and for each row its number among the given ones; where a sampler
        makes new rows, each row has a number of its own.
    """
    if sampler is None:
        return X, y, np.arange(len(y))
    balanced, labels = sampler.fit_resample(X, y)
    return balanced, labels, getattr(sampler, "sample_indices_", np.arange(len(labels)))


def balance_rows(sampler: Sampler | None, rows: FeatureRows) -> FeatureRows:
    """Return the train rows balanced by a sampler.

    Raises:
        DataError: the sampler cannot balance them.
    """
    try:
        return FeatureRows(*balance(sampler, rows.X, rows.y))
    except ValueError as error:
        raise DataError(f"The sampler cannot balance the train rows: {error}") from None
