"""Outputs of a model: class probabilities, or decision values where it has no probabilities.

For features that a training has at hand; texts get their outputs from `models.tagger`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tagifai.models.thresholds import Probabilities

COPIED_BYTES = 32 * 2**20
"""Most bytes of weights that are copied at a time."""


def has_probabilities(model: Any) -> bool:
    """Return whether a model, fitted or not, has class probabilities."""
    return hasattr(model, "predict_proba")


def gives_probabilities(model: Any) -> bool:
    """Return whether a tagger with this model has probabilities: its own, or by temperature."""
    return has_probabilities(model) or hasattr(model, "decision_function")


def has_decision_values(model: Any) -> bool:
    """Return whether a model, fitted or not, has decision values and no class probabilities."""
    return not has_probabilities(model) and hasattr(model, "decision_function")


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
        # The predicted class is all that such a model gives.
        chosen: Probabilities = np.asarray(model.predict(X))[:, None] == model.classes_
        return chosen.astype(np.float64)
    found: Probabilities = np.asarray(model.decision_function(X), dtype=np.float64)
    return np.column_stack([-found, found]) if found.ndim == 1 else found


def predict_proba(model: Any, X: Any) -> Probabilities:
    """Return the bits of the model's own method, but do not check X each time.

    For logistic regression by SGD on sparse rows these are scikit-learn's own steps (one-vs-rest,
    normalized); its checks of all values in X cost as much as the rest of an epoch. For other
    models, the model's own method is called.

    Args:
        model: a fitted classifier.
        X: features, shape (n, features), made as those that the model was fitted to.

    Returns:
        Class probabilities, shape (n, classes).
    """
    if getattr(model, "loss", None) != "log_loss":
        return _call_model(model, X)
    # Late: most predictions do not need them.
    from scipy.sparse import issparse
    from scipy.special import expit
    from sklearn.linear_model import SGDClassifier

    if type(model) is not SGDClassifier or not issparse(X):
        return _call_model(model, X)
    scores = _multiply(X, model.coef_) + model.intercept_
    y_prob: Probabilities = expit(scores, out=scores)
    if y_prob.shape[1] == 1:
        return np.hstack([1 - y_prob, y_prob])
    total = y_prob.sum(axis=1, keepdims=True)
    if not total.all():
        # Where all values of a row are 0, the model's own method gives equal probabilities.
        return _call_model(model, X)
    y_prob /= total
    return y_prob


def _multiply(X: Any, weights: Probabilities) -> Probabilities:
    """Return the product of sparse rows and the weights of each class, shape (n, classes).

    SciPy copies what it multiplies by, which of many features and classes may be more than
    everything else, so that it is handed a few classes at a time.

    Args:
        X: sparse features, shape (n, features).
        weights: shape (classes, features).
    """
    classes = max(1, COPIED_BYTES // max(1, weights.itemsize * weights.shape[1]))
    if classes >= len(weights):
        product: Probabilities = X @ weights.T
        return product
    parts = [X @ weights[first : first + classes].T for first in range(0, len(weights), classes)]
    return np.hstack(parts)


def _call_model(model: Any, X: Any) -> Probabilities:
    found: Probabilities = model.predict_proba(X)
    return found
