"""The latest successful training run: one file names it, another has its scores.

What counts is the name. The scores are those of the run's bundle, so that a process that is killed
between the two files leaves nothing that the next command could not put right.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from tagifai.exceptions import BundleError, DamagedFileError
from tagifai.models import bundles, part_files
from tagifai.utils import locks
from tagifai.utils.files import format_json, replace_atomically
from tagifai.utils.secrets import mask_all
from tagifai.utils.state import aside, reading

NAME, SCORES, LOCK = "run_id.txt", "performance.json", ".latest.lock"

log = logging.getLogger(__name__)


def read(stores: Path) -> str | None:
    """Return the id of the latest successful training run, or None if there is none.

    Raises:
        DamagedFileError: the file that names it cannot be read, or names no run.
    """
    try:
        text = reading.read_text(stores / NAME)
    except FileNotFoundError:
        return None
    run_id = text.strip()
    if reading.RUN_ID.fullmatch(run_id) is None:
        reason = f"{run_id!r:.80} is no run" if run_id else "it is empty"
        raise DamagedFileError(stores / NAME, reason)
    return run_id


def get_time(stores: Path) -> float | None:
    """Return when the latest run was named, in seconds since 1970, or None if none was."""
    try:
        return (stores / NAME).stat().st_mtime
    except FileNotFoundError:
        return None


def set_run(stores: Path, run_id: str, performance: Mapping[str, Any]) -> None:
    """Name the latest successful training run, and then write its scores.

    Args:
        stores: the folder of stores.
        run_id: of the run, whose bundle is there.
        performance: its scores.
    """
    texts = {NAME: run_id + "\n", SCORES: format_json(mask_all(performance))}
    for name in texts:
        if (stores / name).is_dir():
            log.warning("%s is a folder; it is put aside", stores / name)
            aside.put_aside(stores, stores / name)
    # One process at a time, so that both files are of the same run.
    with locks.wait_for(stores / LOCK):
        for name, text in texts.items():
            _write(stores / name, text)


def rename_run(stores: Path, known: str, run_id: str) -> None:
    """Name the latest run by another id, if it is the one that had this one.

    Args:
        stores: the folder of stores.
        known: id that the run had.
        run_id: that it has now.
    """
    with suppress(DamagedFileError), locks.wait_for(stores / LOCK):
        if read(stores) == known:
            _write(stores / NAME, run_id + "\n")


def mend(stores: Path) -> bool:
    """Write the scores of the latest run again, if they are another run's; return whether so."""
    with suppress(OSError, DamagedFileError):
        if _find_scores(stores) is None:
            return False
        with locks.wait_for(stores / LOCK):
            found = _find_scores(stores)  # again: a run that ends may have done so meanwhile
            if found is not None:
                _write(stores / SCORES, found)
                return True
    return False


def have_scores(stores: Path) -> bool:
    """Return whether the scores are those of the latest run, as far as they are known."""
    with suppress(DamagedFileError):
        return _find_scores(stores) is None
    return True


def find_by_scores(stores: Path) -> str | None:
    """Return the run whose scores are kept as those of the latest; of several the last written."""
    with suppress(FileNotFoundError, DamagedFileError, OSError):
        wanted = reading.read_text(stores / SCORES)
        found = sorted(
            (path.stat().st_mtime, path.parents[2].name)
            for path in stores.glob(f"artifacts/*/artifacts/bundle/{SCORES}")
            if path.is_file() and _format_scores(path) == wanted
        )
        return found[-1][1] if found else None
    return None


def restore(stores: Path) -> None:
    """Put aside a name that is damaged or of no run here, and name the run that is known instead.

    Nothing is done if the named run is here by now.
    """
    with suppress(DamagedFileError):
        named = read(stores)
        if named is None or bundles.get_path(stores, named).is_dir():
            return
    run_id = find_by_scores(stores)
    aside.put_aside(stores, stores / NAME)
    if run_id is not None:
        with locks.wait_for(stores / LOCK):
            _write(stores / NAME, run_id + "\n")


def _format_scores(path: Path) -> str | None:
    with suppress(BundleError, ValueError):
        return format_json(mask_all(part_files.read_json(path)))
    return None  # another command says so of the bundle


def _find_scores(stores: Path) -> str | None:
    """Return what the file of scores should have, or None if it is as it should be."""
    run_id = read(stores)
    if run_id is None:
        return None
    wanted = _format_scores(bundles.get_path(stores, run_id) / SCORES)
    try:
        return None if reading.read_text(stores / SCORES) == wanted else wanted
    except (FileNotFoundError, DamagedFileError):
        return wanted


def _write(path: Path, text: str) -> None:
    with replace_atomically(path) as file:
        file.write(text)
