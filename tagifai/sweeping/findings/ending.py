"""The end of a search: its results are written, recorded and shown."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf
from optuna.trial import FrozenTrial

from tagifai.sweeping.findings import advice, gains, presets, results
from tagifai.sweeping.findings.results import SearchResult
from tagifai.sweeping.spaces.space import SearchSpace
from tagifai.sweeping.storage import is_shared
from tagifai.utils import program
from tagifai.utils.files import replace_atomically
from tagifai.utils.secrets import mask_all

if TYPE_CHECKING:
    from tagifai.sweeping.plan import SearchPlan


def write(plan: SearchPlan) -> None:
    """Write the results and the presets of the best trials, and record them in the run."""
    found = results.summarize_study(plan.study, plan.metrics)
    gain = gains.compute(plan, found)
    path = plan.folder / "optimization_results.yaml"
    with replace_atomically(path) as file:
        file.write(OmegaConf.to_yaml(OmegaConf.create(mask_all(_build_content(plan, found, gain)))))
    for trial in found.best:
        presets.write_for_trial(plan, found, trial)
    _log_results(plan, found, gain)
    plan.parent.log_file(path)


def _build_content(
    plan: SearchPlan, result: SearchResult, gain: gains.Gain | None
) -> dict[str, Any]:
    solutions = [_build_solution(trial, result, plan.space, plan.folder) for trial in result.best]
    content: dict[str, Any] = {"name": "optuna", "study": result.study}
    if len(result.metrics) == 1 and solutions:
        words = presets.list_words(plan, result, result.best[0].number)
        command = program.format_command(*words)
        content |= {"metric": result.metrics[0], **solutions[0], "command": command}
    elif solutions:
        content |= {"metrics": list(result.metrics), "solutions": solutions}
    if gain is not None:
        content["gain"] = gain.to_dict()
    content["trials"] = {**asdict(result.counts), "same": sum(result.told)}
    return content


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


def _log_results(plan: SearchPlan, result: SearchResult, gain: gains.Gain | None) -> None:
    ends = result.describe_counts().partition(": ")[2]
    told: dict[str, object] = {"trials": f"{result.counts.finished} of {plan.n_trials}: {ends}"}
    if len(plan.metrics) == 1 and result.best:
        trial = result.best[0]
        plan.parent.log_metrics({plan.metrics[0]: float(trial.values[0])})
        told |= {
            "best": shlex.join(plan.space.make_overrides(trial.params)),
            "best.trial": trial.number,
            "best.run_id": trial.user_attrs.get("run_id"),
        }
    if gain is not None:
        told["gain"] = gain.describe()
    plan.parent.log_tags(told)


def show(plan: SearchPlan, report: Path | None) -> None:
    """Show the best trials, the counts, the gain, the failures and suggested commands.

    Args:
        plan: of the search, which has ended.
        report: the file, or None if it could not be written.
    """
    found, display = results.summarize_study(plan.study, plan.metrics), plan.display
    title = f"Study {found.study}: the best {len(found.top)} of {found.counts.finished} trials"
    if found.top:
        columns, rows, notes = results.make_table(found, plan.space)
        texts = [place for place, name in enumerate(columns) if name in ("run", columns[-1])]
        display.show_table(title, columns, rows, texts=texts, optional=["run"])
        for about, note in notes.items():
            display.show_fact(about, note)
    display.show_fact("Trials", found.describe_counts(plan.n_trials))
    facts = list_facts(plan, found)
    for name in ("Gain", "Best after"):
        if name in facts:
            display.show_fact(name, facts[name])
    for reason, numbers in found.failures.items():
        named = ", ".join(map(str, numbers[:5])) + (", ..." if len(numbers) > 5 else "")
        display.show_fact("Failed", f"{len(numbers)} ({named}): {reason}", style="red")
    display.show_report(report)
    display.show_copyable("Results", plan.folder / "optimization_results.yaml")
    for trial in found.best:
        words = presets.list_words(plan, found, trial.number)
        display.show_copyable("Train it", program.format_call(*words))
    if "Try next" in facts:
        display.show_copyable("Try next", facts["Try next"])


def show_kept(plan: SearchPlan) -> None:
    """Show after an interrupt which trials are kept, how to go on and how to train the best."""
    found, display = results.summarize_study(plan.study, plan.metrics), plan.display
    total = plan.n_trials if plan.budget is None else None
    display.show_fact("Trials", found.describe_counts(total), result=True)
    if not is_shared(plan.settings.storage):
        display.show_fact("Kept", "none: the study is in memory", style="yellow", result=True)
        return
    new = "" if plan.budget is None else ", with a new budget"
    display.show_fact("Kept", f"The same command goes on{new}.", result=True)
    if found.best:
        words = presets.list_words(plan, found, found.best[0].number)
        display.show_copyable("Best so far", program.format_call(*words), result=True)


def list_facts(plan: SearchPlan, result: SearchResult) -> dict[str, str]:
    """Return what is known of the search by name: "Gain", "Best after", "Try next".

    Args:
        plan: of the search, which has ended.
        result: its results.
    """
    gain = gains.compute(plan, result)
    told = {
        "Gain": gain.describe() if gain else gains.describe_absence(plan, result),
        "Best after": gains.describe_moves(plan.study, result),
        "Try next": advice.suggest(plan, result),
    }
    return {name: text for name, text in told.items() if text}
