"""The trainer: from a configuration to a tracked run with a model, or to the value of a trial."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.random import RandomState

from tagifai import (
    datasets,
    objectives,
    pipeline,
    profiles,
    recording,
    reporting,
    runs,
    store,
    streaming,
    sweeps,
    tracking,
    views,
    workers,
)
from tagifai.cache import Cache
from tagifai.console import Display
from tagifai.errors import Reaped
from tagifai.origins import Origin
from tagifai.rounds import Rounds, parts_of
from tagifai.schema import Config
from tagifai.training import Pruned

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trained:
    """A finished run.

    Args:
        run_id: of the run.
        objective: the objective's metrics, and their values.
    """

    run_id: str
    objective: dict[str, float]

    @property
    def value(self) -> Any:
        """The objective as a task returns it, a list if it has several metrics."""
        return _returned(self.objective)


def train(
    config: Config, origin: Origin, display: Display, dataset: datasets.Dataset | None = None
) -> Trained:
    """Train, score, record and show a run, which is the latest from then on.

    Args:
        config: checked.
        origin: of the configuration.
        display: shows what is done.
        dataset: None loads the one that is configured.
    """
    with _begun(config, origin, display, dataset) as run:
        profile = profiles.profile(run.prepared)
        recording.log_profile(run.tracked, origin.output, profile)
        views.data(display, run.prepared, profiles.doubts(profile))
        result = run.rounds.fit(run.prepared, run.parts, test=True)
        objective = run.rounds.objective(run.prepared, run.parts, result)
        recording.keep_model(
            run.tracked,
            config,
            origin.output,
            run.prepared,
            result,
            objective,
            run.rounds.histories,
            run.digest,
            run.provenance,
        )
        report = reporting.of_run(
            run.tracked,
            config,
            origin,
            display,
            run.prepared,
            result,
            objective,
            profile,
            run.provenance,
        )
    runs.set_latest(Path(config.paths.stores), run.tracked.id, result.performance)
    views.result(display, config, origin, run.tracked.id, result, objective, report)
    return Trained(run.tracked.id, objective)


def attempt(config: Config, origin: Origin, display: Display) -> Any:
    """Train as a trial of a search: nothing is kept, and the test rows are not looked at.

    Args:
        config: checked.
        origin: of the configuration.
        display: a silent one.

    Returns:
        The objective, or `sweeps.PRUNED` or `sweeps.REAPED`.
    """
    try:
        with _begun(config, origin, display) as run:
            return _tried(run)
    except Reaped:
        # Nobody waits for the result any more.
        return sweeps.REAPED


@dataclass(frozen=True)
class _Begun:
    """An open run with all that it trains on."""

    tracked: tracking.Run
    trial: sweeps.Trial
    prepared: pipeline.Prepared
    parts: pipeline.Parts
    rounds: Rounds
    digest: str
    provenance: dict[str, Any]


@contextmanager
def _begun(
    config: Config, origin: Origin, display: Display, dataset: datasets.Dataset | None = None
) -> Iterator[_Begun]:
    """Check what can be checked without data, then open the run and prepare its rows."""
    stores = Path(config.paths.stores)
    random_state = RandomState(config.seed)
    parts = parts_of(config, random_state)
    # What is wrong with these is said before data are read.
    pipeline.cleaner_arguments(config.preprocessing)
    objectives.check(config.objective)
    streaming.check(config, parts)
    if not sweeps.in_search():
        tracking.close_abandoned(stores)
    if dataset is None:
        with display.rows("Reading") as told:
            dataset = datasets.load(config.data, stores, progress=display.live, told=told)
    opened = tracking.start(
        enabled=config.tracking.enabled,
        uri=store.tracking_uri(config.tracking.uri),
        experiment=config.tracking.experiment,
        run_name=config.tracking.run_name or origin.name,
        stores=stores,
        log_file=origin.output / "run.log",
        tags=_tags(config, origin),
    )
    with (
        sweeps.trial() as trial,
        recording.naming_the_model(origin.output),
        opened as tracked,
        recording.naming_the_run(tracked, origin.output),
    ):
        if sweeps.in_search():
            # Otherwise nobody waits for the id.
            trial.note(run_id=tracked.id)
        provenance = origin.document(config)
        recording.log_inputs(tracked, config, dataset, origin, provenance)
        memory = Cache(stores / "cache" / "features", config.cache.max_gb * 1e9)
        with display.rows("Looking through") as told:
            # The trials of a search are beside each other already.
            processes = 1 if sweeps.in_search() else workers.processors()
            prepared = streaming.prepare(dataset, config, random_state, memory, told, processes)
        for metric in config.objective.metrics:
            prepared.check_objective(metric)
        rounds = Rounds(config, display, tracked, trial, memory)
        yield _Begun(tracked, trial, prepared, parts, rounds, dataset.digest, provenance)


def _tags(config: Config, origin: Origin) -> dict[str, str]:
    tags = {"mlflow.parentRunId": sweeps.parent(config), "rerun_of": origin.rerun_of}
    return sweeps.tags() | {key: value for key, value in tags.items() if value is not None}


def _tried(run: _Begun) -> Any:
    try:
        with recording.trial_state(run.tracked):
            with run.tracked.together():
                objective = run.rounds.objective(run.prepared, run.parts, None)
                recording.log_result(run.tracked, run.rounds.last, objective)
            # With the trial too, for whoever goes on with the search should it be gone by now.
            run.trial.note(result=list(objective.values()))
            return _returned(objective)
    except Pruned:
        run.trial.note(result=sweeps.PRUNED)
        return sweeps.PRUNED
    except Reaped:
        return sweeps.REAPED


def _returned(objective: dict[str, float]) -> Any:
    values = list(objective.values())
    return values[0] if len(values) == 1 else values
