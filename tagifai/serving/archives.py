"""Export a bundle to one zip file, and import such a file after it has been checked."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from tagifai.config.texts import check_plain_yaml
from tagifai.exceptions import BundleError, ConfigError
from tagifai.models import bundles
from tagifai.serving import unpacking
from tagifai.utils import process_pool
from tagifai.utils.files import compute_sha256, create_atomically, format_json
from tagifai.utils.state import drafts

SECONDS, MEGABYTES = 15, 1_000
"""What checking a file may take; a model of 100,000 terms takes a tenth of a second."""

log = logging.getLogger(__name__)

_DATE = (1980, 1, 1, 0, 0, 0)
"""Date of all members, so that equal bundles give equal files; the earliest that a zip can have."""


@dataclass(frozen=True)
class ImportedRun:
    """A run that was imported.

    Args:
        run_id: the id that it was trained under.
        bundle: its folder in the stores.
        fresh: whether it is new here.
    """

    run_id: str
    bundle: Path
    fresh: bool


def export_run(bundle: Path, run_id: str, path: Path) -> None:
    """Write a bundle to a new zip file, which appears only when it is complete.

    Args:
        bundle: folder of the run's bundle.
        run_id: of the run.
        path: of the new file.

    Raises:
        BundleError: the bundle cannot be loaded or is too large, the run's id is invalid, or the
            file exists already or cannot be written.
    """
    unpacking.check_run_id(run_id, str(path))
    if path.exists() or path.is_symlink():
        raise BundleError(
            f"{path} is there already. Remove it, or give another name: task.path=OTHER.zip"
        )
    try:
        bundles.load(bundle, stranger=True)
    except BundleError as error:
        bundles.load(bundle)
        log.warning("Others take the model with task.trusted=true only: %s", error)
    parts = sorted([*bundles.read_manifest(bundle)["parts"], "manifest.json"])
    unpacking.check_sizes({part: (bundle / part).stat().st_size for part in parts}, str(bundle))
    about = format_json({"format": unpacking.FORMAT, "run_id": run_id}).encode()
    try:
        with create_atomically(path) as file, ZipFile(file, "w") as archive:
            for part in parts:
                with (
                    (bundle / part).open("rb") as source,
                    archive.open(_make_member(f"bundle/{part}"), "w", force_zip64=True) as target,
                ):
                    shutil.copyfileobj(source, target, unpacking.CHUNK)
            archive.writestr(_make_member("export.json"), about)
    except OSError as error:
        raise BundleError(f"{path} cannot be written: {error.strerror}.") from None


def _make_member(name: str) -> ZipInfo:
    info = ZipInfo(name, _DATE)
    info.compress_type = ZIP_DEFLATED
    info.create_system, info.external_attr = 3, 0o100644 << 16
    return info


def import_run(
    path: Path,
    stores: Path,
    *,
    trusted: bool = False,
    seconds: float = SECONDS,
    megabytes: int = MEGABYTES,
) -> ImportedRun:
    """Copy the run of a zip file into the stores; the latest run stays the latest.

    Everything is checked in a temporary folder first, by a process with limits. The bundle is
    marked for good as one that someone else made.

    Args:
        path: the file.
        stores: the folder of stores.
        trusted: whether its settings have no limits, and estimators come by skops, too.
        seconds: that the checks may take.
        megabytes: of memory that they may take.

    Raises:
        BundleError: the file is not from `export_run`, a part of it cannot be trusted, it took too
            much, or there is another run of the same id.
    """
    with drafts.open_folder(stores / "imported") as scratch:
        unpacked = scratch / "bundle"
        run_id = call_check(
            check_file, path, unpacked, trusted, seconds=seconds, megabytes=megabytes
        )
        manifest = bundles.read_manifest(unpacked)
        target = bundles.get_path(stores, run_id)
        if _is_there(target, path, manifest):
            return ImportedRun(run_id, target, fresh=False)
        mark = {"file": path.name, "sha256": compute_sha256(path), "trusted": trusted}
        _publish(unpacked, stores, run_id, mark)
    return ImportedRun(run_id, target, fresh=True)


def call_check(
    check: Callable[..., Any],
    path: Path,
    *arguments: Any,
    seconds: float = SECONDS,
    megabytes: int = MEGABYTES,
) -> Any:
    """Return what a check says of a file or folder, or refuse one that takes too much.

    Args:
        check: `check_file` or `check_bundle`.
        path: its first argument.
        arguments: its others.
        seconds: that it may take.
        megabytes: of memory that it may take, on Linux.

    Raises:
        BundleError: it took more, or ended its process; or of the check.
    """
    limits: dict[str, Any] = {"seconds": seconds, "megabytes": megabytes}
    try:
        return process_pool.call_limited(check, path, *arguments, **limits)
    except process_pool.LimitError as error:
        raise BundleError(
            f"{path.name} was not taken in: checking it {error}. For a model that is large, and of"
            " someone whom you trust, task=import has task.seconds and task.megabytes."
        ) from None


def check_file(path: Path, folder: Path, trusted: bool) -> str:
    """Unpack the bundle of a zip file into a new folder, check it, and return the run's id.

    Args:
        path: the file.
        folder: for the bundle.
        trusted: as of `import_run`.

    Raises:
        BundleError: likewise.
    """
    run_id = unpacking.unpack(path, folder)
    check_bundle(folder, str(path), not trusted)
    return run_id


def check_bundle(folder: Path, shown: str, stranger: bool) -> None:
    """Load a bundle, and read its documents.

    Args:
        folder: of the bundle.
        shown: in messages, instead of the folder.
        stranger: whether its settings have limits.

    Raises:
        BundleError: a part of it cannot be trusted.
    """
    sizes = {file.name: file.lstat().st_size for file in folder.iterdir()}
    unpacking.check_sizes(sizes, shown)
    bundles.load(folder, shown, stranger=stranger)
    parts = bundles.read_manifest(folder)["parts"]
    for name in sorted(sizes.keys() - {bundles.MANIFEST, *parts}):
        raise BundleError(f"{shown} holds 'bundle/{name}', which its manifest does not name.")
    try:
        for name in parts:
            if name.endswith(".json"):
                bundles.read_document(folder, name)
        check_plain_yaml((folder / "config.yaml").read_text(encoding="utf-8"))
    except BundleError as error:
        raise BundleError(str(error).replace(str(folder), shown)) from None
    except (ConfigError, UnicodeDecodeError) as error:
        raise BundleError(f"{shown}: config.yaml cannot be read: {error!s:.200}") from None


def _is_there(target: Path, path: Path, manifest: Mapping[str, Any]) -> bool:
    """Return whether the same run has been imported before.

    Raises:
        BundleError: another bundle has its id.
    """
    if not target.exists():
        return False
    way_out = f"To import {path} instead, move {target} away first."
    try:
        there = bundles.read_manifest(target)
    except BundleError as error:
        raise BundleError(f"The run exists already, but is damaged: {error} {way_out}") from None
    if there | {bundles.IMPORTED: None} != {**manifest, bundles.IMPORTED: None}:
        raise BundleError(f"There is another run of the same id at {target}. {way_out}")
    return True


def _publish(unpacked: Path, stores: Path, run_id: str, mark: Mapping[str, Any]) -> None:
    """Put a bundle in place, or leave no folder of it."""
    folder = bundles.get_path(stores, run_id).parents[1]
    was_there = folder.exists()
    try:
        bundles.publish(unpacked, stores, run_id, mark)
    except BaseException:
        if not was_there:
            shutil.rmtree(folder, ignore_errors=True)
        raise
