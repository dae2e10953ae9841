"""task=elt: fetch, check and join the tables of a data set, and show its profile."""

from __future__ import annotations

import logging
from pathlib import Path

from numpy.random import RandomState

from tagifai.config.job import get_job
from tagifai.config.schema import Config
from tagifai.console.display import Display
from tagifai.data import datasets, profiles
from tagifai.exceptions import DataError
from tagifai.tracking import session
from tagifai.training import streaming
from tagifai.utils.files import write_json

log = logging.getLogger(__name__)


def run(config: Config) -> None:
    """Fetch and check the tables, and show the profile of the rows as they are trained on."""
    display = Display.from_config(config.console)
    stores = Path(config.paths.stores)
    session.close_abandoned_runs(stores)
    with display.show_row_progress("Reading") as on_progress:
        dataset = datasets.load(
            config.data,
            stores,
            force=config.task.force,
            progress=display.live,
            on_progress=on_progress,
        )
    # First, so that the facts are shown even if the rows cannot be split.
    _show_facts(display, summarize(dataset))
    display.show_copyable("Table", dataset.path, result=True)
    try:
        with display.show_row_progress("Scanning") as on_progress:
            prepared = streaming.prepare_dataset(
                dataset, config, RandomState(config.seed), on_progress=on_progress
            )
    except DataError as error:
        # The data set is stored, and may be trained on with other settings.
        note = f"No run can be trained on this data set as it is configured. {error}"
        log.info("Note: %s", note)
        display.show_note(note, result=True)
        return
    profile = profiles.compute(prepared)
    write_json(get_job().output_dir / "profile.json", profile)
    _show_facts(display, profiles.format_facts(profile))


def _show_facts(display: Display, facts: list[tuple[str, str]]) -> None:
    for name, text in facts:
        log.info("%s: %s", name, text)
        display.show_fact(name, text, result=True)


def summarize(dataset: datasets.Dataset) -> list[tuple[str, str]]:
    """Return the facts of a data set as pairs of a name and a text."""
    manifest = dataset.manifest
    read = [f"{table['rows']} rows from {key}" for key, table in manifest["tables"].items()]
    dropped = [f"{number} {what}" for what, number in manifest["counts"].items()]
    return [
        ("Data set", f"{manifest['name']}, {'made' if dataset.fresh else 'up to date'}"),
        ("Read", ", ".join(read)),
        ("Kept", f"{manifest['rows']} rows"),
        ("Dropped", ", ".join(dropped) or "nothing"),
        ("Tags", ", ".join(f"{tag} {n}" for tag, n in manifest["tag_counts"].items())),
    ]
