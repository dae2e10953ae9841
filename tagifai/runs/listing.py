"""The list of runs: what a person wants to know of each, the newest first."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from tagifai.config.schema import name_test_metric
from tagifai.exceptions import DamagedFileError
from tagifai.tracking import selection
from tagifai.tracking.recording import operations, records
from tagifai.tracking.run import OWN_TAGS
from tagifai.tracking.selection import get_column
from tagifai.utils.excerpts import make_visible, secure_cell
from tagifai.utils.files import format_json

STATES = {
    "RUNNING": "running",
    "SCHEDULED": "running",
    "FINISHED": "finished",
    "FAILED": "failed",
    "KILLED": "interrupted",
}
"""Words for the tracking store's."""

TRIAL_STATES = {"PRUNED": "pruned", "FAIL": "failed", "DIED": "interrupted"}

NOT_RECORDED = "not recorded"
"""State of a run that the tracking store has not taken yet."""

UNSHOWN = ("paths", "tracking", "console", "cache", "plots", "task")
"""Groups whose overrides change nothing of the result."""


def build(runs: pd.DataFrame, metric: str, *, maximize: bool, fold: bool) -> pd.DataFrame:
    """Return the list of runs.

    Args:
        runs: as of `load_runs`, and those that are kept.
        metric: of the objective; its value on test rows is beside it.
        maximize: whether a higher value is better.
        fold: whether the children of parents that are there are left out; a parent has the scores
            of its best finished child.

    Returns:
        The columns run_id, name, data, overrides (a text), the metric and that of test rows (NaN
        where there is none), started (ms since 1970), seconds, state, error (a text), study (of a
        search and its trials), tags (a dictionary) and children (their number), the newest run
        first.
    """
    each: list[Mapping[Any, Any]] = [*runs.to_dict("records")]
    rows = pd.DataFrame(
        {
            "run_id": runs["run_id"],
            "name": runs["name"].fillna(""),
            "data": _name_data(runs),
            "overrides": [_describe_overrides(run) for run in each],
            **{
                name: pd.to_numeric(get_column(runs, f"metrics.{name}"), errors="coerce")
                for name in dict.fromkeys((metric, name_test_metric(metric)))
            },
            "started": runs["start"],
            "seconds": runs["seconds"],
            "state": [name_state(run["status"], run.get("tags.trial.state")) for run in each],
            "error": get_column(runs, "tags.error").fillna(""),
            "study": get_column(runs, "tags.study").fillna(""),
            "tags": [_list_tags(run) for run in each],
            "children": 0,
        },
        index=runs.index,
    )
    parents = get_column(runs, "parent")
    inside = parents.isin(set(runs["run_id"]))
    if fold and inside.any():
        rows = _fold(rows, parents[inside], metric, maximize=maximize)
    return rows.sort_values("started", ascending=False, kind="stable").reset_index(drop=True)


def _fold(
    rows: pd.DataFrame, parents: pd.Series[Any], metric: str, *, maximize: bool
) -> pd.DataFrame:
    """Return the rows without children, whose parents have their number and best scores."""
    children = rows.loc[parents.index].assign(parent=parents)
    kept = rows.drop(parents.index).copy()
    for parent, those in children.groupby("parent"):
        own = kept.index[kept["run_id"] == parent]
        if own.empty:  # a child that has children of its own
            continue
        kept.loc[own, "children"] = len(those)
        data = [name for name in those["data"].unique() if name]
        kept.loc[own, "data"] = data[0] if len(data) == 1 else f"{len(data)} data sets"
        scored = those[(those["state"] == "finished") & those[metric].notna()]
        if len(scored):
            best = scored.sort_values(metric, ascending=not maximize).iloc[0]
            for name in dict.fromkeys((metric, name_test_metric(metric))):
                kept.loc[own, name] = best[name]
    return kept


def _name_data(runs: pd.DataFrame) -> pd.Series[Any]:
    """Return the name of each run's data set, with its digest where several have that name."""
    names = get_column(runs, "params.data.name").astype(object)
    digests = get_column(runs, "digest")
    of_name = digests.groupby(names).transform("nunique").fillna(0)
    several = of_name > 1
    return (names.where(~several, selection.name_data(runs)) if several.any() else names).fillna("")


def _describe_overrides(run: Mapping[Any, Any]) -> str:
    """Return what was overridden of what decides the result, as it was typed."""
    given = run.get("tags.overrides")
    if not isinstance(given, str):  # a parent has its command only
        given = run.get("tags.command")
    try:
        words = shlex.split(given) if isinstance(given, str) else []
    except ValueError:  # it was cut off
        words = str(given).split()
    shown = []
    for word in words:
        key = word.partition("=")[0].lstrip("+~").partition(".")[0]
        if "=" in word and word[0] != "-" and key not in UNSHOWN:
            shown.append(word)
    return shlex.join(shown)


def name_state(status: str, trial: object) -> str:
    """Return the word for how a run is or ended.

    Args:
        status: of the tracking store, or `NOT_RECORDED`.
        trial: how it ended as a trial of a search, if it is one.
    """
    if status == NOT_RECORDED:
        return NOT_RECORDED
    state = TRIAL_STATES.get(trial) if isinstance(trial, str) else None
    return state or STATES.get(status, status.lower())


def _list_tags(run: Mapping[Any, Any]) -> dict[str, str]:
    """Return the tags of a run that a person gave it."""
    given = {key[5:]: value for key, value in run.items() if key.startswith("tags.")}
    return {
        name: value
        for name, value in given.items()
        if isinstance(value, str) and not (name in OWN_TAGS or name.startswith("mlflow."))
    }


def load_kept(stores: Path, experiment: str) -> pd.DataFrame:
    """Return the runs of an experiment that are kept until the tracking store takes them.

    Args:
        stores: the folder of stores.
        experiment: its name.

    Returns:
        Columns as of `load_runs`; what cannot be read is left out, and task=info says so.
    """
    found = []
    for record in records.list_records(stores):
        try:
            done = record.read()
        except DamagedFileError:
            continue
        # One that has begun is in the store already.
        if done[0].get("experiment") == experiment and done[0].get("run_id") is None:
            found.append(_join_operations(done))
    return pd.DataFrame(found)


def _join_operations(done: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a run as its recorded operations make it."""
    begun = done[0]
    run: dict[str, Any] = {
        "run_id": begun["id"],
        "name": begun.get("name"),
        "status": NOT_RECORDED,
        "start": begun.get("time"),
        "seconds": math.nan,
        "parent": None,
        "digest": None,
    }
    tags = dict(begun.get("tags") or {})
    for one in done:
        if one.get("do") == operations.LOG:
            run |= {f"params.{key}": value for key, value in one.get("params", {}).items()}
            run |= {f"metrics.{item[0]}": item[1] for item in one.get("metrics", [])}
            tags |= one.get("tags", {})
        elif one.get("do") == operations.DATASET:
            run["digest"] = one.get("digest", "")[: selection.MAX_DIGITS]
        elif one.get("do") == operations.END and run["start"] is not None:
            run["seconds"] = (one["time"] - run["start"]) / 1000
    run["parent"] = tags.get(operations.PARENT_ID)
    return run | {f"tags.{key}": value for key, value in tags.items()}


def format_file(rows: pd.DataFrame, kind: str, *, safe: bool, **about: Any) -> str:
    """Return a list of runs in a file format, with whole ids and every digit.

    Args:
        rows: of `build`.
        kind: "csv", "json" or "md".
        safe: whether no spreadsheet takes a cell of a CSV for a formula.
        about: further entries, which only JSON has.
    """
    times = [pd.Timestamp(ms, unit="ms", tz="UTC").isoformat() for ms in rows["started"]]
    table = rows.assign(started=times)
    if kind == "json":
        finite = table.replace([math.inf, -math.inf], math.nan)  # of which JSON has no numbers
        found = [
            {key: value if key == "tags" or pd.notna(value) else None for key, value in row.items()}
            for row in finite.to_dict("records")
        ]
        return format_json({**about, "rows": found})
    table["tags"] = table["tags"].map(format_tags)
    if kind == "csv":
        table = table.map(secure_cell) if safe else table
        return table.to_csv(index=False, lineterminator="\n")
    cells = [[*map(str, table)], [":---"] * len(table.columns)]
    cells += [["" if pd.isna(x) else str(x) for x in row] for row in table.to_numpy().tolist()]
    lines = (" | ".join(make_visible(cell).replace("|", "\\|") for cell in row) for row in cells)
    return "".join(f"| {line} |\n" for line in lines)


def format_tags(tags: Mapping[str, str]) -> str:
    """Return tags of a person as one text."""
    return " ".join(f"{key}={value}" for key, value in tags.items())
