"""Export a bundle to one zip file, and import such a file after it has been checked.

export.json          format, run id
bundle/...           the bundle's files, as they are
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from tagifai.exceptions import BundleError
from tagifai.models import bundles, limits
from tagifai.utils.files import compute_sha256, create_atomically, format_json, write_json

FORMAT = 1
"""Of the file around the bundle; the only one that is read."""

MARKER = "imported.json"
"""Beside the folder of an imported run's artifacts: where the run came from."""

_DATE = (1980, 1, 1, 0, 0, 0)
"""Date of all members, so that equal bundles give equal files; the earliest that a zip can have."""

_CHUNK = 2**20


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
    _check_run_id(run_id, str(path))
    if path.exists() or path.is_symlink():
        raise BundleError(
            f"{path} is there already. Remove it, or give another name: task.path=OTHER.zip"
        )
    bundles.load(bundle)
    parts = sorted([*bundles.read_manifest(bundle)["parts"], "manifest.json"])
    limits.check_sizes({part: (bundle / part).stat().st_size for part in parts}, str(bundle))
    about = format_json({"format": FORMAT, "run_id": run_id}).encode()
    try:
        with create_atomically(path) as file, ZipFile(file, "w") as archive:
            for part in parts:
                with (
                    (bundle / part).open("rb") as source,
                    archive.open(_make_member(f"bundle/{part}"), "w", force_zip64=True) as target,
                ):
                    shutil.copyfileobj(source, target, _CHUNK)
            archive.writestr(_make_member("export.json"), about)
    except OSError as error:
        raise BundleError(f"{path} cannot be written: {error.strerror}.") from None


def _make_member(name: str) -> ZipInfo:
    info = ZipInfo(name, _DATE)
    info.compress_type = ZIP_DEFLATED
    info.create_system, info.external_attr = 3, 0o100644 << 16
    return info


def import_run(path: Path, stores: Path) -> ImportedRun:
    """Copy the run of a zip file into the stores; the latest run stays the latest.

    Everything is checked in a temporary folder first.

    Args:
        path: the file.
        stores: the folder of stores.

    Raises:
        BundleError: the file is not from `export_run`, a part of it cannot be trusted, or there is
            another run of the same id.
    """
    stores.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=stores, prefix=".import.") as scratch:
        unpacked = Path(scratch) / "bundle"
        run_id = _unpack(path, unpacked)
        bundles.load(unpacked, str(path))
        manifest = bundles.read_manifest(unpacked)
        _refuse_unlisted(path, (file.name for file in unpacked.iterdir()), manifest)
        target = bundles.get_path(stores, run_id)
        if _is_imported(target, path, manifest):
            return ImportedRun(run_id, target, fresh=False)
        _publish(unpacked, stores, run_id, {"file": path.name, "sha256": compute_sha256(path)})
    return ImportedRun(run_id, target, fresh=True)


def _unpack(path: Path, folder: Path) -> str:
    """Unpack the bundle of a zip file into a new folder, and return the run's id."""
    try:
        with ZipFile(path) as archive:
            found = limits.list_members(archive, str(path), limits.PARTS)
            for info in found.values():
                _check_name(info.orig_filename, path)
            run_id = _read_run_id(archive, path)
            folder.mkdir()
            for name, info in found.items():
                if name == "export.json":
                    continue
                target = folder / name.removeprefix("bundle/")
                with archive.open(info) as source, target.open("xb") as file:
                    _copy(source, file, info.file_size, f"{path}: {name!r}")
    except FileNotFoundError:
        raise BundleError(f"There is no file {path}.") from None
    except limits.UNREADABLE as error:
        raise BundleError(f"{path} is not a zip file, or a damaged one ({error}).") from None
    except (IsADirectoryError, PermissionError) as error:
        raise BundleError(f"{path} cannot be read: {error.strerror}.") from None
    return run_id


def _check_name(name: str, path: Path) -> None:
    """Refuse a name that leads out of the folder on any system, or is not one of an export."""
    if re.search(r"\\|^/|^[A-Za-z]:|\0", name) or ".." in name.split("/"):
        raise BundleError(f"{path} holds {name!r}, which leads out of the archive.")
    folder, _, part = name.rpartition("/")
    is_part = folder == "bundle" and (bundles.is_part(part) or part == "manifest.json")
    if name != "export.json" and not is_part:
        raise BundleError(f"{path} holds {name!r}, which is no part of an exported model.")


def _read_run_id(archive: ZipFile, path: Path) -> str:
    """Return the run's id from export.json."""
    if "export.json" not in archive.namelist():
        raise BundleError(
            f"{path} has no export.json, so it is not an exported model. Export one:"
            " task=export task.path=FILE.zip"
        )
    about = json.loads(archive.read("export.json"))
    if not isinstance(about, dict) or not {"format", "run_id"} <= about.keys():
        raise BundleError(f"{path}: export.json does not say what the file is.")
    try:
        bundles.check_format(path, about["format"], FORMAT)
    except ValueError as error:
        raise BundleError(f"{path}: export.json cannot be read ({error}).") from None
    return _check_run_id(about["run_id"], str(path))


def _check_run_id(run_id: Any, where: str) -> str:
    """Return the id of a run; names such as "latest" and paths are refused."""
    if not isinstance(run_id, str) or not re.fullmatch(r"[0-9a-f]{32}", run_id):
        raise BundleError(f"{where}: {run_id!r} is not the id of a run, 32 hexadecimal digits.")
    return run_id


def _copy(source: IO[bytes], target: IO[bytes], size: int, where: str) -> None:
    """Copy a member, and stop as soon as it has more bytes than declared."""
    while chunk := source.read(_CHUNK):
        size -= len(chunk)
        if size < 0:
            raise BundleError(f"{where} is larger than declared.")
        target.write(chunk)


def _refuse_unlisted(path: Path, files: Iterable[str], manifest: Mapping[str, Any]) -> None:
    for name in sorted(set(files) - {"manifest.json", *manifest["parts"]}):
        raise BundleError(f"{path} holds 'bundle/{name}', which its manifest does not name.")


def _is_imported(target: Path, path: Path, manifest: Mapping[str, Any]) -> bool:
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
    if there != manifest:
        raise BundleError(f"There is another run of the same id at {target}. {way_out}")
    return True


def _publish(unpacked: Path, stores: Path, run_id: str, source: Mapping[str, str]) -> None:
    """Put a bundle and its marker in place, or neither."""
    folder = bundles.get_path(stores, run_id).parents[1]
    was_there = folder.exists()
    try:
        write_json(folder / MARKER, source)
        bundles.publish(unpacked, stores, run_id)
    except BaseException:
        if was_there:
            (folder / MARKER).unlink(missing_ok=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)
        raise
