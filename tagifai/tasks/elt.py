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
    rows = {name: table["rows"] for name, table in manifest["tables"].items()}
    counts = (
        f"{manifest['rows']} rows from {rows['projects']} projects and {rows['tags']} tags;"
        f" dropped: {manifest['projects_without_tag']} projects without a tag,"
        f" {manifest['tags_without_project']} tags without a project"
    )
    return [
        f"Data set {manifest['name']} {done}: {dataset.path}",
        counts,
        "Tags: " + ", ".join(f"{tag} {n}" for tag, n in manifest["tag_counts"].items()),
    ]
