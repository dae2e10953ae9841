from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagifai.exceptions import InvalidValueError
from tagifai.models.thresholds import (
    FixedThreshold,
    Probabilities,
    QuantileThreshold,
    TunedThreshold,
    decide,
)

quick = settings(max_examples=60)

NO_ROWS = np.zeros(0, dtype=np.int64)
"""Labels of rows, which these thresholds do not look at."""
REST = 2
Y_PROB = np.array([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.1, 0.2, 0.7]])


@st.composite
def probabilities(draw: st.DrawFn) -> Probabilities:
    weight = st.floats(0.01, 1)
    rows = draw(st.lists(st.lists(weight, min_size=3, max_size=3), min_size=1, max_size=8))
    weights = np.array(rows)
    normed: Probabilities = weights / weights.sum(axis=1, keepdims=True)
    return normed


def test_without_a_threshold_the_most_probable_class_is_chosen() -> None:
    assert decide(Y_PROB, None, REST).tolist() == [0, 1, 2]


def test_a_prediction_above_the_threshold_is_the_most_probable_class() -> None:
    assert decide(Y_PROB, 0.49, REST).tolist() == [0, 1, 2]


def test_a_prediction_not_above_the_threshold_becomes_the_rest_label() -> None:
    assert decide(Y_PROB, 0.5, REST).tolist() == [0, 2, 2]
    assert decide(Y_PROB, 0.65, REST).tolist() == [2, 2, 2]


def test_the_rest_label_is_the_one_given() -> None:
    assert decide(Y_PROB, 0.65, 1).tolist() == [1, 1, 2]


def test_of_equal_probabilities_the_first_class_is_chosen() -> None:
    assert decide(np.array([[0.4, 0.4, 0.2]]), 0.3, REST).tolist() == [0]


def test_a_nan_probability_falls_back() -> None:
    assert decide(np.array([[np.nan, np.nan, np.nan], [0.1, 0.9, 0]]), 0.0, REST).tolist() == [2, 1]
    assert decide(np.array([[0.9, np.nan, 0.1]]), 0.0, 0).tolist() == [0]


def test_a_nan_threshold_makes_all_fall_back() -> None:
    assert decide(Y_PROB, math.nan, 1).tolist() == [1, 1, 1]


@pytest.mark.parametrize("threshold", [None, 0.5])
def test_no_rows_are_no_predictions(threshold: float | None) -> None:
    assert decide(np.zeros((0, 3)), threshold, REST).shape == (0,)


@quick
@given(probabilities(), st.floats(0, 1), st.floats(0, 1))
def test_a_higher_threshold_never_has_fewer_fall_backs(
    y_prob: Probabilities, one: float, two: float
) -> None:
    low, high = sorted((one, two))
    nowhere = -1
    fell_low = decide(y_prob, low, nowhere) == nowhere
    fell_high = decide(y_prob, high, nowhere) == nowhere
    assert np.all(fell_high[fell_low])


@quick
@given(probabilities(), st.floats(0, 1))
def test_a_prediction_is_the_most_probable_class_or_the_rest_label(
    y_prob: Probabilities, threshold: float
) -> None:
    decided = decide(y_prob, threshold, REST)
    for row, label in zip(y_prob.tolist(), decided.tolist(), strict=True):
        assert label == (row.index(max(row)) if max(row) > threshold else REST)


def test_a_fixed_threshold_does_not_look_at_the_data() -> None:
    assert FixedThreshold(0.6).fit(Y_PROB, NO_ROWS, REST) == 0.6
    assert FixedThreshold(0).fit(np.zeros((0, 3)), NO_ROWS, REST) == 0


@pytest.mark.parametrize("value", [-0.01, 1.0, 1.5, math.nan, math.inf])
def test_a_fixed_threshold_that_is_no_probability_below_1_is_refused(value: float) -> None:
    with pytest.raises(InvalidValueError, match="at least 0 and below 1") as refused:
        FixedThreshold(value)
    assert str(refused.value).startswith(f"value = {value!r} ")


def test_a_quantile_is_interpolated_between_the_highest_probabilities() -> None:
    y_prob = np.array([[0.5, 0.5], [0.6, 0.4], [0.2, 0.8], [0.0, 1.0]])  # 0.5 0.6 0.8 1.0
    assert QuantileThreshold(0.0).fit(y_prob, NO_ROWS, REST) == 0.5
    assert QuantileThreshold(0.25).fit(y_prob, NO_ROWS, REST) == pytest.approx(0.5 + 0.75 * 0.1)
    assert QuantileThreshold(0.5).fit(y_prob, NO_ROWS, REST) == pytest.approx(0.7)
    assert QuantileThreshold(1.0).fit(y_prob, NO_ROWS, REST) == 1.0


def test_a_quantile_is_a_plain_float() -> None:
    assert type(QuantileThreshold(0.5).fit(Y_PROB, NO_ROWS, REST)) is float


@pytest.mark.parametrize("q", [-0.01, 1.01, math.nan])
def test_a_quantile_that_is_no_share_is_refused(q: float) -> None:
    with pytest.raises(InvalidValueError, match="a share from 0 to 1") as refused:
        QuantileThreshold(q)
    assert refused.value.key == "q"


@quick
@given(probabilities(), st.floats(0, 1))
def test_at_least_the_quantiles_share_of_its_own_rows_falls_back(
    y_prob: Probabilities, q: float
) -> None:
    # A row on the threshold falls back, one above it does not; a float's breadth is neither.
    threshold = QuantileThreshold(q).fit(y_prob, NO_ROWS, REST)
    highest = y_prob.max(axis=1)
    assert highest.min() <= threshold <= highest.max()
    not_above = np.count_nonzero(highest <= threshold + 1e-12)
    assert not_above >= math.floor(q * (len(y_prob) - 1)) + 1


# Classes: 0, 1 and the rest, 2. The two rows of the rest are the least certain.
TUNED_ON = np.array([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0], [0.6, 0.3, 0.1], [0.3, 0.5, 0.2]])
Y = np.array([0, 1, 2, 2])


def test_it_lies_between_the_rows_that_it_tells_apart() -> None:
    assert TunedThreshold().fit(TUNED_ON, Y, 2) == pytest.approx((0.6 + 0.8) / 2)


def test_where_no_row_should_fall_back_none_does() -> None:
    assert TunedThreshold().fit(TUNED_ON, TUNED_ON.argmax(axis=1), 2) == 0.0


def test_precision_may_want_another_one_than_f1() -> None:
    y = np.array([1, 1, 2, 2])  # the most certain row is wrong
    found = {
        score: TunedThreshold(score).fit(TUNED_ON, y, 2) for score in ("f1", "precision", "recall")
    }
    # Of equal ones it is the lowest: that row counts for no class's precision.
    assert found == pytest.approx({"f1": 0.7, "precision": 0.55, "recall": 0.7})


def test_one_row_alone_has_no_threshold_to_choose() -> None:
    assert TunedThreshold().fit(TUNED_ON[:1], Y[:1], 2) == 0.0


def test_an_unknown_score_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="one of f1, precision, recall"):
        TunedThreshold("accuracy")
