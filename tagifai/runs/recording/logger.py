"""Record a training run, on disk and in the tracking store."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from tagifai.config.formatting import format_yaml
from tagifai.config.schema import Config
from tagifai.data.dataset_store import Dataset
from tagifai.exceptions import StaleTrialError, TrackingError
from tagifai.models import bundles
from tagifai.runs.recording import scores
from tagifai.runs.recording.scores import EPOCHS
from tagifai.tracking import session, settings
from tagifai.tracking.provenance import Invocation
from tagifai.training.callbacks import HistoryCallback
from tagifai.training.fitting import FitResult
from tagifai.training.loop import History, TrainingPruned
from tagifai.training.open_run import OpenRun
from tagifai.utils.files import format_json, write_json

log = logging.getLogger(__name__)


@contextmanager
def log_epochs_on_error(tracked: session.TrackedRun, prefix: str = "") -> Iterator[HistoryCallback]:
    """Record the losses of a training that fails; a complete one is recorded with its result.

    Args:
        tracked: the open run.
        prefix: of the metrics' names.
    """
    keep = HistoryCallback()
    try:
        yield keep
    except BaseException:
        # An error of the store must not hide the first one.
        with suppress(TrackingError):
            log_epochs(tracked, keep.history, prefix)
        raise


def log_epochs(tracked: session.TrackedRun, history: History, prefix: str = "") -> None:
    """Record the losses and the reported scores by epoch."""
    by_epoch: dict[str, list[float] | dict[int, float]] = {
        f"{EPOCHS}{prefix}train_loss": history.train_loss,
        f"{EPOCHS}{prefix}val_loss": history.val_loss,
    }
    if history.scores:
        by_epoch[f"{EPOCHS}{prefix}reported"] = history.scores
    tracked.log_epochs(by_epoch)


@contextmanager
def log_trial_state(tracked: session.TrackedRun) -> Iterator[None]:
    """Record how a trial ends: COMPLETE, PRUNED, FAIL, or DIED if its result was not needed."""
    state = "FAIL"
    try:
        yield
        state = "COMPLETE"
    except TrainingPruned:
        state, tracked.status = "PRUNED", "KILLED"
        raise
    except (StaleTrialError, KeyboardInterrupt):
        state, tracked.status = "DIED", "KILLED"
        raise
    finally:
        with nullcontext() if state == "COMPLETE" else suppress(TrackingError):
            tracked.log_tags({"trial.state": state})


@contextmanager
def mention_saved_model(output: Path) -> Iterator[None]:
    """Note with an error where the model is, if it has been saved."""
    try:
        yield
    except Exception as error:
        saved = output / "bundle"
        if saved.is_dir():
            error.add_note(f"The model is trained and saved anyway: {saved}")
        raise


@contextmanager
def log_run_id(tracked: session.TrackedRun, output: Path) -> Iterator[None]:
    """Log the run's id at the end of the block, because the id may not be known before."""
    try:
        yield
    finally:
        log.info("Run %s in %s", tracked, output)


def log_inputs(
    tracked: session.TrackedRun,
    config: Config,
    dataset: Dataset,
    invocation: Invocation,
    provenance: Mapping[str, Any],
) -> None:
    """Record everything that the run is made from, before it can fail.

    Args:
        tracked: the open run.
        config: of the run.
        dataset: its rows.
        invocation: of the configuration.
        provenance: the invocation's record.
    """
    output, overrides = invocation.output_dir, invocation.overrides
    content = asdict(config)
    params = settings.choose_params(content, invocation.options, invocation.overridden)
    with tracked.batch_logging():
        tracked.log_params(params)
        tracked.log_tags(
            {
                "command": invocation.command,
                "cwd": str(Path.cwd()),
                "overrides": shlex.join(overrides),
                "output_dir": str(output),
                settings.REST_TAG: settings.compute_rest(content, params),
                "versions": ", ".join(f"{k} {v}" for k, v in provenance["versions"].items()),
                **{f"mlflow.source.git.{key}": value for key, value in provenance["git"].items()},
                **config.tracking.tags,
            }
        )
    manifest = dataset.manifest
    counts = {"rows": manifest["rows"], "tags": manifest["tag_counts"]}
    source = next(iter(manifest["tables"].values()))["source"]
    tracked.log_dataset(manifest["name"], dataset.digest, source, counts)
    (output / "config.yaml").write_text(format_yaml(content), encoding="utf-8")
    tracked.log_file(output / "config.yaml")
    tracked.log_file(output / ".hydra" / "overrides.yaml")


def log_profile(tracked: session.TrackedRun, output: Path, profile: Mapping[str, Any]) -> None:
    """Record the profile of the data."""
    write_json(output / "profile.json", profile)
    tracked.log_file(output / "profile.json")


def save_model(
    run: OpenRun,
    result: FitResult,
    objective: Mapping[str, float],
    histories: Mapping[str, History],
) -> None:
    """Save the model in the run's folder, then in the stores, then in the tracking store.

    Args:
        run: the open run.
        result: the fitted tagger and its scores.
        objective: the objective's metrics, and their values.
        histories: of all trainings, by the prefix of their metrics' names.
    """
    tracked, output = run.tracked, run.output_dir
    kept = {k: v for k, v in asdict(run.config).items() if k != "tracking"}
    documents = {
        "config.yaml": format_yaml(kept),
        "performance.json": format_json(result.performance),
        "provenance.json": format_json(run.provenance),
        "splits.json": format_json(run.describe_splits()),
    }
    # Later tables are read as the run's own was.
    tagger = replace(result.tagger, input=run.dataset.options)
    sums = bundles.save(output / "bundle", tagger, documents)
    write_json(output / "performance.json", result.performance)
    published = bundles.publish(output / "bundle", run.stores, tracked.id)
    run.checkpoints.remove()
    tracked.log_model(published, run.name)
    log_result(tracked, result, result.get_metrics(), objective, run.config, of_model=True)
    log_epochs(tracked, next(iter(histories.values())))
    tracked.log_metrics({"model_bytes": result.get_metric("model_bytes")}, of_model=True)
    of_model = {name: of_part for name, of_part in sums.items() if name not in documents}
    tracked.log_tags({"content": sha256(format_json(of_model).encode()).hexdigest()})
    scores.log_tables(tracked, output, result.performance, histories)
    tracked.log_file(output / "performance.json")
    tracked.log_bundle(published)


def log_result(
    tracked: session.TrackedRun,
    result: FitResult,
    metrics: Mapping[str, float],
    objective: Mapping[str, float],
    config: Config,
    *,
    of_model: bool = False,
) -> None:
    """Record a training and its objective; a single one has the name `objective`.

    Args:
        tracked: the open run.
        result: of the training, of repeats the last one.
        metrics: all its scores under flat names; of a trial, the means over its repeats.
        objective: the objective's metrics, and their values.
        config: of the run.
        of_model: whether the scores are those of the recorded model.
    """
    log.info("Objective %s", ", ".join(f"{name} = {value!r}" for name, value in objective.items()))
    # First, because MLflow compares runs by the metric that was recorded first.
    if len(objective) == 1:
        final = {"objective": next(iter(objective.values()))}
    else:
        final = {f"objective/{name}": value for name, value in objective.items()}
    final |= scores.choose_metrics(metrics, config)
    tracked.log_metrics(final, of_model=of_model)
    tracked.log_tags({"epoch": result.epoch, "features": result.features})
