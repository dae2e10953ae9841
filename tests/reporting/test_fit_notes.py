"""Notes on a fitted tagger."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tagifai.evaluation.threshold_effects import ThresholdEffect
from tagifai.models.tagger import Tagger
from tagifai.preprocessing.labels import LabelEncoder
from tagifai.reporting.fit_notes import (
    describe_cost,
    describe_effect,
    describe_rise,
    list_fit_notes,
)
from tagifai.training.fitting import FitResult
from tagifai.training.loop import History

COSTS = ThresholdEffect(0.61, "other", rows=135, sent=31, right=4, f1_with=0.84, f1_without=0.89)


def make_result(temperature: float | None, effect: ThresholdEffect | None) -> FitResult:
    tagger = Tagger({}, None, None, LabelEncoder(("a", "b")), None, None, {}, temperature)
    return FitResult(lambda: tagger, None, History(), 0, 1, {}, effect)


def test_a_threshold_says_what_it_does_with_the_digits_that_the_rows_carry() -> None:
    many = replace(COSTS, rows=13_500, f1_with=0.84123, f1_without=0.89)
    assert "F1 0.8412 with it, 0.8900 without;" in describe_effect(many)
    assert "costs 0.0488 of" in describe_cost(many)
    assert describe_effect(COSTS) == (
        "Threshold 0.61 sends 23% of the validation texts to 'other', which is right for 4 of 31:"
        " F1 0.84 with it, 0.89 without; covers 0.77."
    )


@pytest.mark.parametrize(
    ("sent", "f1", "said"),
    [
        (31, 0.92, "right for 20 of 31: F1 0.92 with it, 0.89 without; covers"),
        (0, 0.89, "to 'other': F1 0.89 with it, 0.89 without; covers 1.00."),
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


@pytest.mark.parametrize(
    ("losses", "said"),
    [
        ([], []),
        ([0.5], []),
        ([0.5, 0.4, 0.41], []),  # so little is chance
        ([0.5, float("nan")], []),
        ([0.5, 0.4, 0.45], ["from 0.4000 in epoch 1 to 0.4500 in epoch 2, the last"]),
    ],
)
def test_a_validation_loss_that_rises_says_so(losses: list[float], said: list[str]) -> None:
    notes = describe_rise(losses)
    assert len(notes) == len(said)
    assert all(part in note for part, note in zip(said, notes, strict=True))


@pytest.mark.parametrize(
    ("with_it", "said"),
    [
        (0.84, "; the threshold to 'other' costs 0.05 of the validation F1"),
        (0.92, "; the threshold to 'other' brings 0.03 of the validation F1"),
        (0.89, ""),
        (0.8904, ""),  # less than the rows carry
    ],
)
def test_a_score_says_what_its_threshold_costs(with_it: float, said: str) -> None:
    assert describe_cost(replace(COSTS, f1_with=with_it)) == said
    assert describe_cost(None) == ""
