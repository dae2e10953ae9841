"""Selection: which of the tracked runs count, to be compared or to be promoted.

Runs come as a frame, one a row, as `leaderboards` has them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from tagifai.errors import DataError, nearest


@dataclass(frozen=True)
class Choice:
    """The runs that are compared.

    Args:
        runs: finished trainings with the metric, at least one.
        where: what they have in common, as a phrase.
        left_out: how many were left out, by reason.
    """

    runs: pd.DataFrame
    where: str
    left_out: Mapping[str, int]


def choose(
    runs: pd.DataFrame,
    metric: str,
    *,
    parent: str | None = None,
    tags: Mapping[str, str] | None = None,
    found_by: str | None = None,
) -> Choice:
    """Choose the finished trainings that have the metric.

    Args:
        runs: all there are, or those that a filter has found.
        metric: its name.
        parent: id of a run; only its children count.
        tags: values that the runs must have.
        found_by: the filter. Without filter, parent and tags it is the children of the latest
            parent that has any to compare, or else all runs.

    Raises:
        DataError: there is no such run; says which metrics there are.
    """
    if not (parent or tags or found_by):
        parent = latest_parent(runs, metric)
    phrases = ["those" if tags or found_by else "all there are"]
    chosen = runs
    if parent is not None:
        chosen = chosen[column(chosen, "parent") == parent]
        phrases = [f"children of {_named(runs, parent)}"]
    for key, value in (tags or {}).items():
        chosen = chosen[column(chosen, f"tags.{key}") == value]
        phrases.append(f"with {key}={value}")
    if found_by:
        phrases.append(f"where {found_by}")
    return _eligible(chosen, metric, " ".join(phrases))


def latest_parent(runs: pd.DataFrame, metric: str) -> str | None:
    """Return the id of the parent, begun last, that has finished children with the metric."""
    counting = runs[trained(runs) & finished(runs) & column(runs, f"metrics.{metric}").notna()]
    children = counting[counting["parent"].notna()]
    if children.empty:
        return None
    # A parent that is not among the runs is as old as its first child.
    begun = children.groupby("parent")["start"].min()
    own = runs.set_index("run_id")["start"]
    begun.update(own[own.index.isin(begun.index)])
    return str(begun.idxmax())


def best(runs: pd.DataFrame, metric: str, *, maximize: bool, without: Collection[str] = ()) -> str:
    """Return the id of the best finished training; of equal ones the latest.

    Args:
        runs: all there are, or those that a filter has found.
        metric: its name.
        maximize: whether a higher value is better.
        without: ids of runs that do not count. Trials of searches never do: they keep no model.

    Raises:
        DataError: there is no such run; says which metrics there are.
    """
    of_search = column(runs, "tags.trial.number").notna()
    eligible = runs[~of_search & ~column(runs, "run_id").isin(list(without))]
    chosen = _eligible(eligible, metric, "trials of searches do not count").runs
    ordered = chosen.sort_values([f"metrics.{metric}", "start"], ascending=[not maximize, False])
    return str(ordered["run_id"].iloc[0])


def _eligible(chosen: pd.DataFrame, metric: str, where: str) -> Choice:
    of_training, ended = trained(chosen), finished(chosen)
    valued = column(chosen, f"metrics.{metric}").notna()
    if not of_training.any():
        raise DataError(f"There is no training run to compare ({where}). Train some: run.py -m ...")
    if not (of_training & ended).any():
        raise DataError(f"None of {of_training.sum()} training runs has finished ({where}).")
    if not (of_training & ended & valued).any():
        known = _metrics(chosen[of_training & ended])
        raise DataError(
            f"No finished training run has the metric {metric!r} ({where})."
            f"{nearest(metric, known)} There are: {_listed(known)}."
        )
    left_out = {
        "not finished": of_training & ~ended,
        f"without {metric}": of_training & ended & ~valued,
    }
    counts = {reason: int(those.sum()) for reason, those in left_out.items() if those.any()}
    return Choice(chosen[of_training & ended & valued], where, counts)


def trained(runs: pd.DataFrame) -> pd.Series[bool]:
    """Return which runs are trainings."""
    return column(runs, "params.task.name") == "train"


def finished(runs: pd.DataFrame) -> pd.Series[bool]:
    """Return which runs have come to their end."""
    return column(runs, "status") == "FINISHED"


def column(runs: pd.DataFrame, name: str) -> pd.Series[Any]:
    """Return a column, empty where no run has it."""
    return runs[name] if name in runs else pd.Series(None, runs.index, dtype=object)


def _named(runs: pd.DataFrame, parent: str) -> str:
    own = runs.loc[runs["run_id"] == parent, "name"].dropna()
    return f"{own.iloc[0]} ({parent})" if len(own) else parent


def _metrics(runs: pd.DataFrame) -> list[str]:
    there = runs.dropna(axis=1, how="all").filter(regex=r"^metrics\.")
    return sorted(name.removeprefix("metrics.") for name in map(str, there))


def _listed(metrics: Sequence[str]) -> str:
    plain = [name for name in metrics if "/" not in name]
    of_parts = len(metrics) - len(plain)
    more = [f"{of_parts} of single classes or slices"] if of_parts else []
    return ", ".join([*plain, *more]) or "none"
