"""Leaderboards: runs that differ only in their seed are one row; rows are ranked by their mean.

Runs come as a table, a row each, with the columns run_id, name, status, parent, start (ms since
1970), seconds, digest (of the data), and one for each parameter, tag and metric, such as
"params.model.alpha", "tags.option.model" and "metrics.test_f1".
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from tagifai.exceptions import ConfigError
from tagifai.tracking.differences import compute_differences, describe_interval
from tagifai.tracking.selection import get_column

IGNORED_PARAMETERS = re.compile(
    r"seed|whitelist|extensions"
    r"|(task|tracking|console|cache|plots|paths|sweep)\..*"
    # Where the data are; the digest identifies them.
    r"|data\.(projects|tags|path|val_path|test_path|(\w+_)?sha256)"
)
"""Parameters that do not tell rows apart."""

OBJECTIVE_PARAMETERS = re.compile(r"objective\..*")
"""Parameters that influence only the objective."""

SIZE_COLUMNS = ("metrics.model_bytes", "metrics.objective/model_bytes")
"""Columns that may have the size of a run's model."""

MISSING = "-"
MAX_VALUE_LENGTH = 40
MAX_SHOWN_ROWS = 20


@dataclass(frozen=True)
class Leaderboard:
    """A ranking of rows, the best first.

    Args:
        rows: by label; the columns of `setting_columns`, then n, mean, std (NaN for one run), with
            a baseline difference, low, high, pairs and interval (name of the bounds), then seconds
            a run and, where it is known, model_bytes. The baseline's own row has no pairs.
        setting_columns: the columns by which rows differ.
        baseline: label of the row that the others are compared with, or None.
        interval: name of the differences' interval, such as "paired t, 95 %".
        duplicates: runs that do not count, because a later one has the same configuration and seed.
    """

    rows: pd.DataFrame
    setting_columns: tuple[str, ...]
    baseline: str | None
    interval: str
    duplicates: int


# --- rows --------------------------------------------------------------------------------------


def find_varying_settings(runs: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return the settings that runs differ in beside their seed: options, then parameters.

    A parameter that has one value with each option of its group follows from the option and is
    left out. Data with different contents differ in "data.digest".

    Args:
        runs: shape (n, columns).
        metric: of the leaderboard; parameters of the objective matter only for some metrics.

    Returns:
        Texts, shape (n, settings); "-" where a run has no such parameter, or no value for it.
    """
    options = _extract_columns(runs, "tags.option.", none="none")
    options = {group: of_runs for group, of_runs in options.items() if of_runs.nunique() > 1}
    # A run whose option has no such parameter counts as one without a value for it.
    parameters = _extract_columns(runs, "params.", none=MISSING)
    parameters["data.digest"] = _fill_missing(get_column(runs, "digest").astype(object).str[:8])
    shown = {
        key: values
        for key, values in sorted(parameters.items())
        if values.nunique() > 1
        and not IGNORED_PARAMETERS.fullmatch(key)
        and (metric.startswith("objective") or not OBJECTIVE_PARAMETERS.fullmatch(key))
        and not _is_implied(values, options.get(key.partition(".")[0]))
    }
    found = pd.DataFrame(dict(sorted(options.items())) | shown, index=runs.index, dtype=object)
    return found.map(_shorten)


def _extract_columns(runs: pd.DataFrame, prefix: str, none: str) -> dict[str, pd.Series[Any]]:
    kept = [name for name in map(str, runs) if name.startswith(prefix)]
    return {
        name.removeprefix(prefix): _fill_missing(runs[name]).replace("None", none) for name in kept
    }


def _fill_missing(values: pd.Series[Any]) -> pd.Series[Any]:
    return values.astype(object).where(values.notna(), MISSING)


def _is_implied(values: pd.Series[Any], options: pd.Series[Any] | None) -> bool:
    return options is not None and bool((values.groupby(options).nunique() <= 1).all())


def _shorten(value: str) -> str:
    """Return a value shortened for a table; different values stay different."""
    if len(value) <= MAX_VALUE_LENGTH:
        return value
    return f"{value[:24]}…{hashlib.sha256(value.encode()).hexdigest()[:8]}"


def format_row_name(values: Mapping[str, str]) -> str:
    """Return the name of a row, such as "model=sgd, model.alpha=0.1"."""
    return ", ".join(f"{key}={value}" for key, value in values.items()) or "all"


# --- figures -----------------------------------------------------------------------------------


def build(
    runs: pd.DataFrame,
    metric: str,
    *,
    maximize: bool = True,
    baseline: str | None = None,
    confidence: float = 0.95,
) -> Leaderboard:
    """Return the leaderboard of runs.

    Args:
        runs: with values of the metric.
        metric: its name.
        maximize: whether a higher mean comes first.
        baseline: a row's name or a part of it, or the id of one of its runs; None for none.
        confidence: of the intervals of differences to the baseline, as a share.

    Raises:
        ConfigError: the baseline is no row, or more than one.
    """
    named = find_varying_settings(runs, metric)
    labels = pd.Series(
        [format_row_name(dict(row)) for _, row in named.iterrows()], runs.index, dtype=object
    )
    rows = named.set_axis(labels)[~labels.duplicated().to_numpy()].sort_index()
    latest = _select_latest(runs, labels)
    by_row = labels[latest.index]
    parts = [rows, _compute_spread(latest[f"metrics.{metric}"], by_row)]
    against = None
    if baseline is not None:
        against = find_baseline(baseline, rows, dict(zip(runs["run_id"], labels, strict=True)))
        parts.append(compute_differences(latest, metric, by_row, against, confidence))
    parts.append(_compute_costs(latest, by_row))
    table = pd.concat([part.loc[rows.index] for part in parts], axis="columns")
    table = table.sort_values("mean", ascending=not maximize, kind="stable")
    repeats = len(runs) - len(latest)
    return Leaderboard(
        table, tuple(map(str, named)), against, describe_interval(confidence), repeats
    )


def _select_latest(runs: pd.DataFrame, labels: pd.Series[Any]) -> pd.DataFrame:
    """Return the latest run of each row and seed; earlier ones are duplicates."""
    ordered = runs.sort_values("start", kind="stable")
    seeds = get_column(ordered, "params.seed")
    again = pd.DataFrame({"row": labels, "seed": seeds}).loc[ordered.index].duplicated(keep="last")
    return ordered[~again | seeds.isna()]


def _compute_spread(values: pd.Series[float], by_row: pd.Series[Any]) -> pd.DataFrame:
    found = values.astype(float).groupby(by_row).agg(["size", "mean", "std"])
    return found.rename(columns={"size": "n"})


def _compute_costs(runs: pd.DataFrame, by_row: pd.Series[Any]) -> pd.DataFrame:
    """Return by row the mean seconds of a run and, where known, the mean size of its model."""
    sizes = pd.Series(math.nan, runs.index)
    for name in SIZE_COLUMNS:
        sizes = sizes.fillna(pd.to_numeric(get_column(runs, name), errors="coerce"))
    costs = pd.DataFrame({"seconds": runs["seconds"].astype(float), "model_bytes": sizes})
    means = costs.groupby(by_row).mean()
    return means if sizes.notna().any() else means[["seconds"]]


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
