"""Short ids: the first digits of a run's id, which stand for it where they name one run only."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from tagifai.exceptions import ConfigError, DataError
from tagifai.models import bundles
from tagifai.runs.upkeep import disk
from tagifai.tracking import store
from tagifai.tracking.recording.operations import OWN_ID

SHORT = re.compile(r"[0-9a-f]{8,31}")
"""An id has 32 digits; boards show the first 8."""

MOST_NAMED = 10
"""Runs that an error names."""


def complete(
    stores: Path,
    run_id: str,
    uri: str | None,
    key: str = "task.run_id",
    kept: Collection[str] = (),
) -> str:
    """Return the whole id of the run whose id begins so, or what was given if none does.

    What is on this machine comes first; the tracking store is asked only if nothing of it
    is meant.

    Args:
        stores: the folder of stores.
        run_id: a whole id, the first 8 digits or more of one, or a name.
        uri: of the tracking store, or None.
        key: the setting that has it.
        kept: ids of runs that the tracking store has not taken yet.

    Raises:
        ConfigError: several runs begin so; with their ids.
        TrackingError: the tracking store does not answer.
    """
    if SHORT.fullmatch(run_id) is None or bundles.get_path(stores, run_id).is_dir():
        return run_id
    here = {*disk.list_bundles(stores), *kept}
    found = sorted(known for known in here if known.startswith(run_id))
    if not found and uri is not None:
        found = _search(uri, run_id)
    if len(found) > 1:
        more = f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
        raise ConfigError(
            f"{key} = {run_id}: the ids of {len(found)} runs begin so. Give more digits of one of"
            f" them: {', '.join(found[:MOST_NAMED])}{more}."
        )
    return found[0] if found else run_id


def _search(uri: str, beginning: str) -> list[str]:
    """Return the ids of the runs that begin so, or that had such an id before they were sent."""
    try:
        client = store.connect_existing(uri)
    except DataError:  # there is no store yet
        return []
    names = ("attributes.run_id", f"tags.`{OWN_ID}`")
    with store.translate_errors():
        experiments = [one.experiment_id for one in client.search_experiments()]
        found = [
            run.info.run_id
            for name in names
            for run in client.search_runs(experiments, f"{name} LIKE '{beginning}%'")
        ]
    return list(dict.fromkeys(found))
