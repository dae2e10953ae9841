from __future__ import annotations

import pytest

from tagifai.sweeping.auto.costs import FITS_OF_WINNER, MARGIN, WORKER_PER_START, CostModel
from tests.sweeping.auto.spaces import HALVED, attempt, make_points

POINTS = make_points()
WORDS, SVC, CHARS, CHARS_SGD = POINTS.starts


def predict(costs: CostModel, point: object, rows: int | None = None) -> float:
    features, model = POINTS.describe_features(point)  # type: ignore[arg-type]
    return costs.predict_trial(POINTS.identify(point), features, model, HALVED.get_work(rows))  # type: ignore[arg-type]


def test_without_a_measurement_a_trial_takes_what_its_workers_start_does() -> None:
    assert predict(CostModel([], 4.0), WORDS, 1000) == WORKER_PER_START * 4.0


def test_all_rows_take_longer_than_the_sample_by_their_number() -> None:
    costs = CostModel([attempt(POINTS, WORDS, 0.5, rows=1000, seconds=2.0, overhead=0.5)], 4.0)
    assert predict(costs, WORDS) == pytest.approx(0.5 + MARGIN * 4 * 2.0)


def test_the_own_measurement_counts_before_that_of_its_model_and_the_slowest_of_all() -> None:
    found = [
        attempt(POINTS, WORDS, 0.5, rows=1000, seconds=1.0, overhead=0.0),
        attempt(POINTS, SVC, 0.5, rows=1000, seconds=3.0, overhead=0.0),
    ]
    costs = CostModel(found, 4.0)
    assert predict(costs, WORDS) == pytest.approx(MARGIN * 4 * 1.0)
    assert predict(costs, CHARS) == pytest.approx(MARGIN * 4 * 3.0)
    assert predict(CostModel(found[:1], 4.0), CHARS) == pytest.approx(MARGIN * 4 * 1.0)


def test_what_was_measured_on_all_rows_counts_before_the_sample() -> None:
    found = [
        attempt(POINTS, WORDS, 0.5, rows=1000, seconds=2.0, overhead=0.0),
        attempt(POINTS, WORDS, 0.5, seconds=3.0, overhead=0.0),
    ]
    assert predict(CostModel(found, 4.0), WORDS) == pytest.approx(MARGIN * 3.0)


def test_the_end_has_time_for_the_winners_fits() -> None:
    best = attempt(POINTS, WORDS, 0.5, seconds=2.0, overhead=0.5)
    own = (best.name, best.features, best.model, 4000)
    nothing = CostModel([], 4.0).predict_end(*own)
    whole = nothing + FITS_OF_WINNER * MARGIN * 2.0
    assert CostModel([best], 4.0).predict_end(*own) == pytest.approx(whole)
