"""Select the tracked runs that are compared or promoted.

Runs come as a table, a row each, with the columns of `leaderboard`.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pandas as pd

from tagifai.exceptions import DataError, suggest_closest
from tagifai.utils import program
from tagifai.utils.excerpts import shorten_id

SHOWN_DIGITS = 8
"""Of the digest of a data set, in its name; more where data sets begin alike."""

MAX_DIGITS = 36
"""Of the digest of a data set, that the tracking store keeps."""

CHOOSING = ("task.filter=", "task.parent=", "task.tags")
"""Beginnings of the settings that choose among the runs."""


@dataclass(frozen=True)
class RunSelection:
    """The runs that are compared.

    Args:
        runs: finished trainings with the metric, at least one.
        description: which runs these are, as a phrase.
        excluded: how many runs were left out, by reason.
    """

    runs: pd.DataFrame
    description: str
    excluded: Mapping[str, int]


def select_runs(
    runs: pd.DataFrame,
    metric: str,
    *,
    parent: str | None = None,
    tags: Mapping[str, str] | None = None,
    filter: str | None = None,
) -> RunSelection:
    """Return the finished trainings that have the metric.

    Args:
        runs: all runs of the experiment, or those that a filter has found.
        metric: its name.
        parent: id of a run; only its children are compared.
        tags: values that tags of the runs must have.
        filter: in MLflow's language; it has been applied to `runs`. Without filter, parent and
            tags, all runs are compared.

    Raises:
        DataError: there is no such run; with the known metrics.
    """
    phrases = ["those" if tags or filter else "all of the experiment"]
    chosen = runs
    if parent is not None:
        chosen = chosen[get_column(chosen, "parent") == parent]
        phrases = [f"children of {_name_run(runs, parent)}"]
    for key, value in (tags or {}).items():
        chosen = chosen[get_column(chosen, f"tags.{key}") == value]
        phrases.append(f"with {key}={value}")
    if filter:
        phrases.append(f"where {filter}")
    return _select_eligible(chosen, metric, " ".join(phrases))


def find_latest_parent(runs: pd.DataFrame, metric: str) -> str | None:
    """Return the id of the latest parent that has finished children with the metric, or None."""
    counting = runs[
        is_training(runs) & is_finished(runs) & get_column(runs, f"metrics.{metric}").notna()
    ]
    children = counting[counting["parent"].notna()]
    if children.empty:
        return None
    # A parent that is not among the runs counts as old as its first child.
    begun = children.groupby("parent")["start"].min()
    own = runs.set_index("run_id")["start"]
    begun.update(own[own.index.isin(begun.index)])
    return str(begun.idxmax())


def find_best(
    runs: pd.DataFrame, metric: str, *, maximize: bool, without: Collection[str] = ()
) -> str:
    """Return the id of the best finished training; arguments and errors as of `rank_runs`."""
    return str(rank_runs(runs, metric, maximize=maximize, without=without)["run_id"].iloc[0])


def rank_runs(
    runs: pd.DataFrame, metric: str, *, maximize: bool, without: Collection[str] = ()
) -> pd.DataFrame:
    """Return the finished trainings, the best first; of equal ones the latest.

    Args:
        runs: all runs of the experiment, or those that a filter has found.
        metric: its name.
        maximize: whether a higher value is better.
        without: ids of runs that are left out. Trials of searches always are: they have no model.

    Raises:
        DataError: there is no such run; with the known metrics.
    """
    of_search = get_column(runs, "tags.trial.number").notna()
    eligible = runs[~of_search & ~get_column(runs, "run_id").isin(list(without))]
    chosen = _select_eligible(eligible, metric, "not counting trials of searches").runs
    return chosen.sort_values([f"metrics.{metric}", "start"], ascending=[not maximize, False])


def find_bests(runs: pd.DataFrame, metric: str, *, maximize: bool) -> set[str]:
    """Return the ids of the best runs; arguments as of `find_best`.

    They are all that tie on a data set, and those that multiruns and searches name as their best.
    """
    found = {*get_column(runs, "tags.best.run_id").dropna()}
    for _, those in runs.groupby(get_column(runs, "digest").fillna(""), dropna=False):
        with suppress(DataError):  # there is none on these data
            ranked = rank_runs(those, metric, maximize=maximize)
            values = ranked[f"metrics.{metric}"]
            found |= {*ranked["run_id"][values == values.iloc[0]]}
    return found


def _select_eligible(chosen: pd.DataFrame, metric: str, description: str) -> RunSelection:
    of_training, ended = is_training(chosen), is_finished(chosen)
    valued = get_column(chosen, f"metrics.{metric}").notna()
    if not of_training.any():
        raise DataError(f"There is no training run to compare ({description}). {_advise()}")
    if not (of_training & ended).any():
        raise DataError(f"None of {of_training.sum()} training runs has finished ({description}).")
    if not (of_training & ended & valued).any():
        known = _list_metrics(chosen[of_training & ended])
        raise DataError(
            f"No finished training run has the metric {metric!r} ({description})."
            f"{suggest_closest(metric, known)} There are: {_format_metrics(known)}."
        )
    left_out = {
        "not finished": of_training & ~ended,
        f"without {metric}": of_training & ended & ~valued,
    }
    counts = {reason: int(those.sum()) for reason, those in left_out.items() if those.any()}
    return RunSelection(chosen[of_training & ended & valued], description, counts)


def _advise() -> str:
    """Return how to come to a run: without what the command has chosen by, or by a training."""
    words = shlex.split(program.get_command())[len(shlex.split(program.get_name())) :]
    kept = [word for word in words if not word.lstrip("+").startswith(CHOOSING)]
    if kept == words:
        return f"Train some: {program.format_call()}"
    return f"Without the filter: {program.format_call(*kept)}"


def name_data(runs: pd.DataFrame) -> pd.Series[str]:
    """Return the name of each run's data set, with as much of its digest as tells it apart."""
    digests = get_column(runs, "digest").astype(object)
    names = get_column(runs, "params.data.name").astype(object)
    # The same rows may have had several names.
    names = names.groupby(digests, dropna=False).transform("first").fillna("data")
    known = digests.dropna().unique()
    lengths = range(SHOWN_DIGITS, MAX_DIGITS)
    apart = (n for n in lengths if len({one[:n] for one in known}) == len(known))
    digits = next(apart, MAX_DIGITS)
    titles = [
        f"{name} ({digest[:digits]})" if isinstance(digest, str) else "unknown data"
        for name, digest in zip(names, digests, strict=True)
    ]
    return pd.Series(titles, runs.index, dtype=object)


def select_data(runs: pd.DataFrame, digest: str | None) -> pd.DataFrame:
    """Return the runs on one data set.

    Args:
        runs: all runs of the experiment, or those that a filter has found.
        digest: of the rows, or as much of it as is known; None takes the only data set there is.

    Raises:
        DataError: there are none, or more data sets than one; with those that there are.
    """
    trainings = runs[is_training(runs) & get_column(runs, "digest").notna()]
    known = trainings["digest"].unique().tolist() if len(trainings) else []
    if not known or (digest is None and len(known) < 2):
        return runs
    same = [one for one in known if digest is not None and one[:MAX_DIGITS] == digest[:MAX_DIGITS]]
    if not same:
        there = ", ".join(dict.fromkeys(name_data(trainings)))
        what = (
            f"there is no run on these data (digest {digest[:SHOWN_DIGITS]})"
            if digest is not None
            else "runs on different data cannot be ranked"
        )
        raise DataError(
            f"{what[0].upper()}{what[1:]}. There are runs on: {there}. Name the data that"
            " are meant, such as data=table data.path=... (with split.by, where it kept a column),"
            " or a run by its id."
        )
    return runs[get_column(runs, "digest").isin(same)]


def is_training(runs: pd.DataFrame) -> pd.Series[bool]:
    """Return a mask of the runs that are trainings, shape (n,)."""
    return get_column(runs, "params.task.name") == "train"


def is_finished(runs: pd.DataFrame) -> pd.Series[bool]:
    """Return a mask of the runs that have finished, shape (n,)."""
    return get_column(runs, "status") == "FINISHED"


def get_column(runs: pd.DataFrame, name: str) -> pd.Series[Any]:
    """Return a column, empty where no run has it."""
    return runs[name] if name in runs else pd.Series(None, runs.index, dtype=object)


def _name_run(runs: pd.DataFrame, parent: str) -> str:
    own = runs.loc[runs["run_id"] == parent, "name"].dropna()
    return f"{own.iloc[0]} ({shorten_id(parent)})" if len(own) else parent


def _list_metrics(runs: pd.DataFrame) -> list[str]:
    there = runs.dropna(axis=1, how="all").filter(regex=r"^metrics\.")
    return sorted(name.removeprefix("metrics.") for name in map(str, there))


def _format_metrics(metrics: Sequence[str]) -> str:
    plain = [name for name in metrics if "/" not in name]
    of_parts = len(metrics) - len(plain)
    more = [f"{of_parts} of single classes or slices"] if of_parts else []
    return ", ".join([*plain, *more]) or "none"
