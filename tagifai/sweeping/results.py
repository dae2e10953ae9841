"""Results: what a search leaves on disk, tells its run, and shows."""

from __future__ import annotations

import logging
import shlex
from pathlib import Path

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException
from optuna.trial import FrozenTrial

from tagifai.exceptions import ConfigError
from tagifai.sweeping import composition, winners
from tagifai.sweeping.plan import SearchPlan

log = logging.getLogger(__name__)


def write(plan: SearchPlan) -> None:
    """Write the file of results and the presets of the best trials, and tell the run."""
    found = winners.summarize_study(plan.study, plan.metrics)
    command = shlex.join(
        ["run.py", f"experiment={plan.study.name}", *composition.get_path_overrides(plan.cfg)]
    )
    path = plan.folder / "optimization_results.yaml"
    winners.write_results(path, found, plan.space, plan.folder, command)
    for trial in found.best:
        _write_preset(plan, found, trial)
    _log_results(plan, found, path)


def _write_preset(plan: SearchPlan, result: winners.SearchResult, trial: FrozenTrial) -> None:
    config, choices = plan.compose(plan.space.make_overrides(trial.params))
    try:
        alone = plan.compose_alone([f"{group}={option}" for group, option in choices.items()])
    except (ConfigError, HydraException, OmegaConfBaseException) as error:
        # An open option has no values of its own.
        log.info("Options alone make no configuration: %s", error)
        alone = None
    name = _make_preset_name(result, trial.number)
    head = (
        f"Trial {trial.number} of the search {result.study!r}, the best of"
        f" {result.counts.finished}: {', '.join(plan.format_values(trial.values))}.\n"
        "Written by the search. It holds values, and they win over options that are chosen on"
        f" the\ncommand line. Train it with: run.py experiment={name}"
    )
    path = Path(plan.config.paths.stores) / "presets" / "experiment" / f"{name}.yaml"
    winners.write_preset(path, head, choices, winners.compute_difference(config, alone))


def _log_results(plan: SearchPlan, result: winners.SearchResult, path: Path) -> None:
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
    """Show the best trials, the counts, what failed and how to go on.

    Args:
        plan: of the search, which has ended.
        report: the file, or None if it could not be written.
    """
    found, display = winners.summarize_study(plan.study, plan.metrics), plan.display
    tally = found.counts
    title = f"Study {found.study}: the best {len(found.top)} of {tally.finished} trials"
    if found.top:
        display.show_table(title, *winners.make_table(found, plan.space))
    counts = {
        "complete": tally.complete,
        "pruned": tally.pruned,
        "failed": tally.failed,
        "died and made up for": tally.died,
    }
    said = [f"{n} {state}" for state, n in counts.items() if n or state == "complete"]
    saved = f"; pruning saved about {found.saved_seconds:.0f} s" if tally.pruned else ""
    display.show_fact("Trials", f"{', '.join(said)}{saved}")
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
        display.show_copyable("Train it", shlex.join([*display.program, *words]))


def _make_preset_name(result: winners.SearchResult, number: int) -> str:
    return result.study if len(result.metrics) == 1 else f"{result.study}-trial{number}"
