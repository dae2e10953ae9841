"""task=info: versions, data sets, the latest run, and where everything is."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from tagifai import artifacts, datasets, provenance, runs, tracking
from tagifai.console import Display
from tagifai.schema import Config

LIBRARIES = ("hydra-core", "omegaconf", "optuna", "mlflow", "pandas", "imbalanced-learn", "nltk")


def run(config: Config) -> None:
    """Say what there is, a line each."""
    display = Display.of(config.console)
    stores = Path(config.paths.stores)
    closed = tracking.close_abandoned(stores)
    versions = provenance.versions() | {name: version(name) for name in LIBRARIES}
    uri = tracking.tracking_uri(config.tracking.uri) if config.tracking.enabled else "off"
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
        display.result(f"{name:<12}{', '.join(values)}")


def _latest(stores: Path) -> list[str]:
    run_id = runs.latest(stores)
    if run_id is None:
        return ["none yet; train one with: python run.py"]
    path = artifacts.bundle_path(stores, run_id)
    if not path.is_dir():
        return [f"{run_id} (its model is gone from {path})"]
    scored = runs.document(path, "performance.json")["test"]["overall"]
    return [run_id, f"test f1 {scored['f1']:.4f} on {scored['num_samples']} rows", str(path)]
