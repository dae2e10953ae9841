"""Leaderboards: runs that differ only in their seed are one row; rows are ranked by their mean.

Runs come as a table, a row each, with the columns run_id, name, status, parent, start (ms since
1970), seconds, digest (of the data), and one for each parameter, tag and metric, such as
"params.model.alpha", "tags.option.model" and "metrics.test_f1".
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pandas as pd

from tagifai.config.schema import name_test_metric
from tagifai.exceptions import ConfigError
from tagifai.tracking import selection
from tagifai.tracking.differences import compute_differences, describe_interval, find_baseline
from tagifai.tracking.selection import get_column

IGNORED_PARAMETERS = re.compile(
    r"seed|metrics|whitelist|extensions"
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


@dataclass(frozen=True)
class Leaderboard:
    """A ranking of rows, the best first.

    Args:
        rows: by label; the columns of `setting_columns`, then n, mean, std (NaN for one run), the
            bounds of its test score where it is of one run, test_low and test_high, if any has it,
            with a baseline difference, low, high, pairs and interval (name of the bounds), then
            the means of `shown`, seconds a run and, where it is known, model_bytes. The baseline's
            own row has no pairs.
        setting_columns: the columns by which rows differ.
        baseline: label of the row that the others are compared with, or None.
        interval: name of the differences' interval, such as "paired t, 95 %".
        duplicates: runs that do not count, because a later one has the same configuration and seed.
        shown: further metrics.
        run_ids: of the runs that count, by row and seed.
    """

    rows: pd.DataFrame
    setting_columns: tuple[str, ...]
    baseline: str | None
    interval: str
    duplicates: int
    shown: tuple[str, ...] = ()
    run_ids: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def find_varying_settings(runs: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return the settings that runs differ in beside their seed: options, then parameters.

    A parameter that has one value with each option of its group follows from the option and is
    left out.

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


def format_row_name(values: Mapping[Any, str]) -> str:
    """Return the name of a row, such as "model=sgd, model.alpha=0.1"."""
    return ", ".join(f"{key}={value}" for key, value in values.items()) or "all"


def build(
    runs: pd.DataFrame,
    metric: str,
    *,
    maximize: bool = True,
    baseline: str | None = None,
    confidence: float = 0.95,
    shown: Sequence[str] = (),
) -> Leaderboard:
    """Return the leaderboard of runs.

    Args:
        runs: with values of the metric.
        metric: its name.
        maximize: whether a higher mean comes first.
        baseline: a row's name or a part of it, or the id of one of its runs; None for none.
        confidence: of the intervals of differences to the baseline, as a share.
        shown: further metrics, whose means are shown; one that no run has is left out.

    Raises:
        ConfigError: the baseline is no row, or more than one.
    """
    named = find_varying_settings(runs, metric)
    labels = pd.Series([*map(format_row_name, named.to_dict("records"))], runs.index, dtype=object)
    rows = named.set_axis(labels)[~labels.duplicated().to_numpy()].sort_index()
    latest, by_row = _select_latest(runs, labels)
    bounds = _collect_bounds(latest, name_test_metric(metric), by_row)
    parts = [rows, _compute_spread(latest[f"metrics.{metric}"], by_row), bounds]
    against = None
    if baseline is not None:
        against = find_baseline(baseline, rows, dict(zip(runs["run_id"], labels, strict=True)))
        parts.append(compute_differences(latest, metric, by_row, against, confidence))
    further = tuple(name for name in shown if f"metrics.{name}" in latest and name != metric)
    parts += [_compute_means(latest, further, by_row), _compute_costs(latest, by_row)]
    return Leaderboard(
        pd.concat([part.loc[rows.index] for part in parts], axis="columns").sort_values(
            "mean", ascending=not maximize, kind="stable"
        ),
        tuple(map(str, named)),
        against,
        describe_interval(confidence),
        len(runs) - len(latest),
        further,
        _list_run_ids(latest, by_row),
    )


def _list_run_ids(runs: pd.DataFrame, by_row: pd.Series[Any]) -> dict[str, dict[str, str]]:
    """Return the ids of runs by row and seed."""
    found: dict[str, dict[str, str]] = {}
    seeds = get_column(runs, "params.seed")
    for row, seed, run_id in zip(by_row, seeds, runs["run_id"], strict=True):
        found.setdefault(row, {})[str(seed)] = run_id
    return found


def build_by_data(
    runs: pd.DataFrame,
    metric: str,
    *,
    maximize: bool = True,
    baseline: str | None = None,
    confidence: float = 0.95,
    shown: Sequence[str] = (),
) -> dict[str, Leaderboard]:
    """Return a leaderboard for each data set, by its name; that of the latest run comes first.

    Scores on other rows cannot be ranked. Arguments and errors are as of `build`; a baseline need
    be in one of the leaderboards only.
    """
    order = runs.sort_values("start", ascending=False, kind="stable")
    names = selection.name_data(order)
    found: dict[str, Leaderboard] = {}
    missing: list[ConfigError] = []
    for name in dict.fromkeys(names):
        of_data = runs.loc[names.index[names == name].sort_values()]
        make = partial(
            build, of_data, metric, maximize=maximize, confidence=confidence, shown=shown
        )
        try:
            found[name] = make(baseline=baseline)
        except ConfigError as error:
            missing.append(error)
            found[name] = make()
    if len(missing) == len(found):
        raise missing[0]
    return found


def _select_latest(
    runs: pd.DataFrame, labels: pd.Series[Any]
) -> tuple[pd.DataFrame, pd.Series[Any]]:
    """Return the latest run of each row and seed, and its row; earlier ones are duplicates."""
    ordered = runs.sort_values("start", kind="stable")
    seeds = get_column(ordered, "params.seed")
    again = pd.DataFrame({"row": labels, "seed": seeds}).loc[ordered.index].duplicated(keep="last")
    latest = ordered[~again | seeds.isna()]
    return latest, labels[latest.index]


def _compute_spread(values: pd.Series[float], by_row: pd.Series[Any]) -> pd.DataFrame:
    found = values.astype(float).groupby(by_row).agg(["size", "mean", "std"])
    return found.rename(columns={"size": "n"})


def _collect_bounds(runs: pd.DataFrame, metric: str, by_row: pd.Series[Any]) -> pd.DataFrame:
    """Return the interval of the metric on its rows for each leaderboard row of one run, if known.

    Runs of several seeds are of several splits, whose spread says more than an interval of one.
    """
    part, _, name = metric.partition("_")
    columns = [f"metrics.{part}_interval/{name}/{bound}" for bound in ("low", "high")]
    if not set(columns) <= set(runs.columns):
        return pd.DataFrame(index=by_row.unique())
    bounds = runs[columns].astype(float).set_axis(["test_low", "test_high"], axis="columns")
    single = by_row.groupby(by_row).transform("size") == 1
    return bounds.where(single).groupby(by_row).mean()


def _compute_means(
    runs: pd.DataFrame, names: Sequence[str], by_row: pd.Series[Any]
) -> pd.DataFrame:
    columns = {name: runs[f"metrics.{name}"].astype(float) for name in names}
    return pd.DataFrame(columns, index=runs.index).groupby(by_row).mean()


def _compute_costs(runs: pd.DataFrame, by_row: pd.Series[Any]) -> pd.DataFrame:
    """Return by row the mean seconds of a run and, where known, the mean size of its model."""
    sizes = pd.Series(math.nan, runs.index)
    for name in SIZE_COLUMNS:
        sizes = sizes.fillna(pd.to_numeric(get_column(runs, name), errors="coerce"))
    costs = pd.DataFrame({"seconds": runs["seconds"].astype(float), "model_bytes": sizes})
    means = costs.groupby(by_row).mean()
    return means if sizes.notna().any() else means[["seconds"]]
