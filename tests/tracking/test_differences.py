from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tagifai.tracking import differences, leaderboard
from tests.frames import a_run, frame


def test_the_interval_of_three_pairs_is_as_computed_by_hand() -> None:
    # Mean 2, deviation 1; t for 2 degrees of freedom is 4.302653: 4.302653 / sqrt(3) = 2.484138.
    mean, low, high = differences.compute_t_interval(np.array([1.0, 2.0, 3.0]), 0.95)
    assert mean == 2
    assert low == pytest.approx(-0.484138, abs=1e-6)
    assert high == pytest.approx(4.484138, abs=1e-6)


def test_a_lower_confidence_gives_a_narrower_interval() -> None:
    # Mean 0.5, deviation sqrt(0.5); t for 1 degree of freedom at 50 % is tan(pi / 4) = 1.
    assert differences.compute_t_interval(np.array([0.0, 1.0]), 0.5) == pytest.approx(
        (0.5, 0.0, 1.0)
    )


@pytest.mark.parametrize("gains", [[], [1.0]])
def test_fewer_than_two_pairs_have_no_interval(gains: list[float]) -> None:
    assert all(map(math.isnan, differences.compute_t_interval(np.array(gains), 0.95)))


def test_pairs_that_gain_the_same_have_an_interval_without_width() -> None:
    assert differences.compute_t_interval(np.array([0.5, 0.5]), 0.95) == (0.5, 0.5, 0.5)


def ranked(*more: dict[str, Any], confidence: float = 0.95) -> leaderboard.Leaderboard:
    """Rows base (0.1, 0.2, 0.3 for the seeds 1 to 3) and what is given, base the baseline."""
    base = [a_run(f"base{n}", n / 10, seed=n, option="base") for n in (1, 2, 3)]
    return leaderboard.build(frame(*base, *more), "f1", baseline="base", confidence=confidence)


def test_differences_are_over_pairs_of_the_same_seed() -> None:
    # Gains 0.1 (seed 1) and 0.3 (seed 3); seed 9 has no partner. t(0.9, 1) = tan(0.45 pi).
    values = {3: 0.6, 1: 0.2, 9: 7.0}
    other = [a_run(f"o{n}", value, seed=n, option="o") for n, value in values.items()]
    board = ranked(*other, confidence=0.9)
    row = board.rows.loc["model=o"]
    half = math.tan(0.45 * math.pi) * 0.1
    assert (row["n"], row["pairs"], row["interval"]) == (3, 2, "paired t, 90 %")
    assert row["difference"] == pytest.approx(0.2)
    assert (row["low"], row["high"]) == (pytest.approx(0.2 - half), pytest.approx(0.2 + half))


def test_runs_on_other_data_or_of_unknown_seed_or_data_are_no_pairs() -> None:
    board = ranked(
        *(a_run(f"x{n}", 0.5, seed=n, option="x", digest="other") for n in (1, 2)),
        *(a_run(f"y{n}", 0.5, seed=n, option="y", digest=None) for n in (1, 2)),
        *(a_run(f"z{n}", 0.5, seed=None, option="z") for n in (1, 2)),
        a_run("one", 0.5, seed=1, option="one"),
    )
    others = board.rows[board.rows.index != board.baseline]
    counts = dict(zip(others["model"], others["pairs"], strict=True))
    assert counts == {"x": 0, "y": 0, "z": 0, "one": 1}
    assert others[["difference", "low", "high", "interval"]].isna().all(axis=None)


def test_the_baseline_has_no_difference_to_itself() -> None:
    board = ranked(a_run("o", 0.5, seed=1, option="o"))
    assert board.baseline == "model=base"
    assert board.rows.loc["model=base", ["difference", "low", "high", "pairs"]].isna().all()
