"""The report of a search: its figures, its best trials, what it searched and how it went."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tagifai import drawing, pages, provenance, reporting, summaries
from tagifai.pages import Page, Table
from tagifai.schema import flat
from tagifai.search import winners
from tagifai.search.plan import Plan

ALT = {
    "optimization_history": "The objective by trial, and the best so far",
    "param_importances": "How much each parameter matters",
    "slice": "The objective against each parameter",
    "parallel_coordinate": "The parameters of each trial, and its objective",
    "intermediate_values": "What trials reported on their way, pruned ones too",
    "pareto_front": "Trials that no other beats in all objectives",
}


def keep(plan: Plan) -> Path | None:
    """Draw the figures of a search and write its report; return the report, or None.

    Args:
        plan: of the search, which has ended.
    """
    if plan.config.plots.enabled:
        from tagifai.search import drawings  # late: matplotlib

        reporting.draw(
            plan.parent,
            lambda: drawings.figures(plan.study.optuna, plan.metrics),
            plan.folder,
            plan.display,
        )
    return reporting.write(plan.parent, lambda: page(plan), plan.folder)


def page(plan: Plan) -> Page:
    """Return the report of a search."""
    found = winners.found(plan.study, plan.metrics)
    tally = found.tally
    best = ", ".join(plan.shown(found.best[0].values)) if found.best else "none yet"
    return Page(
        title=f"Search {plan.study.name}: {best}",
        subtitle=f"tagifai search {plan.parent.id}, {time.strftime('%Y-%m-%d %H:%M')},"
        f" {plan.folder}",
        summary=[
            ("best", best),
            ("trial", ", ".join(str(trial.number) for trial in found.best) or "none"),
            ("trials", f"{tally.finished} of {plan.n_trials}"),
            ("complete", str(tally.complete)),
            ("pruned", str(tally.pruned)),
            ("failed", str(tally.failed)),
            ("saved by pruning", f"{found.saved:.0f} s"),
        ],
        notes=[f"{len(numbers)} failed: {reason}" for reason, numbers in found.failures.items()],
        pictures=drawing.pictures(plan.folder / reporting.FIGURES, _names(len(plan.metrics))),
        tables=[_trials(plan)],
        settings=_settings(plan),
        facts={
            "Space": [(key, str(text)) for key, text in plan.space.described().items()],
            "Environment": list(provenance.versions(provenance.ALL_LIBRARIES).items()),
        },
        command=shlex.join(["run.py", *sys.argv[1:]]),
    )


def _names(objectives: int) -> Mapping[str, str]:
    if objectives == 1:
        return ALT
    several = {
        f"objective-{number}-{name}": f"{text} (objective {number + 1})"
        for number in range(objectives)
        for name, text in ALT.items()
    }
    return {"pareto_front": ALT["pareto_front"], **several}


def _trials(plan: Plan) -> Table:
    """Return all trials, the best first, then by number."""
    found = winners.found(plan.study, plan.metrics)
    best = {trial.number: place for place, trial in enumerate(found.top)}
    trials = sorted(plan.study.trials(), key=lambda t: (best.get(t.number, len(best)), t.number))
    keys = list(dict.fromkeys(k for t in trials for k in plan.space.keys_of(t.params)))
    rows = []
    for trial in trials:
        values = [winners.brief(v) for v in trial.values or []] or ["" for _ in plan.metrics]
        own: Mapping[str, Any] = plan.space.keys_of(trial.params)
        cells = [winners.brief(own[key]) if key in own else "" for key in keys]
        rows.append([str(trial.number), trial.state.name.lower(), *values, *cells])
    columns = ["trial", "state", *plan.metrics, *keys]
    numbers = [0, *range(2, 2 + len(plan.metrics))]
    return Table("Trials", columns, rows, numbers=numbers, strong=range(len(found.best)))


def _settings(plan: Plan) -> list[pages.Setting]:
    config = plan.config
    given = flat(config, summaries.HIDDEN)
    return pages.settings(given, flat(reporting.defaults(config), summaries.HIDDEN))
