"""Factories of classifiers that are made of several objects."""

from __future__ import annotations

from typing import Any

from sklearn.calibration import CalibratedClassifierCV
from sklearn.svm import LinearSVC


def linear_svc(folds: int, method: str, ensemble: bool, **arguments: Any) -> CalibratedClassifierCV:
    """Return a linear support vector machine with calibrated probabilities.

    Args:
        folds: parts of the train rows, each of which is scored by a model fitted to the others.
        method: sigmoid (J. Platt, 1999) or isotonic.
        ensemble: keep the model of every fold and take the mean, instead of one fitted to all.
        arguments: anything that scikit-learn's LinearSVC takes.
    """
    return CalibratedClassifierCV(
        LinearSVC(**arguments), method=method, cv=folds, ensemble=ensemble
    )
