"""Retention: what of runs, models, folders and caches nobody needs, decided from facts alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from tagifai.tracking.inventory import ENDED, RunInfo

FAILED, PRUNED, MODEL = "failed runs", "pruned trials", "models"
FOLDER, CACHE, PARTIAL = "output folders", "caches", "unfinished writes"


DAY_SECONDS = 86_400
IDLE_SECONDS = 3_600
"""Without a change for so long, an output folder without a mark of its run counts as left."""


@dataclass(frozen=True)
class DiskEntry:
    """A file or folder with all that is in it.

    Args:
        name: path below the folder of stores or of outputs, with slashes.
        bytes: of its files.
        changed: seconds since 1970; the latest change (of a cache: the latest use) in it.
    """

    name: str
    bytes: int
    changed: float


@dataclass(frozen=True)
class RemovalCandidate:
    """What can go.

    Args:
        kind: one of those above.
        name: the id of a run, or an item's name.
        bytes: on this machine.
        why: it can go, in a few words.
        changed: of an item, as it was looked at.
    """

    kind: str
    name: str
    bytes: int
    why: str
    changed: float = 0.0


def get_failure(run: RunInfo) -> str | None:
    """Return how a run came to nothing, or None if it did not, or is under way."""
    if not run.active or run.status not in ENDED:
        return None
    if run.state in ("PRUNED", "FAIL"):
        return run.state
    return None if run.status == "FINISHED" else run.status


def select_failed_runs(runs: Sequence[RunInfo], protected: Collection[str]) -> list[RunInfo]:
    """Return the runs that came to nothing, but not a search's that is under way.

    A parent stays as long as one of its children does.

    Args:
        runs: all runs of an experiment.
        protected: ids of runs that stay in any case.
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
    """Return whether nobody needs the model of a run.

    Args:
        run: that has one.
        protected: ids of the runs whose models stay: the latest, those registered, those imported.
        latest_since: when the latest run was named, in seconds since 1970. A run that ended later
            may be about to be named.
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
    """Return the output folders that are old, and the oldest beyond what all may hold together.

    Args:
        entries: all of them.
        busy: names of those with a run under way.
        now: seconds since 1970.
        days: without a change, after which one is old.
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
    """Return what of the caches has not been used for so many days, or all of it."""
    if all_of_them:
        return [make_candidate(CACHE, item, "all caches") for item in entries]
    old = (item for item in entries if _age_days(item, now) > days)
    return [make_candidate(CACHE, item, _age(item, now)) for item in old]


def select_unfinished_writes(entries: Iterable[DiskEntry], now: float) -> list[RemovalCandidate]:
    """Return what writing has left half done, more than a day ago."""
    old = (item for item in entries if _age_days(item, now) > 1)
    return [make_candidate(PARTIAL, item, _age(item, now)) for item in old]


def make_candidate(kind: str, entry: DiskEntry, why: str) -> RemovalCandidate:
    """Return an item as what can go."""
    return RemovalCandidate(kind, entry.name, entry.bytes, why, entry.changed)


def _age_days(item: DiskEntry, now: float) -> float:
    return (now - item.changed) / DAY_SECONDS


def _age(item: DiskEntry, now: float) -> str:
    days = _age_days(item, now)
    return f"{days:.0f} days" if days >= 2 else f"{days * 24:.0f} hours"
