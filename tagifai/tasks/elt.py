"""task=elt: fetch, check and join the tables of a data set, and show its profile."""

from __future__ import annotations

import logging
from pathlib import Path

from numpy.random import RandomState

from tagifai.config.job import get_job
from tagifai.config.schema import Config
from tagifai.console.display import Display
from tagifai.data import datasets, prepare, profiles
from tagifai.data.dataset_store import Dataset
from tagifai.data.prepare import PreparedData
from tagifai.exceptions import DataError
from tagifai.preprocessing import deletions
from tagifai.reporting import profile_text
from tagifai.runs import resolve
from tagifai.training import streaming
from tagifai.utils.files import write_json

log = logging.getLogger(__name__)


def run(config: Config) -> None:
    """Fetch and check the tables, and show the profile of the rows as they are trained on."""
    display = Display.from_config(config.console)
    stores = Path(config.paths.stores)
    resolve.finish_interrupted(stores, config.tracking.uri)
    with display.show_row_progress("Reading") as on_progress:
        dataset = datasets.load(
            config.data,
            stores,
            force=config.task.force,
            progress=display.live,
            on_progress=on_progress,
        )
    _show_facts(display, summarize(dataset))
    for note in dataset.notes:
        display.show_note(note, result=True)
    display.show_copyable("Table", dataset.path, result=True)
    prepared, problem = _prepare(dataset, config, display)
    if prepared is None:
        _show_facts(display, profile_text.format_rows(profiles.read_first_rows(dataset, None)))
    else:
        _profile(prepared, dataset, display)
    if problem is not None:
        # The data set is stored, and may be trained on with other settings.
        said = f"No run can be trained on this data set as it is configured. {problem}"
        display.show_note(said, result=True)


def _prepare(
    dataset: Dataset, config: Config, display: Display
) -> tuple[PreparedData | None, DataError | None]:
    """Return the rows, if they are in memory, and why no run can have them, if none can."""
    try:
        with display.show_row_progress("Scanning") as on_progress:
            return streaming.prepare_dataset(
                dataset, config, RandomState(config.seed), on_progress=on_progress
            ), None
    except DataError as error:
        if streaming.get_chunk_rows(config) is not None:
            return None, error
        return prepare.prepare_unsplit(dataset.table, config.preprocessing), error


def _profile(prepared: PreparedData, dataset: Dataset, display: Display) -> None:
    with display.show_spinner("Comparing"):
        profile = profiles.compute(prepared, dataset, full=True)
    path = get_job().output_dir / "profile.json"
    write_json(path, profile)
    _show_facts(display, profile_text.format_facts(profile))
    display.show_copyable("Profile", path, result=True)
    for warning in profile_text.list_warnings(profile):
        display.show_note(warning, result=True)
    # Last, so that the profile is there to see why.
    deletions.refuse_deletions(prepared.deletions)


def _show_facts(display: Display, facts: profile_text.Facts) -> None:
    for name, text in facts:
        log.info("%s: %s", name, text)
        display.show_fact(name, text, result=True)


def summarize(dataset: Dataset) -> list[tuple[str, str]]:
    """Return the facts of a data set as pairs of a name and a text."""
    manifest = dataset.manifest
    # Files of labels alone have no rows.
    rows = {key: table["rows"] for key, table in manifest["tables"].items()}
    read = [f"{count:,} rows from {key}" for key, count in rows.items() if count is not None]
    dropped = [f"{number:,} {what}" for what, number in manifest["counts"].items() if number]
    return [
        ("Data set", f"{manifest['name']}, {'made' if dataset.fresh else 'up to date'}"),
        ("Read", ", ".join(read)),
        ("Kept", f"{manifest['rows']:,} rows"),
        ("Dropped", ", ".join(dropped) or "nothing"),
        ("Tags", profile_text.format_counts(manifest["tag_counts"])),
    ]
