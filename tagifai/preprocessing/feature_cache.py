"""Texts to features, computed or taken from the cache.

The cache is keyed by the texts themselves and everything that decides their features, so it makes
no difference where the texts come from, how they were split, or by which seed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.sparse import csr_array, csr_matrix
from sklearn.feature_extraction.text import (
    CountVectorizer,
    HashingVectorizer,
    TfidfTransformer,
    TfidfVectorizer,
)
from sklearn.pipeline import FeatureUnion

from tagifai.preprocessing import char_ngrams
from tagifai.preprocessing._sklearn import set_weighing

Arrays = dict[str, Any]
"""What can be cached: NumPy arrays by name, none of them of objects."""

ArrayCache = Callable[[Mapping[str, Any], Callable[[], Arrays]], Arrays]
"""Takes a key of JSON's types and a function, and returns the function's result, cached or new."""

CACHEABLE_VECTORIZERS = (CountVectorizer, TfidfVectorizer, HashingVectorizer)
"""Vectorizers whose state is known here, beside unions of them. A class derived from one may do
anything, so its features are computed each time."""

TFIDF_ARGUMENTS = ("norm", "use_idf", "smooth_idf", "sublinear_tf")
MATRICES = {"csr_matrix": csr_matrix, "csr_array": csr_array}


def skip_cache(_key: Mapping[str, Any], make: Callable[[], Arrays]) -> Arrays:
    """Compute the arrays each time: stands in where there is no cache."""
    return make()


def compute_digest(texts: Sequence[str]) -> str:
    """Return a digest that other texts, or the same in another order, do not have."""
    found = hashlib.sha256()
    for text in texts:
        content = text.encode("utf-8", "surrogatepass")
        found.update(b"%d:" % len(content))
        found.update(content)
    return found.hexdigest()


def pack_texts(texts: Sequence[str]) -> Any:
    """Return texts as an array of bytes."""
    return np.frombuffer(json.dumps(list(texts)).encode("ascii"), dtype=np.uint8)


def unpack_texts(content: Any) -> list[str]:
    """Return the texts of an array from `pack_texts`."""
    texts: list[str] = json.loads(content.tobytes())
    return texts


class CachedVectorizer:
    """A vectorizer whose fitted state and features are cached.

    Args:
        vectorizer: unfitted. It is fitted in place, at the latest when `get_fitted` returns it.
        cache: of arrays; used if the vectorizer is of a kind whose state is known.
    """

    def __init__(self, vectorizer: Any, cache: ArrayCache = skip_cache) -> None:
        self._vectorizer = vectorizer
        self._settings = None if cache is skip_cache else get_settings(vectorizer)
        self._cache = cache
        self._fitted_to = ""
        self._cached: Arrays | None = None

    def fit_transform(self, texts: Sequence[str]) -> Any:
        """Return the features of the train texts, shape (n, features)."""
        if self._settings is None:
            return char_ngrams.fit_transform(self._vectorizer, texts)
        made: list[Any] = []

        def make() -> Arrays:
            made.append(char_ngrams.fit_transform(self._vectorizer, texts))
            return {**_matrix_to_arrays(made[0]), **get_state(self._vectorizer)}

        self._fitted_to = compute_digest(texts)
        kept = self._cache({"vectorizer": self._settings, "fitted to": self._fitted_to}, make)
        if made:
            return made[0]
        self._cached = kept
        return _arrays_to_matrix(kept)

    def transform(self, texts: Sequence[str]) -> Any:
        """Return the features of other texts, shape (n, features)."""
        if self._settings is None:
            return char_ngrams.transform(self._vectorizer, texts)
        key = {
            "vectorizer": self._settings,
            "fitted to": self._fitted_to,
            "of": compute_digest(texts),
        }
        return _arrays_to_matrix(
            self._cache(
                key, lambda: _matrix_to_arrays(char_ngrams.transform(self.get_fitted(), texts))
            )
        )

    def get_fitted(self) -> Any:
        """Return the vectorizer, fitted: a large vocabulary takes longer to build than to read."""
        if self._cached is not None:
            restore_state(self._vectorizer, self._cached)
            self._cached = None
        return self._vectorizer


def _matrix_to_arrays(X: Any) -> Arrays:
    return {
        "X.data": X.data,
        "X.indices": X.indices,
        "X.indptr": X.indptr,
        "X.shape": np.array(X.shape),
        "X.type": pack_texts([type(X).__name__]),
    }


def _arrays_to_matrix(arrays: Arrays) -> Any:
    (name,) = unpack_texts(arrays["X.type"])
    X = MATRICES[name](tuple(arrays["X.shape"].tolist()), dtype=arrays["X.data"].dtype)
    # Set here: a constructor argument would get another type of indices.
    X.data, X.indices, X.indptr = (arrays[f"X.{part}"] for part in ("data", "indices", "indptr"))
    return X


# --- vectorizers -------------------------------------------------------------------------------


def get_settings(vectorizer: Any) -> dict[str, Any] | None:
    """Return the arguments that decide a vectorizer's results, or None if they are not known.

    Args:
        vectorizer: fitted or not.

    Returns:
        The arguments, as JSON's types.
    """
    if type(vectorizer) is FeatureUnion:
        inner = [(name, get_settings(part)) for name, part in vectorizer.transformer_list]
        weights = vectorizer.transformer_weights
        known = all(found is not None for _, found in inner)
        return {"union": inner, "weights": weights} if known else None
    if type(vectorizer) not in CACHEABLE_VECTORIZERS:
        return None
    arguments = vectorizer.get_params(deep=False)
    if not _is_dtype(arguments["dtype"]) or arguments.get("vocabulary") is not None:
        return None
    arguments["dtype"] = np.dtype(arguments["dtype"]).str
    if not all(_is_plain(value) for value in arguments.values()):
        return None
    return {"type": type(vectorizer).__name__, **arguments}


def _is_dtype(value: Any) -> bool:
    return isinstance(value, str | np.dtype) or (
        isinstance(value, type) and issubclass(value, np.generic)
    )


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)


def get_state(vectorizer: Any) -> Arrays:
    """Return the fitted state of a vectorizer of a known kind."""
    if type(vectorizer) is FeatureUnion:
        return {
            f"{name}/{key}": value
            for name, part in vectorizer.transformer_list
            for key, value in get_state(part).items()
        }
    if type(vectorizer) is HashingVectorizer:
        return {}
    vocabulary = vectorizer.vocabulary_
    learnt = {"terms": pack_texts(sorted(vocabulary, key=vocabulary.__getitem__))}
    if type(vectorizer) is TfidfVectorizer and vectorizer.use_idf:
        learnt["idf"] = vectorizer.idf_
    return learnt


def restore_state(vectorizer: Any, learnt: Arrays) -> None:
    """Give a vectorizer the fitted state of another one with the same settings.

    Args:
        vectorizer: unfitted.
        learnt: from `get_state`.
    """
    if type(vectorizer) is FeatureUnion:
        for name, part in vectorizer.transformer_list:
            own = f"{name}/"
            of_part = {k.removeprefix(own): v for k, v in learnt.items() if k.startswith(own)}
            restore_state(part, of_part)
        return
    vectorizer.build_analyzer()  # as fitting does; it checks the stop words
    if type(vectorizer) is HashingVectorizer:
        return
    terms = unpack_texts(learnt["terms"])
    vectorizer.fixed_vocabulary_ = False
    vectorizer.vocabulary_ = dict(zip(terms, range(len(terms)), strict=True))
    if type(vectorizer) is TfidfVectorizer:
        weighing = TfidfTransformer(**{name: getattr(vectorizer, name) for name in TFIDF_ARGUMENTS})
        weighing.n_features_in_ = len(terms)
        if vectorizer.use_idf:
            weighing.idf_ = learnt["idf"]
        set_weighing(vectorizer, weighing)
