from __future__ import annotations

import itertools
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.naive_bayes import ComplementNB
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import murmurhash3_32

from tagifai import artifacts, direct, features, hashes, states
from tagifai.probabilities import compute_outputs
from tagifai.tagger import Tagger
from tests.conftest import DOCUMENTS

ROOT = Path(__file__).parent.parent

HEAVY = ["scipy", "sklearn", "pandas", "skops", "mlflow", "matplotlib"]

WORDS = (
    *("graph", "vision", "language", "naïve", "Café", "l'été", "x", "of", "the", "Ærø", "ﬁne"),
    *("数据", "科学", "a-b", "C++", "été", "İstanbul", "ß", "\u0301", "end."),
)
TEXTS = [
    " ".join(words)
    for size in (1, 3, 9, 40)
    for words in np.random.default_rng(size).choice(WORDS, (12, size)).tolist()
]
Y = np.arange(len(TEXTS)) % 3
ODD = [
    "",
    " ",
    "x",
    "\t\n",
    "ééé",
    "\U0001f600",
    "qqqqqqqqqq",
    "graph " * 2000,
    "A  b\u00a0\u2003c",
]
SGD = {"random_state": 0, "max_iter": 5, "tol": None}

VECTORIZERS: dict[str, Any] = {
    "words": features.tfidf(1, 2, analyzer="word"),
    "words_sublinear": features.tfidf(1, 3, analyzer="word", sublinear_tf=True, norm="l1"),
    "pairs": features.tfidf(2, 2, analyzer="word", token_pattern=r"\w+", lowercase=False),
    "group": features.tfidf(1, 1, analyzer="word", token_pattern=r"(?u)\b(\w)\w+\b"),
    "char": features.tfidf(2, 5, analyzer="char"),
    "char_one": features.tfidf(1, 1, analyzer="char", strip_accents="ascii"),
    "char_wb": features.tfidf(4, 6, analyzer="char_wb", strip_accents="unicode"),
    "no_idf": features.tfidf(1, 3, analyzer="char_wb", use_idf=False, binary=True),
    "no_norm": features.tfidf(1, 2, analyzer="char", norm=None, smooth_idf=False),
    "limited": features.tfidf(1, 4, analyzer="char", max_features=200, min_df=2),
    "counts": features.counts(1, 2, analyzer="word"),
    "counts_binary": features.counts(2, 3, analyzer="char", binary=True),
    "hashing": features.hashing(1, 2, analyzer="word"),
    "hashing_few": features.hashing(1, 3, analyzer="char", n_features=7, norm="l1"),
    "hashing_signs": HashingVectorizer(n_features=5, binary=True, analyzer="char_wb"),
    "hashing_even": HashingVectorizer(n_features=6, norm=None, ngram_range=(1, 2)),
    "union": features.union(1, 2, 2, 5, "char_wb", 0.5, sublinear_tf=True),
    "union_char": features.union(1, 1, 1, 3, "char", 2.0, binary=True, norm=None),
}
MODELS: dict[str, Any] = {
    "sgd": SGDClassifier(loss="log_loss", **SGD),
    "sgd_averaged": SGDClassifier(loss="log_loss", average=True, **SGD),
    "sgd_huber": SGDClassifier(loss="modified_huber", **SGD),
    "sgd_hinge": SGDClassifier(loss="hinge", **SGD),
    "logistic": LogisticRegression(max_iter=20, tol=1e-1),
    "svc": LinearSVC(random_state=0),
}


def there(vectorizer: Any, model: Any) -> tuple[Any, Any]:
    """Return both as they are computed directly."""
    found = direct.pair(states.extract(vectorizer), states.extract(model))
    assert found is not None
    return found


def assert_equal(vectorizer: Any, model: Any, texts: list[str]) -> None:
    expected = compute_outputs(model, vectorizer.transform(texts))
    own, scorer = there(vectorizer, model)
    found = compute_outputs(scorer, own.transform(texts))
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    assert found.tobytes() == expected.tobytes()
    assert hasattr(scorer, "predict_proba") == hasattr(model, "predict_proba")


@pytest.mark.parametrize(("vectorizer", "model"), [*itertools.product(VECTORIZERS, MODELS)])
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_outputs_are_those_of_scikit_learn_to_the_last_bit(
    vectorizer: str, model: str, classes: int
) -> None:
    words, classifier = VECTORIZERS[vectorizer], MODELS[model]
    classifier.fit(words.fit_transform(TEXTS), Y % classes)
    assert_equal(words, classifier, [*TEXTS, *ODD])
    assert_equal(words, classifier, TEXTS[-1:])
    assert_equal(words, classifier, ODD[:1])


@given(st.lists(st.text(max_size=60), min_size=1, max_size=5))
@settings(max_examples=60)
def test_any_texts_have_the_outputs_of_scikit_learn(texts: list[str]) -> None:
    for words, model in fitted_pairs():
        assert_equal(words, model, texts)


@cache
def fitted_pairs() -> list[tuple[Any, Any]]:
    names = ("words", "char", "char_wb", "hashing_signs", "union")
    found = []
    for name in names:
        words = clone(VECTORIZERS[name])
        found.append((words, clone(MODELS["sgd"]).fit(words.fit_transform(TEXTS), Y)))
    return found


@given(st.binary(max_size=40))
def test_the_hash_is_that_of_scikit_learn(data: bytes) -> None:
    assert hashes.hash_strings([data]).tolist() == [murmurhash3_32(data)]


@pytest.mark.parametrize(("weights", "expected"), [(1e3, [1.0, 0.0, 0.0]), (0.0, [1 / 3] * 3)])
def test_probabilities_of_rows_that_no_class_wants_are_all_alike(
    weights: float, expected: list[float]
) -> None:
    words = VECTORIZERS["words"]
    model = clone(MODELS["sgd"]).fit(words.fit_transform(TEXTS), Y)
    model.coef_[:] = 0.0
    model.intercept_[:] = [weights, -1e3, -1e3] if weights else -1e3
    assert_equal(words, model, ODD)
    own, scorer = there(words, model)
    assert scorer.predict_proba(own.transform(["x"])).tolist() == [expected]


NOT_DIRECT: dict[str, tuple[Any, Any]] = {
    "a model with probabilities of another kind": (VECTORIZERS["words"], ComplementNB()),
    "single precision": (
        features.tfidf(1, 1, analyzer="word", dtype=np.float32),
        MODELS["sgd"],
    ),
    "stop words": (features.tfidf(1, 1, analyzer="word", stop_words=["of"]), MODELS["sgd"]),
    "no model that is known": (VECTORIZERS["words"], DecisionTreeClassifier()),
}


@pytest.mark.parametrize("name", NOT_DIRECT)
def test_what_would_not_be_exact_is_left_to_scikit_learn(name: str) -> None:
    words, model = NOT_DIRECT[name]
    model.fit(words.fit_transform(TEXTS), Y)
    assert direct.pair(states.extract(words), states.extract(model)) is None


def test_another_processor_is_left_to_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    words, model = fitted_pairs()[0]
    monkeypatch.setattr(direct, "EXACT", False)
    assert direct.pair(states.extract(words), states.extract(model)) is None


def test_parts_that_do_not_belong_together_are_refused() -> None:
    (words, _), (_, model) = fitted_pairs()[:2]
    with pytest.raises(ValueError, match=r"SGDClassifier has \d+ features of \d+"):
        direct.pair(states.extract(words), states.extract(model))


def test_few_texts_are_predicted_without_the_libraries_that_fitted(
    tmp_path: Path, tagger: Tagger
) -> None:
    artifacts.save(tmp_path / "bundle", tagger, DOCUMENTS)
    code = (
        "import sys; from pathlib import Path; from tagifai import artifacts;"
        "found = artifacts.load(Path(sys.argv[1]), few=True).predict(['A graph']);"
        f"print(*(name for name in {HEAVY} if name in sys.modules), found[0]['predicted_tag'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "bundle")],
        cwd=ROOT, check=True, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.stdout.split() == [tagger.predict(["A graph"])[0]["predicted_tag"]]
