"""The trainings of a run: its own, and the repeats whose mean is the objective."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence

from tagifai.config.job import get_job
from tagifai.console.display import Display
from tagifai.data.prepare import PreparedData
from tagifai.evaluation.paired import PredictedRows
from tagifai.exceptions import UserError
from tagifai.runs.recording import logger
from tagifai.training import objectives
from tagifai.training.callbacks import ProgressCallback, PruningCallback
from tagifai.training.components import Components, build_components
from tagifai.training.estimates import FitEstimator
from tagifai.training.fitting import FitResult, TaggerTrainer
from tagifai.training.loop import Callback, History, TrainingPruned
from tagifai.training.model_fitting import is_trained_by_epochs
from tagifai.training.open_run import OpenRun

log = logging.getLogger(__name__)


class RepeatTrainer:
    """Trains a run, and the repeats whose mean is its objective.

    Args:
        run: the open run.
        display: shows the epochs.

    Attributes:
        last_result: the training of the last repeat.
        histories: of all trainings outside a search, by the prefix of their metrics' names.
        predicted: validation rows with their predictions, one for each repeat.
        scores: all scores that every repeat has, as means over them, by their flat names.
    """

    last_result: FitResult
    scores: dict[str, float]

    def __init__(self, run: OpenRun, display: Display) -> None:
        self._run = run
        self._display = display
        self.histories: dict[str, History] = {}
        self.predicted: list[PredictedRows] = []

    def compute_objective(self, own_result: FitResult | None = None) -> dict[str, float]:
        """Return the value of each metric of the objective, a mean over the repeats.

        Args:
            own_result: the run's own training, which may be one of the repeats; without it, the
                run's components are unfitted.

        Raises:
            TrainingPruned: the search has pruned the trial.
            UserError: a value is not a number.
        """
        config = self._run.config
        names = config.objective.measured
        values: list[list[float]] = []
        all_scores: list[dict[str, float]] = []
        repeats = objectives.make_repeats(self._run.prepared, config.objective, config.seed)
        for repeat in repeats[1:]:
            for metric in names:
                # A slice may have rows in one split and none in another.
                repeat.prepared.check_objective(metric)
        for number, repeat in enumerate(repeats):
            if repeat.random_state is None:
                components = self._run.components
                result = own_result or self.fit(repeat.prepared, components, values=values)
            else:
                fresh = build_components(config, repeat.random_state)
                prefix = f"{config.objective.by.removesuffix('s')}_{number}/"
                result = self.fit(repeat.prepared, fresh, values=values, prefix=prefix)
            values.append([result.get_metric(metric) for metric in names])
            all_scores.append(result.get_metrics())
            if result.predicted is not None:
                self.predicted.append(result.predicted)
            self._report_repeat(number, values, result.history)
        self.last_result = result
        shared = [name for name in all_scores[0] if all(name in one for one in all_scores)]
        by_repeat = [[one[name] for name in shared] for one in all_scores]
        self.scores = dict(zip(shared, objectives.compute_means(by_repeat), strict=True))
        means = dict(zip(names, objectives.compute_means(values), strict=True))
        for metric, value in means.items():
            if not math.isfinite(value):
                raise UserError(f"The objective {metric} is {value}, which is not a number.")
        constraints = {metric: means[metric] for metric in config.objective.constraints}
        if constraints:
            self._run.trial.note(constraints=constraints)
        return {metric: means[metric] for metric in config.objective.metrics}

    def _report_repeat(self, number: int, values: list[list[float]], history: History) -> None:
        trial, config = self._run.trial, self._run.config
        trial.check()
        last_epoch = config.training.epochs - 1
        between = number + 1 < config.objective.repeats and self._choose_reported() is not None
        if between and last_epoch not in history.scores:
            last_step = number * config.training.epochs + last_epoch
            if trial.report(last_step, sum(v[0] for v in values) / len(values)):
                raise TrainingPruned

    def fit(
        self,
        prepared: PreparedData,
        components: Components,
        *,
        test: bool = False,
        values: Sequence[Sequence[float]] = (),
        prefix: str = "",
    ) -> FitResult:
        """Train once.

        Args:
            prepared: the rows.
            components: unfitted.
            test: score the test rows too.
            values: of the repeats before, for the reports.
            prefix: of the metrics by epoch in the tracking store.
        """
        run, config = self._run, self._run.config
        epochs = config.training.epochs if is_trained_by_epochs(components.model) else 1
        estimator = self._make_estimator()
        kept = run.checkpoints.open(prefix.rstrip("/") or "run")
        made_of = (prepared, components, config.training)
        trainer = TaggerTrainer(*made_of, run.cache, estimator, kept)
        rows = prepared.count_streamed_rows()
        with (
            logger.log_epochs_on_error(run.tracked, prefix) as keep,
            self._display.show_epoch_progress(epochs, rows) as show,
        ):
            on_progress: Callable[[int], None] = show.update_rows
            if estimator is not None and rows is not None:
                on_progress = estimator.watch(components.model, rows, on_progress)
            result = trainer.fit(
                [keep, ProgressCallback(show), *self._list_callbacks(values)],
                test=test,
                scored=self._choose_reported(),
                on_progress=on_progress,
            )
        if get_job().trial is not None:
            logger.log_epochs(run.tracked, result.history, prefix)
        else:
            # Recorded later, so that the model is saved even if the store fails.
            self.histories[prefix] = result.history
        return result

    def _make_estimator(self) -> FitEstimator | None:
        # Said once, of all repeats; a search has its own display.
        first = get_job().trial is None and not self.histories
        return FitEstimator(self._run.config, self._display.show_note) if first else None

    def _list_callbacks(self, values: Sequence[Sequence[float]]) -> list[Callback]:
        pruning = PruningCallback(
            self._run.trial.report,
            self._run.trial.check,
            first_step=len(values) * self._run.config.training.epochs,
            earlier=[value[0] for value in values],
        )
        # A line takes as long as an epoch of few rows.
        is_logged = get_job().trial is None or not self._run.config.tracking.enabled
        return [ProgressCallback(_log_epoch), pruning] if is_logged else [pruning]

    def _choose_reported(self) -> tuple[str, int] | None:
        """Return the metric that is reported and every how many epochs, or None."""
        objective = self._run.config.objective
        one = len(objective.metrics) == 1 and objective.metrics[0] != "model_bytes"
        if not one or objective.report_every is None:
            return None
        return objective.metrics[0], objective.report_every


def _log_epoch(epoch: int, train_loss: float, val_loss: float) -> None:
    log.info("Epoch %d | train_loss %.5f | val_loss %.5f", epoch, train_loss, val_loss)
