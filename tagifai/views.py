"""Views: what a person sees of a training run, and the log has too."""

from __future__ import annotations

import logging
import os
import shlex
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagifai.console import Display
from tagifai.origins import Origin
from tagifai.schema import EXPERIMENT, SGD, Config

if TYPE_CHECKING:
    # For types only: the header is to be there before scikit-learn is.
    from tagifai import pipeline

log = logging.getLogger(__name__)


def header(display: Display, config: Config, origin: Origin) -> None:
    """Show what will be trained, and what of it has no effect."""
    options = origin.options
    groups = {group: (options.get(group), _shown(getattr(config, group))) for group in EXPERIMENT}
    groups["training"] = (None, asdict(config.training))
    groups["objective"] = (None, asdict(config.objective))
    groups["seed"] = (str(config.seed), {})
    again = "train" if origin.rerun_of is None else f"rerun of {origin.rerun_of}"
    display.header(f"tagifai {again}", groups)
    for key, reason in _ignored(config, origin).items():
        log.info("Note: model.%s has no effect %s.", key, reason)
        display.say(f"Note: model.{key} has no effect {reason}.", style="yellow")


def _shown(settings: Any) -> dict[str, Any]:
    if settings is None or isinstance(settings, dict):
        return settings or {}
    hidden = ("_target_", "name", "projects_sha256", "tags_sha256", "sha256")
    return {key: value for key, value in asdict(settings).items() if key not in hidden}


def _ignored(config: Config, origin: Origin) -> dict[str, str]:
    """Return the model's parameters that were asked for and have no effect, with the reason."""
    if not isinstance(config.model, SGD):
        return {}
    given = [item.partition("=")[0] for item in origin.overrides or ()]
    # Only eta0 has a value where nobody asked for one.
    return {
        key: reason
        for key, reason in config.model.ignored().items()
        if f"model.{key}" in given or (key != "eta0" and getattr(config.model, key) is not None)
    }


def data(display: Display, prepared: pipeline.Prepared, doubts: list[str]) -> None:
    """Show how many rows there are for what, and what is doubtful about them."""
    counts = prepared.counts()
    sizes = prepared.sizes()
    line = (
        f"Data: {sum(counts.values())} rows, {len(counts)} classes"
        f" ({_few(counts)});"
        f" train {sizes['train']}, val {sizes['val']}, test {sizes['test']}"
    )
    log.info(line)
    display.say(line)
    for doubt in [*prepared.notes(), *doubts]:
        log.info("Note: %s", doubt)
        display.say(f"Note: {doubt}", style="yellow")


def _few(counts: dict[str, int], shown: int = 10) -> str:
    """Return the largest classes with their rows."""
    named = [f"{tag} {n}" for tag, n in list(counts.items())[:shown]]
    return ", ".join([*named, "…"] if len(counts) > shown else named)


def result(
    display: Display,
    config: Config,
    origin: Origin,
    run_id: str,
    result: pipeline.Result,
    objective: dict[str, float],
    report: Path | None,
) -> None:
    """Show the test scores, the objective, and the commands to go on with."""
    threshold = result.tagger.threshold
    at = "" if threshold is None else f" at threshold {threshold:.4f}"
    at += ", refitted to train and validation rows" if config.training.refit else ""
    display.scores(f"Run {run_id}: test{at}", result.performance["test"])
    repeats = config.objective.repeats
    over = "" if repeats == 1 else f", mean over {repeats} {config.objective.by}"
    for name, value in objective.items():
        rows = "" if name == "model_bytes" else " (validation rows" + over + ")"
        display.say(f"Objective {name} = {value:.{0 if name == 'model_bytes' else 4}f}{rows}")
    seconds = time.monotonic() - origin.began
    display.say(f"It took {seconds:.1f} s; files in {origin.output}")
    display.say(f"Report:   {report or 'not written; the log says why'}")
    for line in _ways_on(config, origin):
        display.say(line)


def _ways_on(config: Config, origin: Origin) -> list[str]:
    """Return the commands to go on with, as they would be typed here."""
    from tagifai import store
    from tagifai.addresses import masked

    prefix = "uv run " if "UV" in os.environ else ""
    program = shlex.join([*Display.program, "task=predict", *origin.paths])
    lines = [f'Predict:  {program} task.text="..."']
    uri = masked(store.tracking_uri(config.tracking.uri))
    if config.tracking.enabled:
        shown = f"{prefix}mlflow ui --backend-store-uri {shlex.quote(uri)}"
        lines.append(f"Look at:  {uri if uri.startswith('http') else shown}")
    return lines
