"""What scikit-learn keeps to itself of vectorizers and fast ones need; nothing else.

Read in scikit-learn 1.9.1; `tests/preprocessing/test_private_sklearn.py` fails when it changes.
"""

from __future__ import annotations

from typing import Any

from sklearn.feature_extraction.text import (
    CountVectorizer,
    HashingVectorizer,
    TfidfTransformer,
    TfidfVectorizer,
)


class OpenCountVectorizer(CountVectorizer):  # type: ignore[misc]
    """A vectorizer whose private steps call public ones, which a class may put others in place of.

    By public methods alone, one could count in another way only by writing all of `fit_transform`
    and `transform` again, limits and order of the terms included.
    """

    __slots__ = ()

    def count_terms(self, raw_documents: Any, fixed_vocab: bool) -> Any:
        """Return the vocabulary, and the counts of its terms in documents."""
        return super()._count_vocab(raw_documents, fixed_vocab)

    def limit_features(self, X: Any, vocabulary: Any, *limits: Any, **named: Any) -> Any:
        """Remove terms that are too rare or too frequent, and return the counts of the others."""
        return super()._limit_features(X, vocabulary, *limits, **named)

    def sort_features(self, X: Any, vocabulary: Any) -> Any:
        """Put the terms into their order, and return the counts in the same one."""
        return super()._sort_features(X, vocabulary)

    def _count_vocab(self, raw_documents: Any, fixed_vocab: bool) -> Any:
        return self.count_terms(raw_documents, fixed_vocab)

    def _limit_features(self, X: Any, vocabulary: Any, *limits: Any, **named: Any) -> Any:
        return self.limit_features(X, vocabulary, *limits, **named)

    def _sort_features(self, X: Any, vocabulary: Any) -> Any:
        return self.sort_features(X, vocabulary)


class OpenHashingVectorizer(HashingVectorizer):  # type: ignore[misc]
    """A vectorizer that has its documents hashed by a public method; see above."""

    __slots__ = ()

    def hash_documents(self, documents: Any) -> Any:
        """Return the counts of the hashed terms of analyzed documents."""
        return super()._get_hasher().transform(documents)

    def _get_hasher(self) -> Any:
        hasher = super()._get_hasher()
        hasher.transform = self.hash_documents
        return hasher


def set_weighing(vectorizer: TfidfVectorizer, weighing: TfidfTransformer) -> None:
    """Give a vectorizer what weighs its counts.

    The public setter of `idf_` does so for a vectorizer that uses idf alone, and leaves out how
    many features there are.
    """
    vectorizer._tfidf = weighing
