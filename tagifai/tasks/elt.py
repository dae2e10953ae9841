"""task=elt: extract, load and transform the tables of a data set."""

from __future__ import annotations

import logging
from pathlib import Path

from tagifai import datasets, tracking
from tagifai.console import Display
from tagifai.schema import Config

log = logging.getLogger(__name__)


def run(config: Config) -> None:
    """Fetch, check and join the tables, and say what is in them."""
    display = Display.of(config.console)
    stores = Path(config.paths.stores)
    tracking.close_abandoned(stores)
    dataset = datasets.load(
        config.data, stores, force=config.task.force, progress=config.console.verbosity == "normal"
    )
    for line in summary(dataset):
        log.info(line)
        display.result(line)


def summary(dataset: datasets.Dataset) -> list[str]:
    """Return what a person wants to know of a data set, a line each."""
    manifest = dataset.manifest
    done = "made" if dataset.fresh else "is up to date, nothing to do"
    read = [f"{table['rows']} in {key}" for key, table in manifest["tables"].items()]
    dropped = [f"{number} {what}" for what, number in manifest["counts"].items()]
    counts = f"{manifest['rows']} rows from {' and '.join(read)}; dropped: {', '.join(dropped)}"
    return [
        f"Data set {manifest['name']} {done}: {dataset.path}",
        counts,
        "Tags: " + ", ".join(f"{tag} {n}" for tag, n in manifest["tag_counts"].items()),
    ]
