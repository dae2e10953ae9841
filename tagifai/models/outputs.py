"""Class probabilities of rows, or the decision values of models that have none."""

from __future__ import annotations

from typing import Any

import numpy as np

from tagifai.models.thresholds import Probabilities


def has_probabilities(model: Any) -> bool:
    """Return whether a model, fitted or not, gives class probabilities."""
    return hasattr(model, "predict_proba")


def compute_outputs(model: Any, X: Any) -> Probabilities:
    """Return a model's class probabilities or, where it has none, its decision values.

    Either way the highest value of a row is its class.

    Args:
        model: a fitted classifier.
        X: features, shape (n, features).

    Returns:
        Shape (n, classes); with two classes, decision values are of both, one the other's negative.
    """
    if has_probabilities(model):
        return predict_proba(model, X)
    if not hasattr(model, "decision_function"):
        # All that is known is the class itself.
        chosen: Probabilities = np.asarray(model.predict(X))[:, None] == model.classes_
        return chosen.astype(np.float64)
    found: Probabilities = np.asarray(model.decision_function(X), dtype=np.float64)
    return np.column_stack([-found, found]) if found.ndim == 1 else found


def predict_proba(model: Any, X: Any) -> Probabilities:
    """Return what the model's own method does, to the last bit, without checking X each time.

    For logistic regression by SGD on sparse rows these are scikit-learn's own steps (one-vs-rest,
    normalized); its checks of all values in X cost as much as the rest of an epoch. Other models
    are asked themselves.

    Args:
        model: a fitted classifier.
        X: features, shape (n, features), which the model has been fitted to others of.

    Returns:
        Class probabilities, shape (n, classes).
    """
    if getattr(model, "loss", None) != "log_loss":
        return _call_model(model, X)
    # Late: a few texts are predicted without them, in less time than they take to import.
    from scipy.sparse import issparse
    from scipy.special import expit
    from sklearn.linear_model import SGDClassifier

    if type(model) is not SGDClassifier or not issparse(X):
        return _call_model(model, X)
    scores = X @ model.coef_.T + model.intercept_
    y_prob: Probabilities = expit(scores, out=scores)
    if y_prob.shape[1] == 1:
        return np.hstack([1 - y_prob, y_prob])
    total = y_prob.sum(axis=1, keepdims=True)
    if not total.all():
        # A row that no class wants is all classes' alike.
        return _call_model(model, X)
    y_prob /= total
    return y_prob


def _call_model(model: Any, X: Any) -> Probabilities:
    found: Probabilities = model.predict_proba(X)
    return found
