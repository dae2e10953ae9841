from __future__ import annotations

import numpy as np
import pytest

from tagifai.exceptions import InvalidValueError
from tagifai.models.tuned_threshold import TunedThreshold

# Classes: 0, 1 and the rest, 2. The two rows of the rest are the least certain.
Y_PROB = np.array([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0], [0.6, 0.3, 0.1], [0.3, 0.5, 0.2]])
Y = np.array([0, 1, 2, 2])


def test_it_lies_between_the_rows_that_it_tells_apart() -> None:
    assert TunedThreshold().fit(Y_PROB, Y, 2) == pytest.approx((0.6 + 0.8) / 2)


def test_where_no_row_should_fall_back_none_does() -> None:
    assert TunedThreshold().fit(Y_PROB, Y_PROB.argmax(axis=1), 2) == 0.0


def test_precision_may_want_another_one_than_f1() -> None:
    y = np.array([1, 1, 2, 2])  # the most certain row is wrong
    found = {
        score: TunedThreshold(score).fit(Y_PROB, y, 2) for score in ("f1", "precision", "recall")
    }
    # Of equal ones it is the lowest: that row counts for no class's precision.
    assert found == pytest.approx({"f1": 0.7, "precision": 0.55, "recall": 0.7})


def test_one_row_alone_has_no_threshold_to_choose() -> None:
    assert TunedThreshold().fit(Y_PROB[:1], Y[:1], 2) == 0.0


def test_an_unknown_score_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="one of f1, precision, recall"):
        TunedThreshold("accuracy")
