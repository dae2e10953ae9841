"""task=train: from data to a tracked run with a model that can be used."""

from __future__ import annotations

import logging
import os
import shlex
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig

from tagifai.console import Display
from tagifai.schema import EXPERIMENT, SGD, Config

if TYPE_CHECKING:
    from numpy.random import RandomState

    from tagifai import pipeline

log = logging.getLogger(__name__)


def run(config: Config) -> float:
    """Train, score and record a run; return the objective."""
    started = time.monotonic()
    display = Display.of(config.console)
    _show_header(display, config)
    # From here on half of the scientific stack is imported, which takes longer than the header.
    from numpy.random import RandomState

    from tagifai import datasets, pipeline, recording, runs, store, tracking
    from tagifai.callbacks import Progress
    from tagifai.training import trains_by_epochs

    stores, output = Path(config.paths.stores), Path(HydraConfig.get().runtime.output_dir)
    random_state = RandomState(config.seed)
    parts = _parts(config, random_state)
    tracking.close_abandoned(stores)
    dataset = datasets.load(config.data, stores, progress=display.live)
    opened = tracking.start(
        enabled=config.tracking.enabled,
        uri=store.tracking_uri(config.tracking.uri),
        experiment=config.tracking.experiment,
        run_name=config.tracking.run_name or _run_name(),
        stores=stores,
        log_file=output / "run.log",
    )
    with recording.naming_the_model(output), opened as tracked:
        log.info("Run %s in %s", tracked.id, output)
        recording.log_inputs(tracked, config, dataset, output)
        prepared = pipeline.prepare(
            dataset.table, config.data, config.preprocessing, config.split, random_state
        )
        prepared.check_objective(config.objective.metric)
        _show_data(display, prepared)
        epochs = config.training.epochs if trains_by_epochs(parts.model) else 1
        with recording.epochs_kept(tracked) as keep, display.epochs(epochs) as show:
            listeners = (keep, Progress(show), Progress(_log_epoch))
            result = pipeline.fit(prepared, parts, config.training, listeners)
        recording.keep_model(tracked, config, output, prepared, result, dataset.digest)
    runs.set_latest(stores, tracked.id, result.performance)
    _show_result(display, config, tracked.id, result, time.monotonic() - started)
    return result.metrics()[config.objective.metric]


def _run_name() -> str:
    """Return the options that runs differ in most, which say more than MLflow's random names."""
    choices = HydraConfig.get().runtime.choices
    return "-".join(str(choices.get(group)) for group in ("model", "vectorizer", "data"))


def _parts(config: Config, random_state: RandomState) -> pipeline.Parts:
    from tagifai import components, pipeline

    made = [
        components.build(group, getattr(config, group), random_state)
        for group in ("vectorizer", "sampling", "model", "threshold")
    ]
    return pipeline.Parts(*made)


def _log_epoch(epoch: int, train_loss: float, val_loss: float) -> None:
    log.info("Epoch %d | train_loss %.5f | val_loss %.5f", epoch, train_loss, val_loss)


# --- what a person sees ----------------------------------------------------------------------


def _show_header(display: Display, config: Config) -> None:
    choices = HydraConfig.get().runtime.choices
    groups = {group: (choices.get(group), _shown(getattr(config, group))) for group in EXPERIMENT}
    groups["training"] = (None, asdict(config.training))
    groups["objective"] = (None, asdict(config.objective))
    groups["seed"] = (str(config.seed), {})
    display.header("tagifai train", groups)
    for key, reason in _ignored(config).items():
        log.info("Note: model.%s has no effect %s.", key, reason)
        display.say(f"Note: model.{key} has no effect {reason}.", style="yellow")


def _shown(settings: Any) -> dict[str, Any]:
    if settings is None or isinstance(settings, dict):
        return settings or {}
    hidden = ("_target_", "name", "projects_sha256", "tags_sha256")
    return {key: value for key, value in asdict(settings).items() if key not in hidden}


def _ignored(config: Config) -> dict[str, str]:
    """Return the model's parameters that were asked for and have no effect, with the reason."""
    if not isinstance(config.model, SGD):
        return {}
    given = [item.partition("=")[0] for item in HydraConfig.get().overrides.task]
    # Only eta0 has a value where nobody asked for one.
    return {
        key: reason
        for key, reason in config.model.ignored().items()
        if f"model.{key}" in given or (key != "eta0" and getattr(config.model, key) is not None)
    }


def _show_data(display: Display, prepared: pipeline.Prepared) -> None:
    counts = prepared.counts()
    sizes = {name: len(prepared.part(name)) for name in ("train", "val", "test")}
    line = (
        f"Data: {len(prepared.rows)} rows, {len(counts)} classes"
        f" ({', '.join(f'{tag} {n}' for tag, n in counts.items())});"
        f" train {sizes['train']}, val {sizes['val']}, test {sizes['test']}"
    )
    log.info(line)
    display.say(line)


def _show_result(
    display: Display, config: Config, run_id: str, result: pipeline.Result, seconds: float
) -> None:
    threshold = result.tagger.threshold
    at = "" if threshold is None else f" at threshold {threshold:.4f}"
    display.scores(f"Run {run_id}: test{at}", result.performance["test"])
    name = config.objective.metric
    display.say(f"Objective {name} = {result.metrics()[name]:.4f} (validation rows)")
    display.say(f"It took {seconds:.1f} s; files in {HydraConfig.get().runtime.output_dir}")
    for line in _ways_on(config):
        display.say(line)


def _ways_on(config: Config) -> list[str]:
    """Return the commands to go on with, as they would be typed here."""
    from tagifai import store

    prefix = "uv run " if "UV" in os.environ else ""
    paths = [item for item in HydraConfig.get().overrides.task if item.startswith("paths.")]
    program = shlex.join([sys.argv[0], "task=predict", *paths])
    lines = [f'Predict:  {prefix or "python "}{program} task.text="..."']
    uri = store.masked(store.tracking_uri(config.tracking.uri))
    if config.tracking.enabled:
        shown = f"{prefix}mlflow ui --backend-store-uri {shlex.quote(uri)}"
        lines.append(f"Look at:  {uri if uri.startswith('http') else shown}")
    return lines
