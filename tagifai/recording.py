"""Recording: what a training run leaves behind, on disk and in the tracking store."""

from __future__ import annotations

import logging
import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import OmegaConf

from tagifai import artifacts, datasets, pipeline, provenance, tracking
from tagifai.callbacks import Keep
from tagifai.errors import TrackingError
from tagifai.files import to_json, write_json
from tagifai.schema import EXPERIMENT, Config
from tagifai.training import History

log = logging.getLogger(__name__)


@contextmanager
def epochs_kept(tracked: tracking.Run) -> Iterator[Keep]:
    """Record the losses of a training that ends early; a whole one is recorded with its model."""
    keep = Keep()
    try:
        yield keep
    except BaseException:
        # The store's own failure must not take the place of what went wrong.
        with suppress(TrackingError):
            _log_epochs(tracked, keep.history)
        raise


def _log_epochs(tracked: tracking.Run, history: History) -> None:
    tracked.log_epochs({"train_loss": history.train_loss, "val_loss": history.val_loss})


@contextmanager
def naming_the_model(output: Path) -> Iterator[None]:
    """Say where the model is when tracking fails after it was saved."""
    try:
        yield
    except TrackingError as error:
        saved = output / "bundle"
        if not saved.is_dir():
            raise
        raise TrackingError(
            f"{error} The model is trained and saved all the same: {saved}"
        ) from error


def log_inputs(
    tracked: tracking.Run, config: Config, dataset: datasets.Dataset, output: Path
) -> None:
    """Record all that the run is made from, before anything can go wrong."""
    hydra = HydraConfig.get()
    choices = {group: hydra.runtime.choices.get(group) for group in EXPERIMENT}
    tracked.log_params(_flat({k: v for k, v in asdict(config).items() if k != "paths"}))
    tracked.log_tags(
        {
            "command": _command(),
            "cwd": str(Path.cwd()),
            "overrides": shlex.join(hydra.overrides.task),
            "output_dir": str(output),
            "seed": config.seed,
            **{f"option.{group}": option for group, option in choices.items()},
            **{
                f"version.{name}": found
                for name, found in provenance.versions(provenance.ALL_LIBRARIES).items()
            },
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


def _command() -> str:
    """Return the command line; of a job in a sweep, the one that runs this job alone."""
    hydra = HydraConfig.get()
    is_job = hydra.mode == RunMode.MULTIRUN
    return shlex.join(["run.py", *(hydra.overrides.task if is_job else sys.argv[1:])])


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
    """Save the model to the run's folder first, then where it is loaded from, then to the store.

    Args:
        tracked: the open run.
        config: of the run.
        output: the run's folder.
        prepared: the rows, whose ids are kept by part.
        result: the fitted tagger and its scores.
        digest: SHA-256 of the data set.
    """
    policy = config.data
    splits = {
        "data": {"name": policy.name, "digest": digest},
        "policy": {
            "accepted": policy.accepted_tags,
            "min_freq": policy.min_freq,
            "other": policy.other,
        },
        **prepared.ids(),
    }
    documents = {
        "config.yaml": _yaml(config),
        "performance.json": to_json(result.performance),
        "splits.json": to_json(splits),
    }
    sums = artifacts.save(output / "bundle", result.tagger, documents)
    write_json(output / "performance.json", result.performance)
    published = artifacts.publish(output / "bundle", Path(config.paths.stores), tracked.id)
    _log_result(tracked, config.objective.metric, result, sums)
    tracked.log_file(output / "performance.json")
    tracked.log_bundle(published)


def _log_result(
    tracked: tracking.Run, objective: str, result: pipeline.Result, sums: Mapping[str, str]
) -> None:
    found = result.metrics()
    log.info("Objective %s = %r", objective, found[objective])
    _log_epochs(tracked, result.history)
    by_epoch = ("train_loss", "val_loss")
    final = {name: value for name, value in found.items() if name not in by_epoch}
    tracked.log_metrics({**final, "objective": found[objective]})
    tracked.log_tags({"epoch": result.epoch, "features": result.features})
    tracked.log_tags({f"content.{name}": of_part for name, of_part in sums.items()})
