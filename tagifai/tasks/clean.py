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

KINDS = (
    *(leftovers.FAILED, leftovers.PRUNED, leftovers.MODEL),
    *(leftovers.FOLDER, leftovers.CACHE, leftovers.PARTIAL),
)
EXAMPLES = 3
"""Shown of each kind."""

log = logging.getLogger(__name__)


def run(config: Config) -> None:
    """Show what can go, and remove it if told to."""
    display, task = Display.of(config.console), config.task
    place = Place(Path(config.paths.stores), Path(config.paths.outputs))
    tracking.close_abandoned(place.stores)
    ledger, tracked = _look(display, config, place)
    busy = [*tracked.busy, Path(HydraConfig.get().runtime.output_dir)]
    found = [*removal.on_disk(place, busy, task.days, task.max_gb), *tracked.leftovers]
    if tracked.strangers:
        display.say(
            f"Left alone: {len(tracked.strangers)} models of runs that this tracking store does"
            " not know, which may be registered elsewhere."
        )
    if not found:
        display.result("There is nothing to remove.")
    elif task.apply:
        _remove(display, config, place, ledger, found)
    else:
        _show(display, "Nobody needs these any more", found)
        if any(leftover.kind == leftovers.MODEL for leftover in found):
            display.say("A model that is to stay: register it, with task=promote task.run_id=...")
        display.say(f"Nothing is removed yet. Remove it: {_command()}")


def _look(display: Display, config: Config, place: Place) -> tuple[Ledger | None, Tracked]:
    """Ask the tracking store; without it nothing of its runs is touched, and that is said."""
    reason = "tracking=none."
    try:
        if config.tracking.enabled:
            ledger = Ledger(store.tracking_uri(config.tracking.uri), place.stores)
            return ledger, removal.tracked(place, ledger, config.tracking.experiment)
    except TrackingError as error:
        reason = str(error)
    display.say(
        f"{reason} So runs and models are left alone: nobody can say which are registered.",
        style="yellow",
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
    display: Display,
    config: Config,
    place: Place,
    ledger: Ledger | None,
    found: Sequence[Leftover],
) -> None:
    """Remove one after another; what fails is left for the next time, and the others go."""
    removed: list[Leftover] = []
    failures: list[str] = []
    try:
        for leftover in found:
            try:
                if removal.remove(place, ledger, leftover):
                    removed.append(leftover)
                    log.info("Removed of %s: %s (%s)", leftover.kind, leftover.name, leftover.why)
            except TrackingError:
                # It would fail of the others, too.
                raise
            except (UserError, OSError) as error:
                failures.append(f"{leftover.name}: {error}")
        folders.remove_empty_dates(place.outputs)
    finally:
        _show_removed(display, config, removed)
    kept = len(found) - len(removed) - len(failures)
    if kept:
        display.say(f"{kept} are in use by now, and were left.")
    if failures:
        raise UserError(
            f"{len(failures)} of {len(found)} could not be removed, the first: {failures[0]}."
            " The others are gone; the same command tries again."
        )


def _show_removed(display: Display, config: Config, removed: Sequence[Leftover]) -> None:
    if not removed:
        return
    _show(display, "Removed", removed)
    if {leftovers.FAILED, leftovers.PRUNED, leftovers.MODEL}.isdisjoint(x.kind for x in removed):
        return
    uri = masked(store.tracking_uri(config.tracking.uri))
    prefix = ["uv", "run"] if "UV" in os.environ else []
    words = [*prefix, "mlflow", "gc", "--backend-store-uri", uri, "--tracking-uri", uri]
    where = "mlflow gc, on the server" if uri.startswith("http") else shlex.join(words)
    display.say(f"MLflow keeps the records of what is deleted; to be rid of them for good: {where}")
