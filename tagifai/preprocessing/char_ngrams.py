"""Character n-grams counted in NumPy: the exact results of scikit-learn's vectorizers, but faster.

scikit-learn cuts every n-gram out of its text as a string and looks it up in a dictionary. Here the
characters of many texts are numbers of a few bits, an n-gram of up to ten of them is one 64-bit
number, and all n-grams of the texts are cut, looked up and counted at once. What follows the
counting (limits of frequency, order of terms, idf, norm) is left to scikit-learn itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd
from scipy.sparse import vstack
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.pipeline import FeatureUnion

from tagifai.preprocessing import murmurhash
from tagifai.preprocessing._sklearn import OpenCountVectorizer, OpenHashingVectorizer
from tagifai.preprocessing.alphabet import Alphabet, Units
from tagifai.preprocessing.sparse_counts import count_keys, make_keys, sum_by_key

CHUNK = 250_000
"""Characters whose n-grams are counted at a time; it bounds the memory in use."""


def fit_transform(vectorizer: Any, texts: Iterable[str]) -> Any:
    """Return `vectorizer.fit_transform(texts)`.

    Args:
        vectorizer: of scikit-learn; it is fitted.
        texts: n strings.

    Returns:
        The features, shape (n, features).
    """
    return _accelerate(vectorizer).fit_transform(texts)


def transform(vectorizer: Any, texts: Iterable[str]) -> Any:
    """Return `vectorizer.transform(texts)`; arguments as for `fit_transform`."""
    return _accelerate(vectorizer).transform(texts)


def _accelerate(vectorizer: Any) -> Any:
    """Return the fast counterpart of a vectorizer, or the vectorizer if there is none.

    The counterpart shares all attributes with it, later ones too.
    """
    if type(vectorizer) is FeatureUnion:
        parts = [(name, _accelerate(part)) for name, part in vectorizer.transformer_list]
        weights = vectorizer.transformer_weights
        return FeatureUnion(parts, transformer_weights=weights)
    kind = ACCELERATED.get(type(vectorizer))
    if kind is None or not _is_supported(vectorizer):
        return vectorizer
    quick: Any = object.__new__(kind)
    quick.__dict__ = vectorizer.__dict__
    quick.original = vectorizer
    return quick


def _is_supported(vectorizer: Any) -> bool:
    """Return whether a vectorizer makes n-grams of characters out of strings by itself."""
    low, high = vectorizer.ngram_range
    return (
        vectorizer.analyzer in ("char", "char_wb")
        and vectorizer.input == "content"
        and vectorizer.preprocessor is None
        and getattr(vectorizer, "vocabulary", None) is None
        and 1 <= low <= high
    )


@dataclass(frozen=True)
class _Vocabulary:
    """A vocabulary as numbers.

    Args:
        vocabulary: a column by term.
        alphabet: of the terms.
        grams: the terms as numbers by column, or None if they are too long for that.
    """

    vocabulary: dict[str, int]
    alphabet: Alphabet
    grams: pd.Index[int] | None


_VOCABULARIES: WeakKeyDictionary[Any, _Vocabulary] = WeakKeyDictionary()
"""By vectorizer."""


class _CharCountVectorizer(OpenCountVectorizer):
    """Counts n-grams of characters; what it overrides has the arguments and results of its base.

    Attributes:
        original: the vectorizer whose attributes it has.
    """

    __slots__ = ("original",)

    def count_terms(self, raw_documents: Sequence[str], fixed_vocab: bool) -> Any:
        texts = list(raw_documents)
        preprocess = self.build_preprocessor()
        documents = [preprocess(self.decode(text)) for text in texts]
        found = (self._count_known if fixed_vocab else self._learn_and_count)(documents)
        if found is None:
            return super().count_terms(texts, fixed_vocab)
        vocabulary, X = found
        return vocabulary, X.astype(self.dtype)

    def limit_features(
        self,
        X: Any,
        vocabulary: dict[str, int],
        high: float | None = None,
        low: float | None = None,
        limit: int | None = None,
    ) -> Any:
        if (low or 0) <= 1 and (high is None or high >= X.shape[0]) and limit is None:
            return X
        _VOCABULARIES.pop(self.original, None)
        return super().limit_features(X, vocabulary, high, low, limit)

    def sort_features(self, X: Any, vocabulary: dict[str, int]) -> Any:
        terms = _VOCABULARIES.pop(self.original, None)
        if terms is None or terms.grams is None:
            return super().sort_features(X, vocabulary)
        # The order of numbers is that of the strings.
        order = np.argsort(terms.grams)
        columns = np.empty(len(order), X.indices.dtype)
        columns[order] = np.arange(len(order))
        X.indices = columns[X.indices]
        vocabulary.update(zip(vocabulary, columns.tolist(), strict=True))
        _VOCABULARIES[self.original] = _Vocabulary(vocabulary, terms.alphabet, terms.grams[order])
        return X

    def _learn_and_count(self, documents: Sequence[str]) -> tuple[dict[str, int], Any] | None:
        """Return the vocabulary of documents and its counts in them, or None."""
        _VOCABULARIES.pop(self.original, None)
        chunks = list(_chunks(self, documents))
        alphabet = Alphabet.from_points(*(units.points for units in chunks))
        sizes = _sizes(self)
        if not alphabet.is_packable(sizes[-1]) or any("\0" in document for document in documents):
            return None
        grams = pd.Index([], dtype=np.int64)
        parts: list[Any] = []
        for units in chunks:
            cut, begins = units.pack_ngrams(alphabet, sizes)
            codes, uniques = pd.factorize(cut)
            columns = grams.get_indexer(pd.Index(uniques))
            new = columns < 0
            columns[new] = len(grams) + np.arange(new.sum())
            grams = grams.append(pd.Index(uniques[new]))
            keys = make_keys(columns[codes], begins, len(grams))
            parts.append(count_keys(keys, units.texts, len(grams)))
        if not len(grams):
            return None
        for part in parts:
            part.resize(part.shape[0], len(grams))
        terms = alphabet.unpack(grams.to_numpy(), sizes[-1])
        vocabulary = dict(zip(terms, range(len(terms)), strict=True))
        _VOCABULARIES[self.original] = _Vocabulary(vocabulary, alphabet, grams)
        return vocabulary, vstack(parts, format="csr")

    def _count_known(self, documents: Sequence[str]) -> tuple[dict[str, int], Any] | None:
        """Return the learned vocabulary and its counts in documents, or None."""
        terms = self._get_vocabulary()
        if terms.grams is None or not documents:
            return None
        parts = []
        for units in _chunks(self, documents):
            cut, begins = units.pack_ngrams(terms.alphabet, _sizes(self))
            columns = terms.grams.get_indexer(pd.Index(cut))
            keys = make_keys(columns, begins, len(terms.grams))
            parts.append(count_keys(keys, units.texts, len(terms.grams)))
        return terms.vocabulary, vstack(parts, format="csr")

    def _get_vocabulary(self) -> _Vocabulary:
        known = _VOCABULARIES.get(self.original)
        if known is None or known.vocabulary is not self.vocabulary_:
            known = _encode_vocabulary(self.vocabulary_, _sizes(self)[-1])
            _VOCABULARIES[self.original] = known
        return known


class _CharTfidfVectorizer(_CharCountVectorizer, TfidfVectorizer):  # type: ignore[misc]
    """The same, weighted by idf."""

    __slots__ = ()


class _CharHashingVectorizer(OpenHashingVectorizer):
    """Hashes n-grams of characters; what it overrides has the arguments and results of its base."""

    __slots__ = ("original",)

    def build_analyzer(self) -> Any:
        preprocess = self.build_preprocessor()
        return lambda text: preprocess(self.decode(text))

    def hash_documents(self, documents: Iterable[str]) -> Any:
        documents, parts = list(documents), []
        if not documents:
            raise ValueError("Cannot vectorize empty sequence.")
        for units in _chunks(self, documents):
            owners, found, signs = murmurhash.hash_ngrams(units, _sizes(self), self.n_features)
            keys = owners * self.n_features + found
            if self.alternate_sign:
                parts.append(sum_by_key(keys, signs, units.texts, self.n_features))
            else:
                parts.append(count_keys(keys, units.texts, self.n_features))
        return vstack(parts, format="csr", dtype=self.dtype)


ACCELERATED = {
    CountVectorizer: _CharCountVectorizer,
    TfidfVectorizer: _CharTfidfVectorizer,
    HashingVectorizer: _CharHashingVectorizer,
}
"""The fast counterpart of each vectorizer class."""


def _chunks(vectorizer: Any, documents: Sequence[str]) -> Iterator[Units]:
    lengths = np.cumsum([len(document) for document in documents], dtype=np.int64)
    starts = np.flatnonzero(np.diff(lengths // CHUNK)) + 1
    for first, last in pairwise([0, *starts, len(documents)]):
        yield Units.from_texts(documents[first:last], by_words=vectorizer.analyzer == "char_wb")


def _sizes(vectorizer: Any) -> range:
    low, high = vectorizer.ngram_range
    return range(low, high + 1)


def _encode_vocabulary(vocabulary: dict[str, int], size: int) -> _Vocabulary:
    terms = sorted(vocabulary, key=vocabulary.__getitem__)
    points = np.array(terms, f"<U{size}").view(np.uint32).reshape(-1, size)
    alphabet = Alphabet.from_points(points.ravel())
    whole = alphabet.is_packable(size) and not any("\0" in term for term in terms)
    return _Vocabulary(vocabulary, alphabet, pd.Index(alphabet.pack(points)) if whole else None)
