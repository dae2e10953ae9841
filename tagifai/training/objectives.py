"""The objective of a run: its metrics, or their mean over several repeats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tagifai.config.schema import STANDARD_METRICS, ObjectiveConfig
from tagifai.data import splits
from tagifai.data.prepare import PreparedData
from tagifai.evaluation import metrics
from tagifai.exceptions import ConfigError, suggest_closest


@dataclass(frozen=True)
class Repeat:
    """One of the trainings whose mean is the objective.

    Args:
        prepared: the rows, with a split of its own; the test rows are the same in all repeats.
        random_state: its source of randomness; None is the run's own.
    """

    prepared: PreparedData
    random_state: np.random.RandomState | None


def check_metrics(objective: ObjectiveConfig) -> None:
    """Refuse metrics that no run has; those of classes and slices depend on the data.

    Args:
        objective: of the configuration.

    Raises:
        ConfigError: there is no such metric; with the known ones.
    """
    known = [*STANDARD_METRICS, *(f"val_{name}" for name in metrics.get_registered())]
    for name in objective.metrics:
        if "/" not in name and name not in known:
            raise ConfigError(
                f"objective.metric = {name!r}: there is no such"
                f" metric.{suggest_closest(name, known)} There are: {', '.join(known)}, and of"
                " classes and slices val_class/<name>/f1 and the like."
            )


def make_repeats(prepared: PreparedData, objective: ObjectiveConfig, seed: int) -> list[Repeat]:
    """Return the repeats of an objective; with one repeat, the run itself.

    Test rows stay out of all of them: a validation row of one repeat may be a train row of
    another, but what a search has seen must not be tested on afterwards.

    Args:
        prepared: the run's rows.
        objective: the number of repeats, by seeds or folds.
        seed: of the run; later repeats have the seeds after it.

    Raises:
        DataError: the rows cannot be split for the repeats.
    """
    states = [np.random.RandomState((seed + r) % 2**32) for r in range(objective.repeats)]
    y, encoder, split = prepared.y, prepared.encoder, prepared.split
    if objective.by == "folds":
        cutter = np.random.RandomState(seed)
        cuts = splits.make_folds(y, encoder, split, objective.repeats, cutter)
        return [Repeat(prepared.replace_split(c), s) for c, s in zip(cuts, states, strict=True)]
    again = [
        Repeat(prepared.replace_split(splits.resplit_train_val(y, encoder, split, state)), state)
        for state in states[1:]
    ]
    return [Repeat(prepared, None), *again]


def compute_means(values: Sequence[Sequence[float]]) -> list[float]:
    """Return the mean of each metric over the repeats.

    Args:
        values: by repeat, a value of each metric; shape (repeats, metrics).
    """
    return [float(np.mean(of_metric)) for of_metric in zip(*values, strict=True)]
