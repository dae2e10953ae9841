"""Find what can be removed from disk and from the tracking store, and remove it.

A removal that was interrupted is found and finished by the next one.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tagifai.models import bundles
from tagifai.runs import latest, listing, resolve
from tagifai.runs.upkeep import disk, presets
from tagifai.tracking import multirun
from tagifai.tracking.inventory import (
    ENDED,
    RunInfo,
    RunInventory,
    is_model_unused,
    select_failed_runs,
)
from tagifai.utils import locks

FAILED, PRUNED, MODEL = "failed runs", "pruned trials", "models"

DAY_SECONDS = 86_400
IDLE_SECONDS = 3_600
"""Seconds without a change, after which an output folder without a mark counts as abandoned."""

LEFT = ("cache/*/.*.lock", ".*.draft*")
"""Hidden files without a lock of their own that killed processes leave in the stores."""


@dataclass(frozen=True)
class RemovalCandidate:
    """A run, model, file or folder that can be removed.

    Args:
        kind: failed runs, pruned trials, models, output folders, caches or unfinished writes.
        name: the id of a run, or the path of a file or folder below its root.
        bytes: its size on this machine.
        why: the reason, in a few words.
        root: the folder that it is in; nothing outside of it is touched.
        changed: time of the latest change of a file or folder.
    """

    kind: str
    name: str
    bytes: int
    why: str
    root: Path = Path()
    changed: float = 0.0


def find_tracked(
    stores: Path, outputs: Path, inventory: RunInventory, experiment: str, best: Collection[str]
) -> tuple[list[RemovalCandidate], list[Path], list[str]]:
    """Find failed runs, and models that are not used.

    Args:
        stores: the folder of stores.
        outputs: the folder of outputs.
        inventory: of the tracking store.
        experiment: name of the experiment whose runs may be removed.
        best: ids of the best runs, whose models are kept.

    Returns:
        The runs and models, the output folders of runs that are under way or that presets name,
        and the ids of runs with a bundle here that the store does not know.

    Raises:
        ConfigError: there is no such experiment.
        DamagedFileError: it is not known which run is the latest.
        TrackingError: the store does not answer, or fails.
    """
    since = latest.get_time(stores)
    found = inventory.list_runs(experiment)
    with_bundle = disk.list_bundles(stores)
    known = _find_others(inventory, found, {*with_bundle, *locks.list_marked(stores / "running")})
    models = inventory.list_models({run.experiment for run in known.values()})
    named, folders = presets.find_named(stores, outputs, [*known.values()])
    kept = named | _find_protected(stores, inventory.list_registered_ids(), models)
    useless = select_failed_runs(found, kept)
    # Which run is the best of another experiment is not known.
    spare = [
        run
        for run in found
        if run.id in with_bundle
        and run not in useless
        and is_model_unused(run, {*kept, *best}, since)
    ]
    going = [(PRUNED if run.state == "PRUNED" else FAILED, run) for run in useless]
    going += [(MODEL, run) for run in spare]
    busy = [Path(run.output) for run in known.values() if run.status not in ENDED and run.output]
    return (
        [_make_candidate(kind, run, stores, models.get(run.id, [])) for kind, run in going],
        busy + folders,
        sorted(set(with_bundle) - known.keys() - kept),
    )


def _find_others(
    inventory: RunInventory, found: Sequence[RunInfo], wanted: Collection[str]
) -> dict[str, RunInfo]:
    """Return the runs by id, and with them those of other experiments that are wanted."""
    known = {run.id: run for run in found}
    others = (inventory.get_run(run_id) for run_id in {*wanted} - known.keys())
    return known | {run.id: run for run in others if run is not None}


def _make_candidate(kind: str, run: RunInfo, stores: Path, models: list[str]) -> RemovalCandidate:
    size = sum(disk.measure(path)[0] for path in _list_paths(kind, stores, run.id, models))
    words = listing.STATES | listing.TRIAL_STATES
    why = "not registered and not the latest" if kind == MODEL else words[run.failure or ""]
    return RemovalCandidate(kind, run.id, size, why, stores)


def _list_paths(kind: str, stores: Path, run_id: str, models: Sequence[str]) -> list[Path]:
    """Return the folders of a run's models, and that of its bundle, or of the whole run."""
    bundle = bundles.get_path(stores, run_id)
    # MLflow has a folder for each logged model.
    logged = [stores / "artifacts" / "models" / model_id for model_id in models]
    return [*logged, bundle if kind == MODEL else bundle.parents[1]]


def _find_protected(
    stores: Path, registered: set[str], models: Mapping[str, list[str]]
) -> set[str]:
    """Return the ids of the runs that are registered, imported or the latest.

    Args:
        stores: the folder of stores.
        registered: ids of runs and models.
        models: ids of logged models by run.
    """
    by_model = {run_id for run_id, ids in models.items() if registered.intersection(ids)}
    manifests = stores.glob(f"artifacts/*/artifacts/bundle/{bundles.MANIFEST}")
    imported = {path.parents[2].name for path in manifests if resolve.is_from_file(path)}
    return registered | by_model | imported | {latest.read(stores) or ""}


def find_on_disk(
    stores: Path,
    outputs: Path,
    busy: Collection[Path],
    days: float,
    max_gb: float | None,
    *,
    all_caches: bool = False,
) -> list[RemovalCandidate]:
    """Find output folders, caches and unfinished writes that can be removed.

    Args:
        stores: the folder of stores.
        outputs: the folder of outputs.
        busy: output folders of runs that are under way.
        days: age of an old output folder or cache.
        max_gb: of all output folders together, in 10**9 bytes, or None.
        all_caches: include caches that are not old.
    """
    found = _find_outputs(stores, outputs, busy, days, max_gb)
    for path in disk.list_caches(stores):
        found += _select_old(disk.CACHE, stores, path, days, "all caches" if all_caches else "")
    for root in (outputs, stores):
        for path in disk.list_unfinished(root):
            half = path.name.endswith(disk.REMOVED)
            why = "half removed" if half else "half written"
            found += _select_old(disk.PARTIAL, root, path, 0, why)
    for path in (path for pattern in LEFT for path in sorted(stores.glob(pattern))):
        found += _select_old(disk.PARTIAL, stores, path, 1)
    return [one for one in found if disk.is_plain(one.root, one.root / one.name)]


def _select_old(
    kind: str, root: Path, path: Path, days: float, why: str = ""
) -> list[RemovalCandidate]:
    """Return a file or folder that has not changed for so many days; or for another reason."""
    size, changed = disk.measure(path, use=kind == disk.CACHE)
    age = (time.time() - changed) / DAY_SECONDS
    if not why and age <= days:
        return []
    shown = f"{age:.0f} days" if age >= 2 else f"{age * 24:.0f} hours"
    name = path.relative_to(root).as_posix()
    return [RemovalCandidate(kind, name, size, why or shown, root, changed)]


def _find_outputs(
    stores: Path, outputs: Path, busy: Collection[Path], days: float, max_gb: float | None
) -> list[RemovalCandidate]:
    """Return the old output folders, and the oldest ones until the others fit the size limit."""
    going = []
    paths = disk.list_outputs(outputs)
    found = [_select_old(disk.FOLDER, outputs, path, 0, "beyond task.max_gb")[0] for path in paths]
    left = sum(item.bytes for item in found)
    for item in sorted(found, key=lambda item: (item.changed, item.name)):
        path = outputs / item.name
        in_use = any(folder.is_relative_to(path) for folder in busy)
        old = _select_old(disk.FOLDER, outputs, path, days)
        if in_use or time.time() - item.changed < IDLE_SECONDS:
            continue
        if old or (max_gb is not None and left > max_gb * 1e9):
            with locks.hold(stores / "running", multirun.make_lock_key(path)) as is_idle:
                going += (old or [item]) if is_idle else []
                left -= item.bytes if is_idle else 0
    return going


def remove(stores: Path, inventory: RunInventory | None, candidate: RemovalCandidate) -> bool:
    """Remove a candidate, unless it is in use now; return whether it was removed.

    Args:
        stores: the folder of stores.
        inventory: of the tracking store; without it, runs and models are kept.
        candidate: for removal.

    Raises:
        TrackingError: the store does not answer, or fails.
        UserError: the path leads through a link, or it is not known which run is the latest.
        OSError: a file cannot be removed.
    """
    if candidate.kind in (FAILED, PRUNED, MODEL):
        return inventory is not None and _remove_run(stores, inventory, candidate)
    path = candidate.root / candidate.name
    with locks.hold(stores / "running", multirun.make_lock_key(path)) as ours:
        changed = disk.measure(path, use=candidate.kind == disk.CACHE)[1]
        if not ours or changed > candidate.changed:
            return False
        disk.remove(candidate.root, path)
        return True


def _remove_run(stores: Path, inventory: RunInventory, candidate: RemovalCandidate) -> bool:
    with inventory.lock_run(candidate.name) as run:
        if run is None:
            return False
        since = latest.get_time(stores)  # first: a run that is named later ends later
        models = inventory.list_models({run.experiment}, run.id)
        kept = _find_protected(stores, inventory.list_registered_ids(), models)
        is_spare = is_model_unused(run, kept, since)
        is_useless = run.failure is not None and run.id not in kept
        if not (is_spare if candidate.kind == MODEL else is_useless):
            return False
        # The run is deleted last, because an interrupted removal is found again by it.
        logged = models.get(run.id, [])
        *of_models, own = _list_paths(candidate.kind, stores, run.id, logged)
        for model_id, path in zip(logged, of_models, strict=True):
            disk.remove(stores, path)
            inventory.delete_model(model_id)
        disk.remove(stores, own)
        if candidate.kind != MODEL:
            inventory.delete_run(run.id)
        return True
