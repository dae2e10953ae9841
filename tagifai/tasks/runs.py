"""task=runs: the runs, the newest first, with what was overridden, scores and state."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from tagifai.config.job import get_job, select_places
from tagifai.config.schema import Config, name_test_metric
from tagifai.console.display import Display
from tagifai.exceptions import ConfigError, DataError, StoreUnavailableError
from tagifai.runs import listing, resolve, short_ids
from tagifai.tracking import query, selection, store
from tagifai.tracking.inventory import RunInventory
from tagifai.tracking.recording.naming import SEPARATOR
from tagifai.utils import files, program
from tagifai.utils.board_cells import MISSING, USUAL, format_number, shorten_keys, shorten_value
from tagifai.utils.excerpts import format_time, shorten, shorten_id
from tagifai.utils.secrets import mask

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_VALUE, MOST_OVERRIDES, MOST_REASON = 24, 80, 40
"""Characters of a value, of all that was overridden and of an error; files have all."""

ERROR_NAME = re.compile(r"^\w+(Error|Exception): ")
"""Beginning of an error that says nothing to a person who has its text."""

MOST_EXCEPTIONS = 3
"""Runs of another state than most that are named below the list."""

PLACES = ("data.path", "data.val_path", "data.test_path", "data.projects", "data.tags")
"""Beginnings of overrides that say where the data are."""


def run(config: Config) -> None:
    """Show the runs, and write all of them to `task.output` if that is set."""
    display, task = Display.from_config(config.console), config.task
    files.check_output(task.output, None)
    with display.show_spinner("Loading runs"):
        runs, unasked = _load(config)
    if unasked:
        display.show_note(f"{unasked} Only runs that are not recorded yet are shown.")
    if runs.empty:
        _say_none(display, config)
        return
    metric = config.objective.metrics[0]
    maximize = config.objective.get_direction(metric) == "maximize"
    rows = listing.build(runs, metric, maximize=maximize, fold=task.parent is None)
    _show(display, rows, metric, task.limit)
    if (rows["state"] == listing.NOT_RECORDED).any():
        display.show_copyable("Record them", _format_call("task=sync"))
    if task.output is not None:
        path = Path(task.output)
        with files.open_output(path) as file:
            kind = path.suffix.lower()[1:]
            file.write(listing.format_file(rows, kind, safe=task.csv_safe, metric=metric))
        display.show_copyable("All rows", path)


def _load(config: Config) -> tuple[pd.DataFrame, str]:
    """Return the runs that are meant, and why the tracking store could not be asked, if so."""
    task, stores = config.task, Path(config.paths.stores)
    if not config.tracking.enabled:
        raise ConfigError("task=runs lists tracked runs, and tracking=none has none.")
    uri = store.get_tracking_uri(config.tracking.uri)
    resolve.finish_interrupted(stores, config.tracking.uri)
    experiment = task.experiment or store.get_experiment_name(config)
    kept = listing.load_kept(stores, experiment) if not task.filter else pd.DataFrame()
    try:
        if task.parent is not None:
            ids = {*kept["run_id"], *kept["parent"].dropna()} if len(kept) else ()
            task.parent = short_ids.complete(stores, task.parent, uri, "task.parent", ids)
        found, unasked = _query(config, uri, experiment), ""
    except StoreUnavailableError as error:
        if kept.empty:
            raise
        found, unasked = pd.DataFrame(), str(error)
    if task.parent is not None and len(kept):
        kept = kept[kept["parent"] == task.parent]
    runs = pd.concat([part for part in (found, kept) if len(part)] or [found], ignore_index=True)
    for key, value in (task.tags or {}).items():
        runs = runs[selection.get_column(runs, f"tags.{key}") == value]
    return runs, unasked


def _query(config: Config, uri: str, experiment: str) -> pd.DataFrame:
    task = config.task
    try:
        return query.load_runs(uri, experiment, parent=task.parent, filter=task.filter)
    except DataError:  # there is no store yet
        return pd.DataFrame()
    except ConfigError:
        # A store in which nothing was ever recorded does not have the experiment either.
        if RunInventory(uri, Path(config.paths.stores)).list_runs(experiment) or task.experiment:
            raise
        return pd.DataFrame()


def _say_none(display: Display, config: Config) -> None:
    """Say that there are no runs, or none that is meant, and what to do."""
    task = config.task
    if task.parent or task.filter or task.tags:
        given = {f"task.{key}": getattr(task, key) for key in ("parent", "filter", "tags")}
        asked = [f"{key} = {mask(str(value))}" for key, value in given.items() if value]
        display.show_result(f"There is no such run ({', '.join(asked)}).")
        display.show_copyable("All runs", _format_call("task=runs"), result=True)
        return
    display.show_result("There are no runs yet.")
    display.show_copyable("Train one", _format_call(), result=True)


def _format_call(*arguments: str) -> str:
    """Return a command with the folders and the tracking store of the present one."""
    return program.format_call(*arguments, *select_places(get_job().overrides))


def _show(display: Display, rows: pd.DataFrame, metric: str, limit: int) -> None:
    shown = rows[:limit]
    overridden, common = _shorten_overrides([*map(shlex.split, shown["overrides"])])
    cells = _format_cells(shown, overridden, metric)
    said = _say_in_common(shown, cells)
    texts = ("run", "name", "data", "overridden", "state", "tags")
    optional = ("started", "name", "tags", "time", name_test_metric(metric))
    places = [number for number, name in enumerate(cells) if name in texts]
    table = [*zip(*cells.values(), strict=True)]
    hidden = display.show_table(_make_title(rows), [*cells], table, texts=places, optional=optional)
    for name, text in said.items():
        display.show_fact(name, text)
    if common:
        display.show_fact("Most common", common)
    if len(rows) > limit:
        more = f"{len(rows) - limit} more: task.limit={len(rows)}"
        display.show_fact("Older", more, result=True)
    if hidden:
        display.show_fact("Hidden", f"{', '.join(hidden)}; task.output=FILE has all columns")
    parents = shown[shown["children"] > 0]
    if len(parents):
        parent = f"task.parent={shorten_id(parents['run_id'].iloc[0])}"
        display.show_copyable("Inside", _format_call("task=runs", parent))


def _make_title(rows: pd.DataFrame) -> str:
    """Return how many trainings there are, those of multiruns and searches too."""
    each = rows["children"].clip(lower=1)
    inside = each[rows["study"] != ""].sum()
    runs = each.sum() - inside
    counts = [_count(int(n), word) for n, word in ((runs, "run"), (inside, "trial")) if n]
    where = "" if runs + inside == len(rows) else f" in {_count(len(rows), 'row')}"
    return f"{' and '.join(counts)}{where}, the newest first"


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _format_cells(
    rows: pd.DataFrame, overridden: Sequence[str], metric: str
) -> dict[str, list[str]]:
    """Return texts by column; a column without any is left out.

    A name that was made of what was overridden, or is that of a study, would say it twice.
    """
    times = [datetime.fromtimestamp(ms / 1000).astimezone() for ms in rows["started"]]
    words = rows["study"].map(lambda study: "trial" if study else "run")
    inside = [
        f"{_count(n, word)}: " if n else "" for n, word in zip(rows["children"], words, strict=True)
    ]
    is_made = rows["name"].str.contains(SEPARATOR, regex=False) | (rows["name"] == rows["study"])
    cells = {
        "run": [*map(shorten_id, rows["run_id"])],
        "started": [f"{time:%m-%d %H:%M}" for time in times],
        "name": [*rows["name"].mask(is_made, "")],
        "data": [shorten(name, MOST_VALUE) for name in rows["data"]],
        "overridden": [(a + b).removesuffix(": ") for a, b in zip(inside, overridden, strict=True)],
        **{
            name: [*map(format_number, rows[name])]
            for name in dict.fromkeys((metric, name_test_metric(metric)))
        },
        "time": [MISSING if pd.isna(s) else format_time(s) for s in rows["seconds"]],
        "state": [
            f"{state}: {shorten(ERROR_NAME.sub('', error), MOST_REASON)}" if error else state
            for state, error in zip(rows["state"], rows["error"], strict=True)
        ],
        "tags": [listing.format_tags(tags) for tags in rows["tags"]],
    }
    return {
        name: texts
        for name, texts in cells.items()
        if any(texts) or name not in ("name", "tags", "overridden")
    }


def _say_in_common(rows: pd.DataFrame, cells: dict[str, list[str]]) -> dict[str, str]:
    """Take from the cells the columns that are said in a line, and return the lines by name."""
    said: dict[str, str] = {}
    data, states = {*cells["data"]}, cells["state"]
    if len(data) == 1 and len(rows) > 1:
        (name,) = data
        del cells["data"]
        said |= {"Data": f"{name} (all)"} if name else {}
    usual, count = Counter(states).most_common(1)[0]
    if len(rows) > 1 and len(rows) - count <= MOST_EXCEPTIONS and count > len(rows) / 2:
        del cells["state"]
        others = [
            f"{run} {state}"
            for run, state in zip(cells["run"], states, strict=True)
            if state != usual
        ]
        said["State"] = f"{usual}, but {'; '.join(others)}" if others else f"{usual} (all)"
    return said


def _shorten_overrides(given: Sequence[Sequence[str]]) -> tuple[list[str], str]:
    """Return what was overridden of each run unlike in most, and what was in most.

    Where the data are is said by their name.
    """
    rows: list[dict[str, str]] = []
    for of_run in given:
        pairs = [one.partition("=") for one in of_run if not one.startswith(PLACES)]
        rows.append({key.lstrip("+~"): value for key, _, value in pairs})
    names = shorten_keys(dict.fromkeys(key for row in rows for key in row))
    most = Counter(pair for row in rows for pair in row.items())
    common = {
        key: value for (key, value), count in most.items() if 2 * count > len(rows) and count > 1
    }
    apart = [
        " ".join(
            f"{names[key]}={_shorten(row.get(key, MISSING))}"
            for key in {**row, **common}
            if row.get(key) != common.get(key)
        )
        for row in rows
    ]
    if common and any(apart):
        apart = [text or USUAL for text in apart]
    told = " ".join(f"{names[key]}={_shorten(value)}" for key, value in common.items())
    return [shorten(text, MOST_OVERRIDES) for text in apart], told


def _shorten(value: str) -> str:
    """Return a value as boards have it, in as many characters as there is room for."""
    return shorten(shorten_value(value), MOST_VALUE)
