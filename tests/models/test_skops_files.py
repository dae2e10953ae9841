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
import skops.io
from numpy.random import RandomState
from scipy.sparse import csr_matrix
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import SGDClassifier
from sklearn.naive_bayes import MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.tree import DecisionTreeClassifier

from tagifai.exceptions import BundleError
from tagifai.models import serialization, skops_files
from tagifai.utils.files import compute_sha256
from tests.conftest import TEXTS

DIGEST = """
import tempfile
from pathlib import Path
from tests.models.test_skops_files import contents, digest

folder = Path(tempfile.mkdtemp())
print(*(f"{name} {digest(folder, value)}" for name, value in contents().items()), sep="\\n")
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


def test_the_state_of_the_randomness_is_not_saved_and_stays_with_the_estimator(
    tmp_path: Path,
) -> None:
    inner = SGDClassifier(random_state=RandomState(3))
    for model in (inner, VotingClassifier([("a", inner)])):
        model.fit(X, Y).notes_ = "more than plain"
        found = there_and_back(tmp_path, model)
        assert getattr(found, "random_state", None) is None
    assert found.estimators[0][1].random_state is None
    assert found.estimators_[0].random_state is None
    assert isinstance(inner.random_state, RandomState)


# --- sums of files ------------------------------------------------------------------------------


def digest(folder: Path, value: object) -> str:
    skops.io.dump(value, folder / "a.skops")
    skops_files._number_anew(folder / "a.skops")
    return compute_sha256(folder / "a.skops")


@pytest.mark.parametrize(
    ("first", "second", "equal"),
    [
        ({"a": 1}, {"a": 2}, False),
        ([1, 2], [2, 1], False),
        (1, 1.0, False),
        (1, "1", False),
        (1, True, False),
        (None, "None", False),
        ([{"a": 1}, {"a": 1}], [{"a": 1}] * 2, True),
        (np.arange(4), np.arange(8)[::2] // 2, True),
        (np.arange(4), np.arange(4).reshape(2, 2), False),
        (np.arange(4), np.arange(4, dtype=np.int32), False),
        (np.array(["a", None], object), np.array(["a", None], object), True),
        (np.array(["a", None], object), np.array(["b", None], object), False),
        (np.array(["a"], object), np.array(["a"]), False),
        (slice(1, 2), slice(1, 2), True),
        (slice(1, 2), slice(1, 3), False),
    ],
)
def test_files_are_equal_for_equal_content_only(
    tmp_path: Path, first: object, second: object, equal: bool
) -> None:
    assert (digest(tmp_path, first) == digest(tmp_path, second)) is equal


@pytest.mark.e2e
def test_files_of_equal_content_are_equal_in_two_processes(tmp_path: Path) -> None:
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
    assert there == {name: digest(tmp_path, value) for name, value in contents().items()}


def test_use_does_not_change_the_file(tmp_path: Path) -> None:
    def fitted_on_words() -> CountVectorizer:
        return CountVectorizer(stop_words=["of", "a"], lowercase=False).fit(TEXTS)

    used = fitted_on_words()
    used.transform(TEXTS)
    for name, one in (("a", used), ("b", fitted_on_words())):
        skops_files.save(tmp_path / name, one)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


# --- refused -----------------------------------------------------------------------------------


def test_a_type_that_is_not_trusted_is_not_saved(tmp_path: Path) -> None:
    model = VotingClassifier([("a", MultinomialNB()), ("b", Unknown())])
    with pytest.raises(BundleError, match=r"model\.skops holds types that are not trusted: tests"):
        serialization.save(tmp_path, "model", model)


def test_a_type_that_is_not_trusted_is_not_read(tmp_path: Path) -> None:
    skops.io.dump({"a": Unknown()}, tmp_path / "model.skops")
    with pytest.raises(BundleError, match=r"model\.skops holds types that are not trusted: tests"):
        skops_files.load(tmp_path / "model.skops")


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
