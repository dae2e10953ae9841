from __future__ import annotations

import re
import time

import pytest

from tagifai.exceptions import ConfigError
from tagifai.sweeping.auto.search import BudgetSearch
from tagifai.utils import program
from tests.sweeping.auto.spaces import HALVED, attempt, make_points

POINTS = make_points()


def begin(monkeypatch: pytest.MonkeyPatch, budget: float, used: float) -> BudgetSearch:
    """Return a search whose first trial can begin after so many seconds."""
    monkeypatch.setattr(program, "get_start_time", lambda: time.monotonic() - used)
    search = BudgetSearch(budget, POINTS, HALVED, 2)
    search.choose_next([])
    return search


def test_a_winner_with_time_for_all_rows_has_all(monkeypatch: pytest.MonkeyPatch) -> None:
    search = begin(monkeypatch, 100.0, 5.0)
    found = attempt(POINTS, POINTS.starts[0], 0.5, rows=1000, seconds=0.5, overhead=0.5)
    assert search.choose_winner([found]) == (found, None)


def test_a_slow_winner_has_as_many_rows_as_there_is_time_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    search = begin(monkeypatch, 30.0, 5.0)
    slow = attempt(POINTS, POINTS.starts[0], 0.5, rows=1000, seconds=4.0, overhead=0.5)
    chosen = search.choose_winner([slow])
    assert chosen is not None
    # 19 seconds without what is fixed, of 42 for all rows.
    assert chosen[1] == pytest.approx(4000 * 19 / 42.24, rel=0.02)
    slower = attempt(POINTS, POINTS.starts[0], 0.5, rows=1000, seconds=40.0, overhead=0.5)
    assert search.choose_winner([slower]) == (slower, 1000)


def test_a_budget_without_time_for_a_trial_is_refused_with_one_that_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    search = begin(monkeypatch, 10.0, 5.0)
    assert search.choose_next([]) is None
    with pytest.raises(ConfigError, match=r"budget = 10 seconds is too short.*at least \d+"):
        search.refuse_if_too_short([])
    for budget in (19.5, 20.0, 60.0):  # that much was too little
        with pytest.raises(ConfigError, match="too short") as refused:
            begin(monkeypatch, budget, 5.0).refuse_if_too_short([])
        assert float(re.findall(r"at least (\d+)", str(refused.value))[0]) > budget
    assert begin(monkeypatch, 20.0, 5.0).choose_next([]) is not None


def test_what_was_not_tried_on_all_rows_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    search = begin(monkeypatch, 100.0, 5.0)
    starts = POINTS.starts
    found = [
        attempt(POINTS, starts[0], 0.5, number=0),
        attempt(POINTS, starts[1], 0.4, number=1, rows=1000),
    ]
    told = search.list_untried(found)
    assert told[0] == "model=linear_svc, model.C=1.0, model.class_weight=null (only on 1000 rows)"
    assert told[1].startswith("vectorizer=tfidf_char, model=linear_svc")
    assert told[-1] == "4 neighbours of the best"
