"""task=info: versions, places, data sets, runs, champion, studies, and what is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tagifai.config.job import get_job, select_places
from tagifai.config.schema import Config
from tagifai.console.display import Display
from tagifai.data import dataset_store
from tagifai.exceptions import BundleError, ConfigError, DamagedFileError, DataError, UserError
from tagifai.models import bundles
from tagifai.runs import latest, resolve
from tagifai.runs.upkeep import disk, findings, presets
from tagifai.runs.upkeep.findings import Finding
from tagifai.tracking import store
from tagifai.tracking.recording import records
from tagifai.utils import environment, program
from tagifai.utils.excerpts import format_size, shorten_id

if TYPE_CHECKING:
    from tagifai.tracking.inventory import RunInfo

SHOWN = 20
"""Most findings, studies and presets that are shown; task=repair shows all findings."""

LIBRARIES = ("hydra-core", "omegaconf", "optuna", "mlflow")


def run(config: Config) -> None:
    """Show what there is and what is wrong, a line each; nothing that is damaged hides the rest."""
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
    _show_lines(display, "Disk use", lambda: _describe_disk(config))
    _show_lines(display, "Data sets", lambda: _list_data(stores))
    _show_lines(display, "Presets", lambda: _list_presets(stores))
    _show_latest(display, stores)
    with display.show_spinner("Asking the tracking store"):
        tracked, searches = _describe_tracked(config) if config.tracking.enabled else ({}, {})
    for name, text in tracked.items():
        display.show_fact(name, text, result=True)
    _show_lines(display, "Studies", lambda: _list_studies(stores, searches))
    if kept := len(records.list_records(stores)):
        text = f"{kept} runs that are kept: {_format_call('task=sync')}"
        display.show_fact("Not recorded", text, result=True)
    if closed:
        display.show_fact("Closed as failed", ", ".join(closed), result=True)
    _show_findings(display, findings.list_findings(config, thorough=False))


def _format_call(*arguments: str) -> str:
    """Return a command with the folders and the tracking store of the present one."""
    return program.format_call(*arguments, *select_places(get_job().overrides))


def _show_lines(display: Display, name: str, list_lines: Callable[[], Sequence[str]]) -> None:
    """Show the lines of a fact; what cannot be read is named below, as what is wrong."""
    try:
        lines = list_lines()
    except (UserError, OSError, ValueError):
        lines = ["not known"]
    more = [f"and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    for number, line in enumerate([*(lines or ["none"])[:SHOWN], *more]):
        display.show_fact("" if number else name, line, result=True)


def _describe_disk(config: Config) -> list[str]:
    sizes = {name: Path(getattr(config.paths, name)) for name in ("stores", "outputs")}
    shown = [f"{name} {format_size(disk.measure(path)[0])}" for name, path in sizes.items()]
    return [", ".join(shown)]


def _list_data(stores: Path) -> list[str]:
    present = [f"{m['name']}: {m['rows']:,} rows" for m in dataset_store.list_manifests(stores)]
    return [", ".join(present)] if present else []


def _list_presets(stores: Path) -> list[str]:
    found = presets.list_presets(stores).items()
    return [f"{', '.join(path.stem for path in files)} ({where})" for where, files in found]


def _list_studies(stores: Path, states: Mapping[str, str]) -> list[str]:
    """Return the studies of searches, the newest first, with the states that their runs have."""
    path = stores / "studies.db"
    if not path.is_file():
        return []
    from tagifai.sweeping.findings import overview  # late: Optuna takes half a second

    return [one.describe() for one in overview.list_studies(f"sqlite:///{path}", states)]


def _describe_tracked(config: Config) -> tuple[dict[str, str], dict[str, str]]:
    """Return the runs and the champion, as far as the store says, and the states of searches."""
    from tagifai.tracking.inventory import RunInventory  # late: pandas and MLflow
    from tagifai.tracking.registry import ModelRegistry

    uri, model = store.get_tracking_uri(config.tracking.uri), config.tracking.model
    runs: Sequence[RunInfo] = ()
    try:
        models = ModelRegistry(uri, model)
        with suppress(ConfigError, DataError):  # nothing was recorded in this experiment yet
            experiment = store.get_experiment_name(config)
            runs = RunInventory(uri, Path(config.paths.stores)).list_runs(experiment)
        champion = models.get_champion()
    except DataError:  # there is no store yet
        return {"Runs": "none yet"}, {}
    except UserError:
        return {"Runs": "not known: the tracking store cannot be read"}, {}
    found, searches = {"Runs": _count_runs(runs)}, _name_searches(runs)
    if champion is None:
        found |= {"Champion": f"none yet: {_format_call('task=promote')}"} if runs else {}
        return found, searches
    scored = ""
    with suppress(KeyError, ValueError):  # a tag that was changed by hand says nothing
        scored = f", test f1 {float(champion.tags['test_f1']):.4f}"
    named = f"version {champion.number} of {model}, run {shorten_id(champion.run_id)}{scored}"
    return found | {"Champion": named}, searches


def _count_runs(runs: Sequence[RunInfo]) -> str:
    """Return how many trainings there are, the trials of searches too, by how they ended."""
    from tagifai.runs import listing  # late: pandas

    parents = {run.parent for run in runs} | {run.id for run in runs if _is_search(run)}
    states = [listing.name_state(run.status, run.state) for run in runs if run.id not in parents]
    counts = Counter(states)
    order = dict.fromkeys([*listing.STATES.values(), *listing.TRIAL_STATES.values(), *counts])
    shown = ", ".join(f"{counts[state]} {state}" for state in order if counts[state])
    return f"{len(states)} ({shown})" if states else "none yet"


def _name_searches(runs: Sequence[RunInfo]) -> dict[str, str]:
    """Return the state of the latest run of each search by its study, or "running" if one is."""
    from tagifai.runs import listing  # late: pandas

    found: dict[str, str] = {}
    words = listing.STATES | {"FINISHED": "ended"}
    for run in filter(_is_search, runs):
        state = words.get(run.status, run.status.lower())
        found[str(run.study)] = state if state == "running" else found.get(str(run.study), state)
    return found


def _is_search(run: RunInfo) -> bool:
    return run.study is not None and run.parent is None


def _show_findings(display: Display, found: Sequence[Finding]) -> None:
    for number, finding in enumerate(found[:SHOWN]):
        name = "" if number else "Wrong"
        display.show_fact(name, f"{finding.path}: {finding.problem}", "red", result=True)
    if len(found) > SHOWN:
        display.show_fact("", f"and {len(found) - SHOWN} more", result=True)
    if any(finding.remedy for finding in found):
        display.show_copyable("Repair it", _format_call("task=repair"), result=True)


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
            f"none yet; train one with: {_format_call()}",
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
