from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.calibration import CalibratedClassifierCV
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import ComplementNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import LinearSVC

from tagifai.evaluation.error_analysis import (
    compute_confusion_matrix,
    find_most_confident,
    get_weights,
)
from tagifai.models.tagger import Tagger
from tagifai.preprocessing.labels import LabelEncoder

X = csr_matrix(np.array([[2, 0, 1], [1, 0, 1], [0, 2, 1], [0, 1, 1], [0, 0, 3], [0, 0, 2]]))
Y = np.array([0, 0, 1, 1, 2, 2])
CLEANING = {"separate_punctuation": False, "keep": None}
TEXTS = ["cat cat purrs", "dog dog barks", "cat dog", "fish"]


def tagger(model: Any, vectorizer: Any = None) -> Tagger:
    made = vectorizer or CountVectorizer()
    features = made.fit_transform(["cat purrs", "cat", "dog barks", "dog"])
    model.fit(features, [0, 0, 1, 1])
    return Tagger(CLEANING, made, model, LabelEncoder(("cats", "dogs")), None, None)


def test_confusions_are_counted_by_label_and_prediction() -> None:
    counts = compute_confusion_matrix(np.array([0, 0, 1, 2, 2]), np.array([0, 1, 1, 0, 0]), 3)
    assert counts.tolist() == [[1, 1, 0], [0, 1, 0], [2, 0, 0]]


def test_the_surest_mistakes_come_first_with_what_spoke_for_them() -> None:
    made = tagger(LogisticRegression())
    y_true = np.array([1, 1, 0, 0])  # the first is wrong and sure of it
    outputs = made.compute_outputs(TEXTS)
    found = find_most_confident(made, TEXTS, y_true, outputs, limit=1, terms=2)

    (mistake,) = found
    assert (mistake.row, mistake.label, mistake.predicted) == (0, "dogs", "cats")
    assert mistake.probability == outputs[0].max()
    (term, value), (second, smaller) = mistake.spoke_for
    assert (term, second) == ("cat", "purrs")
    # Twice the word; both classes have one weight, with opposite signs.
    column = made.vectorizer.vocabulary_["cat"]
    assert value == pytest.approx(2 * 2 * -made.model.coef_[0, column])
    assert value > smaller > 0
    assert mistake.spoke_against == []


def test_where_all_is_right_there_is_no_mistake() -> None:
    made = tagger(LogisticRegression())
    assert (
        find_most_confident(
            made, TEXTS[:2], np.array([0, 1]), made.compute_outputs(TEXTS[:2]), 5, 5
        )
        == []
    )


@pytest.mark.parametrize(
    ("model", "vectorizer"),
    [(KNeighborsClassifier(1), None), (LogisticRegression(), HashingVectorizer())],
)
def test_without_weights_or_names_of_terms_nothing_is_said_to_have_spoken(
    model: Any, vectorizer: Any
) -> None:
    made = tagger(model, vectorizer)
    wrong = 1 - made.compute_outputs(TEXTS).argmax(axis=1)
    (first, *_) = find_most_confident(made, TEXTS, wrong, made.compute_outputs(TEXTS), 4, 3)
    assert (first.spoke_for, first.spoke_against) == ([], [])


def test_a_model_without_probabilities_says_none() -> None:
    made = tagger(LinearSVC())
    wrong = 1 - made.compute_outputs(TEXTS).argmax(axis=1)
    assert (
        find_most_confident(made, TEXTS, wrong, made.compute_outputs(TEXTS), 1, 1)[0].probability
        is None
    )


def test_weights_of_two_classes_are_of_both() -> None:
    model = LogisticRegression().fit(X[:4], Y[:4])
    assert get_weights(model) == pytest.approx(np.vstack([-model.coef_, model.coef_]))


def test_weights_of_naive_bayes_rank_classes_as_it_does() -> None:
    model = ComplementNB().fit(X, Y)
    found = get_weights(model)
    assert found is not None
    assert np.array_equal((X @ found.T).argmax(axis=1), model.predict(X))


def test_weights_of_a_calibrated_model_are_the_mean_of_its_machines() -> None:
    model = CalibratedClassifierCV(LinearSVC(), cv=2).fit(X, Y)
    inner = [fitted.estimator.coef_ for fitted in model.calibrated_classifiers_]
    assert len(inner) == 2
    assert get_weights(model) == pytest.approx((inner[0] + inner[1]) / 2)
