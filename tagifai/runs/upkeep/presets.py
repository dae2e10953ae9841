"""Presets of experiments: where they are, and which runs and folders are kept because of them."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from tagifai.config import paths
from tagifai.config.plugins import PRESET_GROUP
from tagifai.exceptions import DamagedFileError
from tagifai.runs.upkeep import disk
from tagifai.tracking.inventory import RunInfo
from tagifai.utils import program
from tagifai.utils.state import reading

OF_SEARCHES = "of searches"


def list_presets(stores: Path) -> dict[str, list[Path]]:
    """Return the files of presets by where they are: the project's, a person's, those of searches.

    Args:
        stores: the folder of stores, where searches write theirs.
    """
    given = os.environ.get(program.CONFIG_DIR_VARIABLE)
    folders = {
        "in conf": paths.get_conf_folder(),
        **({"in --config-dir": Path(given)} if given else {}),
        OF_SEARCHES: stores / "presets",
    }
    found = {
        where: sorted((folder / PRESET_GROUP).glob("[!._]*.yaml"))
        for where, folder in folders.items()
    }
    return {where: files for where, files in found.items() if files}


def find_named(
    stores: Path, outputs: Path, runs: Collection[RunInfo]
) -> tuple[set[str], list[Path]]:
    """Return the ids of runs, and the output folders, that presets name or were the reason for.

    The preset of a search has the search's name; the run that the search trained at its end is the
    preset's model.

    Args:
        stores: the folder of stores.
        outputs: the folder of outputs.
        runs: of the tracking store.
    """
    files = list_presets(stores)
    texts = [_read(path) for of_place in files.values() for path in of_place]
    names = {path.stem for path in files.get(OF_SEARCHES, [])}
    names |= {name.rpartition("-trial")[0] for name in names}
    winners = {run.winner for run in runs if run.winner and run.study in names}
    ids = {run.id for run in runs if run.output in winners or any(run.id in t for t in texts)}
    folders = [
        path
        for path in disk.list_outputs(outputs)
        if any(path.relative_to(outputs).as_posix() in text for text in texts)
    ]
    return ids, [*folders, *map(Path, sorted(winners))]


def _read(path: Path) -> str:
    try:
        return reading.read_text(path)
    except (DamagedFileError, FileNotFoundError):
        return ""  # task=info says so
