from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tagifai.evaluation.paired import compute_paired_difference


def right(both: int, one: int, other: int, none: int) -> list[np.typing.NDArray[np.bool_]]:
    """Return what two models have right, by the rows that both, one, the other or none has."""
    counts = (both, one, other, none)
    return [
        np.repeat(flags, counts)
        for flags in ([True, True, False, False], [True, False, True, False])
    ]


def test_the_test_is_mcnemars_exact_one() -> None:
    found = compute_paired_difference(*right(80, 12, 3, 5))
    # Twice the tail of 3 or fewer of 15 fair coins.
    assert found.p_value == pytest.approx(2 * stats.binom.cdf(3, 15, 0.5))
    assert (found.rows, found.difference) == (100, 0.09)


def test_the_interval_is_that_of_a_bootstrap_over_the_rows() -> None:
    one, other = right(150, 30, 15, 5)
    found = compute_paired_difference(one, other)
    gains = one.astype(float) - other.astype(float)
    expected = stats.bootstrap(
        (gains,), np.mean, n_resamples=5000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.006)


def test_a_difference_and_none_are_said_in_words() -> None:
    assert (
        compute_paired_difference(*right(50, 40, 5, 5))
        .describe()
        .startswith(
            "a difference of +0.350 in accuracy on the same 100 test rows: 95 % interval +0."
        )
    )
    said = compute_paired_difference(*right(90, 4, 3, 3)).describe()
    assert said.startswith("no difference shown in accuracy on the same 100 test rows")


def test_a_few_rows_show_no_difference_however_much_they_differ() -> None:
    found = compute_paired_difference(*right(0, 5, 0, 0))
    assert (found.low, found.p_value) == pytest.approx((1, 2 * 0.5**5))
    assert found.describe().startswith("no difference shown in accuracy on the same 5 test rows")


def test_equal_predictions_differ_in_nothing() -> None:
    found = compute_paired_difference(*right(5, 0, 0, 5))
    assert (found.difference, found.low, found.high, found.p_value) == (0, 0, 0, 1)
