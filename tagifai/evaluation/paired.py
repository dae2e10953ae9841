"""Whether two models differ, by what each of them says of the same rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tagifai.evaluation import intervals
from tagifai.preprocessing.labels import Indices

SEED, CONFIDENCE = 0, 0.95
"""Of the bootstrap: the seed of its draws, and the confidence of the interval, as a share."""


@dataclass(frozen=True)
class PredictedRows:
    """What a model has said of rows, such as its validation rows, n of them.

    Args:
        rows: their positions in the data, shape (n,).
        true: label indices, shape (n,).
        predicted: likewise.
    """

    rows: Indices
    true: Indices
    predicted: Indices


@dataclass(frozen=True)
class ScoreDifference:
    """The difference of a score of two models on the same rows, where the first was chosen by it.

    Args:
        rows: that both have predicted.
        differing: rows of which they say different things, in any of the trainings.
        one: the first model's score, a mean over its trainings.
        other: the second's.
        low: end of the interval of `one` minus `other`.
        high: likewise.
        choices: models of which the first is the best.
        confidence: of the interval, as a share; of all intervals of the choices together.
    """

    rows: int
    differing: int
    one: float
    other: float
    low: float
    high: float
    choices: int
    confidence: float = CONFIDENCE

    @property
    def is_shown(self) -> bool:
        """Whether it is no chance: 0 is outside, and rows enough differ for that to mean something.

        Where all rows that differ are better, the interval of however few of them has no 0 in it;
        by a sign test, so few may be chance.
        """
        by_sign_alone = 2 * 0.5**self.differing
        is_outside = self.low > 0 or self.high < 0
        return is_outside and by_sign_alone < (1 - self.confidence) / self.choices

    def describe(self, score: str, rows: str) -> str:
        """Return the difference in words.

        Args:
            score: its name.
            rows: which rows they are, such as "test rows".
        """
        said = "a difference" if self.is_shown else "no difference shown"
        return (
            f"{said} in {score} on the same {self.rows} {rows}: {self.one - self.other:+.3f},"
            f" {100 * self.confidence:g} % interval {self.low:+.3f} to {self.high:+.3f} (bootstrap"
            " over rows)"
        )


def compute_t_interval(
    values: npt.NDArray[np.float64], confidence: float
) -> tuple[float, float, float]:
    """Return the mean of values, such as paired differences, and its interval by Student's t.

    Args:
        values: shape (n,).
        confidence: of the interval, as a share.

    Returns:
        Mean, lower and upper bound: mean -+ t * s / sqrt(n), with the quantile t of n - 1
        degrees of freedom. NaN for fewer than two values.
    """
    if len(values) < 2:
        return math.nan, math.nan, math.nan
    # The quantile of scipy.stats.t, without its import, which takes a third of a second.
    from scipy.special import stdtrit

    mean = float(values.mean())
    half = float(stdtrit(len(values) - 1, (1 + confidence) / 2) * values.std(ddof=1))
    half /= math.sqrt(len(values))
    return mean, mean - half, mean + half


def compute_score_difference(
    one: Sequence[PredictedRows],
    other: Sequence[PredictedRows],
    score: str,
    choices: int = 1,
    *,
    confidence: float = CONFIDENCE,
) -> ScoreDifference:
    """Return by how much the first of two models has the higher score, and how sure that is.

    The interval is a bootstrap over the rows, with the normal quantile of its spread. The best of
    k models is flattered by the choice: its interval has the confidence that all k intervals have
    together (C. Bonferroni, 1936), so that of k equal models the best is rarely called better.

    Args:
        one: its rows, one part for each training.
        other: likewise, of the same rows in the same order.
        score: its name, of `intervals.compute_scores`.
        choices: models of which the first is the best, k.
        confidence: of the interval, as a share.

    Raises:
        ValueError: the two have other rows, or labels.
    """
    from scipy.special import ndtri

    profiles, counts, classes = _count_profiles(one, other)
    n = int(counts.sum())
    own = _score(counts[None].astype(np.float64), profiles, classes, score)[:, 0]
    state = np.random.RandomState(SEED)
    step = max(1, intervals.MAX_COUNTS // max(len(counts), classes))
    gains = []
    for start in range(0, intervals.RESAMPLES, step):
        size = min(step, intervals.RESAMPLES - start)
        drawn = state.multinomial(n, counts / n, size=size).astype(np.float64)
        first, second = _score(drawn, profiles, classes, score)
        gains.append(first - second)
    half = float(ndtri(1 - (1 - confidence) / 2 / choices) * np.nanstd(np.concatenate(gains)))
    gain = float(own[0] - own[1])
    differs = (profiles[:, :, 1] != profiles[:, :, 2]).any(axis=1)
    differing = int(counts[differs].sum())
    scores = (float(own[0]), float(own[1]))
    bounds = (gain - half, gain + half)
    return ScoreDifference(n, differing, *scores, *bounds, choices, confidence)


def _count_profiles(
    one: Sequence[PredictedRows], other: Sequence[PredictedRows]
) -> tuple[npt.NDArray[Any], npt.NDArray[Any], int]:
    """Return what can be the matter with a row, how many rows have it, and the number of classes.

    A row is drawn with all that is said of it: it may be a validation row of several trainings.

    Returns:
        True label and both predictions by training, -1 where the row is not in it, shape
        (profiles, trainings, 3); and rows, shape (profiles,).
    """
    pairs = list(zip(one, other, strict=True))
    if not pairs or not all(
        np.array_equal(a.rows, b.rows) and np.array_equal(a.true, b.true) for a, b in pairs
    ):
        raise ValueError("The two models have other rows.")
    rows = np.unique(np.concatenate([part.rows for part in one]))
    said = np.full((len(rows), len(pairs), 3), -1)
    for number, (a, b) in enumerate(pairs):
        at = np.searchsorted(rows, a.rows)
        said[at, number] = np.column_stack([a.true, a.predicted, b.predicted])
    profiles, counts = np.unique(said.reshape(len(rows), -1), axis=0, return_counts=True)
    return profiles.reshape(-1, len(pairs), 3), counts, int(said.max()) + 1


def _score(
    drawn: npt.NDArray[np.float64], profiles: npt.NDArray[Any], classes: int, score: str
) -> npt.NDArray[np.float64]:
    """Return both models' scores of drawn rows, means over the trainings; shape (2, draws)."""
    total = np.zeros((2, len(drawn)))
    for number in range(profiles.shape[1]):
        inside = profiles[:, number, 0] >= 0
        true, *predicted = profiles[inside, number].T
        # Of a tiny part, a draw may have no row: its score is NaN, and left out.
        with np.errstate(invalid="ignore", divide="ignore"):
            for place, labels in enumerate(predicted):
                found = intervals.compute_scores(drawn[:, inside], true, labels, classes)
                total[place] += found[score]
    means: npt.NDArray[np.float64] = total / profiles.shape[1]
    return means
