"""The file that an exported bundle is, unpacked after its members have been checked.

export.json          format, run id
bundle/...           the bundle's files, as they are

A zip of kilobytes may unpack to terabytes.
"""

from __future__ import annotations

import errno
import json
import re
import stat
import zlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from tagifai.exceptions import BundleError
from tagifai.models import bundles

FORMAT = 1
"""Of the file around the bundle; the only one that is read."""

CHUNK = 2**20
"""Bytes that are copied at a time."""

BYTES = 2**30
"""Most bytes of all members together: float64 weights of a million terms and a hundred classes have
0.8e9, and more would not fit into the memory that a trial has."""

TEXT_BYTES = {"config.yaml": 2**17, "splits.json": 2**26}
"""Most bytes of text members, which take many times as much when they are read: a configuration has
some thousand, and the ids of some million rows fit into the other."""

OTHER_TEXT_BYTES = 2**24
"""The same of all other members of text: ten thousand long names of classes."""

PARTS = 1_000
"""Most members of an archive: a bundle has a part for each array, about twenty as a rule."""

UNREADABLE = (BadZipFile, zlib.error, NotImplementedError, EOFError, ValueError, RecursionError)
"""Errors that reading a damaged or forged zip raises."""


def list_members(archive: ZipFile, where: str) -> dict[str, ZipInfo]:
    """Return the members of a zip by name, after their declared sizes have been checked.

    More than is declared is never read: Python's zipfile stops there, and the checksum is wrong.

    Raises:
        BundleError: members are too many, too large, there twice, encrypted, packed in an unusual
            way, or no plain files.
    """
    infos = archive.infolist()
    if len(infos) > PARTS:
        raise BundleError(f"{where} has {len(infos)} members; no model has more than {PARTS}.")
    for info in infos:
        _check_member(info, where)
    (name, times), *_ = Counter(i.filename.casefold() for i in infos).most_common(1) or [("", 1)]
    if times > 1:
        raise BundleError(f"{where} holds {name!r} {times} times.")
    check_sizes({info.filename: info.file_size for info in infos}, where)
    return {info.filename: info for info in infos}


def check_sizes(sizes: Mapping[str, int], where: str) -> None:
    """Refuse members, whose bytes are given by name, that are too large alone or together."""
    for name, size in sizes.items():
        most = TEXT_BYTES.get(name.rpartition("/")[2], OTHER_TEXT_BYTES)
        if name.endswith((".json", ".txt", ".yaml")) and size > most:
            raise BundleError(f"{where}: {name!r} has {size} bytes; the limit is {most}.")
    whole = sum(sizes.values())
    if whole > BYTES:
        raise BundleError(f"{where} has {whole} bytes unpacked; the limit is {BYTES}.")


def _check_member(info: ZipInfo, where: str) -> None:
    name, kind = info.orig_filename, stat.S_IFMT(info.external_attr >> 16)
    if info.flag_bits & 1:
        raise BundleError(f"{where}: {name!r} is encrypted; no part of a model is.")
    if kind not in (0, stat.S_IFREG) or info.is_dir():
        what = "a link" if kind == stat.S_IFLNK else "not a plain file"
        raise BundleError(f"{where}: {name!r} is {what}.")
    if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        # Other methods may unpack a few bytes to gigabytes in one step.
        raise BundleError(f"{where}: {name!r} is compressed in a way that is not supported.")


def unpack(path: Path, folder: Path) -> str:
    """Unpack the bundle of a zip file into a new folder, and return the run's id."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise BundleError(f"{path} cannot be read: it is no plain file.")
    try:
        with ZipFile(path) as archive:
            found = list_members(archive, str(path))
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
    except UNREADABLE as error:
        raise BundleError(f"{path} is not a zip file, or a damaged one ({error}).") from None
    except (IsADirectoryError, PermissionError) as error:
        raise BundleError(f"{path} cannot be read: {error.strerror}.") from None
    except OSError as error:
        if error.errno != errno.EINVAL:  # of a place that is before the file's first byte
            raise
        raise BundleError(f"{path} is not a zip file, or a damaged one ({error}).") from None
    return run_id


def _check_name(name: str, path: Path) -> None:
    """Refuse a name that leads out of the folder on any system, or is not one of an export."""
    if re.search(r"\\|^/|^[A-Za-z]:|\0", name) or ".." in name.split("/"):
        raise BundleError(f"{path} holds {name!r}, which leads out of the archive.")
    folder, _, part = name.rpartition("/")
    is_part = folder == "bundle" and (bundles.is_part(part) or part == bundles.MANIFEST)
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
    bundles.check_format(path, about, FORMAT)
    return check_run_id(about["run_id"], str(path))


def check_run_id(run_id: Any, where: str) -> str:
    """Return the id of a run; names such as "latest" and paths are refused."""
    if not isinstance(run_id, str) or not re.fullmatch(r"[0-9a-f]{32}", run_id):
        raise BundleError(f"{where}: {run_id!r} is not the id of a run, 32 hexadecimal digits.")
    return run_id


def _copy(source: IO[bytes], target: IO[bytes], size: int, where: str) -> None:
    """Copy a member, and stop as soon as it has more bytes than declared."""
    while chunk := source.read(CHUNK):
        size -= len(chunk)
        if size < 0:
            raise BundleError(f"{where} is larger than declared.")
        target.write(chunk)
