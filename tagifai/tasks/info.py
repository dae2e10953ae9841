"""task=info: versions, data sets, the latest run, where everything is, and what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from tagifai.config.schema import Config
from tagifai.console.display import Display
from tagifai.data import dataset_store
from tagifai.exceptions import BundleError, DamagedFileError, UserError
from tagifai.models import bundles
from tagifai.runs import latest, resolve
from tagifai.runs.upkeep import findings
from tagifai.runs.upkeep.findings import Finding
from tagifai.tracking import store
from tagifai.tracking.recording import records
from tagifai.utils import environment, program

SHOWN = 20
"""Most findings that are shown; task=repair shows all."""

LIBRARIES = ("hydra-core", "omegaconf", "optuna", "mlflow")


def run(config: Config) -> None:
    """Show versions, folders, data sets, the latest run, and what is wrong, a line each."""
    display = Display.from_config(config.console)
    stores = Path(config.paths.stores)
    closed: list[str] = []
    with suppress(UserError, OSError):  # what is wrong is shown below
        closed = resolve.finish_interrupted(stores, config.tracking.uri)
    versions = environment.get_versions((*environment.ALL_LIBRARIES, *LIBRARIES))
    uri = store.get_tracking_uri(config.tracking.uri) if config.tracking.enabled else "off"
    display.show_fact(
        "Versions", ", ".join(f"{name} {v}" for name, v in versions.items()), result=True
    )
    for name in ("root", "outputs", "stores"):
        display.show_copyable(name.capitalize(), getattr(config.paths, name), result=True)
    display.show_copyable("Tracking", uri, result=True)
    present = [f"{m['name']}: {m['rows']} rows" for m in dataset_store.list_manifests(stores)]
    display.show_fact("Data sets", ", ".join(present) or "none", result=True)
    _show_latest(display, stores)
    if kept := len(records.list_records(stores)):
        text = f"{kept} runs that are kept: {program.format_call('task=sync')}"
        display.show_fact("Not recorded", text, result=True)
    if closed:
        display.show_fact("Closed as failed", ", ".join(closed), result=True)
    _show_findings(display, findings.list_findings(config, thorough=False))


def _show_findings(display: Display, found: Sequence[Finding]) -> None:
    for number, finding in enumerate(found[:SHOWN]):
        name = "" if number else "Wrong"
        display.show_fact(name, f"{finding.path}: {finding.problem}", "red", result=True)
    if len(found) > SHOWN:
        display.show_fact("", f"and {len(found) - SHOWN} more", result=True)
    if any(finding.remedy for finding in found):
        display.show_copyable("Repair it", program.format_call("task=repair"), result=True)


def _show_latest(display: Display, stores: Path) -> None:
    try:
        run_id = latest.read(stores)
    except DamagedFileError as error:
        text = f"not known: {error.path.name} cannot be read: {error.reason}"
        display.show_fact("Latest run", text, result=True)
        return
    if run_id is None:
        display.show_fact(
            "Latest run",
            f"none yet; train one with: {program.format_call()}",
            result=True,
        )
        return
    path = bundles.get_path(stores, run_id)
    display.show_fact("Latest run", run_id, result=True)
    display.show_fact("", _describe_scores(path), result=True)
    display.show_copyable("Model", path, result=True)


def _describe_scores(path: Path) -> str:
    if not path.is_dir():
        return "its model is missing"
    try:
        bundles.read_manifest(path)
        scored = bundles.read_document(path, "performance.json", "test", "overall")
        return f"test f1 {scored['f1']:.4f} on {scored['num_samples']} rows"
    except (BundleError, OSError, ValueError, KeyError, TypeError) as error:
        # This task shows what is wrong, so it must not fail.
        return f"not usable: {error}"
