from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.naive_bayes import MultinomialNB

from tagifai.models.losses import get_loss_function, get_loss_name, log_loss
from tagifai.models.outputs import compute_outputs, has_probabilities

THREE = np.array([[2.0, -2.0, 0.5], [0.0, 0.0, -3.0]])
"""Decision values of two rows; the first is of class 0, the second of class 1."""
TWO = np.array([[-0.5, 0.5], [2.0, -2.0]])
Y = np.array([0, 1])


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (SGDClassifier(loss="log_loss"), "log_loss"),
        (SGDClassifier(loss="modified_huber"), "log_loss"),
        (LogisticRegression(), "log_loss"),
        (MultinomialNB(), "log_loss"),
        (SGDClassifier(loss="hinge"), "hinge"),
        (SGDClassifier(loss="perceptron"), "perceptron"),
        (SGDClassifier(loss="squared_error"), "zero_one"),
        (RidgeClassifier(), "zero_one"),
    ],
)
def test_a_model_without_probabilities_has_its_own_loss(model: object, name: str) -> None:
    assert get_loss_name(model) == name
    assert has_probabilities(model) == (name == "log_loss")


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        # Margins by class: 2, 2, -0.5 and 0, 0, 3.
        ("hinge", THREE, (1.5 + 1 + 1) / 2),
        ("squared_hinge", THREE, (2.25 + 1 + 1) / 2),
        ("perceptron", THREE, 0.5 / 2),
        # Of two classes the second column alone: -0.5 and -2.
        ("hinge", TWO, (1.5 + 3) / 2),
        ("perceptron", TWO, (0.5 + 2) / 2),
    ],
)
def test_losses_of_margins_are_one_vs_rest(name: str, values: np.ndarray, expected: float) -> None:
    assert get_loss_function(SGDClassifier(loss=name))(Y, values) == pytest.approx(expected)


def test_without_a_margin_it_is_the_share_of_wrong_rows() -> None:
    assert get_loss_function(RidgeClassifier())(np.array([0, 2]), THREE) == 0.5


def test_with_probabilities_it_is_the_log_loss() -> None:
    assert get_loss_function(LogisticRegression()) is log_loss


class Plain:
    classes_ = np.array([0, 1, 2])

    def predict(self, X: np.ndarray) -> np.ndarray:
        return X[:, 0]


def test_outputs_of_a_model_that_only_predicts_are_one_and_zero() -> None:
    assert compute_outputs(Plain(), np.array([[2], [0]])).tolist() == [[0, 0, 1], [1, 0, 0]]


def test_outputs_of_two_classes_are_of_both() -> None:
    X = np.array([[-2.0], [-1.0], [1.0], [2.0]])
    model = SGDClassifier(loss="hinge", random_state=0).fit(X, [0, 0, 1, 1])
    found = compute_outputs(model, X)
    assert found[:, 1].tolist() == model.decision_function(X).tolist()
    assert found[:, 0].tolist() == (-found[:, 1]).tolist()
    assert found.argmax(axis=1).tolist() == model.predict(X).tolist()
