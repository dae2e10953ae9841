"""task=clean: show what nobody needs any more; task.apply=true removes it."""

from __future__ import annotations

import logging
import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from hydra.core.hydra_config import HydraConfig

from tagifai import folders, leftovers, removal, store, tracking
from tagifai.addresses import masked
from tagifai.console import Display
from tagifai.errors import TrackingError, UserError
from tagifai.ledger import Ledger
from tagifai.leftovers import Leftover
from tagifai.removal import Place, Tracked
from tagifai.schema import Config

OF_MLFLOW = (leftovers.FAILED, leftovers.PRUNED, leftovers.MODEL)
KINDS = (*OF_MLFLOW, leftovers.FOLDER, leftovers.CACHE, leftovers.PARTIAL)
"""In the order of the table."""

EXAMPLES = 3
"""Shown of each kind."""

log = logging.getLogger(__name__)


def run(config: Config) -> None:
    """Show what can go, and remove it if told to."""
    display, task = Display.of(config.console), config.task
    place = Place(Path(config.paths.stores), Path(config.paths.outputs))
    tracking.close_abandoned(place.stores)
    with display.waiting("Looking for what nobody needs"):
        ledger, tracked = _look(display, config, place)
        busy = [*tracked.busy, Path(HydraConfig.get().runtime.output_dir)]
        on_disk = removal.on_disk(place, busy, task.days, task.max_gb, all_caches=task.cache)
    found = [*on_disk, *tracked.leftovers]
    if tracked.strangers:
        display.say(
            f"Left alone: {len(tracked.strangers)} models of runs that this tracking store does"
            " not know, which may be registered elsewhere."
        )
    if not found:
        display.result("There is nothing to remove.")
    elif task.apply:
        removed = _remove(display, place, ledger, found)
        if any(leftover.kind in OF_MLFLOW for leftover in removed):
            uri = masked(store.tracking_uri(config.tracking.uri))
            display.say("MLflow still has their records, as deleted.")
            display.whole("For good", _rid_of_records(uri))
    else:
        _show(display, "Nobody needs these any more", found)
        if any(leftover.kind == leftovers.MODEL for leftover in found):
            display.say("A model that is to stay: register it, with task=promote task.run_id=...")
        display.say("Nothing is removed yet.")
        display.whole("Remove it", _command())


def _look(display: Display, config: Config, place: Place) -> tuple[Ledger | None, Tracked]:
    """Ask the tracking store; without it nothing of its runs is touched, and that is said."""
    reason = "tracking=none."
    try:
        if config.tracking.enabled:
            ledger = Ledger(store.tracking_uri(config.tracking.uri), place.stores)
            return ledger, removal.tracked(place, ledger, config.tracking.experiment)
    except TrackingError as error:
        reason = str(error)
    display.note(
        f"{reason} So runs and models are left alone: nobody can say which are registered."
    )
    return None, Tracked([], [], [])


def _show(display: Display, title: str, found: Sequence[Leftover]) -> None:
    by_kind = {kind: [item for item in found if item.kind == kind] for kind in KINDS}
    rows = [
        [kind, str(len(items)), _size(sum(item.bytes for item in items)), _examples(items)]
        for kind, items in by_kind.items()
        if items
    ]
    total = [str(len(found)), _size(sum(item.bytes for item in found))]
    display.table(title, ["what", "how many", "size", "such as"], [*rows, ["in all", *total, ""]])


def _examples(items: Sequence[Leftover]) -> str:
    shown = [f"{item.name} ({item.why})" for item in items[:EXAMPLES]]
    return "\n".join([*shown, "…"] if len(items) > EXAMPLES else shown)


def _size(size: float) -> str:
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def _command() -> str:
    """Return the command that removes what this one shows."""
    given = [
        item
        for item in HydraConfig.get().overrides.task
        if item.partition("=")[0].lstrip("+") != "task.apply"
    ]
    return shlex.join([*Display.program, *given, "task.apply=true"])


def _remove(
    display: Display, place: Place, ledger: Ledger | None, found: Sequence[Leftover]
) -> list[Leftover]:
    """Remove one after another, show what is gone, and return it.

    Raises:
        UserError: some could not be removed; the others are gone.
        TrackingError: the tracking store failed; what comes after it is as it was.
    """
    removed: list[Leftover] = []
    failures: list[str] = []
    try:
        for leftover in found:
            try:
                if removal.remove(place, ledger, leftover):
                    removed.append(leftover)
                    log.info("Removed of %s: %s (%s)", leftover.kind, leftover.name, leftover.why)
            except TrackingError as error:
                raise TrackingError(f"{error} The same command goes on with the rest.") from error
            except (UserError, OSError) as error:
                failures.append(f"{leftover.name}: {str(error).rstrip('.')}")
        folders.remove_empty_dates(place.outputs)
    finally:
        if removed:
            _show(display, "Removed", removed)
    in_use = len(found) - len(removed) - len(failures)
    if in_use:
        display.say(f"{in_use} are in use by now, and were left.")
    if failures:
        raise UserError(
            f"{len(failures)} of {len(found)} could not be removed, the first: {failures[0]}."
            " The others are gone; the same command tries again."
        )
    return removed


def _rid_of_records(uri: str) -> str:
    """Return how to make MLflow forget for good what is deleted in it."""
    prefix = ["uv", "run"] if "UV" in os.environ else []
    words = [*prefix, "mlflow", "gc", "--backend-store-uri", uri, "--tracking-uri", uri]
    return "mlflow gc, on the server" if uri.startswith("http") else shlex.join(words)
