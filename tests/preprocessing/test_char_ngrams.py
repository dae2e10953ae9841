"""Exactly what scikit-learn's own vectorizers give, bit by bit, in storage order."""

from __future__ import annotations

import copy
import gc
import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer

from tagifai.preprocessing import char_ngrams, vectorizers

TEXTS = [
    "Transfer learning with  transformers",
    "a bb ccc",
    "",
    "Größe, naïve café \t\n 机器学习 🙂🙂",
    "x",
    " trailing and   leading ",
    "aaaaaaa",
]
NEW = ["learning with a graph", "", "unseen: 語", "aaaa bb", "  "]


def assert_same(found: Any, expected: Any) -> None:
    """Compare matrices as they are stored: later sums go through the values in this order."""
    assert type(found) is type(expected)
    assert found.shape == expected.shape
    for part in ("data", "indices", "indptr"):
        ours, theirs = getattr(found, part), getattr(expected, part)
        assert ours.dtype == theirs.dtype
        assert np.array_equal(ours, theirs)


def assert_agree(vectorizer: Any, texts: list[str], new: list[str]) -> None:
    own, quick = copy.deepcopy(vectorizer), copy.deepcopy(vectorizer)
    assert_same(char_ngrams.fit_transform(quick, texts), own.fit_transform(texts))
    assert_same(char_ngrams.transform(quick, new), own.transform(new))
    assert_same(quick.transform(new), own.transform(new))
    if hasattr(own, "vocabulary_"):
        assert list(quick.vocabulary_.items()) == list(own.vocabulary_.items())
    assert vars(quick).keys() == vars(own).keys()


@pytest.mark.parametrize("analyzer", ["char", "char_wb", "word"])
@pytest.mark.parametrize("sizes", [(1, 1), (1, 3), (2, 7), (4, 5)])
@pytest.mark.parametrize(
    "vectorizer",
    [
        TfidfVectorizer(),
        TfidfVectorizer(sublinear_tf=True, norm="l1", dtype=np.float32),
        TfidfVectorizer(lowercase=False, strip_accents="unicode", use_idf=False),
        CountVectorizer(binary=True),
        HashingVectorizer(),
        HashingVectorizer(alternate_sign=False, norm=None, n_features=7),
        HashingVectorizer(binary=True, n_features=2**10, norm="l1"),
    ],
    ids=str,
)
def test_matrices_and_vocabularies_are_those_of_scikit_learn(
    vectorizer: Any, analyzer: str, sizes: tuple[int, int]
) -> None:
    texts = ["word " + text for text in TEXTS]
    chosen = copy.deepcopy(vectorizer).set_params(analyzer=analyzer, ngram_range=sizes)
    if analyzer == "word":
        chosen.set_params(token_pattern=r"(?u)\w+")
    assert_agree(chosen, texts, NEW)


@pytest.mark.parametrize(
    "limits",
    [{"min_df": 2}, {"max_df": 0.5}, {"max_features": 5}, {"min_df": 2, "max_features": 3}],
)
def test_terms_that_are_too_rare_or_too_common_are_left_to_scikit_learn(
    limits: dict[str, Any],
) -> None:
    assert_agree(TfidfVectorizer(analyzer="char", ngram_range=(1, 3), **limits), TEXTS, NEW)


def test_chunks_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(char_ngrams, "CHUNK", 20)
    for vectorizer in (
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4)),
        HashingVectorizer(analyzer="char", ngram_range=(2, 4)),
    ):
        assert_agree(vectorizer, TEXTS * 3, NEW * 3)


def test_a_union_is_counted_part_by_part() -> None:
    assert_agree(vectorizers.union(1, 2, 2, 4, "char_wb", 0.5), TEXTS, NEW)


@pytest.mark.parametrize("odd", ["a\0b", "\0", "a\ud800b"])
def test_characters_that_are_no_text_are_counted_all_the_same(odd: str) -> None:
    for vectorizer in (
        CountVectorizer(analyzer="char", ngram_range=(1, 3)),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 3)),
    ):
        assert_agree(vectorizer, ["some text", odd], [odd, "text"])
        assert_agree(vectorizer, ["some text", "another"], [odd, "text"])


def test_a_character_that_has_no_utf8_is_refused_by_hashing_as_scikit_learn_does() -> None:
    vectorizer = HashingVectorizer(analyzer="char")
    with pytest.raises(UnicodeEncodeError):
        vectorizer.transform(["a\ud800b"])
    with pytest.raises(UnicodeEncodeError):
        char_ngrams.transform(vectorizer, ["a\ud800b"])


def test_an_alphabet_that_is_too_large_for_a_number_is_left_to_scikit_learn() -> None:
    every = "".join(map(chr, range(0x4E00, 0x4E00 + 5000)))
    assert_agree(CountVectorizer(analyzer="char", ngram_range=(2, 10)), [every, "abc"], ["一丁"])


@pytest.mark.parametrize("texts", [[], ["", ""], [" "]])
def test_what_scikit_learn_refuses_is_refused_in_its_words(texts: list[str]) -> None:
    for vectorizer in (
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 3)),
        CountVectorizer(analyzer="char", ngram_range=(3, 4)),
    ):
        with pytest.raises(ValueError, match="empty vocabulary"):
            char_ngrams.fit_transform(vectorizer, texts)


def test_no_texts_at_all_cannot_be_hashed() -> None:
    with pytest.raises(ValueError, match="Cannot vectorize empty sequence"):
        char_ngrams.transform(HashingVectorizer(analyzer="char"), [])


def test_a_vectorizer_that_was_not_fitted_says_so() -> None:
    with pytest.raises(NotFittedError):
        char_ngrams.transform(TfidfVectorizer(analyzer="char"), ["a"])


def test_fitting_again_forgets_the_terms_of_before() -> None:
    quick = TfidfVectorizer(analyzer="char", ngram_range=(1, 2))
    char_ngrams.fit_transform(quick, ["abc"])
    for texts in (["xyz"], ["x\0z"], ["uvw"]):
        char_ngrams.fit_transform(quick, texts)
        own = TfidfVectorizer(analyzer="char", ngram_range=(1, 2)).fit(texts)
        assert quick.vocabulary_ == own.vocabulary_
        assert_same(char_ngrams.transform(quick, ["xyz uvw"]), own.transform(["xyz uvw"]))


def test_an_own_analyzer_or_preprocessor_or_vocabulary_is_heeded() -> None:
    for arguments in (
        {"analyzer": str.split},
        {"analyzer": "char", "preprocessor": str.upper},
        {"analyzer": "char", "vocabulary": ["a", "b"]},
    ):
        quick, own = CountVectorizer(**arguments), CountVectorizer(**arguments)
        assert_same(char_ngrams.fit_transform(quick, ["a b", "b"]), own.fit_transform(["a b", "b"]))


def test_a_vectorizer_of_another_kind_does_it_itself() -> None:
    class Lengths:
        def fit_transform(self, texts: list[str]) -> csr_matrix:
            return csr_matrix([[len(text)] for text in texts])

    assert char_ngrams.fit_transform(Lengths(), ["abc"]).toarray().tolist() == [[3]]


def test_threads_may_share_a_vectorizer() -> None:
    quick = TfidfVectorizer(analyzer="char", ngram_range=(2, 4)).fit(TEXTS)
    expected, found = quick.transform(TEXTS), []
    threads = [
        threading.Thread(target=lambda: found.append(char_ngrams.transform(quick, TEXTS)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    for one in found:
        assert_same(one, expected)


def test_a_vectorizer_that_is_gone_leaves_nothing_behind() -> None:
    quick = TfidfVectorizer(analyzer="char").fit(["abc"])
    char_ngrams.transform(quick, ["abc"])
    gc.collect()
    before = len(char_ngrams._VOCABULARIES)
    del quick
    gc.collect()
    assert len(char_ngrams._VOCABULARIES) == before - 1


@settings(max_examples=60, deadline=None)
@given(
    texts=st.lists(st.text(alphabet="ab é語\0 \n", max_size=12), min_size=1, max_size=5),
    new=st.lists(st.text(alphabet="abc é語\0", max_size=12), min_size=1, max_size=3),
    low=st.integers(1, 4),
    more=st.integers(0, 6),
    analyzer=st.sampled_from(["char", "char_wb"]),
)
def test_any_texts_give_the_same(
    texts: list[str], new: list[str], low: int, more: int, analyzer: str
) -> None:
    sizes = {"analyzer": analyzer, "ngram_range": (low, low + more)}
    assert_agree(CountVectorizer(**sizes), ["abc def ghij klmnopqrst", *texts], new)
    assert_agree(HashingVectorizer(n_features=50, **sizes), texts, new)
