from __future__ import annotations

import math
from typing import Any

from tagifai.sweeping.auto import board
from tagifai.sweeping.auto.costs import (
    END_PER_START,
    FITS_OF_WINNER,
    MARGIN,
    Attempt,
    CostModel,
)
from tagifai.sweeping.auto.fidelity import Fidelity
from tagifai.sweeping.auto.schedule import Proposal, Schedule
from tests.sweeping.auto.spaces import HALVED, WHOLE, attempt, make_points

POINTS = make_points()


def run(
    steps: int, fidelity: Fidelity = HALVED, *, budget: float = 1e6, seconds: float = 1.0
) -> list[Attempt]:
    """Try one configuration after another; characters are better than words, SVC than SGD."""
    schedule, found = Schedule(POINTS, fidelity, budget, 1), list[Attempt]()
    for number in range(steps):
        proposal = schedule.choose_next(found, CostModel(found, 1.0), budget)
        if proposal is None:
            break
        point, rows = proposal.point, proposal.rows
        value = 0.1 * (point["vectorizer"] == "tfidf_char") + 0.01 * (point["model"] != "sgd")
        budget -= seconds
        found.append(
            attempt(POINTS, point, value, rows=rows, fidelity=fidelity, number=number)
            if rows is None
            else attempt(POINTS, point, value, rows=rows, number=number)
        )
    return found


def choose(found: list[Attempt], left: float, budget: float = 1e6) -> Proposal | None:
    schedule = Schedule(POINTS, HALVED, budget, 1)
    return schedule.choose_next(found, CostModel(found, 1.0), left)


def sampled(*values: float, **measured: Any) -> list[Attempt]:
    return [
        attempt(POINTS, start, value, rows=1000, number=number, **measured)
        for number, (start, value) in enumerate(zip(POINTS.starts, values, strict=True))
    ]


def test_all_starts_are_tried_on_a_sample_before_the_best_is_tried_on_all_rows() -> None:
    found = run(5)
    assert [a.rows for a in found] == [1000] * 4 + [None]
    assert [a.point for a in found[:4]] == POINTS.starts
    assert found[4].point == POINTS.starts[2]


def test_without_a_sample_starts_are_tried_on_all_rows() -> None:
    assert [a.rows for a in run(4, WHOLE)] == [None] * 4


def test_where_time_is_short_the_worse_half_is_not_tried_on_all_rows() -> None:
    found = sampled(0.4, 0.3, 0.2, 0.1, seconds=3.0, overhead=0.0)
    for number, start in enumerate(POINTS.starts[:2]):
        found.append(attempt(POINTS, start, 0.4, number=4 + number, seconds=12.0, overhead=0.0))
    chosen = choose(found, 1e6, budget=100.0)
    assert chosen is not None
    assert chosen.point not in POINTS.starts


def test_where_there_is_time_all_starts_are_tried_on_all_rows() -> None:
    found = sampled(0.4, 0.3, 0.2, 0.1, seconds=0.1, overhead=0.0)
    for number, start in enumerate(POINTS.starts[:3]):
        found.append(attempt(POINTS, start, 0.4, number=4 + number, seconds=0.4, overhead=0.0))
    chosen = choose(found, 1e6, budget=100.0)
    assert chosen == Proposal(POINTS.starts[3], None)


def test_nothing_is_tried_twice() -> None:
    found = run(200)
    assert len(found) < 200  # the space has an end
    assert len({(a.name, a.rows) for a in found}) == len(found)


def test_what_is_under_way_is_not_tried_a_second_time() -> None:
    found = [attempt(POINTS, start, None, rows=1000) for start in POINTS.starts]
    assert choose(found, 1e6) is None  # until one of them has a value


def test_no_trial_begins_that_does_not_fit_into_what_is_left() -> None:
    found = sampled(0.4, 0.3, 0.2, 0.1, seconds=10.0, overhead=1.0)
    trial, end = 1.0 + MARGIN * 40.0, END_PER_START * 1.0 + FITS_OF_WINNER * MARGIN * 40.0
    assert choose(found, trial + end - 0.1) is None
    assert choose(found, trial + end + 0.1) == Proposal(POINTS.starts[0], None)


def test_a_cheaper_configuration_is_tried_where_the_best_does_not_fit() -> None:
    found = sampled(0.4, 0.3, 0.2, 0.1, overhead=0.0)
    found = [
        attempt(POINTS, a.point, a.value, rows=1000, number=n, seconds=s, overhead=0.0)
        for n, (a, s) in enumerate(zip(found, (10.0, 2.0, 10.0, 10.0), strict=True))
    ]
    assert choose(found, 42.0, budget=100.0) == Proposal(POINTS.starts[1], None)


def test_the_winner_is_the_best_whose_run_takes_less_than_half_of_the_time() -> None:
    starts = POINTS.starts
    found = [
        attempt(POINTS, starts[0], 0.8, number=0, seconds=2.0, overhead=0.0),
        attempt(POINTS, starts[1], 0.9, number=1, seconds=20.0, overhead=0.0),
        attempt(POINTS, starts[2], 1.0, number=2, rows=1000, seconds=1.0, overhead=0.0),
    ]
    costs = CostModel(found, 1.0)
    assert Schedule(POINTS, HALVED, 200.0, 2).choose_winner(found, costs) is found[1]
    assert Schedule(POINTS, HALVED, 100.0, 2).choose_winner(found, costs) is found[0]
    assert Schedule(POINTS, HALVED, 10.0, 2).choose_winner(found, costs) is found[1]  # none is
    assert Schedule(POINTS, HALVED, 100.0, 2).choose_winner(found[2:], costs) is found[2]


def test_what_is_too_slow_to_win_is_not_tried_on_all_rows() -> None:
    found = sampled(0.4, 0.3, 0.2, 0.1, seconds=10.0, overhead=0.0)
    assert choose(found, 1e6, budget=200.0) is None
    assert choose(found, 1e6, budget=400.0) == Proposal(POINTS.starts[0], None)


def test_all_rows_of_the_winner_have_their_time_before_further_samples() -> None:
    found = sampled(0.4, 0.3, 0.2, 0.1, seconds=5.0, overhead=0.0)[:2]
    end = END_PER_START * 1.0 + FITS_OF_WINNER * MARGIN * 20.0
    sample = MARGIN * 5.0
    assert choose(found, end + sample - 0.1, budget=140.0) is None
    assert choose(found, end + sample + 0.1, budget=140.0) == Proposal(POINTS.starts[2], 1000)


def test_later_the_best_of_the_samples_is_tried_on_all_rows_before_other_samples() -> None:
    found = sampled(0.3, 0.4, 0.2, 0.1, seconds=1.0, overhead=0.0)[:2]
    assert choose(found, 100.0, budget=100.0) == Proposal(POINTS.starts[2], 1000)
    assert choose(found, 55.0, budget=100.0) == Proposal(POINTS.starts[1], None)


def test_the_sgd_twin_of_the_best_is_tried_before_its_neighbours() -> None:
    found = sampled(0.1, 0.1, 0.4, 0.1, seconds=3.0, overhead=0.0)
    for number, value in ((2, 0.5), (0, 0.2)):
        start = POINTS.starts[number]
        found.append(attempt(POINTS, start, value, number=len(found), seconds=12.0, overhead=0.0))
    assert choose(found, 1e6, budget=100.0) == Proposal(POINTS.starts[3], None)


def test_the_board_has_the_best_sgd_and_the_one_with_the_winners_features() -> None:
    starts = POINTS.starts
    values = (0.8, 0.7, 0.9, 0.6)
    found = [
        attempt(POINTS, start, value, number=n)
        for n, (start, value) in enumerate(zip(starts, values, strict=True))
    ]
    found.append(attempt(POINTS, starts[0], math.inf, rows=1000, number=4))
    rows = [(role, a.number) for role, a in board.make_rows(found, found[2])]
    assert rows == [("winner", 2), ("best sgd", 0), ("", 1), ("sgd, same features", 3)]
