"""task=rerun: train a run again from its own record, and compare."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagifai import clerk, origins, store, views
from tagifai.console import Display
from tagifai.errors import ConfigError
from tagifai.files import write_json
from tagifai.schema import EXPERIMENT, Config

if TYPE_CHECKING:
    from tagifai.reruns import Comparison

RECORDED = (*EXPERIMENT, "seed", "training", "objective", "experiment")
"""What comes from the record, so that it cannot be chosen."""

SHOWN = 20
"""Results that differ and are shown; the file has all of them."""


def run(config: Config) -> Any:
    """Train the run again, compare the two, and return the objective of the new one.

    Raises:
        NotReproduced: something else came out; the new run is kept all the same.
    """
    origin, display = origins.of_command(), Display.of(config.console)
    _refuse_settings(origin.overrides or ())
    if config.tracking.enabled:
        clerk.begin(store.tracking_uri(config.tracking.uri))
    with display.waiting("Loading the run"):
        from tagifai import artifacts, recorded, reruns, runs, trainer

        run_id, bundle = runs.chosen(config)
        before = reruns.Evidence.of(bundle)
        again = recorded.configuration(bundle, config)
    origin = origin.again(recorded.provenance(bundle), run_id)
    views.header(display, again, origin)
    dataset = recorded.dataset(bundle, again, progress=display.live)
    trained = trainer.train(again, origin, display, dataset)
    made = artifacts.bundle_path(Path(config.paths.stores), trained.run_id)
    found = reruns.compare(before, reruns.Evidence.of(made))
    write_json(origin.output / "rerun.json", found.document(trained.run_id, run_id))
    _show(display, found, origin.output / "rerun.json")
    if not found.equal:
        raise reruns.NotReproduced(
            f"Run {run_id} is not reproduced: of {found.compared}, {len(found.results)} differ."
            f" The new run {trained.run_id} is kept."
        )
    display.result(f"Run {run_id} is reproduced to the last bit: {found.compared} are equal.")
    return trained.value


def _refuse_settings(overrides: Sequence[str]) -> None:
    """Refuse overrides that would have no effect."""
    for item in overrides:
        if re.split(r"[.=@]", item.lstrip("+~"))[0] in RECORDED:
            raise ConfigError(
                f"{item} has no effect: task=rerun takes all that a run is made of from its record."
                " Leave it out, or train another run: task=train."
            )


def _show(display: Display, found: Comparison, path: Path) -> None:
    shown = [*found.results[:SHOWN], *found.circumstances]
    if shown:
        rows = [[_short(line.recorded), _short(line.now), line.what] for line in shown]
        display.table("What differs", ["recorded", "now", ""], rows)
    if len(found.results) > SHOWN:
        display.say(f"... and {len(found.results) - SHOWN} more results, in {path}")


def _short(value: str) -> str:
    """Return what has room in a column: the beginning of a sum, both ends of a long text."""
    if re.fullmatch("[0-9a-f]{40,64}", value):
        return f"{value[:12]}…"
    return value if len(value) <= 36 else f"{value[:17]}…{value[-18:]}"
