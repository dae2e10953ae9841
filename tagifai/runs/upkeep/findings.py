"""What is damaged, dead or half done in the stores and outputs, and what mends it.

Nothing is deleted but what was half written or half removed: what is damaged is put aside.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tagifai.config.paths import STORE_FOLDERS
from tagifai.config.plugins import PresetSource
from tagifai.config.schema import Config
from tagifai.data import dataset_store
from tagifai.exceptions import (
    BundleError,
    ConfigError,
    DamagedFileError,
    TrackingError,
    UserError,
)
from tagifai.models import bundles
from tagifai.runs import latest
from tagifai.runs.upkeep import disk
from tagifai.tracking import databases, multirun, session, store
from tagifai.tracking.opening import probes
from tagifai.tracking.recording import records
from tagifai.utils import locks
from tagifai.utils.databases import sqlite
from tagifai.utils.secrets import mask
from tagifai.utils.state import aside, reading
from tagifai.utils.urls import get_sqlite_path

ASIDE, FINISH, COMPLETE = "put aside", "finish", "complete"
"""What can be done about a finding."""

SECONDS = 2.0
"""For which a database or a server is asked."""


@dataclass(frozen=True)
class Finding:
    """Something that is damaged, dead or half done.

    Args:
        path: of it, or the URI of a store.
        problem: what is wrong, as a phrase.
        remedy: what `mend` does, in a word or two; empty where it can do nothing.
        mend: does it.
    """

    path: str
    problem: str
    remedy: str = ""
    mend: Callable[[], object] = field(default=int, repr=False, compare=False)


def list_findings(config: Config, *, thorough: bool) -> list[Finding]:
    """Return everything that is wrong; what cannot even be looked at is a finding, too.

    Args:
        config: has the folders and the tracking store.
        thorough: compare models and data sets with their sums.
    """
    stores, outputs = Path(config.paths.stores), Path(config.paths.outputs)
    if not stores.is_dir():
        problem = "is not a folder; choose another: paths.stores=..."
        return [Finding(str(stores), problem)] if os.path.lexists(stores) else []
    parts: list[Callable[[], Iterator[Finding]]] = [
        partial(_find_wrong_kinds, stores),
        partial(_find_latest, stores),
        partial(_find_marks, stores, config.tracking.uri),
        partial(_find_pending, stores),
        partial(_find_presets, stores),
        partial(_find_data, stores, thorough),
        partial(_find_models, stores, thorough),
        partial(_find_unfinished, stores, outputs),
        partial(_find_databases, stores, config),
    ]
    found: list[Finding] = []
    for part in parts:
        try:
            found += part()
        except (OSError, ValueError, UserError) as error:
            found.append(Finding(str(stores), f"cannot be looked at: {_describe(error)}"))
    return found


def _describe(error: Exception) -> str:
    if isinstance(error, DamagedFileError):
        return error.reason
    text = getattr(error, "strerror", None) or str(error)
    return " ".join(mask(text).split()).rstrip(".")


def _make_damaged(root: Path, path: Path, problem: str) -> Finding:
    return Finding(str(path), problem, ASIDE, partial(aside.put_aside, root, path))


def _find_wrong_kinds(stores: Path) -> Iterator[Finding]:
    """Find files in the place of folders, and folders and more in the place of files."""
    for name in (*STORE_FOLDERS, "presets/experiment", aside.FOLDER):
        path = stores / name
        if os.path.lexists(path) and not path.is_dir():
            yield _make_damaged(stores, path, "is not a folder")
        elif path.is_dir() and not os.access(path, os.R_OK | os.X_OK):
            yield Finding(str(path), "may not be read; change its permissions")
    locked = [*stores.glob(".*.lock"), *stores.glob("running/*.lock"), stores / latest.SCORES]
    for path in (*locked, *stores.glob("cache/features/*.npz")):
        if os.path.lexists(path) and not path.is_file():
            yield _make_damaged(stores, path, "is not a file")


def _find_latest(stores: Path) -> Iterator[Finding]:
    other = latest.find_by_scores(stores)
    instead = f"{ASIDE}, and name {other}, whose scores are there"
    mend = partial(latest.restore, stores)
    try:
        run_id = latest.read(stores)
    except DamagedFileError as error:
        remedy = instead if other else ASIDE
        yield Finding(str(error.path), f"cannot be read: {error.reason}", remedy, mend)
        return
    if run_id is not None and not bundles.get_path(stores, run_id).is_dir():
        problem, remedy = f"names {run_id}, whose model is not here", instead if other else ""
        yield Finding(str(stores / latest.NAME), problem, remedy, mend)
    elif not latest.have_scores(stores):
        problem = "does not have the scores of the latest run"
        rewrite = partial(latest.mend, stores)
        yield Finding(str(stores / latest.SCORES), problem, "write them again", rewrite)


def _find_marks(stores: Path, uri: str) -> Iterator[Finding]:
    folder = stores / "running"
    for path in sorted(folder.glob("*.run")):
        try:
            run_id, of_store = locks.read_mark(path)
            with locks.hold(folder, path.stem) as is_dead:
                pass
        except FileNotFoundError:
            continue
        except DamagedFileError as error:
            if error.path == path:
                yield _make_damaged(stores, path, f"cannot be read: {error.reason}")
            continue
        if is_dead:
            problem = f"the run {run_id} is dead, and {mask(of_store)} has not been told"
            mend = partial(session.close_abandoned_runs, stores, uri)
            yield Finding(str(path), problem, "close it, if its store answers", mend)


def _find_pending(stores: Path) -> Iterator[Finding]:
    for record in records.list_records(stores):
        try:
            record.read()
        except DamagedFileError as error:
            problem = f"is a run's record that cannot be sent: {error.reason}"
            yield _make_damaged(stores, record.folder, problem)


def _find_presets(stores: Path) -> Iterator[Finding]:
    source = PresetSource("repair", f"presets://{stores / 'presets'}")
    for path in sorted(stores.glob("presets/experiment/[!.]*.yaml")):
        try:
            source.load_config(f"experiment/{path.stem}")
        except ConfigError as error:
            reason = str(error).partition(" is not taken as a preset: ")[2]
            yield _make_damaged(stores, path, reason.partition(" task=repair")[0].rstrip("."))


def _find_data(stores: Path, thorough: bool) -> Iterator[Finding]:
    for path in dataset_store.list_folders(stores):
        try:
            dataset_store.check(path, thorough=thorough)
        except DamagedFileError as error:
            what = "" if error.path == path else f"{error.path.name}: "
            yield _make_damaged(stores, path, f"{what}{error.reason}")


def _find_models(stores: Path, thorough: bool) -> Iterator[Finding]:
    for folder in disk.list_folders(stores / "artifacts"):
        path = folder / "artifacts" / "bundle"
        if not os.path.lexists(path):
            continue
        try:
            content = reading.read_json(path / bundles.MANIFEST)
            found = content.get("format") if isinstance(content, dict) else None
            if isinstance(found, int) and found != bundles.FORMAT:
                continue  # another version's, which can read it
            if thorough:
                bundles.read_manifest(path)
        except FileNotFoundError:
            yield _make_damaged(stores, path, f"it has no {bundles.MANIFEST}")
        except (DamagedFileError, BundleError, OSError) as error:
            reason = _describe(error).removeprefix(f"{path}: ")
            yield _make_damaged(stores, path, reason)


def _find_unfinished(stores: Path, outputs: Path) -> Iterator[Finding]:
    for root in (stores, outputs):
        for path in disk.list_unfinished(root):
            half = "removed" if path.name.endswith(disk.REMOVED) else "written"
            yield Finding(str(path), f"half {half}", FINISH, partial(disk.remove, root, path))
    for folder in disk.list_outputs(outputs):
        with suppress(FileNotFoundError):
            try:
                multirun.read_parent(folder)
            except DamagedFileError as error:
                yield _make_damaged(outputs, error.path, f"cannot be read: {error.reason}")


def _find_databases(stores: Path, config: Config) -> Iterator[Finding]:
    uri = store.get_tracking_uri(config.tracking.uri)
    path = get_sqlite_path(uri)
    if config.tracking.enabled and path is None:
        try:
            probes.check_store(uri, SECONDS)
        except (TrackingError, ValueError) as error:
            yield Finding(mask(uri), _describe(error))
    elif config.tracking.enabled:
        try:
            fault = databases.inspect_database(uri, SECONDS)
        except TrackingError as error:
            yield Finding(str(path), _describe(error))
        else:
            if fault is not None:
                mend = partial(databases.repair_database, uri)
                yield Finding(fault.name, fault.problem, fault.remedy or "", mend)
    studies = stores / "studies.db"
    if os.path.lexists(studies):
        try:
            damage = sqlite.find_damage(studies, SECONDS)
        except TimeoutError as error:
            yield Finding(str(studies), _describe(error))
            return
        if damage is not None:
            put_aside = partial(aside.put_aside, stores, studies, sqlite.BESIDE)
            yield Finding(str(studies), damage, ASIDE, put_aside)
