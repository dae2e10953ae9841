from __future__ import annotations

import re

import numpy as np
import pytest

from tagifai.evaluation import intervals, metrics
from tagifai.evaluation.paired import (
    PredictedRows,
    compute_score_difference,
)


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
    with pytest.raises(ValueError, match="other rows"):
        compute_score_difference(one, other, "f1")
    with pytest.raises(ValueError, match="longer"):
        compute_score_difference(one, 2 * one, "f1")


def test_every_score_of_labels_has_an_interval() -> None:
    one, other = said(0.1, 2), said(0.3, 2, 9)
    for score in intervals.SCORES:
        found = compute_score_difference(one, other, score)
        assert found.low < found.one - found.other < found.high


def test_a_difference_and_none_are_said_in_words_with_their_rows() -> None:
    shown = compute_score_difference(said(0.1), said(0.3, 1, 9), "f1")
    assert re.fullmatch(
        r"a difference in f1 on the same 300 test rows: \+0\.\d{3}, 95 % interval \+0\.\d{3} to"
        r" \+0\.\d{3} \(bootstrap over rows\)",
        shown.describe("f1", "test rows"),
    )
    none = compute_score_difference(said(0.1), said(0.1), "f1").describe("f1", "test rows")
    assert none.startswith("no difference shown in f1 on the same 300 test rows: +0.000, 95 %")


def test_a_few_rows_show_no_difference_however_much_they_differ() -> None:
    rows, true = np.arange(5), np.array([0, 1, 0, 1, 0])
    found = compute_score_difference(
        [PredictedRows(rows, true, true)], [PredictedRows(rows, true, 1 - true)], "accuracy"
    )
    assert (found.low, found.differing, found.is_shown) == (1, 5, False)
