"""Tampered estimators beside trees, which tests/models/test_serialization.py has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.sparse import bsr_matrix, coo_matrix, csc_matrix, csr_matrix
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import GradientBoostingClassifier, VotingClassifier
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer
from sklearn.naive_bayes import MultinomialNB
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
from sklearn.pipeline import make_pipeline, make_union
from sklearn.svm import SVC, SVR

from tagifai.exceptions import BundleError
from tagifai.models import safety

X = csr_matrix(np.random.default_rng(0).poisson(0.5, (24, 9)).astype(float))
Y = np.arange(24) % 3


def refusal(value: object) -> str:
    with pytest.raises(BundleError, match=r"^here holds ") as caught:
        safety.check(value, "here")
    return str(caught.value)


# --- sparse matrices ---------------------------------------------------------------------------


def tampered(field: str, place: int, number: float, kind: Any = csr_matrix) -> Any:
    """Return a 2 by 3 matrix of two values with one number changed."""
    matrix = kind(np.array([[1.0, 0, 0], [0, 0, 2.0]]))
    getattr(matrix, field)[place] = number
    return matrix


@pytest.mark.parametrize("kind", [csr_matrix, csc_matrix])
@pytest.mark.parametrize(
    ("field", "place", "number"),
    [
        ("indices", 0, 3),
        ("indices", 1, -1),
        ("indices", 0, 2**31 - 1),
        ("indptr", 0, 1),
        ("indptr", 1, 3),
        ("indptr", 1, -1),
        ("indptr", -1, 3),
        ("indptr", -1, 2**31 - 1),
    ],
)
def test_a_sparse_matrix_that_points_outside_of_itself_is_refused(
    kind: Any, field: str, place: int, number: int
) -> None:
    assert "an invalid sparse matrix (" in refusal(tampered(field, place, number, kind))


@pytest.mark.parametrize("kind", [csr_matrix, csc_matrix])
def test_a_sparse_matrix_that_is_one_is_let_through(kind: Any) -> None:
    safety.check(tampered("data", 0, 5.0, kind), "here")


@pytest.mark.parametrize("kind", [bsr_matrix, coo_matrix])
def test_a_sparse_matrix_of_a_kind_that_no_classifier_has_is_refused(kind: Any) -> None:
    assert "an invalid sparse matrix (" in refusal(kind(np.eye(2)))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("data", np.ones(1)),
        ("data", np.array(["a", "b"])),
        ("data", np.array([None, None])),
        ("indices", np.zeros((2, 1), int)),
        ("indptr", np.array([0, 1])),
        ("indptr", None),
        ("_shape", (2, 0)),
        ("_shape", (10**9, 3)),
    ],
)
def test_a_sparse_matrix_whose_parts_are_others_is_refused(field: str, value: object) -> None:
    matrix = tampered("data", 0, 1.0)
    vars(matrix)[field] = value
    assert "an invalid sparse matrix (" in refusal(matrix)


def neighbours() -> Any:
    model = KNeighborsClassifier(3).fit(X, Y)
    model._fit_X = X.copy()
    model._fit_X.indices[0] = 10**6
    return model


@pytest.mark.parametrize(
    "wrap",
    [
        lambda model: model,
        make_pipeline,
        lambda model: VotingClassifier([("a", MultinomialNB()), ("b", model)]),
        lambda model: [{"a": (model,)}],
        lambda model: np.array([model, None], dtype=object),
    ],
)
def test_a_sparse_matrix_is_found_wherever_it_is(wrap: Callable[[Any], Any]) -> None:
    assert "an invalid sparse matrix (" in refusal(wrap(neighbours()))


# --- estimators --------------------------------------------------------------------------------

MODELS: dict[str, Callable[[], Any]] = {
    "boosting": lambda: GradientBoostingClassifier(n_estimators=2, random_state=0),
    "boosting_from_zero": lambda: GradientBoostingClassifier(n_estimators=2, init="zero"),
    "neighbours": lambda: KNeighborsClassifier(3),
    "neighbours_without_labels": lambda: NearestNeighbors(n_neighbors=3),
    "support_vectors": SVC,
    "linear_support_vectors": lambda: SVC(kernel="linear"),
    "bayes": MultinomialNB,
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("data", [X, X.toarray()], ids=["sparse", "dense"])
@pytest.mark.parametrize("y", [Y, Y > 0], ids=["three", "two"])
def test_an_estimator_as_it_was_fitted_is_let_through(name: str, data: Any, y: Any) -> None:
    safety.check(MODELS[name]().fit(data, y), "here")


@pytest.mark.parametrize("name", MODELS)
def test_an_estimator_inside_another_may_be_unfitted(name: str) -> None:
    safety.check(VotingClassifier([("a", MODELS[name]())]), "here")
    safety.check(CalibratedClassifierCV(MODELS[name]()), "here")


TAMPERED = [
    ("neighbours", {"_y": Y[:-1]}, "neighbours without a label"),
    ("neighbours", {"n_features_in_": 10}, "neighbours without a label or with other features"),
    ("neighbours", {"_fit_X": X[:, :8].toarray()}, "neighbours without a label or with other"),
    ("boosting", {"n_classes_": 2, "init_": "zero", "n_trees_per_iteration_": 2}, "boosted trees"),
    ("support_vectors", {"_n_support": np.array([8, 8, 9], np.int32)}, "support vectors"),
    ("support_vectors", {"_n_support": np.array([-8, 16, 16], np.int32)}, "support vectors"),
    ("support_vectors", {"_n_support": np.array([24], np.int32)}, "support vectors"),
    ("support_vectors", {"support_": np.arange(23)}, "support vectors"),
    ("support_vectors", {"support_": np.arange(1, 25)}, "support vectors"),
    ("support_vectors", {"_dual_coef_": np.ones((1, 24))}, "support vectors"),
    ("support_vectors", {"_dual_coef_": csr_matrix((2, 24))}, "support vectors"),
    ("support_vectors", {"_intercept_": np.ones(2)}, "support vectors"),
    ("support_vectors", {"_probA": np.ones(1)}, "support vectors"),
    ("support_vectors", {"shape_fit_": (24, 8)}, "support vectors"),
    ("support_vectors", {"support_vectors_": np.ones((30, 9))}, "support vectors"),
]


@pytest.mark.parametrize(("name", "changed", "reason"), TAMPERED)
def test_an_estimator_whose_parts_do_not_go_together_is_refused(
    name: str, changed: dict[str, Any], reason: str
) -> None:
    model = MODELS[name]().fit(X, Y)
    vars(model).update(changed)
    assert reason in refusal(model)


def test_support_vectors_of_a_regression_have_no_place_in_a_classifier() -> None:
    assert "support vectors" in refusal([SVR().fit(X, Y)])


@pytest.mark.parametrize(
    "columns", [{"a": 0, "b": 2}, {"a": 0, "b": -1}, {"a": 0, "b": 0}, {"a": 1}, {"a": "0"}]
)
def test_a_vocabulary_whose_columns_are_not_there_is_refused(columns: dict[str, Any]) -> None:
    vectorizer = CountVectorizer().fit(["some words"])
    vectorizer.vocabulary_ = columns
    assert "a vocabulary whose terms" in refusal(make_union(vectorizer))


@pytest.mark.parametrize("kind", [CountVectorizer, HashingVectorizer])
@pytest.mark.parametrize("source", ["filename", "file"])
def test_a_vectorizer_that_would_read_files_is_refused(kind: Any, source: str) -> None:
    assert f"a vectorizer that reads files (input='{source}')" in refusal(kind(input=source))
