"""task=train: from data to a tracked run with a model that can be used."""

from __future__ import annotations

import logging
import math
import os
import shlex
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig

from tagifai import sweeps
from tagifai.console import Display
from tagifai.errors import Reaped, UserError
from tagifai.schema import EXPERIMENT, SGD, Config

if TYPE_CHECKING:
    from numpy.random import RandomState

    from tagifai import pipeline, tracking
    from tagifai.training import History

log = logging.getLogger(__name__)


def run(config: Config) -> Any:
    """Train, score and record a run; return the objective, a list if it has several metrics."""
    if not sweeps.in_search():
        return _train(config)
    try:
        return _train(config)
    except Reaped:
        # Nobody waits for the result any more.
        return sweeps.REAPED


def _train(config: Config) -> Any:
    started = time.monotonic()
    in_search = sweeps.in_search()
    display = Display.of(config.console, silent=in_search)
    _show_header(display, config)
    # From here on half of the scientific stack is imported, which takes longer than the header.
    from numpy.random import RandomState

    from tagifai import (
        datasets,
        objectives,
        pipeline,
        profiles,
        recording,
        runs,
        store,
        tracking,
    )

    stores, output = Path(config.paths.stores), Path(HydraConfig.get().runtime.output_dir)
    random_state = RandomState(config.seed)
    parts = _parts(config, random_state)
    # What is wrong with these is said before data are read.
    pipeline.cleaner_arguments(config.preprocessing)
    objectives.check(config.objective)
    if not in_search:
        tracking.close_abandoned(stores)
    dataset = datasets.load(config.data, stores, progress=display.live)
    opened = tracking.start(
        enabled=config.tracking.enabled,
        uri=store.tracking_uri(config.tracking.uri),
        experiment=config.tracking.experiment,
        run_name=config.tracking.run_name or _run_name(),
        stores=stores,
        log_file=output / "run.log",
        tags=_tags(config),
    )
    with sweeps.trial() as trial, recording.naming_the_model(output), opened as tracked:
        log.info("Run %s in %s", tracked.id, output)
        trial.note(run_id=tracked.id)
        recording.log_inputs(tracked, config, dataset, output)
        prepared = pipeline.prepare(
            dataset.table, config.data, config.preprocessing, config.split, random_state
        )
        for metric in config.objective.metrics:
            prepared.check_objective(metric)
        trainings = _Trainings(config, display, tracked, trial)
        if in_search:
            return _attempt(trainings, prepared, parts)
        profile = profiles.profile(prepared)
        recording.log_profile(tracked, output, profile)
        _show_data(display, prepared, profiles.doubts(profile))
        result = trainings.fit(prepared, parts, test=True)
        objective = trainings.objective(prepared, parts, result)
        recording.keep_model(
            tracked,
            config,
            output,
            prepared,
            result,
            objective,
            trainings.histories,
            dataset.digest,
        )
    runs.set_latest(stores, tracked.id, result.performance)
    _show_result(display, config, tracked.id, result, objective, time.monotonic() - started)
    return _returned(objective)


def _tags(config: Config) -> dict[str, str]:
    parent = sweeps.parent(config)
    return sweeps.tags() | ({} if parent is None else {"mlflow.parentRunId": parent})


def _returned(objective: dict[str, float]) -> Any:
    values = list(objective.values())
    return values[0] if len(values) == 1 else values


def _attempt(trainings: _Trainings, prepared: pipeline.Prepared, parts: pipeline.Parts) -> Any:
    """Train as a trial: nothing is kept, and the test rows are not looked at."""
    from tagifai import recording
    from tagifai.training import Pruned

    try:
        with recording.trial_state(trainings.tracked):
            objective = trainings.objective(prepared, parts, None)
            recording.log_result(trainings.tracked, trainings.last, objective)
            # With the trial too, for whoever goes on with the search should it be gone by now.
            trainings.trial.note(result=list(objective.values()))
            return _returned(objective)
    except Pruned:
        trainings.trial.note(result=sweeps.PRUNED)
        return sweeps.PRUNED
    except Reaped:
        return sweeps.REAPED


class _Trainings:
    """The trainings of a run: its own, and those whose mean is the objective.

    Args:
        config: of the run.
        display: shows the epochs.
        tracked: the open run.
        trial: told about the objective on the way.
    """

    last: pipeline.Result

    def __init__(
        self, config: Config, display: Display, tracked: tracking.Run, trial: sweeps.Trial
    ) -> None:
        self.tracked = tracked
        self._config = config
        self._display = display
        self.trial = trial
        self.histories: dict[str, History] = {}

    def objective(
        self, prepared: pipeline.Prepared, parts: pipeline.Parts, own: pipeline.Result | None
    ) -> dict[str, float]:
        """Return the value of each metric of the objective, a mean over the rounds.

        Args:
            prepared: the run's rows.
            parts: the run's own, unfitted unless `own` is given.
            own: the run's own training, which may be one of the rounds.

        Raises:
            Pruned: the search has told so.
            UserError: a value is not a number.
        """
        from tagifai import objectives

        config, metrics = self._config, self._config.objective.metrics
        values: list[list[float]] = []
        turns = objectives.rounds(prepared, config.objective, config.seed)
        for turn in turns[1:]:
            for metric in metrics:
                # A slice may have rows in one cut and none in another.
                turn.prepared.check_objective(metric)
        for number, turn in enumerate(turns):
            if turn.random_state is None:
                result = own or self.fit(turn.prepared, parts, values=values)
            else:
                fresh = _parts(config, turn.random_state)
                prefix = f"{config.objective.by.removesuffix('s')}_{number}/"
                result = self.fit(turn.prepared, fresh, values=values, prefix=prefix)
            values.append([result.value(metric) for metric in metrics])
            self._report_round(number, values, result.history)
        self.last = result
        objective = dict(zip(metrics, objectives.mean(values), strict=True))
        for metric, value in objective.items():
            if not math.isfinite(value):
                raise UserError(f"The objective {metric} is {value}: not a number to go by.")
        return objective

    def _report_round(self, number: int, values: list[list[float]], history: History) -> None:
        from tagifai.training import Pruned

        self.trial.check()
        last_epoch = self._config.training.epochs - 1
        between = number + 1 < self._config.objective.repeats and self._reports()
        if between and last_epoch not in history.scores:
            last_step = number * self._config.training.epochs + last_epoch
            if self.trial.report(last_step, sum(v[0] for v in values) / len(values)):
                raise Pruned

    def fit(
        self,
        prepared: pipeline.Prepared,
        parts: pipeline.Parts,
        *,
        test: bool = False,
        values: Sequence[Sequence[float]] = (),
        prefix: str = "",
    ) -> pipeline.Result:
        """Train once.

        Args:
            prepared: the rows.
            parts: unfitted.
            test: score the test rows too.
            values: of the rounds before, for the reports.
            prefix: of the metrics by epoch in the tracking store.
        """
        from tagifai import pipeline, recording
        from tagifai.callbacks import Progress, Report
        from tagifai.training import trains_by_epochs

        config, objective = self._config, self._config.objective
        listeners = Report(
            self.trial.report,
            self.trial.check,
            first_step=len(values) * config.training.epochs,
            earlier=[value[0] for value in values],
        )
        epochs = config.training.epochs if trains_by_epochs(parts.model) else 1
        reported = (objective.metrics[0], objective.report_every or 1)
        epochs_kept = recording.epochs_kept(self.tracked, prefix)
        with epochs_kept as keep, self._display.epochs(epochs) as show:
            result = pipeline.fit(
                prepared,
                parts,
                config.training,
                (keep, Progress(show), Progress(_log_epoch), listeners),
                test=test,
                scored=reported if self._reports() else None,
            )
        if sweeps.in_search():
            recording.log_epochs(self.tracked, result.history, prefix)
        else:
            # Later: should the store fail, the model is to be saved first.
            self.histories[prefix] = result.history
        return result

    def _reports(self) -> bool:
        """Return whether the objective is one that epochs have a value of, and is reported."""
        objective = self._config.objective
        one = len(objective.metrics) == 1 and objective.metrics[0] != "model_bytes"
        return one and objective.report_every is not None


def _run_name() -> str:
    """Return the options that runs differ in most, which say more than MLflow's random names."""
    hydra = HydraConfig.get()
    if sweeps.in_search():
        return f"trial-{hydra.job.num}"
    choices = hydra.runtime.choices
    return "-".join(str(choices.get(group)) for group in ("model", "vectorizer", "data"))


def _parts(config: Config, random_state: RandomState) -> pipeline.Parts:
    from tagifai import components, pipeline

    made = [
        components.build(group, getattr(config, group), random_state)
        for group in ("vectorizer", "sampling", "model", "threshold")
    ]
    parts = pipeline.Parts(*made)
    parts.check()
    return parts


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
    hidden = ("_target_", "name", "projects_sha256", "tags_sha256", "sha256")
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


def _show_data(display: Display, prepared: pipeline.Prepared, doubts: list[str]) -> None:
    counts = prepared.counts()
    sizes = {name: len(prepared.part(name)) for name in ("train", "val", "test")}
    line = (
        f"Data: {len(prepared.rows)} rows, {len(counts)} classes"
        f" ({_few(counts)});"
        f" train {sizes['train']}, val {sizes['val']}, test {sizes['test']}"
    )
    log.info(line)
    display.say(line)
    for doubt in doubts:
        log.info("Note: %s", doubt)
        display.say(f"Note: {doubt}", style="yellow")


def _few(counts: dict[str, int], shown: int = 10) -> str:
    """Return the largest classes with their rows."""
    named = [f"{tag} {n}" for tag, n in list(counts.items())[:shown]]
    return ", ".join([*named, "…"] if len(counts) > shown else named)


def _show_result(
    display: Display,
    config: Config,
    run_id: str,
    result: pipeline.Result,
    objective: dict[str, float],
    seconds: float,
) -> None:
    threshold = result.tagger.threshold
    at = "" if threshold is None else f" at threshold {threshold:.4f}"
    at += ", refitted to train and validation rows" if config.training.refit else ""
    display.scores(f"Run {run_id}: test{at}", result.performance["test"])
    repeats = config.objective.repeats
    over = "" if repeats == 1 else f", mean over {repeats} {config.objective.by}"
    for name, value in objective.items():
        rows = "" if name == "model_bytes" else " (validation rows" + over + ")"
        display.say(f"Objective {name} = {value:.{0 if name == 'model_bytes' else 4}f}{rows}")
    display.say(f"It took {seconds:.1f} s; files in {HydraConfig.get().runtime.output_dir}")
    for line in _ways_on(config):
        display.say(line)


def _ways_on(config: Config) -> list[str]:
    """Return the commands to go on with, as they would be typed here."""
    from tagifai import store
    from tagifai.addresses import masked

    prefix = "uv run " if "UV" in os.environ else ""
    paths = [item for item in HydraConfig.get().overrides.task if item.startswith("paths.")]
    program = shlex.join([*Display.program, "task=predict", *paths])
    lines = [f'Predict:  {program} task.text="..."']
    uri = masked(store.tracking_uri(config.tracking.uri))
    if config.tracking.enabled:
        shown = f"{prefix}mlflow ui --backend-store-uri {shlex.quote(uri)}"
        lines.append(f"Look at:  {uri if uri.startswith('http') else shown}")
    return lines
