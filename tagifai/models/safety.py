"""Checks of fitted estimators from a file, before compiled code uses them.

scikit-learn's compiled code walks trees, indexes sparse matrices and counts support vectors without
checking bounds: a forged estimator could make it read or write memory outside of its arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer

from tagifai.exceptions import BundleError
from tagifai.models import _sklearn

SPARSE = ("csr", "csc")
"""Sparse formats that can be checked; classifiers of texts have no others."""


def check(value: Any, where: str, features: int | None = None) -> None:
    """Refuse an estimator whose indices point outside of its arrays.

    Args:
        value: an estimator, or anything inside one.
        where: name of the file, for the error.
        features: columns that the estimator around the value accepts, or None.

    Raises:
        BundleError: an index points outside of its array.
    """
    if value is None or isinstance(value, str | int | float):
        return  # early, for the terms of a vocabulary
    if isinstance(value, _sklearn.Tree):
        _check_tree(value, where, value.n_features if features is None else features)
    elif issparse(value):
        _check_sparse(value, where)
    elif isinstance(value, dict):
        check(list(value.values()), where, features)
    elif isinstance(value, list | tuple) or _holds_objects(value):
        for item in value:
            check(item, where, features)
    elif hasattr(value, "__dict__") and not isinstance(value, type):
        check(vars(value), where, getattr(value, "n_features_in_", features))
        _check_estimator(value, where)


def _holds_objects(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.hasobject


def _check_estimator(value: Any, where: str) -> None:
    """Check that the attributes of an estimator fit together; one that is not fitted has none."""
    fitted = vars(value)
    if isinstance(value, _sklearn.BaseGradientBoosting) and "estimators_" in fitted:
        _check_boosting(value, where)
    elif isinstance(value, _sklearn.BaseLibSVM) and "support_vectors_" in fitted:
        _check_support_vectors(value, where)
    elif isinstance(value, _sklearn.NeighborsBase):
        _check_neighbours(value, where)
    elif isinstance(value, CountVectorizer | HashingVectorizer) and value.input != "content":
        raise BundleError(f"{where} holds a vectorizer that reads files (input={value.input!r}).")
    vocabulary = fitted.get("vocabulary_")
    if isinstance(vocabulary, dict) and set(vocabulary.values()) != set(range(len(vocabulary))):
        raise BundleError(f"{where} holds a vocabulary whose terms have no distinct columns.")


def _check_tree(tree: Any, where: str, features: int) -> None:
    left, right, nodes = tree.children_left, tree.children_right, np.arange(tree.node_count)
    for child in (left, right):
        if not (((child > nodes) & (child < tree.node_count)) | (child == -1)).all():
            raise BundleError(f"{where} holds a decision tree with wrong child nodes.")
    if ((left == -1) != (right == -1)).any():
        raise BundleError(f"{where} holds a decision tree with half a node.")
    tested = tree.feature[left != -1]
    if tree.n_features != features or ((tested < 0) | (tested >= features)).any():
        raise BundleError(f"{where} holds a decision tree over features that it does not have.")


def _check_sparse(matrix: Any, where: str) -> None:
    try:
        if matrix.format not in SPARSE or matrix.data.dtype.kind not in "biuf":
            raise ValueError(f"{matrix.format} of {matrix.data.dtype}")
        matrix.check_format(full_check=True)
    except (ValueError, TypeError, AttributeError, IndexError) as error:
        raise BundleError(f"{where} holds an invalid sparse matrix ({error}).") from None


def _check_boosting(model: Any, where: str) -> None:
    features, width = model.n_features_in_, model.estimators_.shape[1]
    for inner in model.estimators_.ravel():
        # Boosting passes its features to the trees directly, past their estimators.
        _check_tree(inner.tree_, where, features)
    first = _sklearn.predict_first_stage(model, np.zeros((1, features), np.float32))
    if first.shape != (1, width):
        raise BundleError(f"{where} holds boosted trees of more classes than there are.")


def _check_support_vectors(model: Any, where: str) -> None:
    found = _sklearn.get_support_vectors(model)
    counts, coef = np.asarray(found.counts), found.coefficients
    n, features = model.support_vectors_.shape
    pairs = len(counts) * (len(counts) - 1) // 2
    sound = (
        isinstance(model, _sklearn.BaseSVC)
        and (counts >= 0).all()
        and counts.sum() == n == len(model.support_)
        and features == model.shape_fit_[1]
        and coef.shape == (len(counts) - 1, n)
        and coef.size == coef.shape[0] * n
        and ((model.support_ >= 0) & (model.support_ < model.shape_fit_[0])).all()
        and found.intercepts.size == pairs
        and {found.slopes.size, found.offsets.size} in ({0}, {pairs})
    )
    if not sound:
        raise BundleError(f"{where} holds support vectors that do not fit together.")


def _check_neighbours(model: Any, where: str) -> None:
    found = _sklearn.get_neighbors(model)
    if found is None:
        return
    (rows, features), labels = found[0].shape, found[1]
    if features != model.n_features_in_ or (labels is not None and rows != len(labels)):
        raise BundleError(f"{where} holds neighbours without a label or with other features.")
