"""What `preprocessing/_sklearn.py` takes of scikit-learn is still there."""

from __future__ import annotations

from typing import Any

import pytest
from sklearn.feature_extraction.text import (
    CountVectorizer,
    HashingVectorizer,
    TfidfTransformer,
    TfidfVectorizer,
)

from tagifai.preprocessing._sklearn import (
    OpenCountVectorizer,
    OpenHashingVectorizer,
    set_weighing,
)
from tests.private_names import fail, require

FENCE = "tagifai/preprocessing/_sklearn.py"
TEXTS = ["a word of grammar", "image and a pixel", "a word"]


@pytest.mark.parametrize(
    ("method", "step"),
    [
        ("count_terms", "_count_vocab"),
        ("limit_features", "_limit_features"),
        ("sort_features", "_sort_features"),
    ],
)
def test_counting_goes_through_each_of_its_private_steps(
    method: str, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    require(CountVectorizer, [step], "scikit-learn", FENCE)
    passed, own = [], getattr(OpenCountVectorizer, method)

    def note(*args: Any, **kwargs: Any) -> Any:
        passed.append(method)
        return own(*args, **kwargs)

    monkeypatch.setattr(OpenCountVectorizer, method, note)
    X = OpenCountVectorizer().fit_transform(TEXTS)
    if not passed:
        fail(f"CountVectorizer.fit_transform does not call {step}", "scikit-learn", FENCE)
    assert (CountVectorizer().fit_transform(TEXTS) != X).nnz == 0


def test_hashing_goes_through_its_private_hasher(monkeypatch: pytest.MonkeyPatch) -> None:
    require(HashingVectorizer, ["_get_hasher"], "scikit-learn", FENCE)
    passed, own = [], OpenHashingVectorizer.hash_documents

    def note(self: Any, documents: Any) -> Any:
        passed.append(self)
        return own(self, documents)

    monkeypatch.setattr(OpenHashingVectorizer, "hash_documents", note)
    X = OpenHashingVectorizer().transform(TEXTS)
    if not passed:
        fail("HashingVectorizer.transform does not call _get_hasher", "scikit-learn", FENCE)
    assert (HashingVectorizer().transform(TEXTS) != X).nnz == 0


@pytest.mark.parametrize("use_idf", [True, False])
def test_a_tfidf_vectorizer_weighs_by_what_it_is_given(use_idf: bool) -> None:
    fitted, other = TfidfVectorizer(use_idf=use_idf).fit(TEXTS), TfidfVectorizer(use_idf=use_idf)
    require(fitted, ["_tfidf"], "scikit-learn", FENCE)
    other.fixed_vocabulary_, other.vocabulary_ = False, fitted.vocabulary_
    weighing = TfidfTransformer(use_idf=use_idf).fit(CountVectorizer().fit_transform(TEXTS))
    set_weighing(other, weighing)
    if (other.transform(TEXTS) != fitted.transform(TEXTS)).nnz:
        fail("TfidfVectorizer.transform does not weigh by _tfidf", "scikit-learn", FENCE)
