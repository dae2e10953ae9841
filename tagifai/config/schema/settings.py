"""Schemas of the settings around an experiment: tracking, console, objective, sweep, paths."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from tagifai.config.schema.rules import (
    represent,
    require,
    require_at_least,
    require_no_secret,
    require_non_negative,
    require_not_blank,
    require_one_of,
    require_positive,
)

METRIC_PATTERN = re.compile(
    r"model_bytes|val_((?!model_bytes)[a-z]\w*|(class/.+/|slice/.+/)(f1|precision|recall))"
)
"""Pattern of metrics that an objective may have; whether a run has the metric is checked later."""

PROBABILITY_METRICS = ("log_loss", "ece")
"""Standard metrics that need class probabilities: log loss, and expected calibration error."""

SCORE_NAMES = (
    *("f1", "precision", "recall", "accuracy", "macro_f1", "micro_f1", "balanced_accuracy"),
    *("matthews", *PROBABILITY_METRICS),
)
"""Names of the metrics of validation and of test rows that every run has."""

STANDARD_METRICS = ("val_loss", *(f"val_{name}" for name in SCORE_NAMES), "model_bytes")
"""Metrics that every run has, and that may be the objective."""

COSTS = ("loss", *PROBABILITY_METRICS, "model_bytes")
"""Metrics of which less is better."""


def choose_direction(metric: str) -> str:
    """Return the direction of a metric: "minimize" if less of it is better, else "maximize".

    Args:
        metric: such as "val_loss", "test_accuracy" or "model_bytes".
    """
    name = metric if metric in COSTS else metric.partition("_")[2]
    return "minimize" if name in COSTS else "maximize"


def name_test_metric(metric: str) -> str:
    """Return the metric of test rows that is the same as one of validation rows.

    Args:
        metric: such as "val_f1".
    """
    return re.sub("^val_", "test_", metric)


@dataclass(repr=False)
class TrackingConfig:
    """Where runs are recorded.

    Args:
        enabled: record runs in MLflow; without it a run is only on disk.
        uri: of the tracking store; the environment variable MLFLOW_TRACKING_URI wins.
        experiment: name of the MLflow experiment.
        run_name: None names the run by its model, vectorizer and data.
        tags: further tags of the run.
        model: name of the registered model that runs are promoted to.
        timeout: seconds that the store has to open, from 1 to 600.
    """

    enabled: bool = True
    uri: str = "sqlite:///${paths.stores}/mlflow.db"
    experiment: str = "tagifai"
    run_name: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    model: str = "tagifai"
    timeout: float = 10.0

    __repr__ = represent

    def __post_init__(self) -> None:
        for key in ("experiment", "model"):
            require_no_secret(key, getattr(self, key))
        for key in ("uri", "experiment", "run_name"):
            require_not_blank(key, getattr(self, key))
        require(1 <= self.timeout <= 600, "timeout", self.timeout, "seconds from 1 to 600")
        plain = re.fullmatch(r"[\w][\w .-]*", self.model) is not None
        require(plain, "model", self.model, "letters, digits, spaces and _ . -")
        for tag in self.tags:
            named = re.fullmatch(r"[\w ./:-]+", tag) is not None
            require(named, "tags", tag, "names of letters, digits, spaces and _ . / : -")


@dataclass
class CacheConfig:
    """The cache of cleaned texts and features, which later runs use again.

    Args:
        max_gb: in 10**9 bytes; above it the least recently used entries are removed. 0 caches none.
    """

    max_gb: float = 1.0

    def __post_init__(self) -> None:
        require_non_negative("max_gb", self.max_gb)


@dataclass
class ConsoleConfig:
    """What is shown on the terminal.

    Args:
        verbosity: "normal", "quiet" for the result only, or "silent" for not even that.
        style: "auto" draws bars and colours on a terminal and plain lines elsewhere; "plain"
            writes plain lines everywhere.
        every: epochs between two plain lines.
    """

    verbosity: str = "normal"
    style: str = "auto"
    every: int = 10

    def __post_init__(self) -> None:
        require_one_of("verbosity", self.verbosity, ("normal", "quiet", "silent"))
        require_one_of("style", self.style, ("auto", "plain"))
        require_at_least("every", self.every, 1)


@dataclass
class PlotsConfig:
    """What is drawn.

    Args:
        enabled: draw figures of a run or a search, and put them into its report.
    """

    enabled: bool = True


@dataclass
class ObjectiveConfig:
    """What a run returns, and what a search optimizes.

    Args:
        metric: a validation metric of the run: val_loss, one of the standard ones such as val_f1
            (weighted), val_macro_f1 or val_accuracy, one of your own (see
            `tagifai.evaluation.metrics.metric`), or one of a class or slice, such as
            val_class/mlops/f1; or model_bytes. A list of them, for a search with several
            objectives.
        direction: "maximize" or "minimize"; a list of as many as there are metrics. None minimizes
            losses, the calibration error and model_bytes, and maximizes all else.
        report_every: epochs between two reports to a search's pruner; None never reports.
        repeats: trainings whose mean is the objective. The test rows are the same in all of them.
        by: "seeds" splits the other rows again into train and validation, with one seed after the
            other from `seed` on; "folds" splits them into as many folds as there are repeats, each
            the validation rows once.
    """

    metric: Any = "val_f1"
    direction: Any = None
    report_every: int | None = None
    repeats: int = 1
    by: str = "seeds"

    def __post_init__(self) -> None:
        allowed = (
            f"a validation metric: {', '.join(STANDARD_METRICS[:-1])},"
            " val_class/<name>/f1 or val_slice/<name>/f1 (test metrics are not for choosing);"
            " or model_bytes"
        )
        require(bool(self.metrics), "metric", self.metric, allowed)
        for metric in self.metrics:
            known = isinstance(metric, str) and METRIC_PATTERN.fullmatch(metric) is not None
            require(known, "metric", metric, allowed)
        once = len(set(self.metrics)) == len(self.metrics)
        require(once, "metric", self.metric, "metrics that differ")
        if self.direction is None:
            chosen = [choose_direction(metric) for metric in self.metrics]
            self.direction = chosen if isinstance(self.metric, list) else chosen[0]
        for direction in self.directions:
            require_one_of("direction", direction, ("maximize", "minimize"))
        as_many = len(self.directions) == len(self.metrics)
        expected = f"one direction for each of {', '.join(self.metrics)}"
        require(as_many, "direction", self.direction, expected)
        for metric, direction in zip(self.metrics, self.directions, strict=True):
            of_probabilities = metric.removeprefix("val_") in PROBABILITY_METRICS
            worst = direction == "maximize" and of_probabilities
            require(not worst, "direction", direction, f"less {metric} is better; minimize it")
        if self.report_every is not None:
            require_at_least("report_every", self.report_every, 1)
        require_at_least("repeats", self.repeats, 1)
        require_one_of("by", self.by, ("seeds", "folds"))
        folds = self.by == "seeds" or self.repeats > 1
        require(folds, "repeats", self.repeats, "at least 2 with objective.by=folds")

    @property
    def metrics(self) -> list[str]:
        """The metrics: one, or more in a search with several objectives."""
        return list(self.metric) if isinstance(self.metric, list) else [self.metric]

    @property
    def directions(self) -> list[str]:
        """The direction of each metric."""
        several = isinstance(self.direction, list)
        return list(self.direction) if several else [self.direction]

    def get_direction(self, metric: str) -> str:
        """Return the direction of any metric: as it is set for the objective's, else its own.

        Args:
            metric: such as "val_loss" or "test_accuracy"; those of test rows have the direction
                of the same ones of validation rows.
        """
        known = dict(zip(map(name_test_metric, self.metrics), self.directions, strict=True))
        return known.get(name_test_metric(metric)) or choose_direction(metric)


@dataclass
class SweepConfig:
    """Settings of a search beside its preset.

    Args:
        restart: begin a new study, and keep the existing one.
        budget: seconds of wall clock for everything, from the start of the command to the trained
            winner and its board; None has no such limit, and trains no winner. It needs `start`.
        start: configurations that a search with a budget tries first, each a mapping from
            parameter to value; what one leaves out is as in the first that has it.
    """

    restart: bool = False
    budget: float | None = None
    start: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.budget is not None:
            require_positive("budget", self.budget)


@dataclass
class PathsConfig:
    """Folders.

    Args:
        root: the project's: its checkout's, or the working directory of an installed command.
        outputs: has a folder for each run.
        stores: has what outlives a run: data, models, caches, and databases of runs and studies.
    """

    root: str = MISSING
    outputs: str = MISSING
    stores: str = MISSING

    def __post_init__(self) -> None:
        for key in ("root", "outputs", "stores"):
            require_not_blank(key, getattr(self, key))
