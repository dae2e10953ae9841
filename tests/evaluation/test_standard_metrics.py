"""The metrics that every run has are scikit-learn's to the last digit, where it has them."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from tagifai.evaluation.metrics import compute_performance
from tagifai.evaluation.standard_metrics import compute_calibration, compute_calibration_error
from tagifai.preprocessing.labels import Indices


def compute_by_sklearn(y_true: Indices, y_pred: Indices) -> dict[str, float]:
    with warnings.catch_warnings():
        # Of predicted classes without rows, and of a single class.
        warnings.simplefilter("ignore", UserWarning)
        return {
            "accuracy": sklearn.metrics.accuracy_score(y_true, y_pred),
            "macro_f1": sklearn.metrics.f1_score(
                y_true, y_pred, average="macro", zero_division=0.0
            ),
            "micro_f1": sklearn.metrics.f1_score(y_true, y_pred, average="micro"),
            "balanced_accuracy": sklearn.metrics.balanced_accuracy_score(y_true, y_pred),
            "matthews": sklearn.metrics.matthews_corrcoef(y_true, y_pred),
        }


@st.composite
def predictions(draw: st.DrawFn) -> tuple[Indices, Indices, int]:
    """Labels and predictions, of classes that may have no rows or no predictions."""
    n, classes = draw(st.integers(1, 60)), draw(st.integers(2, 6))
    labels = st.lists(st.integers(0, classes - 1), min_size=n, max_size=n)
    return np.array(draw(labels)), np.array(draw(labels)), classes


@settings(max_examples=200)
@given(predictions())
def test_metrics_of_labels_are_those_of_scikit_learn_to_the_last_bit(
    rows: tuple[Indices, Indices, int],
) -> None:
    y_true, y_pred, classes = rows
    names = tuple(map(str, range(classes)))
    found = compute_performance(y_true, y_pred, names)["metrics"]
    assert found == compute_by_sklearn(y_true, y_pred)


@pytest.mark.parametrize(
    ("rows", "classes", "right"), [(143, 4, 0.8), (3080, 77, 0.9), (4500, 151, 0.5), (2000, 2, 1.0)]
)
def test_so_are_they_of_larger_data(rows: int, classes: int, right: float) -> None:
    state = np.random.RandomState(rows)
    y_true = state.randint(classes, size=rows)
    # Nobody predicts the last class.
    other = state.randint(classes - 1, size=rows)
    y_pred = np.where(state.random_sample(rows) < right, y_true, other)
    y_pred[y_pred == classes - 1] = 0
    y_prob = state.dirichlet(np.full(classes, 0.1), rows)
    names = tuple(map(str, range(classes)))
    found = compute_performance(y_true, y_pred, names, None, y_prob)["metrics"]
    assert found.pop("ece") == compute_calibration_error(y_true, y_prob)
    assert found.pop("log_loss") == sklearn.metrics.log_loss(
        y_true, y_prob, labels=np.arange(classes)
    )
    assert found == compute_by_sklearn(y_true, y_pred)


# Expected calibration error


def test_the_calibration_error_is_the_mean_distance_weighted_by_rows() -> None:
    # The predicted classes have 0.55 twice, once right, and 0.95 and 1.0, both right.
    y_prob = np.array([[0.55, 0.45], [0.55, 0.45], [0.05, 0.95], [0.0, 1.0]])
    error, bins = compute_calibration(np.array([0, 1, 1, 1]), y_prob)
    assert error == pytest.approx((2 * 0.05 + 2 * 0.025) / 4)
    assert bins.shape == (15, 3)
    assert bins[8].tolist() == pytest.approx([0.55, 0.5, 2])  # from 8/15 = 0.53 to 0.6
    assert bins[14].tolist() == pytest.approx([0.975, 1.0, 2])
    assert bins[0].tolist() == [0, 0, 0]


def test_a_bin_has_its_upper_bound_and_not_its_lower_one() -> None:
    edge = 9 / 15
    y_prob = np.array([[edge, 1 - edge], [np.nextafter(edge, 1), 0.4]])
    _, bins = compute_calibration(np.array([0, 0]), y_prob)
    assert bins[:, 2].tolist() == [0.0] * 8 + [1.0, 1.0] + [0.0] * 5


def test_the_calibration_error_is_the_sum_over_bins_of_the_paper() -> None:
    state = np.random.RandomState(0)
    y_prob, y_true = state.dirichlet([1.0, 0.5, 0.2], 500), state.randint(3, size=500)
    highest, right = y_prob.max(axis=1), y_prob.argmax(axis=1) == y_true
    expected = 0.0
    for m in range(15):
        inside = (highest > m / 15) & (highest <= (m + 1) / 15)
        if inside.any():
            gap = abs(right[inside].mean() - highest[inside].mean())
            expected += inside.sum() / 500 * gap
    assert compute_calibration_error(y_true, y_prob) == pytest.approx(expected, abs=1e-12)
