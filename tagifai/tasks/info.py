"""task=info: versions, data sets, the latest run, and where everything is."""

from __future__ import annotations

from pathlib import Path

from tagifai.config.schema import Config
from tagifai.console.display import Display
from tagifai.data import dataset_store
from tagifai.exceptions import BundleError
from tagifai.models import bundles
from tagifai.runs import resolve
from tagifai.tracking import session, store
from tagifai.utils import environment, program

LIBRARIES = ("hydra-core", "omegaconf", "optuna", "mlflow")


def run(config: Config) -> None:
    """Show versions, folders, data sets and the latest run, a line each."""
    display = Display.from_config(config.console)
    stores = Path(config.paths.stores)
    closed = session.close_abandoned_runs(stores, config.tracking.uri)
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
    if closed:
        display.show_fact("Closed as failed", ", ".join(closed), result=True)


def _show_latest(display: Display, stores: Path) -> None:
    run_id = resolve.get_latest(stores)
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
    except (BundleError, ValueError, KeyError, TypeError) as error:
        # This task shows what is wrong, so it must not fail.
        return f"not usable: {error}"
