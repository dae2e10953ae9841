"""The learning curve: scores on fixed test rows, of trainings on growing shares of train rows."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.random import RandomState

from tagifai.config.schema import Config, name_test_metric
from tagifai.data.prepare import PreparedData
from tagifai.exceptions import ConfigError, DataError
from tagifai.preprocessing.feature_cache import ArrayCache, skip_cache
from tagifai.preprocessing.labels import Indices
from tagifai.training import streaming
from tagifai.training.components import build_components
from tagifai.training.fitting import TaggerTrainer


@dataclass(frozen=True)
class LearningCurve:
    """Scores by share.

    Args:
        metric: of the test rows.
        shares: of the train rows, ascending.
        rows: that trained, by share.
        scores: shape (repeats, shares).
        maximize: whether a higher score is better.
    """

    metric: str
    shares: Sequence[float]
    rows: Sequence[int]
    scores: npt.NDArray[np.float64]
    maximize: bool = True

    @property
    def means(self) -> list[float]:
        """The mean over the repeats, by share."""
        return [float(value) for value in self.scores.mean(axis=0)]

    @property
    def deviations(self) -> list[float]:
        """The standard deviation over the repeats, by share."""
        return [float(value) for value in self.scores.std(axis=0, ddof=1)]

    @property
    def last_gain(self) -> tuple[float, float]:
        """Mean and standard deviation of what the last share has more than the one before."""
        gains = self.scores[:, -1] - self.scores[:, -2]
        return float(gains.mean()), float(gains.std(ddof=1))

    def describe(self) -> str:
        """Return in words whether more labels would help."""
        gain, spread = self.last_gain
        moved = "rose" if gain >= 0 else "fell"
        better = gain if self.maximize else -gain
        if better > spread:
            verdict = "more labels will probably help"
        elif better < -spread:
            verdict = "more labels of this kind will hardly help"
        else:
            verdict = "it is not shown that more labels would help"
        one, other = self.shares[-2:]
        return (
            f"From {100 * one:g} % to {100 * other:g} % of the train rows {self.metric} {moved} by"
            f" {abs(gain):.3f} ± {spread:.3f}: {verdict}."
        )

    def to_document(self) -> dict[str, Any]:
        """Return the curve as JSON's types, with every digit."""
        gain, spread = self.last_gain
        return {
            "metric": self.metric,
            "shares": list(self.shares),
            "rows": list(self.rows),
            "means": self.means,
            "deviations": self.deviations,
            "scores": self.scores.tolist(),
            "last_gain": {"mean": gain, "std": spread},
            "conclusion": self.describe(),
        }


def check_supported(config: Config) -> None:
    """Refuse data of which the rows are never in memory all at once, and checkpoints.

    Raises:
        ConfigError: data.chunk_rows or training.resume is set.
    """
    if config.training.resume:
        raise ConfigError(
            "training.resume = true: task=curve keeps no checkpoints of its many short trainings."
            " Use training.resume=false."
        )
    if streaming.get_chunk_rows(config) is not None:
        raise ConfigError(
            "task=curve draws from all train rows. Leave data.chunk_rows out; for data that do not"
            " fit into memory, take a part of the table."
        )


def draw_shares(
    rows: Indices, y: Indices, shares: Sequence[float], random_state: RandomState
) -> Iterator[Indices]:
    """Yield a part of the rows for each share, of each class its share, and one row at least.

    Each part is in the next one.

    Args:
        rows: positions, shape (n,).
        y: label indices of all rows.
        shares: ascending.
        random_state: advanced by one permutation.
    """
    shuffled = random_state.permutation(rows)
    by_class = [shuffled[y[shuffled] == label] for label in np.unique(y[rows])]
    for share in shares:
        kept = [of_class[: max(1, round(share * len(of_class)))] for of_class in by_class]
        yield rows[np.isin(rows, np.concatenate(kept))]


def compute_curve(
    config: Config,
    prepared: PreparedData,
    random_state: RandomState,
    cache: ArrayCache = skip_cache,
    on_progress: Callable[[int, str], None] = lambda done, last: None,
) -> LearningCurve:
    """Train on growing shares of the train rows, several times.

    No training is refitted to validation rows, whose number does not grow.

    Args:
        config: of the task.
        prepared: rows, split.
        random_state: as the preparation left it. It is that of the first repeat, which with all
            train rows gives what a run gives; others have the seeds after the run's.
        cache: of features.
        on_progress: called with the number of trainings that are done, and what the last one was.

    Raises:
        DataError: a share has too few rows.
    """
    task, metric = config.task, ""
    sizes: dict[float, int] = {}
    scores: list[list[float]] = []
    for repeat in range(task.repeats):
        seed = (config.seed + repeat) % 2**32
        state = RandomState(seed) if repeat else random_state
        drawn = draw_shares(prepared.split.train, prepared.y, task.shares, RandomState(seed))
        scores.append([])
        for share, rows in zip(task.shares, drawn, strict=True):
            some = prepared.replace_split(replace(prepared.split, train=rows))
            flat = _train(config, some, copy.deepcopy(state), cache)
            metric = metric or _choose_metric(config.objective.metrics[0], flat)
            scores[-1].append(flat[metric])
            done = repeat * len(task.shares) + len(scores[-1])
            on_progress(done, f"{100 * share:g} %, {metric} {flat[metric]:.4f}")
            sizes[share] = len(rows)
    maximize = config.objective.get_direction(metric) == "maximize"
    return LearningCurve(metric, task.shares, [*sizes.values()], np.array(scores), maximize)


def _train(
    config: Config, prepared: PreparedData, random_state: RandomState, cache: ArrayCache
) -> dict[str, float]:
    components = build_components(config, random_state)
    training = replace(config.training, refit=False)
    try:
        return TaggerTrainer(prepared, components, training, cache).fit(test=True).get_metrics()
    except DataError as error:
        raise DataError(
            f"task.shares: {len(prepared.split.train)} train rows are too few. {error}"
        ) from error


def _choose_metric(objective: str, flat: dict[str, float]) -> str:
    """Return the metric of test rows that belongs to the objective, or else weighted F1."""
    name = name_test_metric(objective)
    return name if name in flat else "test_f1"
