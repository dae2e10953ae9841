"""What is said of a fitted tagger: how good, what is weak, what to try, and what to be aware of."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from tagifai.evaluation import summary
from tagifai.evaluation.summary import format_score
from tagifai.training import next_steps
from tagifai.utils import program

if TYPE_CHECKING:
    # For types only: the terminal's header is shown before scikit-learn is imported.
    from tagifai.evaluation.threshold_effects import ThresholdEffect
    from tagifai.training.fitting import FitResult
    from tagifai.training.open_run import OpenRun


TELLING_RISE = 1.05
"""How many times the lowest validation loss the last one is, if it is said to rise."""


def list_fit_notes(result: FitResult) -> list[str]:
    """Return notes on what a fitted tagger's scores hide, a sentence each."""
    notes = [] if result.threshold_effect is None else [describe_effect(result.threshold_effect)]
    notes += describe_rise(result.history.val_loss)
    if result.tagger.temperature is not None:
        notes.append(
            "Probabilities are calibrated on the validation rows (temperature"
            f" {result.tagger.temperature:.3g}), so validation log loss and calibration flatter."
        )
    return notes


def describe_rise(losses: Sequence[float]) -> list[str]:
    """Return that the validation loss of a run's epochs rises in the end, if it does."""
    if not losses or not losses[-1] > TELLING_RISE * min(losses):
        return []
    lowest, last = min(losses), losses[-1]
    rise = f"from {lowest:.4f} in epoch {losses.index(lowest)} to {last:.4f} in epoch"
    return [f"The validation loss rises {rise} {len(losses) - 1}, the last; more would not help."]


def describe_cost(effect: ThresholdEffect | None) -> str:
    """Return what a threshold costs beside a score, as the end of a sentence; empty if nothing."""
    cost = 0.0 if effect is None else effect.f1_without - effect.f1_with
    if effect is None or not float(amount := format_score(abs(cost), effect.rows)):
        return ""
    verb = "costs" if cost > 0 else "brings"
    return f"; the threshold to {effect.other!r} {verb} {amount} of the validation F1"


def describe_effect(effect: ThresholdEffect) -> str:
    """Return what a threshold does, with the digits of `describe_cost`, in a sentence."""
    with_it, without = (format_score(f1, effect.rows) for f1 in (effect.f1_with, effect.f1_without))
    # Of the fallback label's own rows some are right there, and then a threshold may gain.
    right = f", which is right for {effect.right:,} of {effect.sent:,}" if effect.sent else ""
    return (
        f"Threshold {effect.threshold:.4g} sends {effect.sent / effect.rows:.0%} of the validation"
        f" texts to {effect.other!r}{right}: F1 {with_it} with it,"
        f" {without} without; covers {effect.coverage:.2f}."
    )


def describe_main_score(result: FitResult, objective: Collection[str]) -> str:
    """Return the main score of the test rows with its interval and baseline, as a phrase."""
    values = result.get_metrics()
    main = summary.find_main_metric(objective, values)
    return summary.describe_score(main, values[f"test_{main}"], result.performance["test"])


def describe_next_step(run: OpenRun, result: FitResult) -> tuple[str, str] | None:
    """Return what to try next: a command as it is typed here, and the reason; or None."""
    overrides = run.invocation.overrides
    suggestion = next_steps.suggest(run.config, result, run.prepared, overrides)
    if suggestion is None:
        return None
    return program.format_call(*suggestion.add_to(overrides)), f"because {suggestion.reason}"


def list_main_lines(
    run: OpenRun, result: FitResult, objective: Mapping[str, float]
) -> list[tuple[str, str]]:
    """Return how good the run is, what is weak and what to try next, as at its end.

    Args:
        run: the open run.
        result: the fitted tagger and its scores.
        objective: its metrics and their values.
    """
    found = [("score", describe_main_score(result, objective))]
    weak = summary.describe_weakest(result.performance["test"])
    found += [("weak", "; ".join(weak))] if weak else []
    step = describe_next_step(run, result)
    return found if step is None else [*found, ("try next", f"{step[0]} ({step[1]})")]
