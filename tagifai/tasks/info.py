"""task=info: versions, data sets, the latest run, and where everything is."""

from __future__ import annotations

from pathlib import Path

from tagifai import artifacts, datasets, provenance, runs, store, tracking
from tagifai.console import Display
from tagifai.errors import BundleError
from tagifai.schema import Config

LIBRARIES = ("hydra-core", "omegaconf", "optuna", "mlflow")


def run(config: Config) -> None:
    """Say what there is, a line each."""
    display = Display.of(config.console)
    stores = Path(config.paths.stores)
    closed = tracking.close_abandoned(stores)
    versions = provenance.versions((*provenance.ALL_LIBRARIES, *LIBRARIES))
    uri = store.tracking_uri(config.tracking.uri) if config.tracking.enabled else "off"
    rows = {
        "Versions": [f"{name} {found}" for name, found in versions.items()],
        "Root": [config.paths.root],
        "Outputs": [config.paths.outputs],
        "Stores": [config.paths.stores],
        "Tracking": [uri],
        "Data sets": [f"{m['name']}: {m['rows']} rows" for m in datasets.present(stores)]
        or ["none"],
        "Latest run": _latest(stores),
        **({"Closed as failed": closed} if closed else {}),
    }
    for name, values in rows.items():
        display.result(f"{name:<18}{', '.join(values)}")


def _latest(stores: Path) -> list[str]:
    run_id = runs.latest(stores)
    if run_id is None:
        return ["none yet; train one with: python run.py"]
    path = artifacts.bundle_path(stores, run_id)
    if not path.is_dir():
        return [f"{run_id} (its model is gone from {path})"]
    try:
        artifacts.read_manifest(path)
        scored = artifacts.document(path, "performance.json")["test"]["overall"]
        line = f"test f1 {scored['f1']:.4f} on {scored['num_samples']} rows"
    except (BundleError, ValueError, KeyError) as error:
        # This task is for finding out what is wrong; it does not fail of it.
        line = f"not usable: {error}"
    return [run_id, line, str(path)]
