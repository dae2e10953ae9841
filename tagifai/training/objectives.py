"""The objective of a run: its metrics, or their mean over several trainings."""

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
    """One training of those whose mean is the objective.

    Args:
        prepared: the rows, with a split of its own; the test rows are the same in all repeats.
        random_state: its source of randomness; None is the run's own, which prepared its rows.
    """

    prepared: PreparedData
    random_state: np.random.RandomState | None


def check_metrics(objective: ObjectiveConfig) -> None:
    """Refuse metrics that no run has, whatever its data; those of classes and slices depend on it.

    Raises:
        ConfigError: with the metrics that there are.
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
    """Return the trainings that an objective is made of; with one repeat, the run itself.

    Test rows stay out of all of them: a validation row of one repeat may be a train row of
    another, but what a search has seen must not be tested on afterwards.

    Args:
        prepared: the run's rows.
        objective: how many repeats, by what.
        seed: of the run; later repeats count on from it.

    Raises:
        DataError: the rows cannot be cut so.
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
