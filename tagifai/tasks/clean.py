"""task=clean: find failed runs, old outputs and unused models; task.apply=true removes them."""

from __future__ import annotations

import logging
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from tagifai.config.job import get_job
from tagifai.config.schema import Config
from tagifai.console.display import Display
from tagifai.exceptions import DamagedFileError, TrackingError, UserError
from tagifai.runs import resolve
from tagifai.runs.upkeep import cleanup, disk
from tagifai.runs.upkeep.cleanup import RemovalCandidate
from tagifai.tracking import store
from tagifai.tracking.inventory import RunInventory
from tagifai.tracking.opening import pages
from tagifai.utils import program
from tagifai.utils.excerpts import format_size, shorten_id

MLFLOW_KINDS = (cleanup.FAILED, cleanup.PRUNED, cleanup.MODEL)
KINDS = (*MLFLOW_KINDS, disk.FOLDER, disk.CACHE, disk.PARTIAL)
"""Kinds of candidates, in the order of the table."""

MOST_ITEMS = 5
"""Candidates of each kind that are shown."""

DIGEST = re.compile(r"\b([0-9a-f]{8})[0-9a-f]{16,}")
"""In the name of a file."""

log = logging.getLogger(__name__)


def run(config: Config) -> None:
    """Show what can be removed, and remove it if `task.apply` says so."""
    display, task = Display.from_config(config.console), config.task
    stores, outputs = Path(config.paths.stores), Path(config.paths.outputs)
    resolve.finish_interrupted(stores, config.tracking.uri)
    with display.show_spinner("Looking for what can be removed"):
        inventory, tracked, busy, unknown = _find_tracked(display, config, stores)
        busy += [get_job().output_dir]
        on_disk = cleanup.find_on_disk(
            stores, outputs, busy, task.days, task.max_gb, all_caches=task.cache
        )
    found = [*on_disk, *tracked]
    if unknown:
        display.show_line(
            f"Kept: {len(unknown)} models of runs that this tracking store does not know; they may"
            " be registered elsewhere."
        )
    if not found:
        display.show_result("There is nothing to remove.")
    elif task.apply:
        removed = _remove(display, stores, inventory, found)
        disk.remove_empty_dates(outputs)
        if any(candidate.kind in MLFLOW_KINDS for candidate in removed):
            uri = store.get_tracking_uri(config.tracking.uri)
            display.show_line("MLflow keeps their records, marked as deleted.")
            display.show_copyable("Purge them", _make_purge_command(uri))
    else:
        _show(display, "Can be removed", found)
        if any(candidate.kind == cleanup.MODEL for candidate in found):
            display.show_line(
                "Models that are kept: registered ones and the champion, the latest, the best on"
                " each data set and of each multirun, and those of presets. To keep another,"
                " register it: task=promote task.run_id=..."
            )
        display.show_line("Nothing was removed yet.")
        display.show_copyable("Remove them", _make_apply_command())


def _find_tracked(
    display: Display, config: Config, stores: Path
) -> tuple[RunInventory | None, list[RemovalCandidate], list[Path], list[str]]:
    """Ask the tracking store; without an answer, runs and models are kept, and a note says so."""
    reason = "tracking=none."
    try:
        if config.tracking.enabled:
            uri = store.get_tracking_uri(config.tracking.uri)
            inventory = RunInventory(uri, stores)
            best = resolve.find_bests(uri, config)
            name, outputs = store.get_experiment_name(config), Path(config.paths.outputs)
            return inventory, *cleanup.find_tracked(stores, outputs, inventory, name, best)
    except (TrackingError, DamagedFileError) as error:
        reason = str(error)
    display.show_note(
        f"{reason} Runs and models are kept, because it is not known which are in use."
    )
    return None, [], [], []


def _show(display: Display, title: str, candidates: Sequence[RemovalCandidate]) -> None:
    """Show a row for each kind, and below it one for each candidate, the largest first."""
    rows: list[list[str]] = []
    for kind in KINDS:
        items = sorted(
            (item for item in candidates if item.kind == kind),
            key=lambda item: (-item.bytes, item.name),
        )
        if not items:
            continue
        reasons = {item.why for item in items}
        why = reasons.pop() if len(reasons) == 1 else ""
        rows.append([f"{kind} ({len(items)})", _sum(items), why])
        # One row more takes no more room than the row that says so.
        shown = items if len(items) <= MOST_ITEMS + 1 else items[:MOST_ITEMS]
        rows += [[f"- {_shorten(x)}", format_size(x.bytes), "" if why else x.why] for x in shown]
        if left := items[len(shown) :]:
            rows.append([f"- and {len(left)} more", _sum(left), ""])
    rows.append([f"total ({len(candidates)})", _sum(candidates), ""])
    display.show_table(title, ["what", "size", "why"], rows, texts=(0, 2))


def _shorten(item: RemovalCandidate) -> str:
    """Return the id of a run, or the path of a file, in as many digits as tell it apart."""
    if item.kind in MLFLOW_KINDS:
        return shorten_id(item.name)
    return DIGEST.sub(r"\1…", item.name.removeprefix("cache/"))


def _sum(items: Sequence[RemovalCandidate]) -> str:
    return format_size(sum(item.bytes for item in items))


def _make_apply_command() -> str:
    """Return the command that removes what this one shows."""
    given = [
        item for item in get_job().overrides if item.partition("=")[0].lstrip("+") != "task.apply"
    ]
    return program.format_call(*given, "task.apply=true")


def _remove(
    display: Display,
    stores: Path,
    inventory: RunInventory | None,
    candidates: Sequence[RemovalCandidate],
) -> list[RemovalCandidate]:
    """Remove candidates one after another, show which are gone, and return them.

    Raises:
        UserError: some could not be removed; the others are gone.
        TrackingError: the tracking store failed; the candidates after it are still there.
    """
    removed: list[RemovalCandidate] = []
    failures: list[str] = []
    try:
        for candidate in candidates:
            try:
                if cleanup.remove(stores, inventory, candidate):
                    removed.append(candidate)
                    log.info(
                        "Removed of %s: %s (%s)", candidate.kind, candidate.name, candidate.why
                    )
            except TrackingError as error:
                raise TrackingError(f"{error} Run the same command again to go on.") from error
            except (UserError, OSError) as error:
                failures.append(f"{candidate.name}: {str(error).rstrip('.')}")
    finally:
        if removed:
            _show(display, "Removed", removed)
    in_use = len(candidates) - len(removed) - len(failures)
    if in_use:
        display.show_line(f"{in_use} are in use now and were kept.")
    if failures:
        raise UserError(
            f"{len(failures)} of {len(candidates)} could not be removed, the first: {failures[0]}."
            " The others are gone; the same command tries again."
        )
    return removed


def _make_purge_command(uri: str) -> str:
    """Return the command that purges from MLflow what is marked as deleted."""
    words = [*pages.list_program(), "gc", "--backend-store-uri", uri, "--tracking-uri", uri]
    return "mlflow gc, on the server" if uri.startswith("http") else shlex.join(words)
