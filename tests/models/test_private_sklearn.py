"""What the bundles know of fitted estimators of scikit-learn holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.feature_extraction.text import (
    CountVectorizer,
    HashingVectorizer,
    TfidfTransformer,
    TfidfVectorizer,
)
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.naive_bayes import BernoulliNB, ComplementNB, MultinomialNB
from sklearn.pipeline import FeatureUnion
from sklearn.svm import LinearSVC

from tagifai.models.serialization import CLASSES, INNER, SCALARS, SHAPES, TERMS
from tagifai.models.skops_files import DROPPED, TRUSTED
from tests.private_names import require, require_import

FENCE, SKOPS = "tagifai/models/serialization.py", "tagifai/models/skops_files.py"
TEXTS = ["a word of grammar", "image and a pixel", "a robot acts", "a word", "image", "acts"]
X, Y = CountVectorizer().fit_transform(TEXTS), np.array([0, 1, 2, 0, 1, 2])


# --- the format of bundles ---------------------------------------------------------------------


def weigh(estimator: Any) -> Any:
    """Fit an estimator such that it has its optional attributes, too."""
    return estimator.fit(X, Y)


FITTED: dict[str, Callable[[], Any]] = {
    "TfidfTransformer": lambda: weigh(TfidfTransformer()),
    "CountVectorizer": lambda: CountVectorizer(stop_words=["a"]).fit(TEXTS),
    "TfidfVectorizer": lambda: TfidfVectorizer(stop_words=["a"]).fit(TEXTS),
    "HashingVectorizer": lambda: HashingVectorizer(stop_words=["a"], n_features=8).fit(TEXTS),
    "FeatureUnion": lambda: FeatureUnion([("one", CountVectorizer())]).fit(TEXTS),
    "SGDClassifier": lambda: weigh(SGDClassifier(average=True, class_weight={0: 1, 1: 1, 2: 1})),
    "LogisticRegression": lambda: weigh(LogisticRegression()),
    "LinearSVC": lambda: weigh(LinearSVC()),
    "BernoulliNB": lambda: weigh(BernoulliNB()),
    "ComplementNB": lambda: weigh(ComplementNB()),
    "MultinomialNB": lambda: weigh(MultinomialNB()),
}


@pytest.mark.parametrize("name", sorted(CLASSES.keys() - {"EmbeddingVectorizer"}))
def test_a_fitted_estimator_has_the_attributes_that_are_known(name: str) -> None:
    estimator = FITTED[name]()
    if name.endswith("Vectorizer"):
        estimator.build_analyzer()
        estimator.transform(TEXTS)
    known = {*SCALARS, *SHAPES, *DROPPED, TERMS, INNER, *estimator.get_params(deep=False)}
    new = sorted(vars(estimator).keys() - known)
    if new:
        pytest.fail(
            f"A fitted {name} has {', '.join(new)}, which {FENCE} does not name: such estimators"
            " would be saved by skops. Name them there."
        )


def test_no_attribute_is_known_that_scikit_learn_has_not() -> None:
    found = {key for make in FITTED.values() for key in vars(make())}
    ours = {"digest_", "n_features_out_"}  # of the embedding
    assert {*SCALARS, *SHAPES, *DROPPED, TERMS, INNER} - ours <= found


def test_no_attribute_is_left_out_that_scikit_learn_has_not() -> None:
    require(FITTED["CountVectorizer"](), DROPPED[1:], "scikit-learn", SKOPS)


@pytest.mark.parametrize("name", TRUSTED)
def test_a_trusted_type_has_its_name(name: str) -> None:
    library = "scipy" if name.startswith("scipy") else "scikit-learn"
    found = require_import(name, library, SKOPS)
    assert f"{found.__module__}.{found.__qualname__}" == name
