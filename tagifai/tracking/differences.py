"""Differences to a baseline, over pairs of runs with the same seed on the same data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from tagifai.exceptions import ConfigError
from tagifai.tracking.selection import get_column

MAX_SHOWN_ROWS = 20
"""Most rows that an error names."""


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
        [compute_t_interval(gains[name], confidence) for name in others],
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


def find_baseline(baseline: str, rows: pd.DataFrame, by_run: Mapping[str, str]) -> str:
    """Return the label of the row that a baseline means.

    Args:
        baseline: a label, a part or parts of one such as "model=sgd" or "sgd", or a run's id.
        rows: the settings of each row, by label.
        by_run: label by run id.

    Raises:
        ConfigError: no row matches, or more than one; with the labels of all rows.
    """
    if baseline in by_run:
        return by_run[baseline]
    if baseline in rows.index:
        return baseline
    wanted = {part.strip() for part in baseline.split(",")}
    matches = [
        str(name)
        for name, values in rows.iterrows()
        if wanted <= {*values, *(f"{key}={value}" for key, value in values.items())}
    ]
    if len(matches) == 1:
        return matches[0]
    among = matches or [str(name) for name in rows.index]
    listed = "; ".join(among[:MAX_SHOWN_ROWS])
    more = f"; and {len(among) - MAX_SHOWN_ROWS} more" if len(among) > MAX_SHOWN_ROWS else ""
    what = f"{len(matches)} rows are" if matches else "no row is"
    raise ConfigError(
        f"task.baseline = {baseline!r}: {what} named so. Give one of these, or the id of one of its"
        f" runs: {listed}{more}."
    )
