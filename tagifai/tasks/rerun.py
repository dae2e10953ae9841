"""task=rerun: train a run again from its own record, and compare the two."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagifai.config.schema import EXPERIMENT_GROUPS, Config
from tagifai.console.display import Display
from tagifai.exceptions import ConfigError
from tagifai.reporting import run_summary
from tagifai.tracking import provenance
from tagifai.utils import own_modules
from tagifai.utils.files import write_json

if TYPE_CHECKING:
    from tagifai.runs.reproducibility import RerunComparison

RECORDED_KEYS = (*EXPERIMENT_GROUPS, "seed", "training", "objective", "experiment")
"""Keys that are taken from the record, so they cannot be overridden."""

MAX_SHOWN = 20
"""Most differing results that are shown; the file has all of them."""


def run(config: Config) -> Any:
    """Train the run again, compare the two, and return the objective of the new one.

    Raises:
        NotReproducedError: the results differ; the new run is kept.
    """
    invocation, display = provenance.get_invocation(), Display.from_config(config.console)
    _refuse_settings(invocation.overrides)
    with display.show_spinner("Loading the run"):
        from tagifai.models import bundles
        from tagifai.runs import records, reproducibility, resolve, trainer

        run_id, bundle = resolve.choose_run(config)
        before = reproducibility.RunFingerprint.from_bundle(bundle)
        own_modules.require(bundle, bundles.read_document(bundle, "tagger.json").get("needs"))
        again = records.load_config(bundle, config)
    invocation = invocation.derive_rerun(records.read_provenance(bundle), run_id)
    run_summary.show_header(display, again, invocation)
    dataset = records.load_dataset(bundle, again, progress=display.live)
    trained = trainer.train(again, invocation, display, dataset)
    made = bundles.get_path(Path(config.paths.stores), trained.run_id)
    found = reproducibility.compare_runs(before, reproducibility.RunFingerprint.from_bundle(made))
    write_json(invocation.output_dir / "rerun.json", found.build_document(trained.run_id, run_id))
    _show(display, found, invocation.output_dir / "rerun.json")
    if not found.equal:
        raise reproducibility.NotReproducedError(
            f"Run {run_id} is not reproduced: of {found.compared}, {len(found.results)} differ."
            f" The new run {trained.run_id} is kept."
        )
    display.show_result(f"Run {run_id} is reproduced to the last bit: {found.compared} are equal.")
    return trained.value


def _refuse_settings(overrides: Sequence[str]) -> None:
    """Refuse overrides that would have no effect."""
    for item in overrides:
        if re.split(r"[.=@]", item.lstrip("+~"))[0] in RECORDED_KEYS:
            raise ConfigError(
                f"{item} has no effect: task=rerun takes the configuration of a run from its"
                " record. Leave it out, or train another run: task=train."
            )


def _show(display: Display, found: RerunComparison, path: Path) -> None:
    shown = [*found.results[:MAX_SHOWN], *found.circumstances]
    if shown:
        rows = [[_short(line.recorded), _short(line.now), line.what] for line in shown]
        display.show_table("What differs", ["recorded", "now", "what"], rows)
    if len(found.results) > MAX_SHOWN:
        display.show_line(f"... and {len(found.results) - MAX_SHOWN} more results, in {path}")


def _short(value: str) -> str:
    """Return a value that fits a column: the beginning of a digest, both ends of a long text."""
    if re.fullmatch("[0-9a-f]{40,64}", value):
        return f"{value[:12]}…"
    return value if len(value) <= 36 else f"{value[:17]}…{value[-18:]}"
