"""Differences to a baseline, over pairs of runs with the same seed on the same data."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from tagifai.tracking.selection import get_column


def describe_interval(confidence: float) -> str:
    """Return the name of the intervals, such as "paired t, 95 %"."""
    return f"paired t, {100 * confidence:g} %"


def compute_differences(
    runs: pd.DataFrame,
    metric: str,
    by_row: pd.Series[Any],
    baseline: str,
    confidence: float,
) -> pd.DataFrame:
    """Return how much more each row has of the metric than the baseline, over pairs of runs.

    A pair are two runs with the same seed on the same data; where these are unknown, there is none.

    Args:
        runs: at most one of each row and seed.
        metric: its name.
        by_row: label of each run.
        baseline: label of the row that is subtracted.
        confidence: of the interval, as a share.

    Returns:
        By label: difference (mean over the pairs), low, high, pairs, interval (name of the
        bounds). The baseline has none of them.
    """
    pairs = _pair_runs(runs, metric, by_row, baseline)
    others = [name for name in by_row.unique() if name != baseline]
    gains = {name: pairs.loc[pairs["row"] == name, "gain"].to_numpy() for name in others}
    found = pd.DataFrame(
        [compute_paired_t(gains[name], confidence) for name in others],
        index=pd.Index(others, dtype=object),
        columns=["difference", "low", "high"],
        dtype=float,
    )
    found["pairs"] = pd.array([len(gains[name]) for name in others], dtype="Int64")
    found["interval"] = [
        None if math.isnan(low) else describe_interval(confidence) for low in found["low"]
    ]
    return found.reindex([*others, baseline])


def _pair_runs(
    runs: pd.DataFrame, metric: str, by_row: pd.Series[Any], baseline: str
) -> pd.DataFrame:
    """Return the pairs of a run and one of the baseline: row, gain of the metric."""
    keys = ["seed", "digest"]
    table = pd.DataFrame(
        {
            "row": by_row,
            "seed": get_column(runs, "params.seed"),
            "digest": get_column(runs, "digest"),
            "value": runs[f"metrics.{metric}"].astype(float),
        }
    )
    own = table[table["row"] == baseline].dropna(subset=keys)
    pairs = table.dropna(subset=keys).merge(own, on=keys, suffixes=("", "_baseline"))
    pairs["gain"] = pairs["value"] - pairs["value_baseline"]
    return pairs


def compute_paired_t(
    gains: npt.NDArray[np.float64], confidence: float
) -> tuple[float, float, float]:
    """Return the mean of paired differences and the bounds of Student's t interval of it.

    Args:
        gains: differences, shape (pairs,).
        confidence: of the interval, as a share.

    Returns:
        Mean, lower and upper bound: mean -+ t * s / sqrt(pairs), with the quantile t of pairs - 1
        degrees of freedom. NaN for fewer than two pairs.
    """
    if len(gains) < 2:
        return math.nan, math.nan, math.nan
    # The quantile of scipy.stats.t, without its import, which takes a third of a second.
    from scipy.special import stdtrit

    mean = float(gains.mean())
    half = float(stdtrit(len(gains) - 1, (1 + confidence) / 2) * gains.std(ddof=1))
    half /= math.sqrt(len(gains))
    return mean, mean - half, mean + half
