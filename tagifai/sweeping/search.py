"""A search from its first to its last trial: what `hydra/sweeper=tagifai` does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tagifai.sweeping import composition, launchers, report, results
from tagifai.sweeping.loop import SearchLoop
from tagifai.sweeping.plan import prepare_search
from tagifai.sweeping.settings import SweeperPlugin


def run_search(sweeper: SweeperPlugin, arguments: Sequence[str]) -> None:
    """Search until the study has its trials, and leave what was found.

    Args:
        sweeper: the plugin, with what Hydra gave it.
        arguments: overrides of the command line.

    Raises:
        UserError: the search cannot begin, or failed.
    """
    with prepare_search(sweeper, arguments) as plan:
        context = replace(sweeper.context, config_loader=composition.make_loader(sweeper))
        launcher = launchers.make(plan.cfg, context, sweeper.function)
        loop = SearchLoop(plan, launcher)
        try:
            loop.run()
        finally:
            launchers.end_jobs(launcher, 0.0)
            plan.close_dead_runs()
            results.write(plan)
        results.show(plan, report.write(plan))
        loop.check_failures()
