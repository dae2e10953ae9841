from __future__ import annotations

import numpy as np
import pytest

from tagifai.models.thresholds import FixedThreshold
from tagifai.training.scorers import make_scorer
from tests.training.test_fitting import MODEL, prepared


def test_a_scorer_gives_what_its_probabilities_say() -> None:
    ready = prepared()
    y = ready.get_labels("val")
    right = np.eye(3)[y]
    wrong = np.roll(right, 1, axis=1)
    made = make_scorer(ready, MODEL, None, "val_f1", 7)
    assert made.every == 7
    assert (made.score(right), made.score(wrong)) == (1.0, 0.0)
    # A threshold that nothing is above makes all rows the rest.
    rest = make_scorer(ready, MODEL, FixedThreshold(0.9), "val_class/other/recall", 1)
    assert rest.score(np.full((len(y), 3), 1 / 3)) == 1.0
    assert (
        make_scorer(ready, MODEL, FixedThreshold(0.9), "val_class/cv/recall", 1).score(right) == 1.0
    )


def test_probabilities_that_are_not_numbers_are_the_rest_s() -> None:
    ready = prepared()
    unknown = np.full((len(ready.get_labels("val")), 3), np.nan)
    assert (
        make_scorer(ready, MODEL, FixedThreshold(0.5), "val_class/other/recall", 1).score(unknown)
        == 1.0
    )
    assert np.isnan(make_scorer(ready, MODEL, None, "val_loss", 1).score(unknown))


def test_slices_are_looked_for_only_where_one_is_scored(monkeypatch: pytest.MonkeyPatch) -> None:
    ready = prepared()
    y_prob = np.eye(3)[ready.get_labels("val")]
    with monkeypatch.context() as patched:
        patched.setattr("tagifai.training.scorers.slices.compute_masks", None)
        assert make_scorer(ready, MODEL, None, "val_class/cv/f1", 1).score(y_prob) == 1.0
    assert make_scorer(ready, MODEL, None, "val_slice/short_text/f1", 1).score(y_prob) == 1.0


def test_metrics_of_labels_and_of_probabilities_are_scored_after_an_epoch() -> None:
    ready = prepared()
    y = ready.get_labels("val")
    y_prob = np.full((len(y), 3), 0.1)
    y_prob[:, 0] = 0.8
    found = {
        name: make_scorer(ready, MODEL, None, f"val_{name}", 1).score(y_prob)
        for name in ("macro_f1", "balanced_accuracy", "log_loss", "ece")
    }
    share = float(np.mean(y == 0))
    assert found["macro_f1"] == pytest.approx(2 * share / (1 + share) / 3)
    assert found["balanced_accuracy"] == pytest.approx(1 / 3)
    expected = -(share * np.log(0.8) + (1 - share) * np.log(0.1))
    assert found["log_loss"] == pytest.approx(expected)
    assert found["ece"] == pytest.approx(abs(0.8 - share))
