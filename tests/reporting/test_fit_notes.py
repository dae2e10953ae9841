"""Notes on a fitted tagger."""

from __future__ import annotations

import pytest

from tagifai.evaluation.threshold_effects import ThresholdEffect
from tagifai.models.tagger import Tagger
from tagifai.preprocessing.labels import LabelEncoder
from tagifai.reporting.fit_notes import describe_effect, list_fit_notes
from tagifai.training.fitting import FitResult
from tagifai.training.loop import History

COSTS = ThresholdEffect(0.61, "other", rows=135, sent=31, right=4, f1_with=0.84, f1_without=0.89)


def make_result(temperature: float | None, effect: ThresholdEffect | None) -> FitResult:
    tagger = Tagger({}, None, None, LabelEncoder(("a", "b")), None, None, {}, temperature)
    return FitResult(lambda: tagger, None, History(), 0, 1, {}, effect)


def test_a_threshold_that_costs_says_so() -> None:
    assert describe_effect(COSTS) == (
        "Threshold 0.61 sends 23% of the validation texts to 'other', which is right for 4 of 31:"
        " F1 0.84 with it, 0.89 without, a loss of 0.05; covers 0.77."
    )


@pytest.mark.parametrize(
    ("sent", "f1", "said"),
    [
        (31, 0.92, "right for 20 of 31: F1 0.92 with it, 0.89 without, a gain of 0.03; covers"),
        (0, 0.89, "to 'other': F1 0.89 with it, 0.89 without, no change; covers 1.00."),
    ],
)
def test_a_threshold_that_gains_or_does_nothing_says_so(sent: int, f1: float, said: str) -> None:
    effect = ThresholdEffect(0.6, "other", 135, sent, min(sent, 20), f1, 0.89)
    assert said in describe_effect(effect)


def test_calibrated_probabilities_say_where_they_were_learned() -> None:
    calibrated = (
        "Probabilities are calibrated on the validation rows (temperature 0.417), so validation log"
        " loss and calibration flatter."
    )
    assert list_fit_notes(make_result(0.4171, None)) == [calibrated]
    assert list_fit_notes(make_result(0.4171, COSTS)) == [describe_effect(COSTS), calibrated]
    assert list_fit_notes(make_result(None, None)) == []
