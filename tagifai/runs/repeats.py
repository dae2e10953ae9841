"""Rounds: the trainings of a run, its own and those whose mean is the objective."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence

from numpy.random import RandomState

from tagifai.config import instantiate
from tagifai.config.job import get_job
from tagifai.config.schema import Config
from tagifai.console.display import Display
from tagifai.data import prepare
from tagifai.exceptions import UserError
from tagifai.preprocessing.feature_cache import ArrayCache, skip_cache
from tagifai.runs import logger
from tagifai.tracking import session
from tagifai.training import fitting, objectives
from tagifai.training.callbacks import ProgressCallback, PruningCallback
from tagifai.training.loop import History, TrainingPruned, is_trained_by_epochs
from tagifai.training.trial import TrialHandle

log = logging.getLogger(__name__)


def build_components(config: Config, random_state: RandomState) -> fitting.Components:
    """Return the unfitted objects that a configuration describes.

    Args:
        config: of the run.
        random_state: handed to those that take one.

    Raises:
        ConfigError: one of them cannot be made, or they cannot work together.
    """
    made = [
        instantiate.build(group, getattr(config, group), random_state)
        for group in ("vectorizer", "sampling", "model", "threshold")
    ]
    parts = fitting.Components(*made)
    parts.check()
    return parts


class RepeatTrainer:
    """Trains the rounds of one run.

    Args:
        config: of the run.
        display: shows the epochs.
        tracked: the open run.
        trial: told about the objective on the way.
        cache: keeps features.

    Attributes:
        last_result: the training of the last round.
        histories: of all trainings outside a search, by the prefix of their metrics' names.
    """

    last_result: fitting.FitResult

    def __init__(
        self,
        config: Config,
        display: Display,
        tracked: session.TrackedRun,
        trial: TrialHandle,
        cache: ArrayCache = skip_cache,
    ) -> None:
        self._config = config
        self._display = display
        self._tracked = tracked
        self._trial = trial
        self._cache = cache
        self.histories: dict[str, History] = {}

    def compute_objective(
        self,
        prepared: prepare.PreparedData,
        components: fitting.Components,
        own_result: fitting.FitResult | None,
    ) -> dict[str, float]:
        """Return the value of each metric of the objective, a mean over the rounds.

        Args:
            prepared: the run's rows.
            components: the run's own, unfitted unless `own_result` is given.
            own_result: the run's own training, which may be one of the rounds.

        Raises:
            Pruned: the search has told so.
            UserError: a value is not a number.
        """
        config, metrics = self._config, self._config.objective.metrics
        values: list[list[float]] = []
        turns = objectives.make_repeats(prepared, config.objective, config.seed)
        for turn in turns[1:]:
            for metric in metrics:
                # A slice may have rows in one cut and none in another.
                turn.prepared.check_objective(metric)
        for number, turn in enumerate(turns):
            if turn.random_state is None:
                result = own_result or self.fit(turn.prepared, components, values=values)
            else:
                fresh = build_components(config, turn.random_state)
                prefix = f"{config.objective.by.removesuffix('s')}_{number}/"
                result = self.fit(turn.prepared, fresh, values=values, prefix=prefix)
            values.append([result.get_metric(metric) for metric in metrics])
            self._report_repeat(number, values, result.history)
        self.last_result = result
        objective = dict(zip(metrics, objectives.compute_means(values), strict=True))
        for metric, value in objective.items():
            if not math.isfinite(value):
                raise UserError(f"The objective {metric} is {value}: not a number to go by.")
        return objective

    def _report_repeat(self, number: int, values: list[list[float]], history: History) -> None:
        self._trial.check()
        last_epoch = self._config.training.epochs - 1
        between = number + 1 < self._config.objective.repeats and self._is_reported()
        if between and last_epoch not in history.scores:
            last_step = number * self._config.training.epochs + last_epoch
            if self._trial.report(last_step, sum(v[0] for v in values) / len(values)):
                raise TrainingPruned

    def fit(
        self,
        prepared: prepare.PreparedData,
        components: fitting.Components,
        *,
        test: bool = False,
        values: Sequence[Sequence[float]] = (),
        prefix: str = "",
    ) -> fitting.FitResult:
        """Train once.

        Args:
            prepared: the rows.
            components: unfitted.
            test: score the test rows too.
            values: of the rounds before, for the reports.
            prefix: of the metrics by epoch in the tracking store.
        """
        config, objective = self._config, self._config.objective
        listeners = PruningCallback(
            self._trial.report,
            self._check,
            first_step=len(values) * config.training.epochs,
            earlier=[value[0] for value in values],
        )
        epochs = config.training.epochs if is_trained_by_epochs(components.model) else 1
        reported = (objective.metrics[0], objective.report_every or 1)
        epochs_kept = logger.log_epochs_on_error(self._tracked, prefix)
        rows = prepared.count_streamed_rows()
        with epochs_kept as keep, self._display.show_epoch_progress(epochs, rows) as show:
            result = fitting.fit_tagger(
                prepared,
                components,
                config.training,
                (keep, ProgressCallback(show), ProgressCallback(_log_epoch), listeners),
                test=test,
                scored=reported if self._is_reported() else None,
                cache=self._cache,
                on_progress=show.update_rows,
            )
        if get_job().trial is not None:
            logger.log_epochs(self._tracked, result.history, prefix)
        else:
            # Later: should the store fail, the model is to be saved first.
            self.histories[prefix] = result.history
        return result

    def _check(self) -> None:
        """Raise where there is nobody to work for, or nowhere to record what is done.

        A store that is out of reach is found out after the first epoch of a training at the latest.
        """
        self._trial.check()
        self._tracked.wait_until_open()

    def _is_reported(self) -> bool:
        """Return whether the objective is one that epochs have a value of, and is reported."""
        objective = self._config.objective
        one = len(objective.metrics) == 1 and objective.metrics[0] != "model_bytes"
        return one and objective.report_every is not None


def _log_epoch(epoch: int, train_loss: float, val_loss: float) -> None:
    log.info("Epoch %d | train_loss %.5f | val_loss %.5f", epoch, train_loss, val_loss)
