"""Find what can be removed from disk and from the tracking store, and remove it.

A removal that was interrupted is found and finished by the next one.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from tagifai.models import bundles
from tagifai.runs import disk, resolve, retention
from tagifai.runs.retention import FAILED, FOLDER, MODEL, PARTIAL, PRUNED, RemovalCandidate
from tagifai.tracking import multirun
from tagifai.tracking.inventory import ENDED, RunInfo, RunInventory
from tagifai.utils import locks


@dataclass(frozen=True)
class CleanupRoots:
    """The folders that are cleaned.

    Args:
        stores: the folder of stores.
        outputs: the folder of outputs.
    """

    stores: Path
    outputs: Path

    @property
    def running(self) -> Path:
        """The folder with the marks of runs that are under way."""
        return self.stores / "running"

    def get_path(self, candidate: RemovalCandidate) -> Path:
        """Return the path of a candidate."""
        return self.get_root(candidate) / candidate.name

    def get_root(self, candidate: RemovalCandidate) -> Path:
        """Return the folder that a candidate is in; nothing outside of it is touched."""
        return self.outputs if candidate.kind == FOLDER else self.stores


@dataclass(frozen=True)
class TrackedCandidates:
    """What can be removed according to the tracking store.

    Args:
        candidates: runs, and models of runs.
        busy: output folders of the runs that are under way.
        unknown_runs: ids of runs with a bundle here that the store does not know.
    """

    candidates: list[RemovalCandidate]
    busy: list[Path]
    unknown_runs: list[str]


def find_tracked(
    roots: CleanupRoots, inventory: RunInventory, experiment: str
) -> TrackedCandidates:
    """Find failed runs, and models that are not used.

    Args:
        roots: the folders.
        inventory: of the tracking store.
        experiment: name of the experiment whose runs may be removed.

    Raises:
        ConfigError: there is no such experiment.
        TrackingError: the store does not answer, or fails.
    """
    since = _get_latest_time(roots.stores)
    found, with_bundle = inventory.list_runs(experiment), disk.list_bundles(roots.stores)
    known = {run.id: run for run in found}
    for run_id in {*with_bundle, *locks.list_marked(roots.running)} - known.keys():
        if (run := inventory.get_run(run_id)) is not None:
            known[run_id] = run
    models = inventory.list_models({run.experiment for run in known.values()})
    kept = _find_protected(roots.stores, inventory.list_registered_ids(), models)
    useless = retention.select_failed_runs(found, kept)
    others = [known[run_id] for run_id in with_bundle if run_id in known]
    spare = [
        run for run in others if run not in useless and retention.is_model_unused(run, kept, since)
    ]
    under_way = [run for run in known.values() if run.status not in ENDED]
    return TrackedCandidates(
        [_make_run_candidate(roots, run, models) for run in useless]
        + [_make_model_candidate(roots, run, models) for run in spare],
        [Path(run.output) for run in under_way if run.output],
        sorted(set(with_bundle) - known.keys() - kept),
    )


def _get_latest_time(stores: Path) -> float | None:
    try:
        return (stores / "run_id.txt").stat().st_mtime
    except FileNotFoundError:
        return None


def _find_protected(
    stores: Path, registered: set[str], models: Mapping[str, list[str]]
) -> set[str]:
    """Return the ids of the runs whose models are kept.

    Args:
        stores: the folder of stores.
        registered: ids of runs and models.
        models: ids of logged models by run.
    """
    by_model = {run_id for run_id, ids in models.items() if registered.intersection(ids)}
    manifests = stores.glob(f"artifacts/*/artifacts/bundle/{bundles.MANIFEST}")
    imported = {path.parents[2].name for path in manifests if resolve.is_from_file(path)}
    return registered | by_model | imported | {resolve.get_latest(stores) or ""}


def _make_run_candidate(
    roots: CleanupRoots, run: RunInfo, models: Mapping[str, list[str]]
) -> RemovalCandidate:
    kind = PRUNED if run.state == "PRUNED" else FAILED
    size = _measure_bytes(
        roots.stores, _get_run_folder(roots.stores, run.id), models.get(run.id, [])
    )
    return RemovalCandidate(kind, run.id, size, retention.get_failure(run) or "")


def _make_model_candidate(
    roots: CleanupRoots, run: RunInfo, models: Mapping[str, list[str]]
) -> RemovalCandidate:
    bundle = bundles.get_path(roots.stores, run.id)
    size = _measure_bytes(roots.stores, bundle, models.get(run.id, []))
    return RemovalCandidate(MODEL, run.id, size, "not registered")


def _get_run_folder(stores: Path, run_id: str) -> Path:
    return bundles.get_path(stores, run_id).parent.parent


def _get_models_folder(stores: Path) -> Path:
    """Return the folder in which MLflow has a folder for each logged model."""
    return stores / "artifacts" / "models"


def _measure_bytes(stores: Path, path: Path, models: Collection[str]) -> int:
    paths = [path, *(_get_models_folder(stores) / model_id for model_id in models)]
    return sum(disk.measure(FOLDER, stores, path).bytes for path in paths)


def find_on_disk(
    roots: CleanupRoots,
    busy: Collection[Path],
    days: float,
    max_gb: float | None,
    *,
    all_caches: bool = False,
) -> list[RemovalCandidate]:
    """Find output folders, caches and unfinished writes that can be removed.

    Args:
        roots: the folders.
        busy: output folders of runs that are under way.
        days: age of an old output folder or cache.
        max_gb: of all output folders together, in 10**9 bytes, or None.
        all_caches: include caches that are not old.
    """
    now, stores = time.time(), roots.stores
    items = disk.list_outputs(roots.outputs)
    paths = {item.name: roots.outputs / item.name for item in items}
    in_use = {
        name
        for name, path in paths.items()
        if any(folder.is_relative_to(path) for folder in busy) or _is_multirun_active(roots, path)
    }
    max_bytes = None if max_gb is None else max_gb * 1e9
    cut_off = [(FOLDER, roots.outputs), (PARTIAL, stores)]
    return [
        *retention.select_output_folders(items, in_use, now, days, max_bytes),
        *retention.select_caches(disk.list_caches(stores), now, days, all_of_them=all_caches),
        *retention.select_unfinished_writes(disk.list_unfinished(stores), now),
        *(
            retention.make_candidate(kind, item, "half removed")
            for kind, root in cut_off
            for item in disk.list_half_removed(kind, root)
        ),
    ]


def _is_multirun_active(roots: CleanupRoots, folder: Path) -> bool:
    key = multirun.make_lock_key(folder)
    if not (roots.running / f"{key}.lock").exists():
        return False
    with locks.hold(roots.running, key) as ours:
        return not ours


def remove(
    roots: CleanupRoots, inventory: RunInventory | None, candidate: RemovalCandidate
) -> bool:
    """Remove a candidate, unless it is in use now.

    Args:
        roots: the folders.
        inventory: of the tracking store; without it, runs and models are kept.
        candidate: for removal.

    Returns:
        Whether it was removed.

    Raises:
        TrackingError: the store does not answer, or fails.
        UserError: the path leads through a link.
        OSError: a file cannot be removed.
    """
    if candidate.kind in (FAILED, PRUNED, MODEL):
        return inventory is not None and _remove_run(roots, inventory, candidate)
    path, root = roots.get_path(candidate), roots.get_root(candidate)
    if candidate.kind != FOLDER:
        return _remove_path(candidate, root, path)
    with locks.hold(roots.running, multirun.make_lock_key(path)) as ours:
        return ours and _remove_path(candidate, root, path)


def _remove_path(candidate: RemovalCandidate, root: Path, path: Path) -> bool:
    if disk.measure(candidate.kind, root, path).changed > candidate.changed:
        return False
    disk.remove(root, path)
    return True


def _remove_run(roots: CleanupRoots, inventory: RunInventory, candidate: RemovalCandidate) -> bool:
    stores = roots.stores
    with inventory.lock_run(candidate.name) as run:
        if run is None:
            return False
        since = _get_latest_time(stores)  # first: a run that is named later ends later
        models = inventory.list_models({run.experiment}, run.id)
        kept = _find_protected(stores, inventory.list_registered_ids(), models)
        if candidate.kind == MODEL:
            can_go = retention.is_model_unused(run, kept, since)
        else:
            can_go = retention.get_failure(run) is not None and run.id not in kept
        if not can_go:
            return False
        # The run is deleted last, because an interrupted removal is found again by it.
        for model_id in models.get(run.id, []):
            disk.remove(stores, _get_models_folder(stores) / model_id)
            inventory.delete_model(model_id)
        if candidate.kind == MODEL:
            disk.remove(stores, bundles.get_path(stores, run.id))
        else:
            disk.remove(stores, _get_run_folder(stores, run.id))
            inventory.delete_run(run.id)
        return True
