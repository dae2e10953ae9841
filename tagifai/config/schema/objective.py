"""Schema of the objective: metrics, their directions, and what a search keeps to."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from tagifai.config.schema.rules import require, require_at_least, require_one_of
from tagifai.config.schema.sources import read_mapping

METRIC_PATTERN = re.compile(
    r"model_bytes|val_((?!model_bytes)[a-z]\w*|(class/.+/|slice/.+/)(f1|precision|recall))"
)
"""Pattern of metrics that an objective may have; whether a run has the metric is checked later."""

LIMIT_PATTERN = re.compile(r"\s*([<>]=)\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)\s*", re.I)
"""Pattern of a constraint's limit, with groups for its sign and its number."""

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


def read_limit(limit: str, metric: str = "") -> tuple[int, float]:
    """Return the sign and the number of a limit: 1 if a metric may be at most so, -1 if at least.

    Args:
        limit: such as "<= 2e6".
        metric: that it is of, for the error.

    Raises:
        InvalidValueError: it has another form.
    """
    read = LIMIT_PATTERN.fullmatch(limit)
    allowed = "'<=' or '>=' and a number, such as {model_bytes: '<= 2e6'}"
    require(read is not None, "constraints", f"{metric}: {limit}", allowed)
    sign, number = read.groups() if read else ("", "nan")
    return (1 if sign == "<=" else -1), float(number)


def name_test_metric(metric: str) -> str:
    """Return the metric of test rows that is the same as one of validation rows.

    Args:
        metric: such as "val_f1".
    """
    return re.sub("^val_", "test_", metric)


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
        constraints: what a search's best has to keep to: by metric, of the kinds that `metric`
            takes, "<=" or ">=" and a number, such as {model_bytes: "<= 2e6"}.
    """

    metric: Any = "val_f1"
    direction: Any = None
    report_every: int | None = None
    repeats: int = 1
    by: str = "seeds"
    constraints: Any = field(default_factory=dict)

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
        self._check_constraints()

    def _check_constraints(self) -> None:
        self.constraints = read_mapping("constraints", self.constraints)
        for metric, limit in self.constraints.items():
            known = METRIC_PATTERN.fullmatch(metric) is not None
            allowed = f"metrics of the objective's kinds: {', '.join(STANDARD_METRICS)}"
            require(known, "constraints", metric, allowed)
            read_limit(limit, metric)

    def describe(self) -> str:
        """Return what is made as good as possible, such as "maximize val_f1"."""
        pairs = zip(self.metrics, self.directions, strict=True)
        return ", ".join(f"{direction} {metric}" for metric, direction in pairs)

    @property
    def metrics(self) -> list[str]:
        """The metrics: one, or more in a search with several objectives."""
        return list(self.metric) if isinstance(self.metric, list) else [self.metric]

    @property
    def measured(self) -> list[str]:
        """The metrics, and those of constraints."""
        return list(dict.fromkeys([*self.metrics, *self.constraints]))

    def find_key(self, metric: str) -> str:
        """Return the setting that names a metric, for errors."""
        return f"objective.{'metric' if metric in self.metrics else 'constraints'}"

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
