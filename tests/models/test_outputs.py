from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array, csr_matrix
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.naive_bayes import MultinomialNB

from tagifai.models import outputs
from tagifai.models.outputs import predict_proba

quick = settings(max_examples=30)

ROWS = np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [0, 0, 0]])


def sgd(classes: int, seed: int = 0, **arguments: Any) -> SGDClassifier:
    """Return a classifier of three features that has seen a few rows."""
    source = np.random.RandomState(seed)
    model = SGDClassifier(**{"loss": "log_loss", "random_state": source, **arguments})
    return model.fit(csr_matrix(source.rand(4 * classes, 3)), np.arange(4 * classes) % classes)


def asked_by(model: Any, X: Any) -> list[Any]:
    """Return what the model's own method is asked for on the way, and check the result by it."""
    asked: list[Any] = []
    own = model.predict_proba

    def spy(rows: Any) -> Any:
        asked.append(rows)
        return own(rows)

    model.predict_proba = spy
    found = predict_proba(model, X)
    del model.predict_proba
    assert np.array_equal(found, model.predict_proba(X))
    return asked


@quick
@given(st.integers(2, 5), st.integers(0, 2**32 - 1), st.sampled_from([csr_matrix, csr_array]))
def test_probabilities_of_sparse_rows_are_bit_equal_to_the_model_s_own(
    classes: int, seed: int, matrix: Any
) -> None:
    model = sgd(classes, seed)
    X = matrix(np.random.RandomState(seed).rand(7, 3) * 100)
    found = predict_proba(model, X)
    assert found.shape == (7, classes)
    assert np.array_equal(found, model.predict_proba(X))


@pytest.mark.parametrize("classes", [2, 3])
def test_logistic_regression_by_sgd_on_sparse_rows_is_not_asked(classes: int) -> None:
    assert asked_by(sgd(classes), csr_matrix(ROWS)) == []


def test_rows_that_no_class_wants_are_all_classes_alike() -> None:
    model = sgd(3)
    model.intercept_ = np.full(3, -1e6)
    X = csr_matrix(ROWS)
    assert np.allclose(predict_proba(model, X), 1 / 3)
    assert len(asked_by(model, X)) == 1


@pytest.mark.parametrize(
    ("model", "X"),
    [
        (sgd(3, loss="modified_huber"), csr_matrix(ROWS)),
        (sgd(3), ROWS),
        (LogisticRegression().fit(ROWS, [0, 1, 2, 0, 1]), csr_matrix(ROWS)),
        (MultinomialNB().fit(ROWS, [0, 1, 2, 0, 1]), csr_matrix(ROWS)),
    ],
    ids=["another loss", "dense rows", "another model", "naive Bayes"],
)
def test_any_other_model_is_asked_itself(model: Any, X: Any) -> None:
    assert len(asked_by(model, X)) == 1


def test_a_class_that_derives_from_it_is_asked_itself() -> None:
    class Contrary(SGDClassifier):  # type: ignore[misc]
        def predict_proba(self, X: Any) -> Any:
            return super().predict_proba(X)[:, ::-1]

    model = Contrary(loss="log_loss").fit(csr_matrix(ROWS), [0, 1, 2, 0, 1])
    X = csr_matrix(ROWS)
    assert np.array_equal(predict_proba(model, X), model.predict_proba(X))


def test_no_rows_have_no_probabilities() -> None:
    assert predict_proba(sgd(3), csr_matrix((0, 3))).shape == (0, 3)


@pytest.mark.parametrize("copied_bytes", [1, 24, 48, 72, 10**9])
def test_weights_that_are_multiplied_a_few_classes_at_a_time_give_the_same_bits(
    copied_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, X = sgd(5), csr_matrix(np.random.RandomState(1).rand(7, 3) * 100)
    monkeypatch.setattr(outputs, "COPIED_BYTES", copied_bytes)

    assert np.array_equal(predict_proba(model, X), model.predict_proba(X))
