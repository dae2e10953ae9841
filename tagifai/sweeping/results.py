"""Write, record and show the results of a search."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from tagifai.config.plugins import PRESET_END
from tagifai.config.schema import Config
from tagifai.config.texts import escape
from tagifai.exceptions import ConfigError
from tagifai.sweeping import composition
from tagifai.sweeping.space import SearchSpace
from tagifai.sweeping.studies import ERROR, Study, TrialCounts, has_died
from tagifai.training.trial import RESULT
from tagifai.utils import program
from tagifai.utils.files import replace_atomically
from tagifai.utils.secrets import mask, mask_all

if TYPE_CHECKING:
    from tagifai.sweeping.plan import SearchPlan

log = logging.getLogger(__name__)


def write(plan: SearchPlan) -> None:
    """Write the results and the presets of the best trials, and record them in the run."""
    found = summarize_study(plan.study, plan.metrics)
    command = program.format_command(
        f"experiment={plan.study.name}", *composition.get_path_overrides(plan.cfg)
    )
    path = plan.folder / "optimization_results.yaml"
    write_results(path, found, plan.space, plan.folder, command)
    for trial in found.best:
        write_preset_of(plan, found, trial)
    _log_results(plan, found, path)


def write_preset_of(plan: SearchPlan, result: SearchResult, trial: FrozenTrial) -> None:
    """Write the preset of a trial of the results, in place of an earlier one."""
    config, choices = plan.compose(plan.space.make_overrides(trial.params))
    try:
        alone = plan.compose_alone([f"{group}={option}" for group, option in choices.items()])
    except (ConfigError, HydraException, OmegaConfBaseException) as error:
        # A custom option has no values of its own.
        log.info("The options alone are no complete configuration: %s", error)
        alone = None
    name = _make_preset_name(result, trial.number)
    head = (
        f"Trial {trial.number} of the search {result.study!r}, the best of"
        f" {result.counts.finished}: {', '.join(plan.format_values(_get_values(trial)))}.\n"
        "Written by the search. Its values win over options that are chosen on the\ncommand"
        f" line. Train it with: {program.get_name()} experiment={name}"
    )
    path = Path(plan.config.paths.stores) / "presets" / "experiment" / f"{name}.yaml"
    write_preset(path, head, choices, compute_difference(config, alone))


def _get_values(trial: FrozenTrial) -> list[float]:
    """Return the values of a trial, also of one that has them of a sample alone."""
    return list(trial.values or trial.user_attrs.get(RESULT) or ())


def _log_results(plan: SearchPlan, result: SearchResult, path: Path) -> None:
    tally = result.counts
    counts = {
        "trials/complete": tally.complete,
        "trials/pruned": tally.pruned,
        "trials/failed": tally.failed,
        "trials/died": tally.died,
        "seconds_saved_by_pruning": result.saved_seconds,
    }
    best = {}
    if len(plan.metrics) == 1 and result.best:
        trial = result.best[0]
        counts[f"best_{plan.metrics[0]}"] = trial.values[0]
        best = {f"best.{k}": v for k, v in plan.space.index_by_key(trial.params).items()}
        best |= {"best.trial": trial.number, "best.run_id": trial.user_attrs.get("run_id")}
    plan.parent.log_metrics({name: float(value) for name, value in counts.items()})
    plan.parent.log_tags({**best, "trials": f"{tally.finished} of {plan.n_trials}"})
    plan.parent.log_file(path)


def show(plan: SearchPlan, report: Path | None) -> None:
    """Show the best trials, the counts, the failures and suggested commands.

    Args:
        plan: of the search, which has ended.
        report: the file, or None if it could not be written.
    """
    found, display = summarize_study(plan.study, plan.metrics), plan.display
    tally = found.counts
    title = f"Study {found.study}: the best {len(found.top)} of {tally.finished} trials"
    if found.top:
        display.show_table(title, *make_table(found, plan.space))
    counts = {
        "complete": tally.complete,
        "pruned": tally.pruned,
        "failed": tally.failed,
        "died and replaced": tally.died,
    }
    shown = [f"{n} {state}" for state, n in counts.items() if n or state == "complete"]
    saved = f"; pruning saved about {found.saved_seconds:.0f} s" if tally.pruned else ""
    display.show_fact("Trials", f"{', '.join(shown)}{saved}")
    for reason, numbers in found.failures.items():
        named = ", ".join(map(str, numbers[:5])) + (", ..." if len(numbers) > 5 else "")
        display.show_fact("Failed", f"{len(numbers)} ({named}): {reason}", style="red")
    display.show_report(report)
    display.show_copyable("Results", plan.folder / "optimization_results.yaml")
    for trial in found.best:
        words = [
            f"experiment={_make_preset_name(found, trial.number)}",
            *composition.get_path_overrides(plan.cfg),
        ]
        display.show_copyable("Train it", program.format_call(*words))


def _make_preset_name(result: SearchResult, number: int) -> str:
    return result.study if len(result.metrics) == 1 else f"{result.study}-trial{number}"


IRRELEVANT_GROUPS = ("task", "sweep", "tracking", "console", "cache", "plots", "paths")
"""Groups that have no influence on the result of a trial."""


@dataclass(frozen=True)
class SearchResult:
    """The results of a search so far.

    Args:
        study: its name.
        metrics: of the objective.
        best: the best trial, or with several objectives the Pareto front.
        top: the first five by the objective, the best first.
        counts: trials by state.
        failures: numbers of the failed trials, by reason.
        saved_seconds: seconds that pruning has saved, as an estimate.
    """

    study: str
    metrics: tuple[str, ...]
    best: list[FrozenTrial]
    top: list[FrozenTrial]
    counts: TrialCounts
    failures: dict[str, list[int]]
    saved_seconds: float


def summarize_study(study: Study, metrics: Sequence[str]) -> SearchResult:
    """Return the results of a study."""
    trials = study.list_trials()
    complete = [t for t in trials if t.state is TrialState.COMPLETE]
    if len(metrics) == 1:
        maximize = study.optuna.direction is StudyDirection.MAXIMIZE
        sign = -1 if maximize else 1
        # Of equal trials the first, as in Optuna.
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
    """Return how many seconds more the pruned trials would have taken with the mean duration."""
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
    """Return a number with four decimals, or four significant digits if it is small or large."""
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
        result: of the search.
        space: of the search.
        folder: of the job folders.
        command: that trains the best trial; None with several objectives.
    """
    solutions = [_build_solution(trial, result, space, folder) for trial in result.best]
    content: dict[str, Any] = {"name": "optuna", "study": result.study}
    if len(result.metrics) == 1 and solutions:
        content |= {"metric": result.metrics[0], **solutions[0], "command": command}
    elif solutions:
        content |= {"metrics": list(result.metrics), "solutions": solutions}
    content["trials"] = asdict(result.counts)
    with replace_atomically(path) as file:
        file.write(OmegaConf.to_yaml(OmegaConf.create(mask_all(content))))


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
        head: comment at the beginning of the file.
        choices: option by group.
        values: that differ from those of the options.
    """
    overrides = [{f"override /{group}": option} for group, option in choices.items()]
    with replace_atomically(path) as file:
        file.write("# @package _global_\n")
        file.writelines(f"# {line}\n" for line in mask(head).splitlines())
        file.write(
            OmegaConf.to_yaml(OmegaConf.create(mask_all({"defaults": overrides, **escape(values)})))
            + PRESET_END
        )


def compute_difference(wanted: Config, base: Config | None) -> dict[str, Any]:
    """Return the nested values of a configuration that differ from another one.

    Args:
        wanted: the configuration.
        base: the configuration of the options alone; None if they are not complete.
    """
    return _compute_difference(_get_content(wanted), {} if base is None else _get_content(base))


def _get_content(config: Config) -> dict[str, Any]:
    # No preset may set the last two.
    others = (*IRRELEVANT_GROUPS, "whitelist", "extensions")
    return {k: v for k, v in asdict(config).items() if k not in others}


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
