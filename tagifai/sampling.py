"""Balancing: more or fewer train rows of a class, never of validation or test rows."""

from __future__ import annotations

from typing import Any, Protocol

from tagifai.labels import Indices


class Sampler(Protocol):
    """What imbalanced-learn's samplers do."""

    def fit_resample(self, X: Any, y: Indices) -> tuple[Any, Indices]:
        """Return a balanced feature matrix and its label indices."""
        ...


def balance(sampler: Sampler | None, X: Any, y: Indices) -> tuple[Any, Indices]:
    """Return the train rows balanced by the sampler, or as they are without one.

    Args:
        sampler: an imbalanced-learn sampler, or None.
        X: feature matrix of the train rows, shape (n, features).
        y: their label indices, shape (n,).
    """
    return (X, y) if sampler is None else sampler.fit_resample(X, y)
