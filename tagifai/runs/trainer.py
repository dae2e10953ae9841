"""Train a run or a trial of a search, from its configuration to its result."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.random import RandomState

from tagifai.config.job import SearchTrial, get_job
from tagifai.config.schema import Config
from tagifai.console.display import Display
from tagifai.data import profiles
from tagifai.data.dataset_store import Dataset
from tagifai.evaluation.metrics import Performance
from tagifai.exceptions import StaleTrialError
from tagifai.preprocessing.cache import open_feature_cache
from tagifai.reporting import profile_text, reports, run_ending, run_summary
from tagifai.runs import latest, preparation, resolve
from tagifai.runs.recording import logger
from tagifai.runs.repeats import RepeatTrainer
from tagifai.runs.upkeep import used_folders
from tagifai.tracking import multirun, session
from tagifai.tracking.provenance import Invocation
from tagifai.tracking.recording import validation_rows
from tagifai.tracking.recording.children import note_score
from tagifai.tracking.store import Experiment
from tagifai.training import checkpoints
from tagifai.training.components import build_components
from tagifai.training.loop import History, TrainingPruned
from tagifai.training.open_run import OpenRun
from tagifai.training.trial import PRUNED, SECONDS, STALE, get_trial

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainedRun:
    """A finished run.

    Args:
        run_id: of the run.
        objective: the objective's metrics, and their values.
        performance: scores by part.
        history: losses by epoch.
    """

    run_id: str
    objective: dict[str, float]
    performance: dict[str, Performance]
    history: History

    @property
    def value(self) -> Any:
        """The objective as a task returns it: a list if it has several metrics."""
        return _to_return_value(self.objective)


def train(
    config: Config, invocation: Invocation, display: Display, dataset: Dataset | None = None
) -> TrainedRun:
    """Train, score, record and show a run, which becomes the latest run.

    Args:
        config: checked.
        invocation: of the configuration.
        display: shows progress and results.
        dataset: the data set; None loads the configured one.
    """
    with _open_run(config, invocation, display, dataset) as run:
        profile = profiles.compute(run.prepared, run.dataset)
        logger.log_profile(run.tracked, run.output_dir, profile)
        decided = run.components.adapt(run.prepared)
        notes = [*run.dataset.notes, *decided, *profile_text.list_warnings(profile)]
        run_summary.show_data(display, run.prepared, notes)
        repeats = RepeatTrainer(run, display)
        result = repeats.fit(run.prepared, run.components, test=True)
        objective = repeats.compute_objective(result)
        # Saved first: whatever goes wrong with what is said of it, the model is kept.
        logger.save_model(run, result, objective, repeats.histories)
        run_ending.show_result(display, run, result, objective)
        if result.predicted is not None:
            validation_rows.write(run.output_dir / validation_rows.FILE_NAME, [result.predicted])
        folder = get_job().multirun_dir
        if folder is not None:
            note_score(folder, run.tracked.id, objective, config.objective.directions)
        report = reports.write_for_run(run, result, objective, profile, display)
    latest.set_run(run.stores, run.tracked.id, result.performance)
    run_ending.show_places(display, run, report)
    return TrainedRun(run.tracked.id, objective, result.performance, result.history)


def train_trial(config: Config, invocation: Invocation, display: Display) -> Any:
    """Train as a trial of a search: no model is saved, and the test rows are not used.

    Args:
        config: checked.
        invocation: of the configuration.
        display: a silent one.

    Returns:
        The objective, or `PRUNED` or `STALE` of `tagifai.training.trial`.
    """
    try:
        with _open_run(config, invocation, display) as run:
            return _train_repeats(run, RepeatTrainer(run, display))
    except StaleTrialError:
        # The search has given the trial up.
        return STALE


@contextmanager
def _open_run(
    config: Config, invocation: Invocation, display: Display, dataset: Dataset | None = None
) -> Iterator[OpenRun]:
    """Check what can be checked without data, then open the run and prepare its rows."""
    stores, search_trial, trial = Path(config.paths.stores), get_job().trial, get_trial()
    random_state = RandomState(config.seed)
    components = build_components(config, random_state)
    preparation.check_settings(config, components)
    if search_trial is None:
        resolve.finish_interrupted(stores, config.tracking.uri)
    if dataset is None:
        dataset = preparation.load_dataset(config, display)
    used_folders.remove_earlier(config.task.name)
    opened = session.start_run(
        Experiment.from_config(config) if config.tracking.enabled else None,
        config.tracking.run_name or invocation.make_name(config.data.name),
        _make_tags(config, invocation, search_trial),
        log_file=invocation.output_dir / "run.log",
    )
    with (
        logger.mention_saved_model(invocation.output_dir),
        opened as tracked,
        logger.log_run_id(tracked, invocation.output_dir),
    ):
        trial.note(run_id=tracked.id)
        provenance = invocation.make_record(config)
        logger.log_inputs(tracked, config, dataset, invocation, provenance)
        cache = open_feature_cache(stores, config.cache.max_gb)
        prepared = preparation.prepare_rows(
            config, dataset, components, random_state, cache, display
        )
        with checkpoints.hold(config, dataset.digest, display.show_note) as held:
            opened_run = (config, invocation, provenance, tracked, trial, dataset, prepared)
            yield OpenRun(*opened_run, components, cache, held)


def _make_tags(config: Config, invocation: Invocation, trial: SearchTrial | None) -> dict[str, str]:
    tags = {
        "mlflow.parentRunId": multirun.ensure_parent_run(config),
        "rerun_of": invocation.rerun_of,
    }
    if trial is not None:
        tags |= {
            "study": trial.study,
            "trial.number": str(trial.number),
            "trial.state": "RUNNING",
        }
    return {key: value for key, value in tags.items() if value is not None}


def _train_repeats(run: OpenRun, repeats: RepeatTrainer) -> Any:
    try:
        with run.tracked.batch_logging(), logger.log_trial_state(run.tracked):
            began = time.monotonic()
            objective = repeats.compute_objective()
            run.trial.note(**{SECONDS: time.monotonic() - began})
            made = (repeats.last_result, repeats.scores)
            logger.log_result(run.tracked, *made, objective, run.config)
        validation_rows.write(run.output_dir / validation_rows.FILE_NAME, repeats.predicted)
    except TrainingPruned:
        run.checkpoints.remove()
        return PRUNED
    except StaleTrialError:
        return STALE
    run.checkpoints.remove()
    return _to_return_value(objective)


def _to_return_value(objective: dict[str, float]) -> Any:
    values = list(objective.values())
    return values[0] if len(values) == 1 else values
