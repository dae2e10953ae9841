from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.naive_bayes import ComplementNB
from sklearn.pipeline import FeatureUnion
from sklearn.svm import LinearSVC

from tagifai.models import estimator_state, serialization
from tagifai.models.estimator_schema import ESTIMATOR_SCHEMAS
from tagifai.preprocessing import vectorizers as preprocessing_vectorizers
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
        "svc": LinearSVC(),
    }


def saved(folder: Path, estimator: Any) -> dict[str, Any]:
    assert serialization.save(folder, "model", estimator) == {}
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
    dropped = ESTIMATOR_SCHEMAS[type(found).__name__].dropped
    assert set(vars(found)) == set(vars(expected)) - set(dropped)
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
    found = serialization.load(tmp_path, "model", saved(tmp_path, vectorizer))
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
    found = serialization.load(tmp_path, "model", saved(tmp_path, model))
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
    "not fitted": TfidfVectorizer,
    "a function": lambda: CountVectorizer(tokenizer=str.split, token_pattern=None).fit(["a b"]),
    "an analyzer": lambda: CountVectorizer(analyzer=str.split).fit(["a b"]),
    "a fixed vocabulary": lambda: TfidfVectorizer(vocabulary=["a", "b"]).fit(["aa b"]),
    "names of classes": lambda: SGDClassifier().fit(np.eye(3), ["a", "b", "c"]),
    "one attribute more": lambda: with_attribute(fitted_sgd(), notes_="x"),
    "an object array": lambda: with_attribute(fitted_sgd(), coef_=np.full((3, 3), None)),
    "weights of half a byte": lambda: with_attribute(
        fitted_sgd(), coef_=np.ones((3, 3), np.float16)
    ),
    "a gap in the vocabulary": lambda: with_attribute(
        CountVectorizer().fit(["few words"]), vocabulary_={"few": 0, "words": 2}
    ),
    "a union of more": lambda: FeatureUnion([("a", fitted_sgd())]),
}


@pytest.mark.parametrize("name", OTHERS)
def test_an_estimator_that_is_more_than_plain_is_not_taken_apart(name: str) -> None:
    assert estimator_state.extract(OTHERS[name]()) is None


@pytest.mark.parametrize("name", sorted(ESTIMATOR_SCHEMAS))
def test_the_table_has_the_parameters_of_the_installed_scikit_learn(name: str) -> None:
    kind = estimator_state._import_class(name)
    given: dict[str, dict[str, Any]] = {
        "FeatureUnion": {"transformer_list": []},
        "EmbeddingVectorizer": {"encoder": "tiny"},
    }
    assert set(kind(**given.get(name, {})).get_params(deep=False)) == set(
        ESTIMATOR_SCHEMAS[name].parameters
    )


# --- planted -----------------------------------------------------------------------------------


def planted(folder: Path, estimator: Any, change: Callable[[dict[str, Any]], Any]) -> str:
    """Return why an estimator with something changed in its document is refused."""
    parts = saved(folder, estimator)
    file = folder / "model.json"
    document = json.loads(file.read_text())
    file.write_text(json.dumps(change(document) or document))
    with pytest.raises(ValueError, match=r".") as caught:
        serialization.load(folder, "model", parts)
    return str(caught.value)


def setting(part: str, **changed: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda document: document[part].update(changed)


MODEL_CHANGES: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "list": (lambda d: [d], "model is no estimator with a class"),
    "more": (lambda d: d.update(x=1), "model is no estimator with a class"),
    "class": (lambda d: d.update({"class": "Popen"}), "'Popen' is not the name of a class"),
    "path": (lambda d: d.update({"class": "os.system"}), "is not the name of a class"),
    "number": (lambda d: d.update({"class": 3}), "3 is not the name of a class"),
    "other": (lambda d: d.update({"class": "LinearSVC"}), "does not belong to LinearSVC"),
    "inner": (lambda d: d.update({"class": "TfidfVectorizer"}), "model._tfidf is no estimator"),
    "none": (lambda d: d.update(parameters=None), "model has no parameters or nothing"),
    "parameter": (setting("parameters", _target_="x"), "'_target_' does not belong to it"),
    "gone": (lambda d: d["parameters"].__delitem__("alpha"), "'alpha' is missing"),
    "type": (setting("parameters", alpha="1"), "alpha='1' is not allowed"),
    "bool": (setting("parameters", max_iter=True), "max_iter=True is not allowed"),
    "infinite": (setting("parameters", alpha=float("inf")), "alpha=inf is not allowed"),
    "weights": (setting("parameters", class_weight={"x": 1}), "class_weight={'x': 1} is not"),
    "attribute": (setting("fitted", predict=1), "'predict' does not belong to it"),
    "dunder": (setting("fitted", __class__="x"), "'__class__' does not belong to it"),
    "scalar": (setting("fitted", t_=[1]), "t_=[1] is not allowed"),
    "array": (setting("fitted", _average_coef=[1.0]), "_average_coef is no array of numbers"),
    "features": (setting("fitted", n_features_in_=4), "coef_ has 3 features, where there are 4"),
}


@pytest.mark.parametrize("name", MODEL_CHANGES)
def test_a_planted_model_is_refused_with_what_is_wrong(tmp_path: Path, name: str) -> None:
    change, reason = MODEL_CHANGES[name]
    assert reason in planted(tmp_path, fitted_sgd(), change)


def step(**changed: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda document: document["parameters"]["transformer_list"][0][1].update(changed)


UNION_CHANGES: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "steps": (setting("parameters", transformer_list=[["word", None]]), "is no estimator"),
    "names": (
        lambda d: d["parameters"]["transformer_list"][0].__setitem__(0, "a__b"),
        "'vectorizer'|does not belong",
    ),
    "model": (step(**{"class": "SGDClassifier"}), "does not belong"),
    "weights": (setting("parameters", transformer_weights={"word": "1"}), "is not allowed"),
    "files": (
        lambda d: d["parameters"]["transformer_list"][0][1]["parameters"].update(input="filename"),
        "input='filename' is not allowed",
    ),
    "range": (
        lambda d: d["parameters"]["transformer_list"][0][1]["parameters"].update(
            ngram_range=[0, 2]
        ),
        "ngram_range=[0, 2] is not allowed",
    ),
    "function": (
        lambda d: d["parameters"]["transformer_list"][0][1]["parameters"].update(tokenizer="print"),
        "tokenizer='print' is not allowed",
    ),
    "idf": (
        lambda d: d["parameters"]["transformer_list"][0][1]["fitted"].update(_tfidf=3),
        "_tfidf is no estimator",
    ),
}


@pytest.mark.parametrize("name", UNION_CHANGES)
def test_a_planted_vectorizer_is_refused_with_what_is_wrong(tmp_path: Path, name: str) -> None:
    change, reason = UNION_CHANGES[name]
    union = vectorizers()["union"].fit(TEXTS)
    message = planted(tmp_path, union, change)
    assert any(part in message for part in reason.split("|")), message


ARRAYS: dict[str, tuple[str, Any, str]] = {
    "shape": ("coef_", np.zeros((3, 2)), "coef_ has 2 features, where there are 3"),
    "rows": ("coef_", np.zeros((2, 3)), "intercept_ has 3 outputs, where there are 2"),
    "flat": ("coef_", np.zeros(3), "coef_ has shape (3,)"),
    "text": ("coef_", np.array([["a"] * 3] * 3), "coef_ is no array of numbers"),
    "whole": ("coef_", np.zeros((3, 3), int), "coef_ is no array of numbers"),
    "swapped": ("coef_", np.zeros((3, 3), ">f8"), "coef_ is no array of numbers"),
    "classes": ("classes_", np.arange(4), "where there are 4"),
    "unknown": ("feature_count_", np.zeros((3, 3)), "model.feature_count_ does not belong"),
    "method": ("predict", np.zeros(3), "model.predict does not belong to SGDClassifier"),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_a_planted_array_is_refused_with_what_is_wrong(tmp_path: Path, name: str) -> None:
    attribute, value, reason = ARRAYS[name]
    saved(tmp_path, fitted_sgd())
    np.save(tmp_path / f"model.{attribute}.npy", value, allow_pickle=False)
    parts: dict[str, Any] = {file.name: {} for file in tmp_path.iterdir()}
    with pytest.raises(ValueError, match=r".") as caught:
        serialization.load(tmp_path, "model", parts)
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        ([], "has no terms, or one of them twice"),
        (["a"] * 6, "has no terms, or one of them twice"),
        (["a", "b"], "is no list of terms|has 8 features|where there are 2"),
        ([1, 2, 3], "is no list of terms"),
        ({"a": 0}, "is no list of terms"),
        (3, "is no list of terms"),
    ],
)
def test_a_planted_vocabulary_is_refused_with_what_is_wrong(
    tmp_path: Path, terms: Any, reason: str
) -> None:
    parts = saved(tmp_path, TfidfVectorizer().fit(TEXTS))
    (tmp_path / "model.vocabulary_.json").write_text(json.dumps(terms))
    with pytest.raises(ValueError, match=r".") as caught:
        serialization.load(tmp_path, "model", parts)
    assert any(part in str(caught.value) for part in reason.split("|")), caught.value
