"""The board of a plain multirun: its jobs, the best first, and what to do with the best."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from hydra.core.utils import JobReturn, JobStatus

from tagifai.config.error_messages import explain
from tagifai.config.job import select_places, strip_hydra_node
from tagifai.config.schema import Config, check
from tagifai.console.display import Display
from tagifai.exceptions import DamagedFileError
from tagifai.sweeping._hydra import get_return_value
from tagifai.sweeping.multiruns.jobs import RUN_ID, Multirun, read_run_id
from tagifai.tracking import multirun
from tagifai.utils import program
from tagifai.utils.board_cells import MISSING, describe_settings, format_number, shorten_keys
from tagifai.utils.excerpts import shorten, shorten_id
from tagifai.utils.secrets import mask

SCORES = {"evaluate": "f1", "promote": "test_f1"}
"""What tasks return that is not about the objective; more is better."""

TRAINING = ("train", "rerun")
"""Tasks whose jobs are runs of the tracking store."""

PIPED = ("predict",)
"""Tasks whose output is read by programs, which is to have nothing else in it."""

MOST_ROWS = 20
MOST_REASON = 300
"""Characters of a job's reason for its end."""


def show_preview(display: Display, planned: Multirun) -> None:
    """Show the jobs that a multirun would run."""
    varied = planned.list_varied()
    same = [item for item in planned.jobs[0] if item.partition("=")[0] not in varied[0]]
    fixed = [mask(item) for item in same if not item.startswith("sweep.preview=")]
    rows = [[str(number), *map(mask, job.values())] for number, job in enumerate(varied)]
    count = f"{len(varied)} job{'s' if len(varied) > 1 else ''}"
    title = f"Preview: a multirun of {count}, none of which is started"
    display.show_table(title, ["job", *varied[0]], rows, texts=range(1, 1 + len(varied[0])))
    if fixed:
        display.show_fact("In all", " ".join(fixed), result=True)
    launcher = planned.cfg.hydra.runtime.choices.get("hydra/launcher")
    display.show_fact("Launcher", str(launcher), result=True)
    display.show_copyable("Folder", planned.folder, result=True)


def show_board(display: Display, planned: Multirun, ended: Sequence[JobReturn]) -> None:
    """Show how the jobs of a multirun ended, the best first, and what to do with the best.

    Tasks that give no score have shown what they have; of them, the failures are named.

    Args:
        display: shows it.
        planned: the multirun.
        ended: the jobs that have ended, in their order.
    """
    if planned.cfg.task.name in PIPED:
        return
    values, varied = [_read_value(job) for job in ended], planned.list_varied()
    scores = {number: value for number, value in enumerate(values) if isinstance(value, list)}
    best: int | None = None
    if scores:
        first = next(iter(scores))
        config = check(strip_hydra_node(planned.compose(first)))
        keys = [*varied[0]]
        if "experiment" in keys:  # which may choose another objective
            composed = [check(strip_hydra_node(planned.compose(n))).objective for n in scores]
            keys += ["objective"] * any(other != composed[0] for other in composed)
        metrics, direction = _name_scores(config, max(map(len, scores.values())), keys)
        order = _rank(scores, direction)
        title = f"Multirun {planned.folder.name}: {len(varied)} jobs"
        title += f" by {metrics[0]} ({direction})" if direction else ""
        order += [number for number in range(len(values)) if number not in scores]
        display.show_result("")  # the jobs may have written just before
        found = {number: planned.find_folder(number) for number in order[:MOST_ROWS]}
        trained = {number: folder and read_run_id(folder) for number, folder in found.items()}
        runs = {number: run_id for number, run_id in trained.items() if run_id}
        _show_jobs(display, title, metrics, [(n, varied[n], values[n]) for n in order], runs)
        best = order[0] if direction else None
    _show_failures(display, values, varied)
    if best is not None and len(varied) > 1:
        score = f"{metrics[0]} = {format_number(scores[best][0])}"
        equal = sum(found == scores[best] for found in scores.values()) - 1
        same = f"; {equal} more with the same" if equal else ""
        text = f"job {best} ({_describe(varied[best])}), {score}{same}"
        display.show_fact("Best", text, style="green", result=True)
    if scores:
        _show_next(display, planned, config, best, runs)


def show_kept(display: Display, planned: Multirun) -> None:
    """Show after an interrupt how many jobs have trained a run, and how to compare these."""
    if planned.cfg.task.name not in TRAINING:
        return
    done = len([*planned.folder.rglob(RUN_ID)])
    text = f"{done} of {len(planned.jobs)} jobs, whose runs are kept" if done else "no job"
    display.show_fact("Done", text, style="yellow", result=True)
    if done:
        _show_comparison(display, planned, select_places(planned.jobs[0]))


def _show_failures(
    display: Display, values: Sequence[Any], varied: Sequence[dict[str, str]]
) -> None:
    """Show which jobs failed, by their reason, and how many did not run."""
    by_reason: dict[str, list[int]] = {}
    for number, value in enumerate(values):
        if isinstance(value, str):
            by_reason.setdefault(value, []).append(number)
    for reason, numbers in by_reason.items():
        named = ", ".join(map(str, numbers[:5])) + (", …" if len(numbers) > 5 else "")
        which = (
            f"jobs {named}"
            if len(numbers) > 1
            else f"job {named} ({_describe(varied[numbers[0]])})"
        )
        display.show_fact("Failed", f"{which}: {reason}", style="red", result=True)
    if len(values) < len(varied):
        left = f"{len(varied) - len(values)} of {len(varied)} jobs did not run"
        display.show_fact("Left", left, style="yellow", result=True)


def _show_jobs(
    display: Display,
    title: str,
    metrics: Sequence[str],
    rows: Sequence[tuple[int, dict[str, str], Any]],
    runs: Mapping[int, str],
) -> None:
    """Show a row for each job: its scores, its run and number, and its overrides."""
    shown = rows[:MOST_ROWS]
    varied = [{key: mask(value) for key, value in job.items()} for _, job, _ in shown]
    heading, told, common = describe_settings(varied)
    cells: dict[str, list[str]] = {}
    for place, metric in enumerate(metrics):
        values = [
            value[place] if isinstance(value, list) and place < len(value) else None
            for _, _, value in shown
        ]
        cells[metric] = [*map(format_number, values)]
    numbers = {*cells, "job"}
    if any(not isinstance(value, list) for _, _, value in shown):
        cells["state"] = [_name_state(value) for _, _, value in shown]
    if runs:
        cells["run"] = [shorten_id(runs.get(number, MISSING)) for number, _, _ in shown]
    cells["job"] = [str(number) for number, _, _ in shown]
    if varied[0]:
        cells[heading] = told
    texts = [place for place, name in enumerate(cells) if name not in numbers]
    table = [*zip(*cells.values(), strict=True)]
    display.show_table(title, [*cells], table, texts=texts, optional=["run"])
    if len(rows) > len(shown):
        display.show_line(f"... and {len(rows) - len(shown)} more")
    if common:
        display.show_fact("Most common", common, result=True)


def _show_next(
    display: Display,
    planned: Multirun,
    config: Config,
    best: int | None,
    runs: Mapping[int, str],
) -> None:
    """Show what can be done with the jobs and the best of them, as it would be typed here."""
    given = planned.jobs[0 if best is None else best]
    words = select_places(given)
    run_id = None if best is None else runs.get(best)
    if run_id is not None:
        predict = program.format_call("task=predict", f"task.run_id={run_id}", *words)
        display.show_copyable("Predict", f'{predict} task.text="..."', result=True)
    if not config.tracking.enabled or config.task.name not in TRAINING:
        return
    _show_comparison(display, planned, words)
    if run_id is not None:
        promote = program.format_call("task=promote", f"task.run_id={run_id}", *words)
        display.show_copyable("Promote", promote, result=True)


def _show_comparison(display: Display, planned: Multirun, words: Sequence[str]) -> None:
    """Show the command that compares the jobs, if their parent run is known."""
    with suppress(FileNotFoundError, DamagedFileError):
        parent = f"task.parent={multirun.read_parent(planned.folder)['run_id']}"
        command = program.format_call("task=compare", parent, *words)
        display.show_copyable("Compare", command, result=True)


def _describe(varied: dict[str, str]) -> str:
    names = shorten_keys([*varied])
    text = " ".join(f"{names[key]}={value}" for key, value in varied.items())
    return shorten(mask(text), 100) or "alone"


def _name_state(value: Any) -> str:
    return "failed" if isinstance(value, str) else "done"


def _read_value(job: JobReturn) -> list[float] | str | None:
    """Return a job's scores, the reason of its failure, or None for neither."""
    value = get_return_value(job)
    if job.status == JobStatus.FAILED or isinstance(value, BaseException):
        reason = explain(value)[0] if isinstance(value, Exception) else "it was interrupted"
        return shorten(mask(" ".join(reason.split())), MOST_REASON)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return [float(value)]
    several = isinstance(value, list) and all(isinstance(item, int | float) for item in value)
    return [*map(float, value)] if several and value else None


def _name_scores(config: Config, count: int, varied: Sequence[str]) -> tuple[list[str], str]:
    """Return the names of the scores that a task returns, and the direction of a single one.

    Args:
        config: of a job.
        count: of its scores.
        varied: keys in which jobs differ; scores of different kinds are not ranked.
    """
    differs = r"task$|task\.metric|objective(\.metric|\.direction|$)"
    if any(re.match(differs, key) for key in varied) or count > max(
        1, len(config.objective.metrics)
    ):
        return ["score", *(f"score {n}" for n in range(2, count + 1))], ""
    task, objective = config.task, config.objective
    if task.name in SCORES:
        return [SCORES[task.name]], "maximize"
    metrics = (
        [getattr(task, "metric", None) or objective.metrics[0]] if count == 1 else objective.metrics
    )
    return list(metrics), objective.get_direction(metrics[0]) if count == 1 else ""


def _rank(scores: Mapping[int, list[float]], direction: str) -> list[int]:
    """Return the numbers of the jobs, the best score first where one is better than another."""
    if not direction:
        return [*scores]
    sign = -1 if direction == "maximize" else 1
    # What is no number is not the best one.
    return sorted(scores, key=lambda n: (math.isnan(scores[n][0]), sign * scores[n][0]))
