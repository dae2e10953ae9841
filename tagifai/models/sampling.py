"""Balancing: more or fewer train rows of a class, never of validation or test rows."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from tagifai.preprocessing.labels import Indices


class Sampler(Protocol):
    """What imbalanced-learn's samplers do."""

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
        Features, label indices, and for each row its number among the given ones; a sampler that
        makes up rows says no numbers, and each row counts as one of its own.
    """
    if sampler is None:
        return X, y, np.arange(len(y))
    balanced, labels = sampler.fit_resample(X, y)
    return balanced, labels, getattr(sampler, "sample_indices_", np.arange(len(labels)))
