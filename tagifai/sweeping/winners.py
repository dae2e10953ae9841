"""Winners: what a search has found, as a file of results, a preset and a table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from tagifai.config.schema import Config
from tagifai.sweeping.space import SearchSpace
from tagifai.sweeping.studies import ERROR, Study, TrialCounts, has_died
from tagifai.utils.files import replace_atomically

IRRELEVANT_GROUPS = ("task", "sweep", "tracking", "console", "cache", "plots", "paths")
"""Groups that have no influence on what a trial gives."""


@dataclass(frozen=True)
class SearchResult:
    """What a search has found so far.

    Args:
        study: its name.
        metrics: of the objective.
        best: the best trials: one, or with several objectives all that none other beats.
        top: the first five by the objective, the best first.
        counts: trials by state.
        failures: the reasons of failed trials, each with the numbers of its trials.
        saved_seconds: seconds that pruning has saved, about.
    """

    study: str
    metrics: tuple[str, ...]
    best: list[FrozenTrial]
    top: list[FrozenTrial]
    counts: TrialCounts
    failures: dict[str, list[int]]
    saved_seconds: float


def summarize_study(study: Study, metrics: Sequence[str]) -> SearchResult:
    """Look up what a study has."""
    trials = study.list_trials()
    complete = [t for t in trials if t.state is TrialState.COMPLETE]
    if len(metrics) == 1:
        maximize = study.optuna.direction is StudyDirection.MAXIMIZE
        sign = -1 if maximize else 1
        # Of equal ones the first, as Optuna has it.
        top = sorted(complete, key=lambda t: (sign * t.values[0], t.number))
        best = top[:1]
    else:
        best = top = sorted(study.optuna.best_trials, key=lambda t: t.number) if complete else []
    failures: dict[str, list[int]] = {}
    for trial in trials:
        if trial.state is TrialState.FAIL and not has_died(trial):
            reason = str(trial.user_attrs.get(ERROR, "no reason is known"))
            failures.setdefault(reason, []).append(trial.number)
    return SearchResult(
        study.name,
        tuple(metrics),
        best,
        top[:5],
        study.count_trials(),
        failures,
        _estimate_saved_seconds(trials),
    )


def _estimate_saved_seconds(trials: Sequence[FrozenTrial]) -> float:
    """Return how many seconds more the pruned trials would have taken, had they been as others."""
    whole = [_get_seconds(t) for t in trials if t.state is TrialState.COMPLETE]
    if not whole:
        return 0.0
    mean = sum(whole) / len(whole)
    return sum(max(0.0, mean - _get_seconds(t)) for t in trials if t.state is TrialState.PRUNED)


def _get_seconds(trial: FrozenTrial) -> float:
    return trial.duration.total_seconds() if trial.duration is not None else 0.0


def make_table(result: SearchResult, space: SearchSpace) -> tuple[list[str], list[list[str]]]:
    """Return the best trials as a table: number, value of each metric, parameters."""
    columns = ["trial", *result.metrics, "parameters"]
    table = [
        [str(trial.number), *map(format_number, trial.values), _format_parameters(space, trial)]
        for trial in result.top
    ]
    return columns, table


def format_number(value: Any) -> str:
    """Return a number as it is shown: four decimals, or four digits where it is small or large."""
    if not isinstance(value, float):
        return str(value)
    if not math.isfinite(value):
        return str(value)
    if value == int(value) and abs(value) < 1e9:
        return str(int(value)) if abs(value) >= 10 else f"{value:.4f}"
    return f"{value:.4f}" if 0.01 <= abs(value) < 1e4 else f"{value:.4g}"


def _format_parameters(space: SearchSpace, trial: FrozenTrial) -> str:
    return ", ".join(f"{k}={format_number(v)}" for k, v in space.index_by_key(trial.params).items())


def write_results(
    path: Path, result: SearchResult, space: SearchSpace, folder: Path, command: str | None
) -> None:
    """Write the results as YAML, in place of earlier ones.

    Args:
        path: of the file.
        result: what was found.
        space: of the search.
        folder: holds the job folders.
        command: trains the best trial; None with several objectives.
    """
    solutions = [_build_solution(trial, result, space, folder) for trial in result.best]
    content: dict[str, Any] = {"name": "optuna", "study": result.study}
    if len(result.metrics) == 1 and solutions:
        content |= {"metric": result.metrics[0], **solutions[0], "command": command}
    elif solutions:
        content |= {"metrics": list(result.metrics), "solutions": solutions}
    content["trials"] = asdict(result.counts)
    with replace_atomically(path) as file:
        file.write(OmegaConf.to_yaml(OmegaConf.create(content)))


def _build_solution(
    trial: FrozenTrial, result: SearchResult, space: SearchSpace, folder: Path
) -> dict[str, Any]:
    # The two first names are those of the stock sweeper's file.
    values = list(trial.values)
    single = len(result.metrics) == 1
    return {
        **({"best_value": values[0]} if single else {"values": values}),
        ("best_params" if single else "params"): space.index_by_key(trial.params),
        "trial": trial.number,
        "folder": str(folder / str(trial.number)),
        "run_id": trial.user_attrs.get("run_id"),
        "overrides": space.make_overrides(trial.params),
    }


def write_preset(path: Path, head: str, choices: Mapping[str, str], values: dict[str, Any]) -> None:
    """Write the best trial as an experiment preset, in place of an earlier one.

    Args:
        path: of the preset.
        head: what to say of it, a line or more.
        choices: option by group.
        values: what these options do not give.
    """
    overrides = [{f"override /{group}": option} for group, option in choices.items()]
    with replace_atomically(path) as file:
        file.write("# @package _global_\n")
        file.writelines(f"# {line}\n" for line in head.splitlines())
        file.write(OmegaConf.to_yaml(OmegaConf.create({"defaults": overrides, **values})))


def compute_difference(wanted: Config, base: Config | None) -> dict[str, Any]:
    """Return the values, nested, by which a configuration differs from another one.

    Args:
        wanted: has all keys of the result.
        base: what the options alone make; None if they make nothing.
    """
    return _compute_difference(_get_content(wanted), {} if base is None else _get_content(base))


def _get_content(config: Config) -> dict[str, Any]:
    return {k: v for k, v in asdict(config).items() if k not in IRRELEVANT_GROUPS}


def _compute_difference(wanted: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in wanted.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            inside = _compute_difference(value, base[key])
            if inside:
                found[key] = inside
        elif key not in base or base[key] != value:
            found[key] = value
    return found
