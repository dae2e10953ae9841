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

from tagifai.files import replacing
from tagifai.schema import Config
from tagifai.search.spaces import Space
from tagifai.studies import ERROR, Study, Tally, died

NO_INFLUENCE = ("task", "sweep", "tracking", "console", "cache", "plots", "paths")
"""Groups that have no influence on what a trial gives."""


@dataclass(frozen=True)
class Found:
    """What a search has found so far.

    Args:
        study: its name.
        metrics: of the objective.
        best: the best trials: one, or with several objectives all that none other beats.
        top: the first five by the objective, the best first.
        tally: trials by state.
        failures: the reasons of failed trials, each with the numbers of its trials.
        saved: seconds that pruning has saved, about.
    """

    study: str
    metrics: tuple[str, ...]
    best: list[FrozenTrial]
    top: list[FrozenTrial]
    tally: Tally
    failures: dict[str, list[int]]
    saved: float


def found(study: Study, metrics: Sequence[str]) -> Found:
    """Look up what a study has."""
    trials = study.trials()
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
        if trial.state is TrialState.FAIL and not died(trial):
            reason = str(trial.user_attrs.get(ERROR, "no reason is known"))
            failures.setdefault(reason, []).append(trial.number)
    return Found(study.name, tuple(metrics), best, top[:5], study.tally(), failures, _saved(trials))


def _saved(trials: Sequence[FrozenTrial]) -> float:
    """Return how many seconds more the pruned trials would have taken, had they been as others."""
    whole = [_seconds(t) for t in trials if t.state is TrialState.COMPLETE]
    if not whole:
        return 0.0
    mean = sum(whole) / len(whole)
    return sum(max(0.0, mean - _seconds(t)) for t in trials if t.state is TrialState.PRUNED)


def _seconds(trial: FrozenTrial) -> float:
    return trial.duration.total_seconds() if trial.duration is not None else 0.0


def rows(result: Found, space: Space) -> tuple[list[str], list[list[str]]]:
    """Return the best trials as a table: number, value of each metric, parameters."""
    columns = ["trial", *result.metrics, "parameters"]
    table = [
        [str(trial.number), *map(brief, trial.values), _parameters(space, trial)]
        for trial in result.top
    ]
    return columns, table


def brief(value: Any) -> str:
    """Return a number as it is shown: four decimals, or four digits where it is small or large."""
    if not isinstance(value, float):
        return str(value)
    if not math.isfinite(value):
        return str(value)
    if value == int(value) and abs(value) < 1e9:
        return str(int(value)) if abs(value) >= 10 else f"{value:.4f}"
    return f"{value:.4f}" if 0.01 <= abs(value) < 1e4 else f"{value:.4g}"


def _parameters(space: Space, trial: FrozenTrial) -> str:
    return ", ".join(f"{k}={brief(v)}" for k, v in space.keys_of(trial.params).items())


def write_results(
    path: Path, result: Found, space: Space, folder: Path, command: str | None
) -> None:
    """Write the results as YAML, in place of earlier ones.

    Args:
        path: of the file.
        result: what was found.
        space: of the search.
        folder: holds the job folders.
        command: trains the best trial; None with several objectives.
    """
    solutions = [_solution(trial, result, space, folder) for trial in result.best]
    content: dict[str, Any] = {"name": "optuna", "study": result.study}
    if len(result.metrics) == 1 and solutions:
        content |= {"metric": result.metrics[0], **solutions[0], "command": command}
    elif solutions:
        content |= {"metrics": list(result.metrics), "solutions": solutions}
    content["trials"] = asdict(result.tally)
    with replacing(path) as file:
        file.write(OmegaConf.to_yaml(OmegaConf.create(content)))


def _solution(trial: FrozenTrial, result: Found, space: Space, folder: Path) -> dict[str, Any]:
    # The two first names are those of the stock sweeper's file.
    values = list(trial.values)
    single = len(result.metrics) == 1
    return {
        **({"best_value": values[0]} if single else {"values": values}),
        ("best_params" if single else "params"): space.keys_of(trial.params),
        "trial": trial.number,
        "folder": str(folder / str(trial.number)),
        "run_id": trial.user_attrs.get("run_id"),
        "overrides": space.of_values(trial.params),
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
    with replacing(path) as file:
        file.write("# @package _global_\n")
        file.writelines(f"# {line}\n" for line in head.splitlines())
        file.write(OmegaConf.to_yaml(OmegaConf.create({"defaults": overrides, **values})))


def difference(wanted: Config, given: Config | None) -> dict[str, Any]:
    """Return the values, nested, by which a configuration differs from another one.

    Args:
        wanted: has all keys of the result.
        given: what the options alone make; None if they make nothing.
    """
    return _differing(_content(wanted), {} if given is None else _content(given))


def _content(config: Config) -> dict[str, Any]:
    return {k: v for k, v in asdict(config).items() if k not in NO_INFLUENCE}


def _differing(wanted: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in wanted.items():
        if isinstance(value, dict) and isinstance(given.get(key), dict):
            inside = _differing(value, given[key])
            if inside:
                found[key] = inside
        elif key not in given or given[key] != value:
            found[key] = value
    return found
