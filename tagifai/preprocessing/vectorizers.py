"""Vectorizers whose arguments are scalars, so that a configuration can set each of them."""

from __future__ import annotations

from typing import Any

from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.pipeline import FeatureUnion


def tfidf(ngram_min: int, ngram_max: int, **arguments: Any) -> TfidfVectorizer:
    """Return scikit-learn's TfidfVectorizer with its n-gram range given as two scalars.

    Args:
        ngram_min: shortest n-gram, in the analyzer's units (words or characters).
        ngram_max: longest n-gram.
        arguments: anything else that TfidfVectorizer takes, under its own name.
    """
    return TfidfVectorizer(ngram_range=(ngram_min, ngram_max), **arguments)


def counts(ngram_min: int, ngram_max: int, **arguments: Any) -> CountVectorizer:
    """Return scikit-learn's CountVectorizer; arguments as for `tfidf`."""
    return CountVectorizer(ngram_range=(ngram_min, ngram_max), **arguments)


def hashing(ngram_min: int, ngram_max: int, **arguments: Any) -> HashingVectorizer:
    """Return scikit-learn's HashingVectorizer, all of whose values are at least 0.

    Alternating signs would let terms that share a column cancel out on average, but naive Bayes
    takes no negative features; with 2**20 columns few terms share one.
    """
    return HashingVectorizer(ngram_range=(ngram_min, ngram_max), alternate_sign=False, **arguments)


def union(
    word_ngram_min: int,
    word_ngram_max: int,
    char_ngram_min: int,
    char_ngram_max: int,
    char_analyzer: str,
    char_weight: float,
    **arguments: Any,
) -> FeatureUnion:
    """Return tf-idf of words and tf-idf of characters, side by side.

    Args:
        word_ngram_min: fewest words of a term.
        word_ngram_max: most words of a term.
        char_ngram_min: shortest n-gram of characters.
        char_ngram_max: longest n-gram of characters.
        char_analyzer: char, or char_wb for n-grams within words.
        char_weight: factor of the characters' columns; those of the words have 1.
        arguments: anything else that both TfidfVectorizers take.
    """
    parts = [
        ("word", tfidf(word_ngram_min, word_ngram_max, analyzer="word", **arguments)),
        ("char", tfidf(char_ngram_min, char_ngram_max, analyzer=char_analyzer, **arguments)),
    ]
    return FeatureUnion(parts, transformer_weights={"word": 1.0, "char": char_weight})
