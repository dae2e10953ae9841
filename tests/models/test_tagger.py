from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.naive_bayes import MultinomialNB

from tagifai.exceptions import DataError, UserError
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

    classes_ = np.arange(3)

    def predict_proba(self, X: Sequence[str]) -> Probabilities:
        return np.array([KNOWN[text] for text in X])


class Deciding:
    """A model that has nothing but decision values."""

    def decision_function(self, X: Sequence[str]) -> Probabilities:
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


def test_probabilities_are_a_table_with_a_row_a_text_and_the_labels_as_columns() -> None:
    found = tagger().predict_proba(["text", "image"])
    assert found.to_dict("list") == {"cv": [0.1, 0.7], "nlp": [0.6, 0.2], "other": [0.3, 0.1]}
    assert list(found.index) == [0, 1]
    assert tagger().predict_proba("image").to_numpy().tolist() == [KNOWN["image"]]


def test_probabilities_of_a_series_have_its_index() -> None:
    found = tagger().predict_proba(pd.Series(["text", "image"], index=[7, 3]))
    assert found["cv"].to_dict() == {7: 0.1, 3: 0.7}


def test_no_texts_have_a_table_of_no_rows_and_all_labels() -> None:
    found = tagger().predict_proba([])
    assert (found.shape, list(found)) == ((0, 3), ["cv", "nlp", "other"])


def test_a_model_without_probabilities_says_so_instead_of_giving_scores() -> None:
    own = Tagger({}, Passing(), Deciding(), CLASSES, None, None)
    with pytest.raises(UserError, match=r"^Deciding has no probabilities\. Train a model that has"):
        own.predict_proba(["text"])
    assert own.predict("text") == {
        "input_text": "text",
        "predicted_tag": "nlp",
        "probability": None,
    }


# --- what is a text ----------------------------------------------------------------------------


def read() -> Iterator[str]:
    yield "IMAGE!"
    yield "text"


@pytest.mark.parametrize(
    "texts",
    [
        ("IMAGE!", "text"),
        read(),
        pd.Series(["IMAGE!", "text"], index=["b", "a"]),
        pd.Series(["IMAGE!", "text"], dtype="category"),
        pd.Index(["IMAGE!", "text"]),
        np.array(["IMAGE!", "text"]),
        np.array(["IMAGE!", "text"], dtype=object),
        {"IMAGE!": 1, "text": 2}.keys(),
    ],
    ids=lambda texts: type(texts).__name__,
)
def test_whatever_holds_texts_gives_what_a_list_gives(texts: Any) -> None:
    found = tagger().predict(texts)
    assert found == tagger().predict(["IMAGE!", "text"])
    assert {type(prediction["input_text"]) for prediction in found} == {str}


def test_a_string_is_one_text_and_gives_one_prediction() -> None:
    expected = {"input_text": "IMAGE!", "predicted_tag": "cv", "probability": 0.7}
    assert tagger().predict("IMAGE!") == expected
    assert tagger().predict(np.str_("IMAGE!")) == expected


MISSING = [None, pd.NA]


@pytest.mark.parametrize("item", [None, 3, float("nan"), pd.NA, b"text", ["text"]], ids=repr)
@pytest.mark.parametrize("kind", [list, pd.Series, iter])
def test_what_is_not_a_text_is_refused_by_its_position(item: Any, kind: Any) -> None:
    # Pandas has one word of its own for all that is missing.
    shown = float("nan") if kind is pd.Series and any(item is one for one in MISSING) else item
    for function in (tagger().predict, tagger().predict_proba):
        with pytest.raises(DataError) as caught:
            function(kind(["image", "text", item]))
        first = f"texts[2] is {shown!r} ({type(shown).__name__}), which is not a text. "
        assert str(caught.value) == first + "Leave it out, or put a text in its place."


def test_a_long_item_is_not_shown_whole() -> None:
    with pytest.raises(DataError, match=r"^texts\[0\] is b'a{58}…, which is not a text"):
        tagger().predict([b"a" * 1000])  # type: ignore[list-item]


@pytest.mark.parametrize("given", [None, 3, b"text", {"text": "image"}], ids=repr)
def test_what_holds_no_texts_is_refused(given: Any) -> None:
    with pytest.raises(DataError) as caught:
        tagger().predict(given)
    shown = f"{given!r} ({type(given).__name__})"
    assert str(caught.value) == f"{shown} is not a text, and not a list or the like of texts."


def test_an_array_of_two_dimensions_is_no_list_of_texts() -> None:
    with pytest.raises(DataError, match=r"^A table is not a list of texts\..*table\['text'\]"):
        tagger().predict(np.array([["image"]]))


# --- how it is shown ---------------------------------------------------------------------------


def test_a_tagger_is_shown_in_one_line_without_its_stop_words() -> None:
    shown = repr(tagger(threshold=0.25, cleaning={"stopwords": ["the"] * 179}))
    assert shown == "Tagger(Passing, Lookup, threshold 0.2500; 3 labels: cv, nlp, other)"


def test_of_many_labels_a_few_are_shown() -> None:
    many = Tagger({}, Passing(), Lookup(), LabelEncoder(tuple("abcdefgh")), None, None)
    assert repr(many) == "Tagger(Passing, Lookup; 8 labels: a, b, c, d, e, …)"
    assert many.labels == [*"abcdefgh"]


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


# --- columns -----------------------------------------------------------------------------------


def test_ranks_begin_with_the_most_probable_label_and_end_with_the_last() -> None:
    found = tagger().predict_columns(["image", "text"], top_k=2)
    assert found.ranked == [(["cv", "nlp"], [0.7, 0.6]), (["nlp", "other"], [0.2, 0.3])]
    assert (found.tags, found.probabilities) == (["cv", "nlp"], [0.7, 0.6])
    assert (found.matrix, found.failed) == (None, [])
    assert len(tagger().predict_columns(["image"], top_k=9).ranked) == 3
    assert tagger().predict_columns(["image"]).ranked == []


def test_of_labels_that_are_as_probable_the_first_is_first_as_it_is_in_a_prediction() -> None:
    even = tagger()
    even.model.predict_proba = lambda X: np.full((len(X), 3), 1 / 3)
    found = even.predict_columns(["x"], top_k=3)
    assert [tags for tags, _ in found.ranked] == [["cv"], ["nlp"], ["other"]]
    assert found.tags == ["cv"]


def test_all_comes_from_one_look_at_the_texts() -> None:
    fitted = tagger()
    found = fitted.predict_columns(["image", "text"], top_k=2, matrix=True)
    assert found.matrix is not None
    assert found.matrix.tolist() == [KNOWN["image"], KNOWN["text"]]
    assert fitted.vectorizer.seen == ["image", "text"]


def test_no_texts_have_columns_without_rows() -> None:
    found = tagger().predict_columns([], top_k=2, matrix=True)
    assert (found.tags, found.probabilities, found.ranked) == ([], [], [([], []), ([], [])])
    assert found.matrix is not None
    assert found.matrix.shape == (0, 3)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_probability_is_finite_or_none(value: float) -> None:
    broken = tagger()
    broken.model.predict_proba = lambda X: np.array([[0.5, value, 0.1], [0.2, 0.7, 0.1]])
    assert [row["probability"] for row in broken.predict(["a", "b"])] == [None, 0.7]
    assert broken.predict_columns(["a", "b"]).failed == [0]


def test_decision_values_are_no_probabilities() -> None:
    found = Tagger({}, Passing(), Deciding(), CLASSES, None, None).predict_columns(["image"])
    assert (found.tags, found.probabilities, found.failed) == (["cv"], [None], [])


# --- calibration -------------------------------------------------------------------------------


def test_a_temperature_makes_probabilities_of_decision_values() -> None:
    plain = Tagger({}, Passing(), Deciding(), CLASSES, None, "other")
    made = replace(plain, temperature=0.5)
    values = np.array([KNOWN["image"]])
    expected = np.exp(values / 0.5) / np.exp(values / 0.5).sum()
    np.testing.assert_allclose(made.predict_proba(["image"]), expected)
    assert made.predict("image")["probability"] == pytest.approx(expected.max())
    assert made.predict("image")["predicted_tag"] == plain.predict("image")["predicted_tag"]
    assert plain.predict("image")["probability"] is None
    assert (plain.has_probabilities, made.has_probabilities) == (False, True)
    made.require_probabilities()
    # A threshold is compared with the probability, not with the decision value.
    sure = replace(made, threshold=float(expected.max()) - 0.01)
    unsure = replace(made, threshold=float(expected.max()) + 0.01)
    assert [t.predict("image")["predicted_tag"] for t in (sure, unsure)] == ["cv", "other"]
