from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.pipeline import FeatureUnion

from tagifai.models import skops_files
from tagifai.models.size import count_bytes
from tagifai.preprocessing import vectorizers
from tagifai.preprocessing.feature_cache import (
    Arrays,
    CachedVectorizer,
    _arrays_to_matrix,
    _matrix_to_arrays,
    compute_digest,
    get_settings,
    pack_texts,
    skip_cache,
    unpack_texts,
)

TRAIN, OTHERS = ["a cat sat", "the dog sat down", "a dog"], ["the cat", "zebra", ""]


class Remembered:
    """A memory that counts what it had to have made."""

    def __init__(self) -> None:
        self.entries: dict[str, Arrays] = {}
        self.made = 0

    def __call__(self, key: Mapping[str, Any], make: Callable[[], Arrays]) -> Arrays:
        name = repr(sorted(key.items()))
        if name not in self.entries:
            self.made += 1
            self.entries[name] = make()
        return self.entries[name]


VECTORIZERS: dict[str, Callable[[], Any]] = {
    "words": lambda: vectorizers.tfidf(1, 2),
    "characters": lambda: vectorizers.tfidf(2, 4, analyzer="char", sublinear_tf=True),
    "stop words": lambda: vectorizers.tfidf(1, 1, stop_words=["the"], min_df=2),
    "no idf": lambda: vectorizers.tfidf(1, 1, use_idf=False, dtype=np.float32),
    "counts": lambda: vectorizers.counts(1, 1, binary=True),
    "hashing": lambda: vectorizers.hashing(1, 1, n_features=64),
    "union": lambda: vectorizers.union(1, 1, 2, 3, "char_wb", 0.5),
}


def same(one: Any, other: Any) -> bool:
    parts = [(getattr(m, p), p) for m in (one, other) for p in ("data", "indices", "indptr")]
    pairs = zip(parts[:3], parts[3:], strict=True)
    equal = all(a.dtype == b.dtype and np.array_equal(a, b) for (a, _), (b, _) in pairs)
    return equal and type(one) is type(other) and one.shape == other.shape


# --- what comes from memory --------------------------------------------------------------------


@pytest.mark.parametrize("name", VECTORIZERS)
def test_what_comes_from_memory_is_the_same_to_the_last_bit(name: str, tmp_path: Path) -> None:
    plain, memory = VECTORIZERS[name](), Remembered()
    expected = [plain.fit_transform(TRAIN), plain.transform(OTHERS)]
    for _ in range(2):
        found = CachedVectorizer(VECTORIZERS[name](), memory)
        assert same(found.fit_transform(TRAIN), expected[0])
        assert same(found.transform(OTHERS), expected[1])
        fitted = found.get_fitted()
        assert same(fitted.transform(OTHERS), expected[1])
        assert count_bytes(fitted) == count_bytes(plain)
        assert vars(fitted).keys() == vars(plain).keys()
        assert getattr(fitted, "vocabulary_", None) == getattr(plain, "vocabulary_", None)
        for file, words in (("a", fitted), ("b", plain)):
            skops_files.save(tmp_path / file, words)
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert memory.made == 2


def test_a_vocabulary_is_built_when_it_is_asked_for() -> None:
    memory = Remembered()
    CachedVectorizer(vectorizers.tfidf(1, 1), memory).fit_transform(TRAIN)
    vectorizer = vectorizers.tfidf(1, 1)
    found = CachedVectorizer(vectorizer, memory)
    found.fit_transform(TRAIN)
    assert not hasattr(vectorizer, "vocabulary_")
    assert found.get_fitted() is vectorizer
    assert found.get_fitted().vocabulary_ == {"cat": 0, "dog": 1, "down": 2, "sat": 3, "the": 4}


def test_other_texts_are_vectorized_by_what_was_fitted_before() -> None:
    memory = Remembered()
    CachedVectorizer(vectorizers.tfidf(1, 1), memory).fit_transform(TRAIN)
    found = CachedVectorizer(vectorizers.tfidf(1, 1), memory)
    found.fit_transform(TRAIN)
    expected = vectorizers.tfidf(1, 1).fit(TRAIN).transform(OTHERS)
    assert same(found.transform(OTHERS), expected)
    assert memory.made == 2


@pytest.mark.parametrize(
    ("train", "other", "vectorizer"),
    [
        (TRAIN[::-1], OTHERS, "words"),
        (["acat sat", *TRAIN[1:]], OTHERS, "words"),
        (TRAIN, OTHERS[::-1], "words"),
        (TRAIN, OTHERS, "characters"),
    ],
)
def test_whatever_changes_is_made_anew(train: list[str], other: list[str], vectorizer: str) -> None:
    memory = Remembered()
    for texts, others, name in ((TRAIN, OTHERS, "words"), (train, other, vectorizer)):
        found = CachedVectorizer(VECTORIZERS[name](), memory)
        found.fit_transform(texts)
        found.transform(others)
    assert memory.made == (4 if train != TRAIN or vectorizer != "words" else 3)


def test_an_error_of_fitting_is_the_vectorizers_and_nothing_is_kept() -> None:
    memory = Remembered()
    with pytest.raises(ValueError, match="empty vocabulary"):
        CachedVectorizer(vectorizers.tfidf(1, 1), memory).fit_transform(["a", "b"])
    assert memory.entries == {}


class Own(TfidfVectorizer):  # type: ignore[misc]
    """May do anything."""


def lower(text: str) -> str:
    return text.lower()


@pytest.mark.parametrize(
    "vectorizer",
    [
        Own(),
        TfidfVectorizer(preprocessor=lower),
        TfidfVectorizer(vocabulary=["cat", "dog"]),
        CountVectorizer(analyzer=str.split),
        FeatureUnion([("own", Own())]),
        FeatureUnion([("none", "drop"), ("words", TfidfVectorizer())]),
    ],
    ids=["derived", "function", "vocabulary", "analyzer", "union", "drop"],
)
def test_a_vectorizer_whose_code_or_state_is_unknown_is_asked_itself_each_time(
    vectorizer: Any,
) -> None:
    memory = Remembered()
    found = CachedVectorizer(vectorizer, memory)
    X = found.fit_transform(TRAIN)
    assert (found.transform(TRAIN) != X).nnz == 0
    assert found.get_fitted() is vectorizer
    assert memory.entries == {}


def test_every_argument_of_a_vectorizer_is_in_its_settings() -> None:
    for make in (vectorizers.tfidf, vectorizers.counts, vectorizers.hashing):
        vectorizer = make(1, 2)
        found = get_settings(vectorizer)
        assert found is not None
        assert found.keys() == {"type", *vectorizer.get_params()}


def test_without_a_memory_it_is_the_vectorizer_alone() -> None:
    made = []
    assert skip_cache({}, lambda: made.append(1) or {}) == {}  # type: ignore[func-returns-value]
    found = CachedVectorizer(vectorizers.tfidf(1, 1))
    assert same(found.fit_transform(TRAIN), vectorizers.tfidf(1, 1).fit_transform(TRAIN))
    assert made == [1]


# --- texts and matrices ------------------------------------------------------------------------


@given(st.lists(st.text()), st.lists(st.text()))
def test_sums_are_equal_where_texts_are(one: list[str], other: list[str]) -> None:
    assert (compute_digest(one) == compute_digest(other)) == (one == other)


@pytest.mark.parametrize(
    ("one", "other"), [(["ab", ""], ["a", "b"]), (["1:a"], ["1:a", ""]), ([], [""])]
)
def test_texts_cut_in_other_places_have_another_sum(one: list[str], other: list[str]) -> None:
    assert compute_digest(one) != compute_digest(other)


@given(st.lists(st.text() | st.just("\ud800 lone")))
def test_texts_come_back_as_they_were_packed(texts: list[str]) -> None:
    assert unpack_texts(pack_texts(texts)) == texts


def test_a_matrix_keeps_its_kind_and_the_types_of_its_numbers() -> None:
    X = csr_array((2, 3), dtype=np.float32)
    X.indices, X.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    assert same(_arrays_to_matrix(_matrix_to_arrays(X)), X)
