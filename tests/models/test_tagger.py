from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.naive_bayes import MultinomialNB

from tagifai.exceptions import DataError
from tagifai.models.tagger import Tagger
from tagifai.models.thresholds import Probabilities
from tagifai.preprocessing.labels import LabelEncoder

quick = settings(max_examples=40)

CLASSES = LabelEncoder(("cv", "nlp", "other"))
KNOWN = {"image": [0.7, 0.2, 0.1], "text": [0.1, 0.6, 0.3], "": [0.3, 0.3, 0.4]}


class Passing:
    """A vectorizer whose features are the texts, which it remembers."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def transform(self, texts: Sequence[str]) -> Sequence[str]:
        self.seen.extend(texts)
        return texts


class Lookup:
    """A model that knows the probabilities of a few cleaned texts."""

    def predict_proba(self, X: Sequence[str]) -> Probabilities:
        return np.array([KNOWN[text] for text in X])


def tagger(
    threshold: float | None = None, other: str = "other", cleaning: dict[str, Any] | None = None
) -> Tagger:
    return Tagger(cleaning or {}, Passing(), Lookup(), CLASSES, threshold, other)


def test_a_prediction_has_the_text_as_given_its_tag_and_the_highest_probability() -> None:
    assert tagger().predict(["IMAGE!", " text"]) == [
        {"input_text": "IMAGE!", "predicted_tag": "cv", "probability": 0.7},
        {"input_text": " text", "predicted_tag": "nlp", "probability": 0.6},
    ]


def test_an_unsure_prediction_becomes_the_rest_label_and_keeps_its_probability() -> None:
    predictions = tagger(threshold=0.6).predict(["image", "text"])
    assert [p["predicted_tag"] for p in predictions] == ["cv", "other"]
    assert [p["probability"] for p in predictions] == [0.7, 0.6]


def test_no_texts_have_no_predictions_and_ask_nothing_of_the_model() -> None:
    empty = Tagger({}, None, None, CLASSES, 0.5, "other")
    assert empty.predict([]) == []


def test_a_text_that_is_empty_after_cleaning_is_tagged_too() -> None:
    assert tagger().predict(["?!"])[0]["predicted_tag"] == "other"


def test_texts_are_cleaned_as_in_training() -> None:
    cleaning = {"stopwords": ["the"], "lower": False}
    assert tagger(cleaning=cleaning).clean(["see the Cat", "The"]) == ["see Cat", "The"]


def test_the_vectorizer_sees_cleaned_texts_only() -> None:
    own = tagger()
    own.predict_proba(["IMAGE!", "(text)"])
    assert own.vectorizer.seen == ["image", "text"]


def test_probabilities_have_a_row_a_text_and_the_encoders_columns() -> None:
    assert tagger().predict_proba(["text", "image"]).tolist() == [KNOWN["text"], KNOWN["image"]]


def test_without_a_threshold_the_rest_label_need_not_be_a_class() -> None:
    assert tagger(other="rest").predict(["text"])[0]["predicted_tag"] == "nlp"


def test_a_threshold_whose_rest_label_is_not_a_class_is_an_error() -> None:
    with pytest.raises(DataError, match=r"'rest' is not one of the classes \['cv', 'nlp', 'other"):
        tagger(threshold=0.6, other="rest").predict(["text"])


def test_label_indices_are_decided_with_the_threshold() -> None:
    y_prob = np.array([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [np.nan, np.nan, np.nan]])
    assert tagger(threshold=0.6).decide(y_prob).tolist() == [0, 2, 2]
    assert tagger().decide(y_prob[:2]).tolist() == [0, 1]


def test_a_fitted_vectorizer_and_model_give_a_tag() -> None:
    vectorizer = CountVectorizer()
    model = MultinomialNB().fit(vectorizer.fit_transform(["image", "word", "stock"]), [0, 1, 2])
    own = Tagger({}, vectorizer, model, CLASSES, None, "other")
    assert [p["predicted_tag"] for p in own.predict(["A Word", "an IMAGE"])] == ["nlp", "cv"]


def test_texts_that_are_clean_already_are_not_cleaned_again() -> None:
    vectorizer = CountVectorizer()
    model = MultinomialNB().fit(vectorizer.fit_transform(["image", "word", "stock"]), [0, 1, 2])
    own = Tagger({"stopwords": ["word"]}, vectorizer, model, CLASSES, None, "other")
    texts = ["word", "image"]
    again = own.compute_outputs(texts)
    assert own.compute_clean_outputs(own.clean(texts)).tolist() == again.tolist()
    assert own.compute_clean_outputs(texts)[0].argmax() == 1
    assert again[0].argmax() != 1


@quick
@given(st.lists(st.sampled_from(["Image", "TEXT", "...", "text"])), st.floats(0, 0.99))
def test_a_text_has_the_same_prediction_whatever_texts_stand_beside_it(
    texts: list[str], threshold: float
) -> None:
    own = tagger(threshold=threshold)
    assert own.predict(texts) == [own.predict([text])[0] for text in texts]
