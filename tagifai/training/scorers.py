"""Score the validation rows after an epoch."""

from __future__ import annotations

from typing import Any

from tagifai.data.prepare import PreparedData
from tagifai.evaluation import metrics, slices
from tagifai.evaluation.standard_metrics import OF_PROBABILITIES
from tagifai.models.losses import get_loss_function
from tagifai.models.outputs import gives_probabilities, has_decision_values
from tagifai.models.temperature import calibrate, fit_temperature
from tagifai.models.thresholds import Probabilities, Threshold, decide
from tagifai.training.loop import ValidationScorer


def make_scorer(
    prepared: PreparedData, model: Any, threshold: Threshold | None, metric: str, every: int
) -> ValidationScorer:
    """Return a scorer that computes a validation metric as if training ended with the epoch.

    Args:
        prepared: the rows.
        model: fitted or not; it decides the loss.
        threshold: found anew each time.
        metric: val_loss, or a score of the validation rows.
        every: epochs from one score to the next.
    """
    y_true, name = prepared.get_labels("val"), metric.removeprefix("val_")
    if name == "loss":
        return ValidationScorer(lambda y_prob: get_loss_function(model)(y_true, y_prob), every)
    other = 0 if threshold is None else prepared.encoder.index(str(prepared.other))
    masks = slices.compute_masks(prepared.get_part("val")) if name.startswith("slice/") else {}

    # It changes no prediction, so that scores of labels do without.
    calibrated = has_decision_values(model) and (threshold is not None or name in OF_PROBABILITIES)

    def score(y_prob: Probabilities) -> float:
        if calibrated:
            y_prob = calibrate(y_prob, fit_temperature(y_prob, y_true))
        at = None if threshold is None else threshold.fit(y_prob, y_true, other)
        y_pred = decide(y_prob, at, other)
        known = y_prob if gives_probabilities(model) else None
        return metrics.compute_score(name, y_true, y_pred, prepared.encoder.classes, masks, known)

    return ValidationScorer(score, every)
