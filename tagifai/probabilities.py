"""Class probabilities of rows that are asked for after every epoch."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import issparse
from scipy.special import expit
from sklearn.linear_model import SGDClassifier

from tagifai.thresholds import Probabilities


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
    if type(model) is not SGDClassifier or model.loss != "log_loss" or not issparse(X):
        return _asked(model, X)
    scores = X @ model.coef_.T + model.intercept_
    y_prob: Probabilities = expit(scores, out=scores)
    if y_prob.shape[1] == 1:
        return np.hstack([1 - y_prob, y_prob])
    total = y_prob.sum(axis=1, keepdims=True)
    if not total.all():
        # A row that no class wants is all classes' alike.
        return _asked(model, X)
    y_prob /= total
    return y_prob


def _asked(model: Any, X: Any) -> Probabilities:
    found: Probabilities = model.predict_proba(X)
    return found
