from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.naive_bayes import BernoulliNB, ComplementNB, MultinomialNB
from sklearn.pipeline import FeatureUnion
from sklearn.svm import LinearSVC

from tagifai.exceptions import BundleError, ConfigError
from tagifai.models import serialization, skops_files
from tagifai.models.skops_files import DROPPED
from tagifai.preprocessing import vectorizers as preprocessing_vectorizers
from tagifai.preprocessing.embeddings import EmbeddingVectorizer
from tests.conftest import TEXTS

Y = np.arange(len(TEXTS)) % 3


def subclass_of(kind: type) -> Any:
    return type(kind.__name__, (kind,), {})()


def vectorizers() -> dict[str, Any]:
    return {
        "tfidf": preprocessing_vectorizers.tfidf(1, 3, analyzer="char", max_features=40),
        "tfidf_plain": preprocessing_vectorizers.tfidf(
            1, 1, analyzer="word", use_idf=False, stop_words=["of"]
        ),
        "counts": preprocessing_vectorizers.counts(1, 2, analyzer="word", min_df=0.1),
        "hashing": preprocessing_vectorizers.hashing(1, 1, analyzer="char_wb", n_features=64),
        "union": preprocessing_vectorizers.union(1, 2, 1, 3, "char_wb", 0.0),
    }


def models() -> dict[str, Any]:
    return {
        "sgd": SGDClassifier(loss="log_loss", random_state=np.random.RandomState(0)),
        "sgd_weights": SGDClassifier(class_weight=dict(zip(np.arange(3), np.ones(3), strict=True))),
        "sgd_averaged": SGDClassifier(average=True, random_state=3),
        "logistic": LogisticRegression(),
        "bayes": ComplementNB(norm=True),
        "multinomial_bayes": MultinomialNB(fit_prior=False),
        "bernoulli_bayes": BernoulliNB(),
        "no_intercept": LinearSVC(fit_intercept=False),
        "svc": LinearSVC(),
    }


def saved(folder: Path, estimator: Any, name: str = "model") -> dict[str, Any]:
    serialization.save(folder, name, estimator)
    assert (folder / f"{name}.json").exists()
    return {file.name: {} for file in sorted(folder.iterdir())}


def assert_same(found: Any, expected: Any) -> None:
    assert type(found) is type(expected)
    given = expected.get_params(deep=False)
    for key, value in given.items():
        if key == "transformer_list":
            for (name, inner), (expected_name, step) in zip(
                found.transformer_list, value, strict=True
            ):
                assert name == expected_name
                assert_same(inner, step)
        elif key != "random_state" or isinstance(value, int):
            assert (getattr(found, key), type(getattr(found, key))) == (value, type(value))
    assert set(vars(found)) == set(vars(expected)) - set(DROPPED)
    for key in set(vars(found)) - set(given):
        if key == "_tfidf":
            assert_same(found._tfidf, expected._tfidf)
        else:
            np.testing.assert_array_equal(getattr(found, key), getattr(expected, key), strict=True)


# --- round trip --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", vectorizers())
def test_a_vectorizer_is_read_back_with_exactly_what_it_had(tmp_path: Path, name: str) -> None:
    vectorizer = vectorizers()[name]
    expected = vectorizer.fit(TEXTS).transform(TEXTS)
    parts = saved(tmp_path, vectorizer, "vectorizer")
    found = serialization.load(tmp_path, "vectorizer", parts, stranger=True)
    assert_same(found, vectorizer)
    assert (found.transform(TEXTS) != expected).nnz == 0


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("name", models())
def test_a_model_is_read_back_with_exactly_what_it_had(
    tmp_path: Path, name: str, classes: int
) -> None:
    X = np.random.default_rng(0).poisson(1.0, (len(TEXTS), 5)).astype(float)
    model = models()[name]
    if name == "sgd_weights" and classes == 2:
        model.set_params(class_weight="balanced")
    model.fit(X, Y % classes)
    found = serialization.load(tmp_path, "model", saved(tmp_path, model), stranger=True)
    assert_same(found, model)
    np.testing.assert_array_equal(found.predict(X), model.predict(X))


# --- what is more than plain -------------------------------------------------------------------


def fitted_sgd() -> Any:
    return SGDClassifier(random_state=0).fit(np.eye(3), [0, 1, 2])


def with_attribute(estimator: Any, **changed: Any) -> Any:
    vars(estimator).update(changed)
    return estimator


OTHERS: dict[str, Callable[[], Any]] = {
    "a subclass": lambda: subclass_of(SGDClassifier).fit(np.eye(3), [0, 1, 2]),
    "a function": lambda: CountVectorizer(tokenizer=str.split, token_pattern=None).fit(["a b"]),
    "an analyzer": lambda: CountVectorizer(analyzer=str.split).fit(["a b"]),
    "a fixed vocabulary": lambda: TfidfVectorizer(vocabulary=["a", "b"]).fit(["aa b"]),
    "names of classes": lambda: SGDClassifier().fit(np.eye(3), ["a", "b", "c"]),
    "one attribute more": lambda: with_attribute(fitted_sgd(), notes_="x"),
    "an object array": lambda: with_attribute(fitted_sgd(), coef_=np.full((3, 3), None)),
    "weights of half a byte": lambda: with_attribute(
        fitted_sgd(), coef_=np.ones((3, 3), np.float16)
    ),
    "weights that are not finite": lambda: with_attribute(
        fitted_sgd(), coef_=np.full((3, 3), np.inf)
    ),
    "a gap in the vocabulary": lambda: with_attribute(
        CountVectorizer().fit(["few words"]), vocabulary_={"few": 0, "words": 2}
    ),
    "a union of more": lambda: FeatureUnion([("a", fitted_sgd())]),
}


@pytest.mark.parametrize("name", OTHERS)
def test_an_estimator_that_is_more_than_plain_is_not_taken_apart(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed: list[Any] = []

    def take(file: Path, estimator: Any) -> dict[str, str]:
        handed.append(estimator)
        return {}

    monkeypatch.setattr(skops_files, "save", take)
    estimator = OTHERS[name]()
    serialization.save(tmp_path, "model", estimator)
    assert handed == [estimator]
    assert list(tmp_path.iterdir()) == []


# --- planted -----------------------------------------------------------------------------------

WRONG = (ValueError, TypeError, KeyError, AttributeError, BundleError, ConfigError)
"""What a bundle says in one sentence: see tests/models/test_bundles.py."""


def planted(
    folder: Path, estimator: Any, change: Callable[[dict[str, Any]], Any], name: str = "model"
) -> str:
    """Return why an estimator with something changed in its document is refused."""
    parts = saved(folder, estimator, name)
    file = folder / f"{name}.json"
    document = json.loads(file.read_text())
    file.write_text(json.dumps(change(document) or document))
    with pytest.raises(WRONG) as caught:
        serialization.load(folder, name, parts)
    return str(caught.value)


def setting(part: str, **changed: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda document: document[part].update(changed)


MODEL_CHANGES: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "list": (lambda d: [d], "list indices must be"),
    "class": (lambda d: d.update({"class": "Popen"}), "the class = 'Popen' is not allowed"),
    "path": (lambda d: d.update({"class": "os.system"}), "the class = 'os.system' is not"),
    "number": (lambda d: d.update({"class": 3}), "the class = 3 is not allowed"),
    "other": (lambda d: d.update({"class": "LinearSVC"}), "are not ['penalty', "),
    "vectorizer": (lambda d: d.update({"class": "TfidfVectorizer"}), "the class = 'TfidfVec"),
    "none": (lambda d: d.update(parameters=None), "not iterable"),
    "parameter": (setting("parameters", _target_="x"), "are not ['loss', "),
    "gone": (lambda d: d["parameters"].__delitem__("alpha"), "are not ['loss', "),
    "infinite": (setting("parameters", alpha=float("inf")), "Infinity is no finite number"),
    "weights": (setting("parameters", class_weight={"x": 1}), "invalid literal for int()"),
    "attribute": (setting("fitted", predict=1), "model.predict = 1 is not allowed"),
    "dunder": (setting("fitted", __class__="x"), "model.__class__ = 'x' is not allowed"),
    "scalar": (setting("fitted", t_=[1]), "t_ = [1] is not allowed"),
    "bool": (setting("fitted", n_iter_=True), "n_iter_ = True is not allowed"),
    "array": (setting("fitted", _average_coef=[1.0]), "_average_coef = [1.0] is not allowed"),
    "estimator": (setting("fitted", _tfidf={"class": "SGDClassifier"}), "parameters"),
    "features": (setting("fitted", n_features_in_=4), "= 3 is not the number of features, 4"),
}


@pytest.mark.parametrize("name", MODEL_CHANGES)
def test_a_planted_model_is_refused_with_what_is_wrong(tmp_path: Path, name: str) -> None:
    change, reason = MODEL_CHANGES[name]
    assert reason in planted(tmp_path, fitted_sgd(), change)


def step(part: str, **changed: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda document: document["parameters"]["transformer_list"][0][1][part].update(changed)


def name_step(name: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda d: d["parameters"]["transformer_list"][0].__setitem__(0, name)


UNION_CHANGES: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "steps": (setting("parameters", transformer_list=[["word", None]]), "transformer_weights"),
    "names": (name_step("a__b"), "names of steps"),
    "path": (name_step("../x"), "names of steps"),
    "twice": (name_step("char"), "names of steps"),
    "collide": (name_step("CHAR"), "names of steps"),
    "weights": (setting("parameters", transformer_weights={"words": 1}), "transformer_weights"),
    "model": (
        lambda d: d["parameters"]["transformer_list"][0][1].update({"class": "LinearSVC"}),
        "the class = 'LinearSVC' is not allowed",
    ),
    "files": (step("parameters", input="filename"), "input = 'filename' is not allowed"),
    "range": (step("parameters", ngram_range=[0, 2]), "ngram_range = [0, 2] is not allowed"),
    "function": (step("parameters", tokenizer="print"), "tokenizer = 'print' is not allowed"),
    "fixed": (step("parameters", vocabulary=["a"]), "vocabulary = ['a'] is not allowed"),
    "type": (step("parameters", dtype="object"), "'object'"),
    "idf": (step("fitted", _tfidf=3), "not subscriptable"),
}


@pytest.mark.parametrize("name", UNION_CHANGES)
def test_a_planted_vectorizer_is_refused_with_what_is_wrong(tmp_path: Path, name: str) -> None:
    change, reason = UNION_CHANGES[name]
    union = vectorizers()["union"].fit(TEXTS)
    assert reason in planted(tmp_path, union, change, "vectorizer")


def test_an_encoder_is_a_name_and_no_path(tmp_path: Path) -> None:
    vectorizer = EmbeddingVectorizer("tiny")
    vectorizer.digest_, vectorizer.n_features_out_ = "0" * 64, 8
    change = setting("parameters", encoder="../tiny")
    assert "encoder = '../tiny' is not allowed" in planted(
        tmp_path, vectorizer, change, "vectorizer"
    )


ARRAYS: dict[str, tuple[str, Any, str]] = {
    "shape": ("coef_", np.zeros((3, 2)), "is not the number of features, 3"),
    "rows": ("coef_", np.zeros((2, 3)), "is not the number of outputs"),
    "flat": ("coef_", np.zeros(3), "coef_ = (3,) is not allowed"),
    "deep": ("coef_", np.zeros((3, 3, 1)), "coef_ = (3, 3, 1) is not allowed"),
    "empty": ("coef_", np.zeros((3, 0)), "is not the number of features"),
    "text": ("coef_", np.array([["a"] * 3] * 3), "coef_ = '<U1' is not allowed"),
    "whole": ("coef_", np.zeros((3, 3), int), "coef_ = '<i8' is not allowed"),
    "swapped": ("coef_", np.zeros((3, 3), ">f8"), "coef_ = '>f8' is not allowed"),
    "half": ("coef_", np.zeros((3, 3), "f2"), "coef_ = '<f2' is not allowed"),
    "no number": ("coef_", np.full((3, 3), np.nan), "coef_ has values that are not finite"),
    "infinite": ("intercept_", np.full(3, -np.inf), "intercept_ has values that are not finite"),
    "classes": ("classes_", np.arange(4), "is not the number of classes"),
    "unknown": ("nothing_", np.zeros((3, 3)), "nothing_ = (3, 3) is not allowed"),
    "nowhere": ("inner.coef_", np.zeros((3, 3)), "model.inner.coef_ does not belong to the model"),
    "method": ("predict", np.zeros(3), "predict = (3,) is not allowed"),
    "terms": (
        "vocabulary_", np.frombuffer(b"a\xffb", np.uint8), "is not the number of features",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ARRAYS)
def test_a_planted_array_is_refused_with_what_is_wrong(tmp_path: Path, name: str) -> None:
    attribute, value, reason = ARRAYS[name]
    saved(tmp_path, fitted_sgd())
    np.save(tmp_path / f"model.{attribute}.npy", value, allow_pickle=False)
    parts: dict[str, Any] = {file.name: {} for file in sorted(tmp_path.iterdir())}
    with pytest.raises(ValueError, match=r".") as caught:
        serialization.load(tmp_path, "model", parts)
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        (b"", "is not the number of features"),
        (b"\xff" * 5, "has a term twice"),
        (b"a\xffb", "is not the number of features"),
        (b"a\xed\xa0\x80", "can't decode"),
        (b"a\xfe", "can't decode"),
    ],
)
def test_a_planted_vocabulary_is_refused_with_what_is_wrong(
    tmp_path: Path, terms: bytes, reason: str
) -> None:
    parts = saved(tmp_path, TfidfVectorizer().fit(TEXTS), "vectorizer")
    np.save(tmp_path / "vectorizer.vocabulary_.npy", np.frombuffer(terms, np.uint8))
    with pytest.raises(ValueError, match=r".") as caught:
        serialization.load(tmp_path, "vectorizer", parts)
    assert reason in str(caught.value)


# --- strangers ---------------------------------------------------------------------------------

PATTERN = r"(?:\w+)+-"


def vectorizer_changes() -> dict[str, Callable[[dict[str, Any]], Any]]:
    return {
        "pattern": step("parameters", token_pattern=PATTERN),
        "ngrams": step("parameters", ngram_range=[1, 15_000]),
        "stop words": step("parameters", stop_words=["a"] * 10_001),
        "processes": setting("parameters", n_jobs=-1),
        "steps": lambda d: d["parameters"].update(
            transformer_list=[
                [f"s{n}", d["parameters"]["transformer_list"][0][1]]
                for n in range(serialization.MOST_STEPS + 1)
            ],
            transformer_weights=None,
        ),
    }


@pytest.mark.parametrize("name", vectorizer_changes())
def test_a_stranger_s_vectorizer_that_could_hang_is_refused(tmp_path: Path, name: str) -> None:
    parts = saved(tmp_path, vectorizers()["union"].fit(TEXTS), "vectorizer")
    file = tmp_path / "vectorizer.json"
    document = json.loads(file.read_text())
    vectorizer_changes()[name](document)
    file.write_text(json.dumps(document))
    with pytest.raises((ConfigError, ValueError), match=r"is not taken from|at most"):
        serialization.load(tmp_path, "vectorizer", parts, stranger=True)


def test_a_pattern_of_one_s_own_is_taken_as_it_is(tmp_path: Path) -> None:
    own = TfidfVectorizer(token_pattern="[a-z]+s").fit(TEXTS)
    parts = saved(tmp_path, own, "vectorizer")
    assert serialization.load(tmp_path, "vectorizer", parts).token_pattern == "[a-z]+s"
    with pytest.raises(ConfigError, match=r"token_pattern = '.a-z.*is not taken from a model that"):
        serialization.load(tmp_path, "vectorizer", parts, stranger=True)


def test_a_stranger_s_lengths_have_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serialization, "MOST_CLASSES", 2)
    model = saved(tmp_path, fitted_sgd())
    with pytest.raises(ValueError, match=r"classes_ = 3 long: at most 2"):
        serialization.load(tmp_path, "model", model, stranger=True)
    monkeypatch.setattr(serialization, "MOST_FEATURES", 2)
    vectorizer = saved(tmp_path, CountVectorizer().fit(TEXTS), "vectorizer")
    with pytest.raises(ValueError, match=r"vocabulary_ = \d+ long: at most 2"):
        serialization.load(tmp_path, "vectorizer", vectorizer, stranger=True)
    monkeypatch.setattr(serialization, "LONGEST_TERM", 5)
    with pytest.raises(ValueError, match="bytes: at most 5"):
        serialization.load(tmp_path, "vectorizer", vectorizer, stranger=True)


def test_a_stranger_s_estimator_of_another_kind_is_refused(tmp_path: Path) -> None:
    forest = RandomForestClassifier(2).fit(np.eye(3), [0, 1, 2])
    serialization.save(tmp_path, "model", forest)
    assert serialization.load(tmp_path, "model", {"model.skops": {}}).n_estimators == 2
    with pytest.raises(BundleError, match=r"compiled code would use .* unchecked.*trusted=True"):
        serialization.load(tmp_path, "model", {"model.skops": {}}, stranger=True)
