"""How the rows of a leaderboard differ: in their settings, and by how much in a metric."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from tagifai.config.schema import EXPERIMENT_GROUPS
from tagifai.exceptions import ConfigError
from tagifai.tracking.selection import get_column
from tagifai.tracking.settings import NOT_COMPARED
from tagifai.utils.board_cells import MISSING
from tagifai.utils.excerpts import shorten_id

if TYPE_CHECKING:
    from tagifai.evaluation.paired import ScoreDifference

OBJECTIVE_PARAMETERS = re.compile(r"objective\..*")
"""Parameters that influence only the objective."""

MAX_VALUE_LENGTH = 40
"""Most characters of a setting."""

MAX_SHOWN_ROWS = 20
"""Most rows that an error names."""

MANY_PAIRS = 5
"""From which on Student's interval is not absurdly wide."""

SAME, HIGHER, LOWER = "no difference shown", "higher", "lower"
"""What an interval says of the row that it is of."""

COLUMNS = ("difference", "low", "high", "pairs", "interval", "shown", "reason")


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
    # A run whose option has no such parameter counts as one without a value for it.
    found = {
        name.removeprefix("params."): _fill_missing(runs[name], name)
        for name in sorted(map(str, runs))
        if name.startswith("params.")
    }
    varying = {
        key: values
        for key, values in found.items()
        if values.nunique() > 1
        and not NOT_COMPARED.fullmatch(key)
        and (metric.startswith("objective") or not OBJECTIVE_PARAMETERS.fullmatch(key))
    }
    options = {key: values for key, values in varying.items() if key in EXPERIMENT_GROUPS}
    shown = {
        key: values
        for key, values in varying.items()
        if key not in options and not _is_implied(values, options.get(key.partition(".")[0]))
    }
    return pd.DataFrame(options | shown, index=runs.index, dtype=object).map(_shorten)


def _fill_missing(values: pd.Series[Any], name: str) -> pd.Series[Any]:
    nothing = "none" if name.removeprefix("params.") in EXPERIMENT_GROUPS else MISSING
    return values.astype(object).where(values.notna(), nothing).replace("None", nothing)


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


def compute_differences(
    runs: pd.DataFrame,
    metric: str,
    by_row: pd.Series[Any],
    against: str,
    confidence: float,
    choices: int = 1,
) -> pd.DataFrame:
    """Return how much more each row has of the metric than one of them, over pairs of runs.

    A pair are two runs with the same seed on the same data; where these are unknown, there is none.
    Fewer than `MANY_PAIRS` have a bootstrap over the validation rows, where the predictions are on
    this machine; others have Student's interval, within what is possible. A single pair has none.

    Args:
        runs: at most one of each row and seed.
        metric: its name.
        by_row: label of each run.
        against: label of the row that is subtracted.
        confidence: of the interval, as a share.
        choices: rows of which that one is the best by the same metric; all intervals together have
            the confidence then (C. Bonferroni, 1936).

    Returns:
        By label: difference (mean over the pairs), low, high, pairs, interval (name of the
        bounds), shown (`SAME`, `HIGHER` or `LOWER`), and the reason where there is no interval. The
        row itself has none of them.
    """
    pairs = _pair_runs(runs, metric, by_row, against)
    others = [name for name in by_row.unique() if name != against]
    of_row = dict(iter(pairs.groupby("row")))
    found = [
        _compare_pairs(of_row.get(name, pairs.head(0)), metric, confidence, choices)
        for name in others
    ]
    table = pd.DataFrame(found, index=pd.Index(others, dtype=object), columns=list(COLUMNS))
    kinds = dict.fromkeys(("difference", "low", "high"), float) | {"pairs": "Int64"}
    return table.astype(kinds).reindex([*others, against])


def _pair_runs(
    runs: pd.DataFrame, metric: str, by_row: pd.Series[Any], against: str
) -> pd.DataFrame:
    """Return the pairs of a run and one of the row: row, gain, values and folders of both."""
    keys = ["seed", "digest"]
    table = pd.DataFrame(
        {
            "row": by_row,
            "seed": get_column(runs, "params.seed"),
            "digest": get_column(runs, "digest"),
            "value": runs[f"metrics.{metric}"].astype(float),
            "folder": get_column(runs, "tags.output_dir"),
        }
    )
    own = table[table["row"] == against].dropna(subset=keys)
    pairs = table.dropna(subset=keys).merge(own, on=keys, suffixes=("", "_against"))
    pairs["gain"] = pairs["value"] - pairs["value_against"]
    return pairs


def _compare_pairs(
    pairs: pd.DataFrame, metric: str, confidence: float, choices: int
) -> dict[str, Any]:
    """Return the difference over pairs as the columns of `compute_differences`."""
    if pairs.empty:
        return {"pairs": 0, "reason": "no run with the same seed"}
    found = {"difference": pairs["gain"].mean(), "pairs": len(pairs)}
    widened = f", widened for {choices} comparisons" if choices > 1 else ""
    percent = f"{100 * confidence:g} %{widened}"
    one: ScoreDifference | str = ""
    if len(pairs) < MANY_PAIRS:
        one = _compare_predictions(pairs, metric, confidence, choices)
    if not isinstance(one, str):
        bounds, is_shown = (one.low, one.high), one.is_shown
        seeds = f" of {len(pairs)} seeds" if len(pairs) > 1 else ""
        name = f"bootstrap over {one.rows} validation rows{seeds}, {percent}"
    elif len(pairs) > 1:
        from tagifai.evaluation import paired  # late: it loads scipy's matrices

        gains, widest = pairs["gain"].to_numpy(), _get_widest_difference(metric)
        _, low, high = paired.compute_t_interval(gains, 1 - (1 - confidence) / choices)
        bounds = (max(low, -widest), min(high, widest))
        is_shown = low > 0 or high < 0
        name = f"paired t, {percent}"
    else:
        return {**found, "reason": one}
    verdict = (HIGHER if found["difference"] > 0 else LOWER) if is_shown else SAME
    return {**found, "low": bounds[0], "high": bounds[1], "interval": name, "shown": verdict}


def _compare_predictions(
    pairs: pd.DataFrame, metric: str, confidence: float, choices: int
) -> ScoreDifference | str:
    """Return the difference by the predictions of validation rows, or why there is none."""
    from tagifai.tracking.recording import validation_rows  # late: not all boards need it

    sides = ("folder", "folder_against")
    folders = [(Path(str(one)), Path(str(two))) for one, two in pairs[[*sides]].to_numpy()]
    if not all((path / validation_rows.FILE_NAME).is_file() for pair in folders for path in pair):
        return "their predictions are not on this machine"
    values = (float(pairs["value"].mean()), float(pairs["value_against"].mean()))
    try:
        return validation_rows.compare(folders, metric, values, choices, confidence)
    except ValueError as error:
        return str(error)


def _get_widest_difference(metric: str) -> float:
    """Return the most by which two values can differ: those of scores are from 0 to 1."""
    from tagifai.evaluation import intervals  # late, as above

    score = metric.removeprefix("val_").removeprefix("test_")
    return 1.0 if score in intervals.SCORES and score != "matthews" else math.inf


def find_baseline(baseline: str, rows: pd.DataFrame, by_run: Mapping[str, str]) -> str:
    """Return the label of the row that a baseline means.

    Args:
        baseline: a label, a part or parts of one such as "model=sgd", "sgd" or "alpha=1e-4", or a
            run's id or the first digits of it.
        rows: the settings of each row, by label.
        by_run: label by run id.

    Raises:
        ConfigError: no row matches, or more than one; with the labels of all rows.
    """
    begun = {
        row
        for run_id, row in by_run.items()
        if run_id.startswith(baseline) and baseline.startswith(shorten_id(run_id))
    }
    if len(begun) == 1:
        return begun.pop()
    if baseline in rows.index:
        return baseline
    wanted = [part.strip() for part in baseline.split(",")]
    matches = [
        str(name)
        for name, values in rows.iterrows()
        if all(any(_is_meant(part, str(k), str(v)) for k, v in values.items()) for part in wanted)
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


def _is_meant(part: str, key: str, value: str) -> bool:
    """Return whether a part of a row's name means a setting: "sgd", "model=sgd", "alpha=1e-4"."""
    name, is_pair, given = part.rpartition("=")
    if is_pair and not f".{key}".endswith(f".{name}"):
        return part == value
    with suppress(ValueError):
        return given == value or float(given) == float(value)
    return part == value
