"""Notes on a fitted tagger: what its threshold costs, and where its probabilities are from."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # For types only: the terminal's header is shown before scikit-learn is imported.
    from tagifai.evaluation.threshold_effects import ThresholdEffect
    from tagifai.training.fitting import FitResult


def list_fit_notes(result: FitResult) -> list[str]:
    """Return notes on what a fitted tagger's scores hide, a sentence each."""
    notes = [] if result.threshold_effect is None else [describe_effect(result.threshold_effect)]
    if result.tagger.temperature is not None:
        notes.append(
            "Probabilities are calibrated on the validation rows (temperature"
            f" {result.tagger.temperature:.3g}), so validation log loss and calibration flatter."
        )
    return notes


def describe_effect(effect: ThresholdEffect) -> str:
    """Return what a threshold costs, or gains, in a sentence."""
    gain = effect.f1_with - effect.f1_without
    change = "no change" if gain == 0 else f"a {'gain' if gain > 0 else 'loss'} of {abs(gain):.2g}"
    # Of the fallback label's own rows some are right there, and then a threshold may gain.
    right = f", which is right for {effect.right:,} of {effect.sent:,}" if effect.sent else ""
    return (
        f"Threshold {effect.threshold:.4g} sends {effect.sent / effect.rows:.0%} of the validation"
        f" texts to {effect.other!r}{right}: F1 {effect.f1_with:.2f} with it,"
        f" {effect.f1_without:.2f} without, {change}; covers {effect.coverage:.2f}."
    )
