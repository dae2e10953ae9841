"""task=repair: show what is damaged, dead or half done; task.apply=true mends it."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from tagifai.config.job import get_job
from tagifai.config.schema import Config
from tagifai.console.display import Display
from tagifai.exceptions import UserError
from tagifai.runs.upkeep import findings
from tagifai.runs.upkeep.findings import Finding
from tagifai.utils import program

log = logging.getLogger(__name__)


def run(config: Config) -> None:
    """Show what is wrong, and mend it if `task.apply` says so."""
    display = Display.from_config(config.console)
    with display.show_spinner("Looking for what is damaged"):
        found = findings.list_findings(config, thorough=True)
    if not found:
        display.show_result("There is nothing to repair.")
        return
    mendable = [finding for finding in found if finding.remedy]
    if config.task.apply and mendable:
        failures = _mend(display, mendable)
        # What depended on what is mended now is right by itself, or shows only now.
        left = findings.list_findings(config, thorough=True)
        if left:
            _show(display, "Left", left)
        if failures:
            raise UserError(
                f"{len(failures)} of {len(mendable)} could not be mended, the first: {failures[0]}."
            )
        return
    _show(display, "Found", found)
    if mendable:
        given = [item for item in get_job().overrides if item.lstrip("+")[:11] != "task.apply="]
        display.show_line("Nothing was changed yet. What is damaged is put aside, never deleted.")
        display.show_copyable("Repair it", program.format_call(*given, "task.apply=true"))


def _show(display: Display, title: str, found: Sequence[Finding]) -> None:
    for number, one in enumerate(found):
        text = f"{one.path}: {one.problem} ({one.remedy or 'nothing can be done here'})"
        display.show_fact("" if number else title, text, result=True)


def _mend(display: Display, found: Sequence[Finding]) -> list[str]:
    """Mend one after another, show what was done, and return what failed."""
    done, failures = [], []
    for finding in found:
        try:
            finding.mend()
            done.append(finding)
            log.info("Repaired (%s): %s: %s", finding.remedy, finding.path, finding.problem)
        except (UserError, OSError) as error:
            failures.append(f"{finding.path}: {str(error).rstrip('.')}")
    if done:
        _show(display, "Repaired", done)
    return failures
