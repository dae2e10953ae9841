from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn
from numpy.random import RandomState
from scipy.sparse import csr_matrix
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    GradientBoostingClassifier,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import SGDClassifier
from sklearn.naive_bayes import MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier

from tagifai.exceptions import BundleError
from tagifai.models import serialization
from tests.conftest import TEXTS

DIGEST = """
from tagifai.models import serialization
from tests.models.test_serialization import contents

print(*(f"{name} {serialization._digest(value)}" for name, value in contents().items()), sep="\\n")
"""

X = csr_matrix(np.random.default_rng(0).poisson(0.5, (24, 9)).astype(float))
Y = np.arange(24) % 3

CLASSIFIERS: dict[str, Any] = {
    "forest": RandomForestClassifier(5, random_state=0),
    "tree": DecisionTreeClassifier(random_state=0),
    "neighbours": KNeighborsClassifier(3),
    "calibrated": CalibratedClassifierCV(SGDClassifier(random_state=0), cv=2),
    "calibrated_isotonic": CalibratedClassifierCV(MultinomialNB(), cv=2, method="isotonic"),
    "network": MLPClassifier((40,), solver="sgd", random_state=0, tol=1e9, n_iter_no_change=1),
    "network_adam": MLPClassifier((5,), random_state=0, tol=1e9, n_iter_no_change=1),
    "voting": VotingClassifier(
        [("sgd", SGDClassifier(loss="log_loss", random_state=0)), ("bayes", MultinomialNB())],
        voting="soft",
    ),
}


class Unknown:
    """A type that nobody trusts."""


def contents() -> dict[str, Any]:
    """Return values whose order or place in memory is another in another process."""
    words = ["graph", "vision", "language", "time", "series"]
    return {
        "objects": np.array([*words, None, b"x", 1, ("a", 2.5)], dtype=object),
        "bytes": {"first": b"\x00\xff", "second": [b"", b"a"]},
        "strings": np.array(words),
        "set": {"words": set(words), "frozen": frozenset(words)},
        "types": [np.float32, len, SGDClassifier, slice(1, 2), OrderedDict(a=1)],
        "sparse": X,
        **{name: CLASSIFIERS[name].fit(X, Y) for name in ("forest", "calibrated", "network_adam")},
    }


def saved(folder: Path, estimator: object, name: str = "model") -> dict[str, Any]:
    """Save an estimator and return the parts as a manifest names them."""
    serialization.save(folder, name, estimator)
    return {file.name: {} for file in sorted(folder.iterdir())}


def there_and_back(folder: Path, estimator: object) -> Any:
    return serialization.load(folder, "model", saved(folder, estimator))


# --- round trip --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(CLASSIFIERS))
def test_a_loaded_classifier_has_the_same_probabilities(tmp_path: Path, name: str) -> None:
    model = CLASSIFIERS[name].fit(X, Y)
    expected = model.predict_proba(X)
    loaded = there_and_back(tmp_path, model)
    assert type(loaded) is type(model)
    np.testing.assert_array_equal(loaded.predict_proba(X), expected)
    np.testing.assert_array_equal(model.predict_proba(X), expected)


@pytest.mark.parametrize(("features", "beside"), [(64, set()), (65, {"model.coef_.npy"})])
def test_arrays_of_more_than_64_items_are_kept_beside_the_estimator(
    tmp_path: Path, features: int, beside: set[str]
) -> None:
    model = SGDClassifier().fit(np.eye(2, features), [0, 1])
    model.notes_ = "more than plain"
    parts = saved(tmp_path, model)
    assert set(parts) == {"model.skops"} | beside
    np.testing.assert_array_equal(serialization.load(tmp_path, "model", parts).coef_, model.coef_)


def test_vocabularies_of_more_than_64_terms_are_lists_in_the_order_of_columns(
    tmp_path: Path,
) -> None:
    terms = [f"t{i:02}é" for i in range(65)]
    vectorizer = CountVectorizer().fit([" ".join(terms)])
    parts = saved(tmp_path, vectorizer)
    lines = (tmp_path / "model.vocabulary_.json").read_text(encoding="utf-8").splitlines()
    assert [line.strip('",') for line in lines] == ["[", *terms, "]"]
    assert serialization.load(tmp_path, "model", parts).vocabulary_ == vectorizer.vocabulary_


@pytest.mark.parametrize("inside", [1, "a", None])
def test_a_large_dict_that_is_no_vocabulary_is_kept_as_it_is(
    tmp_path: Path, inside: object
) -> None:
    model = MultinomialNB().fit(X, Y)
    model.notes_ = dict.fromkeys(map(str, range(65)), inside)
    parts = saved(tmp_path, model)
    assert set(parts) == {"model.skops"}
    assert serialization.load(tmp_path, "model", parts).notes_ == model.notes_


def test_large_parts_of_an_inner_estimator_have_a_dotted_name(tmp_path: Path) -> None:
    model = MultinomialNB().fit(np.eye(2, 65), [0, 1])
    model.inner_ = MultinomialNB().fit(np.eye(2, 65), [1, 0])
    parts = saved(tmp_path, model)
    assert "model.inner_.feature_count_.npy" in parts
    loaded = serialization.load(tmp_path, "model", parts)
    np.testing.assert_array_equal(loaded.inner_.feature_count_, np.eye(2, 65)[::-1])


def test_the_parts_of_another_estimator_are_left_alone(tmp_path: Path) -> None:
    saved(tmp_path, MultinomialNB().fit(np.eye(2, 65), [0, 1]), "vectorizer")
    parts = saved(tmp_path, DecisionTreeClassifier(random_state=0).fit(X, Y))
    assert not hasattr(serialization.load(tmp_path, "model", parts), "feature_count_")


def test_the_state_of_the_randomness_is_not_saved_and_stays_with_the_estimator(
    tmp_path: Path,
) -> None:
    model = SGDClassifier(random_state=RandomState(3)).fit(X, Y)
    assert there_and_back(tmp_path, model).random_state is None
    assert isinstance(model.random_state, RandomState)


# --- sums of content ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second", "equal"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ({"a": 1}, {"a": 2}, False),
        ({"a": 1}, {1: "a"}, False),
        ({"x", "y"}, {"y", "x"}, True),
        ([1, 2], [2, 1], False),
        (1, 1.0, False),
        (1, "1", False),
        (1, True, False),
        (None, "None", False),
        (b"a", "a", False),
        (b"a", b"a", True),
        (b"a", b"b", False),
        (np.arange(4), np.arange(8)[::2] // 2, True),
        (np.arange(4), np.arange(4).reshape(2, 2), False),
        (np.arange(4), np.arange(4, dtype=np.int32), False),
        (np.array(["a", None], object), np.array(["a", None], object), True),
        (np.array(["a", None], object), np.array(["b", None], object), False),
        (np.array(["a"], object), np.array(["a"]), False),
        (slice(1, 2), slice(1, 2), True),
        (slice(1, 2), slice(1, 3), False),
        (len, len, True),
        (len, sorted, False),
    ],
)
def test_the_sum_of_content_is_equal_for_equal_content_only(
    first: object, second: object, equal: bool
) -> None:
    assert (serialization._digest(first) == serialization._digest(second)) is equal


@pytest.mark.e2e
def test_the_sums_of_content_are_equal_in_two_processes() -> None:
    done = subprocess.run(
        [sys.executable, "-c", DIGEST],
        cwd=Path(__file__).parents[2],
        env=os.environ | {"PYTHONHASHSEED": "1"},
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    there = dict(line.split() for line in done.stdout.splitlines())
    assert there == {name: serialization._digest(value) for name, value in contents().items()}


def test_use_does_not_change_the_sum_of_content(tmp_path: Path) -> None:
    def fitted_on_words() -> CountVectorizer:
        return CountVectorizer(stop_words=["of", "a"], lowercase=False).fit(TEXTS)

    used = fitted_on_words()
    used.transform(TEXTS)
    sums = [serialization.save(tmp_path, "a", words) for words in (used, fitted_on_words())]
    assert sums[0] == sums[1] == {}

    def with_notes() -> CountVectorizer:
        words = fitted_on_words()
        words.notes_ = "more than plain"
        return words

    used = with_notes()
    used.transform(TEXTS)
    sums = [serialization.save(tmp_path, "a", words) for words in (used, with_notes())]
    assert sums[0] == sums[1]
    assert set(sums[0]) == {"a.skops"}


# --- refused -----------------------------------------------------------------------------------


def test_a_type_that_is_not_trusted_is_not_saved(tmp_path: Path) -> None:
    model = VotingClassifier([("a", MultinomialNB()), ("b", Unknown())])
    with pytest.raises(BundleError, match=r"model\.skops holds types that are not trusted: tests"):
        serialization.save(tmp_path, "model", model)


@pytest.mark.parametrize(
    "part", ["model.__class__.x.npy", "model.loss_functions.x.npy", "model.fit.x.npy"]
)
def test_a_part_sets_nothing_on_what_other_estimators_share(tmp_path: Path, part: str) -> None:
    parts = saved(tmp_path, SGDClassifier(loss="log_loss"))
    np.save(tmp_path / part, np.zeros(1), allow_pickle=False)
    before = dict(SGDClassifier.loss_functions)
    with pytest.raises(KeyError):
        serialization.load(tmp_path, "model", {**parts, part: {}})
    assert not hasattr(SGDClassifier, "x")
    assert not hasattr(SGDClassifier.fit, "x")
    assert SGDClassifier.loss_functions == before


# Node 0 tests feature 1 and goes to 1 or 6; 1 to 2 or 5; 2 to 3 or 4; 3 to 6 are leaves.
LEFT, RIGHT = [1, 2, 3, -1, -1, -1, -1], [6, 5, 4, -1, -1, -1, -1]


def tampered(field: str, node: int, value: int) -> DecisionTreeClassifier:
    model = DecisionTreeClassifier(random_state=0).fit(np.eye(4), range(4))
    assert model.tree_.children_left.tolist() == LEFT
    assert model.tree_.children_right.tolist() == RIGHT
    state = model.tree_.__getstate__()
    state["nodes"] = state["nodes"].copy()
    state["nodes"][field][node] = value
    model.tree_.__setstate__(state)
    return model


NO_TREE = [
    ("left_child", 0, 7),
    ("left_child", 0, -2),
    ("left_child", 0, 10**15),
    ("right_child", 2, 7),
    ("left_child", 0, 0),
    ("right_child", 1, 1),
    ("right_child", 2, 0),
    ("left_child", 6, 6),
    ("right_child", 6, 7),
]


@pytest.mark.parametrize(("field", "node", "value"), NO_TREE)
def test_a_tree_whose_child_is_outside_or_leads_back_is_refused(
    tmp_path: Path, field: str, node: int, value: int
) -> None:
    with pytest.raises(
        BundleError, match=r"model\.skops holds a decision tree with wrong child nodes"
    ):
        there_and_back(tmp_path, tampered(field, node, value))


@pytest.mark.parametrize("node", [0, 1, 2])
def test_a_tree_with_a_left_child_and_no_right_one_is_refused(tmp_path: Path, node: int) -> None:
    with pytest.raises(BundleError, match="holds a decision tree"):
        there_and_back(tmp_path, tampered("right_child", node, -1))


@pytest.mark.parametrize("feature", [-1, 4, 10**15])
def test_a_tree_over_features_that_it_does_not_have_is_refused(
    tmp_path: Path, feature: int
) -> None:
    with pytest.raises(BundleError, match="a decision tree over features that it does not have"):
        there_and_back(tmp_path, tampered("feature", 0, feature))


def test_a_tree_over_more_features_than_its_model_has_is_refused(tmp_path: Path) -> None:
    model = DecisionTreeClassifier(random_state=0).fit(np.eye(4), range(4))
    model.n_features_in_ = 3
    with pytest.raises(BundleError, match="holds a decision tree"):
        there_and_back(tmp_path, model)


def test_a_boosted_tree_over_more_features_than_the_whole_has_is_refused(tmp_path: Path) -> None:
    model = GradientBoostingClassifier(n_estimators=1, random_state=0).fit(np.eye(4), range(4))
    model.n_features_in_ = 3
    with pytest.raises(BundleError, match="holds a decision tree"):
        there_and_back(tmp_path, model)


def test_trees_are_found_wherever_they_are(tmp_path: Path) -> None:
    forest = RandomForestClassifier(3, random_state=0).fit(np.eye(4), range(4))
    forest.estimators_[1] = tampered("left_child", 0, 0)
    for model in (
        forest,
        make_pipeline(forest),
        VotingClassifier([("a", MultinomialNB()), ("b", forest)]),
    ):
        with pytest.raises(BundleError, match="holds a decision tree with wrong child nodes"):
            there_and_back(tmp_path, model)


@pytest.mark.parametrize(("field", "value"), [("indices", 10**6), ("indptr", 10**6)])
def test_a_sparse_matrix_that_points_outside_of_itself_is_refused(
    tmp_path: Path, field: str, value: int
) -> None:
    model = KNeighborsClassifier(3).fit(X, Y)
    getattr(model._fit_X, field)[1] = value
    with pytest.raises(BundleError, match=r"model\.skops holds an invalid sparse matrix"):
        there_and_back(tmp_path, model)


def test_a_small_vocabulary_whose_columns_are_not_there_is_refused(tmp_path: Path) -> None:
    vectorizer = CountVectorizer().fit(["a few words"])
    vectorizer.vocabulary_["few"] = -5
    with pytest.raises(BundleError, match=r"model\.skops holds a vocabulary whose terms"):
        there_and_back(tmp_path, vectorizer)


def test_another_version_of_scikit_learn_is_no_warning_of_every_estimator(tmp_path: Path) -> None:
    parts = saved(tmp_path, CLASSIFIERS["forest"].fit(X, Y))
    content = (tmp_path / "model.skops").read_bytes()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    here = json.dumps(json.dumps(sklearn.__version__)).encode()
    assert here in members["schema.json"]
    members["schema.json"] = members["schema.json"].replace(here, rb'"\"1.0.0\""')
    with zipfile.ZipFile(tmp_path / "model.skops", "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    assert len(serialization.load(tmp_path, "model", parts).estimators_) == 5
