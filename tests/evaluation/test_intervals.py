from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tagifai.evaluation import intervals
from tagifai.evaluation.intervals import compute_class_intervals, compute_intervals
from tagifai.evaluation.metrics import compute_performance
from tagifai.evaluation.summary import list_values
from tagifai.preprocessing.labels import Indices


def draw(rows: int, classes: int, right: float = 0.8) -> tuple[Indices, Indices]:
    state = np.random.RandomState(classes)
    y_true = state.randint(classes, size=rows)
    guessed = state.randint(classes, size=rows)
    return y_true, np.where(state.random_sample(rows) < right, y_true, guessed)


@pytest.mark.parametrize(("rows", "classes"), [(143, 4), (600, 40), (2000, 2)])
def test_intervals_are_those_of_drawing_rows_one_by_one(rows: int, classes: int) -> None:
    y_true, y_pred = draw(rows, classes)
    found = compute_intervals(y_true, y_pred, classes)["bounds"]
    state, names = np.random.RandomState(7), tuple(map(str, range(classes)))
    drawn = []
    for _ in range(400):
        chosen = state.randint(rows, size=rows)
        drawn.append(list_values(compute_performance(y_true[chosen], y_pred[chosen], names)))
    assert set(found) == set(drawn[0])
    for name, (low, high) in found.items():
        expected = np.quantile([values[name] for values in drawn], [0.025, 0.975])
        width = expected[1] - expected[0]
        assert [low, high] == pytest.approx(expected, abs=0.2 * width), name


def test_the_same_predictions_have_the_same_intervals_in_full_digits() -> None:
    y_true, y_pred = draw(200, 5)
    first = compute_intervals(y_true, y_pred, 5)
    assert first == compute_intervals(y_true, y_pred, 5)
    assert (first["method"], first["resamples"]) == ("bootstrap over rows, 95 %", 1000)


def test_rows_that_are_all_right_have_no_doubt_and_one_row_has_none_either() -> None:
    perfect = compute_intervals(np.array([0, 1, 2, 0]), np.array([0, 1, 2, 0]), 3)["bounds"]
    assert {perfect[name] for name in ("accuracy", "macro_f1", "f1", "recall")} == {(1.0, 1.0)}
    wrong = compute_intervals(np.array([0]), np.array([1]), 2)["bounds"]
    assert set(wrong.values()) == {(0.0, 0.0)}


def test_draws_a_few_at_a_time_give_the_intervals_of_all_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    y_true, y_pred = draw(1000, 20)
    at_once = compute_intervals(y_true, y_pred, 20)
    monkeypatch.setattr(intervals, "MAX_COUNTS", 7 * 400)
    assert compute_intervals(y_true, y_pred, 20) == at_once


def test_rows_of_the_same_two_classes_are_drawn_together(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []

    class Watched(np.random.RandomState):
        def multinomial(self, n: Any, pvals: Any, size: Any = None) -> Any:
            drawn.append(len(pvals))
            return super().multinomial(n, pvals, size)

    monkeypatch.setattr(np.random, "RandomState", Watched)
    y_true, y_pred = np.arange(10_000) % 3, np.arange(10_000) % 2
    compute_intervals(y_true, y_pred, 3)
    assert drawn == [6]


def test_intervals_of_classes_are_those_of_drawing_rows_one_by_one() -> None:
    y_true, y_pred = draw(300, 5)
    found = compute_class_intervals(y_true, y_pred, 6)
    state, names = np.random.RandomState(7), tuple(map(str, range(6)))
    drawn = []
    for _ in range(400):
        chosen = state.randint(300, size=300)
        scored = compute_performance(y_true[chosen], y_pred[chosen], names)["class"]
        drawn.append([scored[name]["f1"] for name in names])
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    assert np.abs(found - np.column_stack([low, high])).max() < 0.2 * (high - low).max()
    assert found[5].tolist() == [0, 0]  # of which there is no row
    actual = compute_performance(y_true, y_pred, names)["class"]
    assert all(found[k][0] < actual[names[k]]["f1"] < found[k][1] for k in range(5))


def test_draws_in_which_a_rare_class_does_not_occur_do_not_widen_its_interval() -> None:
    y_true = np.array([0] * 97 + [1] * 3)
    assert compute_class_intervals(y_true, y_true, 2).tolist() == [[1, 1], [1, 1]]
