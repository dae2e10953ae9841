from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import make_classification
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import RidgeClassifier, SGDClassifier
from sklearn.metrics import log_loss
from sklearn.svm import LinearSVC

from tagifai.models.outputs import compute_outputs, has_decision_values
from tagifai.models.temperature import calibrate, fit_temperature

MODELS = {
    "linear_svc": LinearSVC(random_state=0),
    "hinge": SGDClassifier(loss="hinge", random_state=0),
    "passive_aggressive": SGDClassifier(
        loss="hinge", penalty=None, learning_rate="pa1", random_state=0
    ),
    "ridge": RidgeClassifier(),
}


def make_rows(classes: int) -> tuple[Any, Any]:
    X, y = make_classification(
        600, 20, n_informative=8, n_classes=classes, flip_y=0.1, random_state=1
    )
    return X, y


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("name", MODELS)
def test_probabilities_are_those_of_scikit_learn_with_a_frozen_model(
    name: str, classes: int
) -> None:
    X, y = make_rows(classes)
    model = MODELS[name].fit(X[:200], y[:200])
    theirs = CalibratedClassifierCV(FrozenEstimator(model), method="temperature")
    theirs.fit(X[200:400], y[200:400])

    temperature = fit_temperature(compute_outputs(model, X[200:400]), y[200:400])
    found = calibrate(compute_outputs(model, X[400:]), temperature)

    (inner,) = theirs.calibrated_classifiers_
    assert 1 / temperature == pytest.approx(inner.calibrators[0].beta_, rel=1e-4)
    np.testing.assert_allclose(found, theirs.predict_proba(X[400:]), atol=1e-4)
    np.testing.assert_array_equal(found.argmax(axis=1), model.predict(X[400:]))


def test_a_class_without_validation_rows_is_no_problem() -> None:
    X, y = make_rows(5)
    model = LinearSVC(random_state=0).fit(X[:200], y[:200])
    known = np.flatnonzero(y[200:400] != 2) + 200
    theirs = CalibratedClassifierCV(FrozenEstimator(model), method="temperature")
    with pytest.warns(RuntimeWarning, match="Number of classes"), pytest.raises(IndexError):
        theirs.fit(X[known], y[known])

    temperature = fit_temperature(compute_outputs(model, X[known]), y[known])

    y_prob = calibrate(compute_outputs(model, X[400:]), temperature)
    uniform = np.log(5)
    assert log_loss(y[400:], y_prob, labels=range(5)) < uniform - 0.1


def test_no_other_temperature_has_a_lower_log_loss() -> None:
    X, y = make_rows(5)
    values = compute_outputs(LinearSVC(random_state=0).fit(X[:300], y[:300]), X[300:])
    best = fit_temperature(values, y[300:])
    losses = [log_loss(y[300:], calibrate(values, best * by)) for by in (1.0, 0.9, 1.1, 0.5, 2.0)]
    assert min(losses) == losses[0]


def test_rows_that_are_all_right_make_no_row_certain() -> None:
    # The log loss alone would go on to temperature 0, where the first mistake costs infinitely.
    y = np.array([0, 1, 2] * 10)
    values = np.eye(3)[y]
    own = calibrate(values, fit_temperature(values, y))[np.arange(30), y]
    # (n + 1) / (n + classes)
    np.testing.assert_allclose(own, 31 / 33, atol=1e-6)


def test_values_that_are_no_numbers_do_not_count() -> None:
    X, y = make_rows(3)
    values = compute_outputs(LinearSVC(random_state=0).fit(X[:300], y[:300]), X[300:])
    broken = np.vstack([values, [[np.nan, 0, 0], [0, np.inf, 0]]])
    expected = fit_temperature(values, y[300:])
    assert fit_temperature(broken, np.array([*y[300:], 0, 1])) == expected
    assert fit_temperature(broken[-2:], np.array([0, 1])) == 1.0
    assert np.isnan(calibrate(broken, 1.0)[-2:]).any(axis=1).all()
    assert calibrate(values[:0], 2.0).shape == (0, 3)


numbers = st.floats(-1e6, 1e6)


@settings(max_examples=60)
@given(
    arrays.arrays(np.float64, st.tuples(st.integers(1, 6), st.integers(2, 5)), elements=numbers),
    st.floats(np.exp(-10), np.exp(10)),
)
def test_a_temperature_changes_no_prediction(values: Any, temperature: float) -> None:
    found = calibrate(values, temperature)
    np.testing.assert_array_equal(found.argmax(axis=1), values.argmax(axis=1))
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    assert (found >= 0).all()
    assert (found <= 1).all()


def test_values_that_differ_in_the_last_digit_keep_their_order() -> None:
    values = np.array([[0.3, np.nextafter(0.3, 1.0)]])
    assert calibrate(values, 100.0).argmax(axis=1).tolist() == [1]


def test_models_with_decision_values_alone_are_recognized() -> None:
    assert all(has_decision_values(model) for model in MODELS.values())
    assert not has_decision_values(SGDClassifier(loss="log_loss"))
