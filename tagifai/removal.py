"""Removal: find what nobody needs on disk and in the tracking store, and remove it.

A removal that is cut off anywhere is found again, and finished, by the next one.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from tagifai import artifacts, folders, leftovers, liveness, runs, sweeps
from tagifai.ledger import Ledger
from tagifai.leftovers import FAILED, FOLDER, MODEL, PARTIAL, PRUNED, Leftover, Run


@dataclass(frozen=True)
class Place:
    """Where to look.

    Args:
        stores: the folder of stores.
        outputs: the folder of outputs.
    """

    stores: Path
    outputs: Path

    @property
    def running(self) -> Path:
        """The marks of runs that are under way."""
        return self.stores / "running"

    def path(self, leftover: Leftover) -> Path:
        """Return where a file or folder is."""
        return self.root(leftover) / leftover.name

    def root(self, leftover: Leftover) -> Path:
        """Return the folder beyond which nothing is touched."""
        return self.outputs if leftover.kind == FOLDER else self.stores


@dataclass(frozen=True)
class Tracked:
    """What the tracking store has to say.

    Args:
        leftovers: runs, and models of runs.
        busy: folders of output of the runs that are under way.
        strangers: ids of runs that the store does not know, and that have a bundle here.
    """

    leftovers: list[Leftover]
    busy: list[Path]
    strangers: list[str]


def tracked(place: Place, ledger: Ledger, experiment: str) -> Tracked:
    """Find the runs that came to nothing, and the models that nobody needs.

    Args:
        place: where to look.
        ledger: of the tracking store.
        experiment: name of the experiment whose runs may go.

    Raises:
        ConfigError: there is no such experiment.
        TrackingError: the store does not answer, or fails.
    """
    since = _latest_since(place.stores)
    found, with_bundle = ledger.runs(experiment), folders.bundles(place.stores)
    known = {run.id: run for run in found}
    for run_id in {*with_bundle, *liveness.marks(place.running)} - known.keys():
        if (run := ledger.run(run_id)) is not None:
            known[run_id] = run
    models = ledger.models({run.experiment for run in known.values()})
    kept = _kept(place.stores, ledger.registered(), models)
    useless = leftovers.useless(found, kept)
    others = [known[run_id] for run_id in with_bundle if run_id in known]
    spare = [run for run in others if run not in useless and leftovers.is_spare(run, kept, since)]
    under_way = [run for run in known.values() if run.status not in leftovers.ENDED]
    return Tracked(
        [_of_run(place, run, models) for run in useless]
        + [_of_model(place, run, models) for run in spare],
        [Path(run.output) for run in under_way if run.output],
        sorted(set(with_bundle) - known.keys() - kept),
    )


def _latest_since(stores: Path) -> float | None:
    try:
        return (stores / "run_id.txt").stat().st_mtime
    except FileNotFoundError:
        return None


def _kept(stores: Path, registered: set[str], models: Mapping[str, list[str]]) -> set[str]:
    """Return the ids of the runs whose models stay.

    Args:
        stores: the folder of stores.
        registered: ids of runs and models.
        models: ids of logged models by run.
    """
    by_model = {run_id for run_id, ids in models.items() if registered.intersection(ids)}
    imported = {path.parent.name for path in stores.glob("artifacts/*/imported.json")}
    return registered | by_model | imported | {runs.latest(stores) or ""}


def _of_run(place: Place, run: Run, models: Mapping[str, list[str]]) -> Leftover:
    kind = PRUNED if run.state == "PRUNED" else FAILED
    size = _bytes(place.stores, _folder(place.stores, run.id), models.get(run.id, []))
    return Leftover(kind, run.id, size, leftovers.why_useless(run) or "")


def _of_model(place: Place, run: Run, models: Mapping[str, list[str]]) -> Leftover:
    bundle = artifacts.bundle_path(place.stores, run.id)
    size = _bytes(place.stores, bundle, models.get(run.id, []))
    return Leftover(MODEL, run.id, size, "not registered")


def _folder(stores: Path, run_id: str) -> Path:
    return artifacts.bundle_path(stores, run_id).parent.parent


def _of_models(stores: Path) -> Path:
    """Return where MLflow keeps logged models, a folder each."""
    return stores / "artifacts" / "models"


def _bytes(stores: Path, path: Path, models: Collection[str]) -> int:
    paths = [path, *(_of_models(stores) / model_id for model_id in models)]
    return sum(folders.measured(FOLDER, stores, path).bytes for path in paths)


def on_disk(
    place: Place,
    busy: Collection[Path],
    days: float,
    max_gb: float | None,
    *,
    all_caches: bool = False,
) -> list[Leftover]:
    """Find output folders, caches and unfinished writes that nobody needs.

    Args:
        place: where to look.
        busy: folders of output of runs that are under way.
        days: after which an output folder or a cache is old.
        max_gb: of all output folders together, in 10**9 bytes, or None.
        all_caches: find those that are not old, too.
    """
    now, stores = time.time(), place.stores
    items = folders.outputs(place.outputs)
    paths = {item.name: place.outputs / item.name for item in items}
    in_use = {
        name
        for name, path in paths.items()
        if any(folder.is_relative_to(path) for folder in busy) or _has_multirun(place, path)
    }
    max_bytes = None if max_gb is None else max_gb * 1e9
    cut_off = [(FOLDER, place.outputs), (PARTIAL, stores)]
    return [
        *leftovers.folders(items, in_use, now, days, max_bytes),
        *leftovers.caches(folders.caches(stores), now, days, all_of_them=all_caches),
        *leftovers.partial(folders.unfinished(stores), now),
        *(
            leftovers.of_item(kind, item, "half removed")
            for kind, root in cut_off
            for item in folders.half_removed(kind, root)
        ),
    ]


def _has_multirun(place: Place, folder: Path) -> bool:
    key = sweeps.key(folder)
    if not (place.running / f"{key}.lock").exists():
        return False
    with liveness.held(place.running, key) as ours:
        return not ours


def remove(place: Place, ledger: Ledger | None, leftover: Leftover) -> bool:
    """Remove what can go, unless somebody is at it by now.

    Args:
        place: where it was found.
        ledger: of the tracking store, without which runs and models are left.
        leftover: what can go.

    Returns:
        Whether it is gone.

    Raises:
        TrackingError: the store does not answer, or fails.
        UserError: a link leads there.
        OSError: a file cannot be removed.
    """
    if leftover.kind in (FAILED, PRUNED, MODEL):
        return ledger is not None and _remove_of_run(place, ledger, leftover)
    path, root = place.path(leftover), place.root(leftover)
    if leftover.kind != FOLDER:
        return _remove_item(leftover, root, path)
    with liveness.held(place.running, sweeps.key(path)) as ours:
        return ours and _remove_item(leftover, root, path)


def _remove_item(leftover: Leftover, root: Path, path: Path) -> bool:
    if folders.measured(leftover.kind, root, path).changed > leftover.changed:
        return False
    folders.remove(root, path)
    return True


def _remove_of_run(place: Place, ledger: Ledger, leftover: Leftover) -> bool:
    stores = place.stores
    with ledger.settled(leftover.name) as run:
        if run is None:
            return False
        since = _latest_since(stores)  # first: what is named after it has not ended before it
        models = ledger.models({run.experiment}, run.id)
        kept = _kept(stores, ledger.registered(), models)
        if leftover.kind == MODEL:
            can_go = leftovers.is_spare(run, kept, since)
        else:
            can_go = leftovers.why_useless(run) is not None and run.id not in kept
        if not can_go:
            return False
        # Last goes what the next removal would find the rest by.
        for model_id in models.get(run.id, []):
            folders.remove(stores, _of_models(stores) / model_id)
            ledger.delete_model(model_id)
        if leftover.kind == MODEL:
            folders.remove(stores, artifacts.bundle_path(stores, run.id))
        else:
            folders.remove(stores, _folder(stores, run.id))
            ledger.delete_run(run.id)
        return True
