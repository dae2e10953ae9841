"""The end of a search with a budget: its winner is trained and kept, and its board is shown."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.utils import run_job
from hydra.types import RunMode

from tagifai.config.schema import name_test_metric
from tagifai.sweeping._hydra import get_return_value
from tagifai.sweeping.auto import board
from tagifai.sweeping.auto.costs import Attempt
from tagifai.sweeping.auto.search import BudgetSearch
from tagifai.sweeping.findings import presets, report, results
from tagifai.sweeping.multiruns.jobs import read_run_id
from tagifai.utils import program

if TYPE_CHECKING:
    from tagifai.sweeping.plan import SearchPlan
    from tagifai.sweeping.settings import SweeperPlugin

WINNER = "winner"
"""Attribute of a study: number of the winner's trial, the rows and the folder of its run."""

KEPT_GROUPS = ("tracking", "console", "cache", "plots", "paths")
"""Groups of the command line that are no part of a preset; the winner's run has them too."""


def end_search(plan: SearchPlan, sweeper: SweeperPlugin, search: BudgetSearch) -> None:
    """Train the best configuration as a run, which is the latest from then on; show the board.

    Args:
        plan: of the search, which has ended.
        sweeper: the plugin, with what Hydra gave it.
        search: that has chosen the configurations.

    Raises:
        ConfigError: no configuration could be tried.
    """
    attempts = search.list_attempts(plan.study)
    search.refuse_if_too_short(attempts)
    found = search.choose_winner(attempts)
    if found is None:
        return
    best, rows = found
    result = results.summarize_study(plan.study, plan.metrics)
    presets.write_for_trial(plan, result, plan.study.list_trials()[best.number])
    if rows is not None:
        plan.display.show_note(f"No time for all rows: the winner is fitted to about {rows:,}.")
    folder = _find_trained(plan, best, rows)
    if folder is None:
        folder = _train(plan, sweeper, _choose_overrides(plan, rows))
        plan.study.set_attribute(
            WINNER, {"trial": best.number, "rows": rows, "folder": str(folder)}
        )
    else:
        plan.display.show_copyable("Winner", f"{folder} (as before)")
    plan.parent.log_tags({"winner.trial": best.number, "winner.output_dir": str(folder)})
    plan.display.show_report(report.write(plan))
    scored = _read_test_score(folder, plan.metrics[0])
    board.show(plan, search, attempts, best, read_run_id(folder), scored)


def _find_trained(plan: SearchPlan, best: Attempt, rows: int | None) -> Path | None:
    """Return the folder of the winner's run, if an earlier call has trained it on as many rows."""
    known = plan.study.get_attribute(WINNER) or {}
    folder = Path(known.get("folder", ""))
    is_same = (known.get("trial"), known.get("rows")) == (best.number, rows)
    return folder if is_same and (folder / "bundle").is_dir() else None


def _choose_overrides(plan: SearchPlan, rows: int | None) -> list[str]:
    """Return the overrides of the winner's run, whose preset has been written.

    Args:
        plan: of the search.
        rows: that it is fitted to; None are all rows.
    """
    name = plan.study.name
    given = [str(item) for item in plan.cfg.hydra.overrides.task]
    kept = [w for w in given if re.split(r"[./=]", w.lstrip("+"))[0] in KEPT_GROUPS]
    overrides = [f"experiment={name}", *kept]
    if rows is not None:
        overrides.append(f"training.max_rows={rows}")
    return overrides


def _train(plan: SearchPlan, sweeper: SweeperPlugin, overrides: Sequence[str]) -> Path:
    loader, name = sweeper.context.config_loader, sweeper.master.hydra.job.config_name
    with program.use_command(*overrides):
        cfg = loader.load_configuration(name, [*overrides], run_mode=RunMode.RUN)
        returned = run_job(
            task_function=sweeper.function,
            config=cfg,
            job_dir_key="hydra.run.dir",
            job_subdir_key=None,
            hydra_context=sweeper.context,
        )
    error: Any = get_return_value(returned)
    if isinstance(error, BaseException):
        raise error
    done: Any = returned.hydra_cfg
    return Path(done.hydra.runtime.output_dir)


def _read_test_score(folder: Path, metric: str) -> tuple[str, float, int] | None:
    """Return name, value and rows of a metric on the test rows; None if it has no such form."""
    from tagifai.evaluation import metrics  # late: it loads scikit-learn

    with suppress(OSError, ValueError, KeyError):
        scored = json.loads((folder / "performance.json").read_text(encoding="utf-8"))["test"]
        name = name_test_metric(metric)
        value = metrics.flatten(scored, "test")[name]
        return name, float(value), int(scored["overall"]["num_samples"])
    return None
