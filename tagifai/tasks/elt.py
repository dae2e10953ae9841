"""task=elt: extract, load and transform the tables of a data set, and say what is in it."""

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
    """Fetch and check the tables, and say what is in them, cleaned and split as for training."""
    display = Display.from_config(config.console)
    stores = Path(config.paths.stores)
    session.close_abandoned_runs(stores)
    with display.show_row_progress("Reading") as told:
        dataset = datasets.load(
            config.data, stores, force=config.task.force, progress=display.live, on_progress=told
        )
    # First, so that it is seen where the rows cannot be split.
    _show_facts(display, summarize(dataset))
    display.show_copyable("Table", dataset.path, result=True)
    try:
        with display.show_row_progress("Looking through") as told:
            prepared = streaming.prepare_dataset(
                dataset, config, RandomState(config.seed), on_progress=told
            )
    except DataError as error:
        # The data set is made all the same, and another policy for its labels may do.
        note = f"as it is configured, nothing can be trained on it. {error}"
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
    """Return what a person wants to know of a data set, each with a name."""
    manifest = dataset.manifest
    read = [f"{table['rows']} in {key}" for key, table in manifest["tables"].items()]
    dropped = [f"{number} {what}" for what, number in manifest["counts"].items()]
    return [
        ("Data set", f"{manifest['name']}, {'made' if dataset.fresh else 'up to date'}"),
        ("Read", f"{manifest['rows']} rows from {' and '.join(read)}"),
        ("Dropped", ", ".join(dropped) or "nothing"),
        ("Tags", ", ".join(f"{tag} {n}" for tag, n in manifest["tag_counts"].items())),
    ]
