"""What `models/_sklearn.py` and the bundles know of fitted estimators of scikit-learn holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.feature_extraction.text import (
    CountVectorizer,
    HashingVectorizer,
    TfidfTransformer,
    TfidfVectorizer,
)
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.naive_bayes import ComplementNB
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
from sklearn.pipeline import FeatureUnion
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier

from tagifai.models import _sklearn
from tagifai.models.estimator_schema import ESTIMATOR_SCHEMAS
from tagifai.models.serialization import ADDRESSES, TRUSTED
from tests.private_names import fail, require, require_import

FENCE, SCHEMAS = "tagifai/models/_sklearn.py", "tagifai/models/estimator_schema.py"
TEXTS = ["a word of grammar", "image and a pixel", "a robot acts", "a word", "image", "acts"]
X, Y = CountVectorizer().fit_transform(TEXTS), np.array([0, 1, 2, 0, 1, 2])


# --- the checks of fitted estimators -----------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "fitted"),
    [
        ("sklearn.ensemble._gb.BaseGradientBoosting", GradientBoostingClassifier(n_estimators=1)),
        ("sklearn.neighbors._base.NeighborsBase", KNeighborsClassifier(1)),
        ("sklearn.svm._base.BaseLibSVM", SVC()),
        ("sklearn.svm._base.BaseSVC", SVC()),
        ("sklearn.tree._tree.Tree", DecisionTreeClassifier()),
    ],
)
def test_a_family_of_estimators_has_its_base(name: str, fitted: Any) -> None:
    base = require_import(name, "scikit-learn", FENCE)
    fitted.fit(X, Y)
    if not isinstance(fitted.tree_ if name.endswith(".Tree") else fitted, base):
        fail(f"{type(fitted).__name__} is no {name}", "scikit-learn", FENCE)


def test_a_support_vector_machine_has_what_it_predicts_with() -> None:
    model = SVC().fit(X, Y)
    names = ["_n_support", "_dual_coef_", "_intercept_", "_probA", "_probB"]
    require(model, names, "scikit-learn", FENCE)
    found = _sklearn.get_support_vectors(model)
    assert found.counts.tolist() == model.n_support_.tolist()
    assert found.coefficients.shape == model.dual_coef_.shape
    assert found.intercepts.shape == model.intercept_.shape
    assert found.slopes.size == found.offsets.size == 0


def test_neighbours_have_rows_and_labels() -> None:
    model = KNeighborsClassifier(1).fit(X, Y)
    require(model, ["_fit_X", "_y"], "scikit-learn", FENCE)
    found = _sklearn.get_neighbors(model)
    assert found is not None
    assert found[0].shape == X.shape
    assert found[1].tolist() == Y.tolist()
    without = _sklearn.get_neighbors(NearestNeighbors().fit(X))
    assert without is not None
    assert without[1] is None
    assert _sklearn.get_neighbors(KNeighborsClassifier()) is None


def test_boosted_trees_say_what_they_begin_with() -> None:
    model = GradientBoostingClassifier(n_estimators=1).fit(X, Y)
    require(model, ["_raw_predict_init"], "scikit-learn", FENCE)
    first = _sklearn.predict_first_stage(model, np.zeros((2, X.shape[1]), np.float32))
    assert first.shape == (2, 3)


# --- the format of bundles ---------------------------------------------------------------------


def weigh(estimator: Any) -> Any:
    """Fit an estimator such that it has its optional attributes, too."""
    return estimator.fit(X, Y)


FITTED = {
    "TfidfTransformer": lambda: weigh(TfidfTransformer()),
    "CountVectorizer": lambda: CountVectorizer(stop_words=["a"]).fit(TEXTS),
    "TfidfVectorizer": lambda: TfidfVectorizer(stop_words=["a"]).fit(TEXTS),
    "HashingVectorizer": lambda: HashingVectorizer(stop_words=["a"], n_features=8).fit(TEXTS),
    "FeatureUnion": lambda: FeatureUnion([("one", CountVectorizer())]).fit(TEXTS),
    "SGDClassifier": lambda: weigh(SGDClassifier(average=True, class_weight={0: 1, 1: 1, 2: 1})),
    "LogisticRegression": lambda: weigh(LogisticRegression()),
    "LinearSVC": lambda: weigh(LinearSVC()),
    "ComplementNB": lambda: weigh(ComplementNB()),
}


@pytest.mark.parametrize("name", sorted(ESTIMATOR_SCHEMAS.keys() - {"EmbeddingVectorizer"}))
def test_a_fitted_estimator_has_the_attributes_of_its_schema(name: str) -> None:
    schema, estimator = ESTIMATOR_SCHEMAS[name], FITTED[name]()
    if name.endswith("Vectorizer"):
        estimator.build_analyzer()
        estimator.transform(TEXTS)
    expected = {*schema.scalars, *schema.arrays, *schema.inner, *schema.dropped}
    gone = sorted(expected - vars(estimator).keys())
    if gone:
        fail(f"a fitted {name} has no {', '.join(gone)}", "scikit-learn", SCHEMAS)
    new = sorted(vars(estimator).keys() - expected - schema.parameters.keys())
    if new:
        pytest.fail(
            f"A fitted {name} has {', '.join(new)}, which {SCHEMAS} does not name: such estimators"
            " would be saved by skops. Name them there."
        )


def test_no_attribute_is_left_out_that_scikit_learn_has_not() -> None:
    require(FITTED["CountVectorizer"](), ADDRESSES, "scikit-learn", SCHEMAS)


@pytest.mark.parametrize("name", TRUSTED)
def test_a_trusted_type_has_its_name(name: str) -> None:
    library = "scipy" if name.startswith("scipy") else "scikit-learn"
    found = require_import(name, library, "tagifai/models/serialization.py")
    assert f"{found.__module__}.{found.__qualname__}" == name
