"""Recording: what a training run leaves behind, on disk and in the tracking store."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from tagifai import artifacts, datasets, pipeline, provenance, tracking
from tagifai.callbacks import Keep
from tagifai.errors import TrackingError
from tagifai.files import to_json, write_json
from tagifai.schema import EXPERIMENT, Config


@contextmanager
def epochs_logged(tracked: tracking.Run) -> Iterator[Keep]:
    """Record the losses of the epochs that were trained, also if not all of them were."""
    keep = Keep()
    try:
        yield keep
    finally:
        history = keep.history
        tracked.log_epochs({"train_loss": history.train_loss, "val_loss": history.val_loss})


def log_inputs(
    tracked: tracking.Run, config: Config, dataset: datasets.Dataset, output: Path
) -> None:
    """Record all that the run is made from, before anything can go wrong."""
    hydra = HydraConfig.get()
    choices = {group: hydra.runtime.choices.get(group) for group in EXPERIMENT}
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


def keep_model(
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
