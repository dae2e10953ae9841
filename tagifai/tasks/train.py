"""task=train: from data to a tracked run with a model that can be used."""

from __future__ import annotations

import logging
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from numpy.random import RandomState
from omegaconf import OmegaConf

from tagifai import artifacts, components, datasets, pipeline, provenance, runs, tracking
from tagifai.callbacks import Keep, Progress
from tagifai.console import Display
from tagifai.errors import TrackingError
from tagifai.files import to_json, write_json
from tagifai.schema import SGD, Config

log = logging.getLogger(__name__)

GROUPS = ("data", "preprocessing", "split", "vectorizer", "sampling", "model", "threshold")


def run(config: Config) -> float:
    """Train, score and record a run; return the objective."""
    started = time.monotonic()
    display = Display.of(config.console)
    stores, output = Path(config.paths.stores), Path(HydraConfig.get().runtime.output_dir)
    random_state = RandomState(config.seed)
    parts = _parts(config, random_state)
    _show_header(display, config)
    tracking.close_abandoned(stores)
    dataset = datasets.load(config.data, stores, progress=display.live)
    with tracking.start(
        enabled=config.tracking.enabled,
        uri=tracking.tracking_uri(config.tracking.uri),
        experiment=config.tracking.experiment,
        run_name=config.tracking.run_name,
        stores=stores,
        log_file=output / "run.log",
    ) as tracked:
        log.info("Run %s in %s", tracked.id, output)
        _log_inputs(tracked, config, dataset, output)
        prepared = pipeline.prepare(
            dataset.table, config.data, config.preprocessing, config.split, random_state
        )
        _show_data(display, prepared)
        with _epochs_logged(tracked) as keep, display.epochs(config.training.epochs) as show:
            listeners = (keep, Progress(show), Progress(_log_epoch))
            result = pipeline.fit(prepared, parts, config.training, listeners)
        objective = result.objective(config.objective.metric)
        _keep_model(tracked, config, output, prepared, result, dataset.digest)
    runs.set_latest(stores, tracked.id, result.performance)
    _show_result(display, config, tracked.id, result, time.monotonic() - started)
    return objective


def _parts(config: Config, random_state: RandomState) -> pipeline.Parts:
    made = [
        components.build(group, getattr(config, group), random_state)
        for group in ("vectorizer", "sampling", "model", "threshold")
    ]
    return pipeline.Parts(*made)


@contextmanager
def _epochs_logged(tracked: tracking.Run) -> Iterator[Keep]:
    """Record the losses of the epochs that were trained, also if not all of them were."""
    keep = Keep()
    try:
        yield keep
    finally:
        history = keep.history
        tracked.log_epochs({"train_loss": history.train_loss, "val_loss": history.val_loss})


def _log_epoch(epoch: int, train_loss: float, val_loss: float) -> None:
    log.info("Epoch %d | train_loss %.5f | val_loss %.5f", epoch, train_loss, val_loss)


def _log_inputs(
    tracked: tracking.Run, config: Config, dataset: datasets.Dataset, output: Path
) -> None:
    """Record all that the run is made from, before anything can go wrong."""
    hydra = HydraConfig.get()
    choices = {group: hydra.runtime.choices.get(group) for group in GROUPS}
    tracked.log_params(_flat({k: v for k, v in asdict(config).items() if k != "paths"}))
    tracked.log_tags(
        {
            "command": shlex.join(["run.py", *sys.argv[1:]]),
            "overrides": " ".join(hydra.overrides.task),
            "output_dir": str(output),
            "seed": config.seed,
            **{f"option.{group}": option for group, option in choices.items()},
            **{f"version.{name}": found for name, found in provenance.versions().items()},
            **provenance.git_state(Path(config.paths.root)),
            **config.tracking.tags,
        }
    )
    manifest = dataset.manifest
    counts = {"rows": manifest["rows"], "tags": manifest["tag_counts"]}
    source = manifest["tables"]["projects"]["source"]
    tracked.log_data(manifest["name"], dataset.digest, source, counts)
    (output / "config.yaml").write_text(_yaml(config), encoding="utf-8")
    tracked.log_file(output / "config.yaml")
    tracked.log_file(output / ".hydra" / "overrides.yaml")


def _flat(content: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _yaml(config: Config) -> str:
    return OmegaConf.to_yaml(OmegaConf.create(asdict(config)))


def _keep_model(
    tracked: tracking.Run,
    config: Config,
    output: Path,
    prepared: pipeline.Prepared,
    result: pipeline.Result,
    digest: str,
) -> None:
    """Save the model to the run's folder first, then where it is loaded from, then to MLflow."""
    documents = {
        "config.yaml": _yaml(config),
        "performance.json": to_json(result.performance),
        "splits.json": to_json({"data_digest": digest, **prepared.ids()}),
    }
    sums = artifacts.save(output / "bundle", result.tagger, documents)
    write_json(output / "performance.json", result.performance)
    published = artifacts.publish(output / "bundle", Path(config.paths.stores), tracked.id)
    try:
        tracked.log_metrics(_final(result))
        tracked.log_tags({"epoch": result.epoch, "features": result.features})
        tracked.log_tags({f"content.{name}": found for name, found in sums.items()})
        tracked.log_file(output / "performance.json")
        tracked.log_bundle(published)
    except TrackingError as error:
        raise TrackingError(
            f"{error} The model is trained and saved: {output / 'bundle'}. To use it:"
            f" run.py task=predict task.run_id={tracked.id} task.text=..."
        ) from error


def _final(result: pipeline.Result) -> dict[str, float]:
    """Return the metrics that are not recorded by epoch."""
    return {k: v for k, v in result.metrics().items() if k not in ("train_loss", "val_loss")}


# --- what a person sees ----------------------------------------------------------------------


def _show_header(display: Display, config: Config) -> None:
    choices = HydraConfig.get().runtime.choices
    groups = {group: (choices.get(group), _shown(getattr(config, group))) for group in GROUPS}
    groups["training"] = (None, asdict(config.training))
    groups["objective"] = (None, asdict(config.objective))
    groups["seed"] = (str(config.seed), {})
    display.header("tagifai train", groups)
    for key, reason in _ignored(config).items():
        log.info("Note: model.%s has no effect %s.", key, reason)
        display.say(f"Note: model.{key} has no effect {reason}.", style="yellow")


def _shown(settings: Any) -> dict[str, Any]:
    content = settings if isinstance(settings, dict) else asdict(settings)
    hidden = ("name", "projects_sha256", "tags_sha256")
    named = isinstance(settings, dict)
    return {
        k: v for k, v in content.items() if k not in hidden and (named or not k.startswith("_"))
    }


def _ignored(config: Config) -> dict[str, str]:
    """Return the model's parameters that were asked for and have no effect, with the reason."""
    if not isinstance(config.model, SGD):
        return {}
    given = [item.partition("=")[0] for item in HydraConfig.get().overrides.task]
    # Only eta0 has a value unless somebody sets one.
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
    at = "" if threshold is None else f", threshold {threshold:.4f}"
    display.scores(f"Test{at}", result.performance["test"])
    metrics = result.metrics()
    name = config.objective.metric
    log.info("Objective %s = %r", name, metrics[name])
    display.say(f"Objective {name} = {metrics[name]:.4f} (validation rows)")
    display.say(
        f"Run {run_id} took {seconds:.1f} s; files in {HydraConfig.get().runtime.output_dir}"
    )
    display.say('Predict:  python run.py task=predict task.text="..."')
    if config.tracking.enabled:
        uri = tracking.tracking_uri(config.tracking.uri)
        display.say(f"Look at:  mlflow ui --backend-store-uri {shlex.quote(uri)}")
