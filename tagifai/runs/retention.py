"""Rules for what can be removed of runs, models, folders and caches; they only look at facts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from tagifai.tracking.inventory import ENDED, RunInfo

FAILED, PRUNED, MODEL = "failed runs", "pruned trials", "models"
FOLDER, CACHE, PARTIAL = "output folders", "caches", "unfinished writes"


DAY_SECONDS = 86_400
IDLE_SECONDS = 3_600
"""Seconds without a change, after which an output folder without a mark counts as abandoned."""


@dataclass(frozen=True)
class DiskEntry:
    """A file or folder with everything in it.

    Args:
        name: path below the folder of stores or of outputs, with slashes.
        bytes: of its files.
        changed: time of the latest change (of a cache: the latest use) in seconds since 1970.
    """

    name: str
    bytes: int
    changed: float


@dataclass(frozen=True)
class RemovalCandidate:
    """A run, model, file or folder that can be removed.

    Args:
        kind: one of the kinds above.
        name: the id of a run, or the name of a file or folder.
        bytes: its size on this machine.
        why: the reason, in a few words.
        changed: time of the latest change of a file or folder.
    """

    kind: str
    name: str
    bytes: int
    why: str
    changed: float = 0.0


def get_failure(run: RunInfo) -> str | None:
    """Return how a run failed, or None if it did not, or is under way."""
    if not run.active or run.status not in ENDED:
        return None
    if run.state in ("PRUNED", "FAIL"):
        return run.state
    return None if run.status == "FINISHED" else run.status


def select_failed_runs(runs: Sequence[RunInfo], protected: Collection[str]) -> list[RunInfo]:
    """Return the failed runs, except those of a search that is under way.

    A parent is kept as long as one of its children is.

    Args:
        runs: all runs of an experiment.
        protected: ids of runs that are kept in any case.
    """
    under_way = {run.id for run in runs if run.status not in ENDED}
    going = {
        run.id
        for run in runs
        if get_failure(run) and run.id not in protected and run.parent not in under_way
    }
    while parents := going & {run.parent for run in runs if run.id not in going}:
        going -= parents
    return [run for run in runs if run.id in going]


def is_model_unused(run: RunInfo, protected: Collection[str], latest_since: float | None) -> bool:
    """Return whether the model of a run is not used.

    Args:
        run: with a model.
        protected: ids of the runs whose models are kept: latest, registered or imported ones.
        latest_since: when the latest run was named, in seconds since 1970. A run that ended later
            may be about to become the latest.
    """
    if run.id in protected or run.status not in ENDED:
        return False
    return run.ended is not None and latest_since is not None and run.ended < latest_since


def select_output_folders(
    entries: Iterable[DiskEntry],
    busy: Collection[str],
    now: float,
    days: float,
    max_bytes: float | None,
) -> list[RemovalCandidate]:
    """Return the old output folders, and the oldest ones until the others fit the size limit.

    Args:
        entries: all of them.
        busy: names of folders with a run under way.
        now: seconds since 1970.
        days: without a change, after which a folder is old.
        max_bytes: of all folders together, or None.
    """
    by_age = sorted(entries, key=lambda item: (item.changed, item.name))
    left = sum(item.bytes for item in by_age)
    going = []
    for item in by_age:
        if item.name in busy or now - item.changed < IDLE_SECONDS:
            continue
        is_old = _age_days(item, now) > days
        if is_old or (max_bytes is not None and left > max_bytes):
            why = _age(item, now) if is_old else "beyond task.max_gb"
            going.append(make_candidate(FOLDER, item, why))
            left -= item.bytes
    return going


def select_caches(
    entries: Iterable[DiskEntry], now: float, days: float, *, all_of_them: bool = False
) -> list[RemovalCandidate]:
    """Return the entries of caches that have not been used for `days`, or all of them."""
    if all_of_them:
        return [make_candidate(CACHE, item, "all caches") for item in entries]
    old = (item for item in entries if _age_days(item, now) > days)
    return [make_candidate(CACHE, item, _age(item, now)) for item in old]


def select_unfinished_writes(entries: Iterable[DiskEntry], now: float) -> list[RemovalCandidate]:
    """Return the unfinished writes that are older than a day."""
    old = (item for item in entries if _age_days(item, now) > 1)
    return [make_candidate(PARTIAL, item, _age(item, now)) for item in old]


def make_candidate(kind: str, entry: DiskEntry, why: str) -> RemovalCandidate:
    """Return a file or folder as a candidate for removal."""
    return RemovalCandidate(kind, entry.name, entry.bytes, why, entry.changed)


def _age_days(item: DiskEntry, now: float) -> float:
    return (now - item.changed) / DAY_SECONDS


def _age(item: DiskEntry, now: float) -> str:
    days = _age_days(item, now)
    return f"{days:.0f} days" if days >= 2 else f"{days * 24:.0f} hours"
