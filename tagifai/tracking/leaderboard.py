"""Leaderboards: runs that differ only in their seed are one row; rows are ranked by their mean.

Runs come as a table, a row each, with the columns run_id, name, status, parent, start (ms since
1970), seconds, digest (of the data), and one for each parameter, tag and metric, such as
"params.model.alpha", "params.model" (the option of a group) and "metrics.test_f1".
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pandas as pd

from tagifai.config.schema import name_test_metric
from tagifai.exceptions import ConfigError
from tagifai.tracking import selection
from tagifai.tracking.differences import (
    HIGHER,
    LOWER,
    compute_differences,
    find_baseline,
    find_varying_settings,
    format_row_name,
)
from tagifai.tracking.selection import get_column
from tagifai.utils.excerpts import shorten_id

SIZE_COLUMNS = ("metrics.model_bytes", "metrics.objective/model_bytes")
"""Columns that may have the size of a run's model."""


@dataclass(frozen=True)
class Leaderboard:
    """A ranking of rows, the best first.

    Args:
        rows: by label; mean, std (NaN for one run), n, what `compute_differences` has with better
            and worse for higher and lower, compared_with (a label; None for that row itself), run
            (first digits of the id of the row's best run), run_id, the columns of
            `setting_columns`, the bounds of its test score where it is of one run, test_low and
            test_high, if any has it, the means of `shown`, seconds a run and, where it is known,
            model_bytes.
        setting_columns: the columns by which rows differ.
        baseline: label of the row that the others are compared with.
        is_best: whether that is the first row, because no baseline was given.
        duplicates: runs that do not count, because a later one has the same configuration and seed.
        shown: further metrics.
        run_ids: of the runs that count, by row and seed.
        data_rows: of the data set, if that is known.
    """

    rows: pd.DataFrame
    setting_columns: tuple[str, ...]
    baseline: str
    is_best: bool
    duplicates: int
    shown: tuple[str, ...] = ()
    run_ids: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    data_rows: int | None = None


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
        baseline: a row's name, a part of it, or the id of one of its runs; None for the best.
        confidence: of the intervals of differences, as a share.
        shown: further metrics, whose means are shown; one that no run has is left out.

    Raises:
        ConfigError: the baseline is no row, or more than one.
    """
    named = find_varying_settings(runs, metric)
    labels = pd.Series([*map(format_row_name, named.to_dict("records"))], runs.index, dtype=object)
    settings = named.set_axis(labels)[~labels.duplicated().to_numpy()].sort_index()
    latest, by_row = _select_latest(runs, labels)
    values = latest[f"metrics.{metric}"].astype(float)
    spread = _compute_spread(values, by_row).loc[settings.index]
    ranked = spread.sort_values("mean", ascending=not maximize, kind="stable").index
    against, choices = str(ranked[0]), max(1, len(ranked) - 1)
    if baseline is not None:
        by_run = dict(zip(runs["run_id"], labels, strict=True))
        against, choices = find_baseline(baseline, settings, by_run), 1
    gains = compute_differences(latest, metric, by_row, against, confidence, choices)
    further = tuple(name for name in shown if f"metrics.{name}" in latest and name != metric)
    best = _find_best_runs(latest, values if maximize else -values, by_row)
    parts = [spread, _judge(gains, against, maximize), best, settings]
    parts.append(_describe_runs(latest, name_test_metric(metric), further, by_row))
    rows = pd.concat([part.reindex(ranked) for part in parts], axis="columns")
    duplicates, run_ids = len(runs) - len(latest), _list_run_ids(latest, by_row)
    found = (rows, tuple(map(str, named)), against, baseline is None, duplicates)
    return Leaderboard(*found, further, run_ids, _count_rows(runs))


def _describe_runs(
    runs: pd.DataFrame, test_metric: str, shown: Sequence[str], by_row: pd.Series[Any]
) -> pd.DataFrame:
    """Return by row what does not rank it: bounds of its test score, further metrics, and costs."""
    bounds = _collect_bounds(runs, test_metric, by_row)
    means, costs = _compute_means(runs, shown, by_row), _compute_costs(runs, by_row)
    return pd.concat([bounds, means, costs], axis="columns")


def _judge(gains: pd.DataFrame, against: str, maximize: bool) -> pd.DataFrame:
    """Return differences with better and worse for higher and lower, and with what they are to."""
    signs = {HIGHER: "better", LOWER: "worse"} if maximize else {HIGHER: "worse", LOWER: "better"}
    named = pd.Series(against, gains.index, dtype=object).where(gains.index != against)
    return gains.assign(shown=gains["shown"].replace(signs), compared_with=named)


def _find_best_runs(
    runs: pd.DataFrame, values: pd.Series[float], by_row: pd.Series[Any]
) -> pd.DataFrame:
    """Return by row the id of its best run, the higher the better; its first digits as `run`."""
    best = runs["run_id"].astype(object).loc[values.groupby(by_row).idxmax()]
    found = pd.DataFrame({"run": best.map(shorten_id), "run_id": best})
    return found.set_axis(by_row[best.index].to_numpy())


def _count_rows(runs: pd.DataFrame) -> int | None:
    known = get_column(runs, "rows").dropna()
    return int(known.iloc[0]) if len(known) else None


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
    found = values.groupby(by_row).agg(["mean", "std", "size"])
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
