from __future__ import annotations

import math

import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from tagifai.preprocessing.vectorizers import tfidf


def test_two_scalars_become_the_range_of_n_grams() -> None:
    vectorizer = tfidf(2, 3, analyzer="char")
    assert isinstance(vectorizer, TfidfVectorizer)
    vectorizer.fit(["abcd"])
    assert sorted(vectorizer.vocabulary_) == ["ab", "abc", "bc", "bcd", "cd"]


def test_one_length_of_n_grams_is_a_range_too() -> None:
    assert sorted(tfidf(1, 1, analyzer="word").fit(["see the cat"]).vocabulary_) == [
        "cat",
        "see",
        "the",
    ]


def test_other_arguments_go_by_their_own_names() -> None:
    vectorizer = tfidf(1, 1, analyzer="char", min_df=2, lowercase=False, norm=None, use_idf=False)
    matrix = vectorizer.fit_transform(["aab", "aAc"])
    assert list(vectorizer.vocabulary_) == ["a"]
    assert matrix.toarray().tolist() == [[2.0], [1.0]]


def test_weights_are_term_frequency_times_inverse_document_frequency() -> None:
    matrix = tfidf(1, 1, analyzer="char", norm=None).fit_transform(["aab", "a"]).toarray()
    rare = math.log(3 / 2) + 1
    assert matrix.tolist() == [[2.0, pytest.approx(rare)], [1.0, 0.0]]


def test_an_argument_that_the_vectorizer_does_not_take_is_an_error() -> None:
    with pytest.raises(TypeError, match="n_grams"):
        tfidf(1, 2, n_grams=3)
