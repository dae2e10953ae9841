"""The search: what `hydra/sweeper=tagifai` does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tagifai.search import jobs, launchers, report, results
from tagifai.search.loop import Loop
from tagifai.search.plan import prepared
from tagifai.search.settings import Plugin


def run(sweeper: Plugin, arguments: Sequence[str]) -> None:
    """Search until the study has its trials, and leave what was found.

    Args:
        sweeper: the plugin, with what Hydra gave it.
        arguments: overrides of the command line.

    Raises:
        UserError: the search cannot begin, or failed.
    """
    with prepared(sweeper, arguments) as plan:
        context = replace(sweeper.context, config_loader=jobs.loader(sweeper))
        launcher = launchers.made(plan.cfg, context, sweeper.function)
        loop = Loop(plan, launcher)
        try:
            loop.run()
        finally:
            launchers.end_jobs(launcher, 0.0)
            plan.close_dead()
            results.write(plan)
        results.show(plan, report.keep(plan))
        loop.check_failures()
