from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tagifai.evaluation import intervals, metrics
from tagifai.evaluation.paired import (
    PredictedRows,
    compute_paired_difference,
    compute_score_difference,
)


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


def said(wrong: float, repeats: int = 1, seed: int = 0, n: int = 300) -> list[PredictedRows]:
    """Return what a model says in each training, of rows that are others each time."""
    parts = []
    for number in range(repeats):
        rows = np.sort(np.random.RandomState(number).permutation(2 * n)[:n])
        true, errors = rows % 3, np.random.RandomState(seed + number).rand(n) < wrong
        parts.append(PredictedRows(rows, true, np.where(errors, (true + 1) % 3, true)))
    return parts


@pytest.mark.parametrize("repeats", [1, 4])
@pytest.mark.parametrize("score", ["accuracy", "macro_f1", "f1"])
def test_the_scores_of_two_models_are_means_over_their_trainings(repeats: int, score: str) -> None:
    one, other = said(0.1, repeats, 7), said(0.3, repeats, 70)
    found = compute_score_difference(one, other, score)
    for parts, value in ((one, found.one), (other, found.other)):
        scored = [
            metrics.compute_performance(p.true, p.predicted, ("a", "b", "c"), {}) for p in parts
        ]
        expected = [metrics.flatten(s, "val")[f"val_{score}"] for s in scored]
        assert value == pytest.approx(np.mean(expected))
    assert found.rows == len(np.unique(np.concatenate([part.rows for part in one])))
    assert found.is_shown
    assert found.low > 0


def test_a_row_of_several_trainings_is_drawn_with_all_that_is_said_of_it() -> None:
    one, other = said(0.1, 1, 7), said(0.2, 1, 70)
    once = compute_score_difference(one, other, "accuracy")
    # The same rows three times are no more rows.
    again = compute_score_difference(3 * one, 3 * other, "accuracy")
    assert (again.low, again.high) == pytest.approx((once.low, once.high))
    assert (again.rows, again.differing) == (once.rows, once.differing)


def test_of_equal_models_the_best_is_rarely_called_better() -> None:
    models, called = 20, {1: 0, 20: 0}
    for trial in range(60):
        states = [said(0.3, seed=1000 * trial + 10 * model, n=120) for model in range(models + 1)]
        present, *others = states
        best = max(others, key=lambda parts: np.mean(parts[0].predicted == parts[0].true))
        for choices in called:
            found = compute_score_difference(best, present, "accuracy", choices)
            called[choices] += found.is_shown and found.low > 0
    assert called[20] <= 3 < called[1]


def test_models_with_other_rows_are_not_compared() -> None:
    one = said(0.1)
    other = [PredictedRows(part.rows + 1, part.true, part.predicted) for part in one]
    with pytest.raises(ValueError, match="other validation rows"):
        compute_score_difference(one, other, "f1")
    with pytest.raises(ValueError, match="longer"):
        compute_score_difference(one, 2 * one, "f1")


def test_every_score_of_labels_has_an_interval() -> None:
    one, other = said(0.1, 2), said(0.3, 2, 9)
    for score in intervals.SCORES:
        found = compute_score_difference(one, other, score)
        assert found.low < found.one - found.other < found.high
