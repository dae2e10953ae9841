"""The report of a search: figures, trials, settings and space."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from tagifai.config.composition import compose_defaults
from tagifai.config.schema import flatten_config
from tagifai.reporting import html_pages, render, reports
from tagifai.reporting.html_pages import HtmlReport, ReportTable
from tagifai.sweeping.findings import ending, gains, results
from tagifai.sweeping.findings.results import SearchResult
from tagifai.sweeping.plan import SearchPlan
from tagifai.sweeping.studies import SAME_AS
from tagifai.utils import environment, program
from tagifai.utils.excerpts import shorten_id

ALT_TEXTS = {
    "optimization_history": "The objective by trial, the best so far and the present configuration",
    "param_importances": "Importance of each parameter",
    "slice": "The objective by each parameter",
    "parallel_coordinate": "The parameters of each trial, and its objective",
    "intermediate_values": "Reported values of each trial by epoch",
    "pareto_front": "Pareto front of the objectives",
}


def write(plan: SearchPlan) -> Path | None:
    """Draw the figures of a search and write its report; return the report, or None.

    Args:
        plan: of the search, which has ended.
    """
    # The time of a budget belongs to its trials.
    if plan.config.plots.enabled and plan.budget is None:
        from tagifai.reporting.plots import search  # late: matplotlib

        told = [t.number for t in plan.study.list_trials() if SAME_AS in t.user_attrs]
        present = gains.find_current(plan.study)
        reports.log_figures(
            plan.parent,
            lambda: search.list_figures(plan.study.optuna, plan.metrics, told, present),
            plan.folder,
            plan.display,
        )
    return reports.write(plan.parent, lambda: build(plan), plan.folder)


def build(plan: SearchPlan) -> HtmlReport:
    """Return the report of a search."""
    found = results.summarize_study(plan.study, plan.metrics)
    best = ", ".join(plan.format_values(found.best[0].values)) if found.best else "none yet"
    return HtmlReport(
        title=f"Search {plan.study.name}: {best}",
        subtitle=f"tagifai search {plan.parent.id}, {time.strftime('%Y-%m-%d %H:%M')},"
        f" {plan.folder}",
        summary=[
            ("best", best),
            ("trial", ", ".join(str(trial.number) for trial in found.best) or "none"),
            ("trials", found.describe_counts(None if plan.budget else plan.n_trials)),
            *[(name.lower(), text) for name, text in ending.list_facts(plan, found).items()],
        ],
        notes=[f"{len(numbers)} failed: {reason}" for reason, numbers in found.failures.items()],
        pictures=render.load_figures(
            plan.folder / reports.FIGURES, _name_figures(len(plan.metrics))
        ),
        tables=[_build_trial_table(plan, found)],
        settings=_list_settings(plan),
        facts={
            "Space": [(key, str(text)) for key, text in plan.space.describe().items()],
            "Environment": list(environment.get_versions(environment.ALL_LIBRARIES).items()),
        },
        command=program.format_repetition(program.get_command()),
    )


def _name_figures(objectives: int) -> Mapping[str, str]:
    if objectives == 1:
        return ALT_TEXTS
    several = {
        f"objective-{number}-{name}": f"{text} (objective {number + 1})"
        for number in range(objectives)
        for name, text in ALT_TEXTS.items()
    }
    return {"pareto_front": ALT_TEXTS["pareto_front"], **several}


def _build_trial_table(plan: SearchPlan, found: SearchResult) -> ReportTable:
    """Return all trials, the best first, then by number."""
    places = {trial.number: place for place, trial in enumerate(found.top)}
    trials = sorted(
        plan.study.list_trials(), key=lambda t: (places.get(t.number, len(places)), t.number)
    )
    heading, told, common = results.describe_parameters(plan.space, trials)
    rows = []
    for trial, settings in zip(trials, told, strict=True):
        values = trial.values or [""] * len(plan.metrics)
        run = shorten_id(str(trial.user_attrs.get("run_id") or ""))
        scores = [*map(results.format_number, values)]
        rows.append([str(trial.number), results.describe_state(trial), *scores, run, settings])
    columns = ["trial", "state", *plan.metrics, "run", heading]
    numbers = [0, *range(2, 2 + len(plan.metrics))]
    title = f"Trials (most common: {common})" if common else "Trials"
    return ReportTable(title, columns, rows, numbers=numbers, strong=range(len(found.best)))


def _list_settings(plan: SearchPlan) -> list[html_pages.ReportSetting]:
    config = plan.config
    given = flatten_config(config, html_pages.HIDDEN_GROUPS)
    return html_pages.list_settings(
        given, flatten_config(compose_defaults(), html_pages.HIDDEN_GROUPS)
    )
