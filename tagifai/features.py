"""Features: vectorizers that a configuration can name by scalars."""

from __future__ import annotations

from typing import Any

from sklearn.feature_extraction.text import TfidfVectorizer


def tfidf(ngram_min: int, ngram_max: int, **arguments: Any) -> TfidfVectorizer:
    """Return scikit-learn's TfidfVectorizer with its n-gram range given as two scalars.

    Args:
        ngram_min: shortest n-gram, in the analyzer's units (words or characters).
        ngram_max: longest n-gram.
        arguments: anything else that TfidfVectorizer takes, under its own name.
    """
    return TfidfVectorizer(ngram_range=(ngram_min, ngram_max), **arguments)
