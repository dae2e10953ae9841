"""What scikit-learn keeps to itself of fitted classifiers and checks of them look at; nothing else.

Compiled code uses just these attributes and not the public ones, which a forged file can make
differ from them. A file may name any class of a family, so they are told by their common base.

Read in scikit-learn 1.9.1; `tests/models/test_private_sklearn.py` fails when it changes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from sklearn.ensemble._gb import BaseGradientBoosting
from sklearn.neighbors._base import NeighborsBase
from sklearn.svm._base import BaseLibSVM, BaseSVC
from sklearn.tree._tree import Tree

__all__ = [
    "BaseGradientBoosting",
    "BaseLibSVM",
    "BaseSVC",
    "NeighborsBase",
    "SupportVectors",
    "Tree",
    "get_neighbors",
    "get_support_vectors",
    "predict_first_stage",
]


class SupportVectors(NamedTuple):
    """What a fitted support vector machine predicts with, beside its vectors.

    Args:
        counts: vectors by class.
        coefficients: of the vectors, shape (classes - 1, vectors).
        intercepts: one for each pair of classes.
        slopes: of Platt's probabilities, for each pair, or none.
        offsets: of Platt's probabilities, likewise.
    """

    counts: Any
    coefficients: Any
    intercepts: Any
    slopes: Any
    offsets: Any


def get_support_vectors(model: Any) -> SupportVectors:
    """Return what a fitted support vector machine predicts with."""
    return SupportVectors(
        model._n_support, model._dual_coef_, model._intercept_, model._probA, model._probB
    )


def get_neighbors(model: Any) -> tuple[Any, Any] | None:
    """Return the rows that a model compares with and their labels, or None if it is not fitted.

    The labels are None for a model that has none.
    """
    fitted = vars(model)
    return (model._fit_X, fitted.get("_y")) if "_fit_X" in fitted else None


def predict_first_stage(model: Any, X: Any) -> Any:
    """Return what boosted trees begin with, shape (n, trees of a stage)."""
    return model._raw_predict_init(X)
