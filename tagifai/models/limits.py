"""Limits for the files of a model, checked before they take memory or disk.

A zip of kilobytes may unpack to terabytes, and the header of an array may declare as much.
"""

from __future__ import annotations

import json
import math
import stat
import zlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

import numpy as np

from tagifai.exceptions import BundleError

MEMBER_BYTES = 2**30
"""Most bytes of a member: float64 weights of a million terms and a hundred classes have 0.8e9."""

WHOLE_BYTES = 2**31
"""Most bytes of all members together: weights as above, their average, and terms."""

TEXT_BYTES = 2**28
"""Most bytes of a JSON member, which takes many times as much when it is read: ten million terms,
or the ten thousand trees of a boosting."""

PARTS = 1_000
"""Most members of an archive: a bundle has a part for each large array, about twenty as a rule."""

PIECES = 100_000
"""Most members of a skops file: five for each tree of a forest or boosting."""

UNREADABLE = (BadZipFile, zlib.error, NotImplementedError, EOFError, ValueError, RecursionError)
"""Errors that reading a damaged or forged zip raises."""


def list_members(archive: ZipFile, where: str, max_members: int) -> dict[str, ZipInfo]:
    """Return the members of a zip by name, after their declared sizes have been checked.

    More than is declared is never read: Python's zipfile stops there, and the checksum is wrong.

    Args:
        archive: open for reading.
        where: name of the file, for errors.
        max_members: members that it may have.

    Raises:
        BundleError: members are too many, too large, there twice, encrypted, packed in an unusual
            way, or no plain files.
    """
    infos = archive.infolist()
    if len(infos) > max_members:
        raise BundleError(
            f"{where} has {len(infos)} members; no model has more than {max_members}."
        )
    for info in infos:
        _check_member(info, where)
    (name, times), *_ = Counter(i.filename.casefold() for i in infos).most_common(1) or [("", 1)]
    if times > 1:
        raise BundleError(f"{where} holds {name!r} {times} times.")
    check_sizes({info.filename: info.file_size for info in infos}, where)
    return {info.filename: info for info in infos}


def check_sizes(sizes: Mapping[str, int], where: str) -> None:
    """Refuse members that are too large, one by one or together.

    Args:
        sizes: in bytes, by name.
        where: name of the file, for errors.

    Raises:
        BundleError: one is too large, or all of them together are.
    """
    for name, size in sizes.items():
        most = TEXT_BYTES if name.endswith((".json", ".yaml")) else MEMBER_BYTES
        if size > most:
            raise BundleError(f"{where}: {name!r} has {size} bytes; the limit is {most}.")
    whole = sum(sizes.values())
    if whole > WHOLE_BYTES:
        raise BundleError(f"{where} has {whole} bytes unpacked; the limit is {WHOLE_BYTES}.")


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


def check_array(file: IO[bytes], size: int, where: str) -> None:
    """Refuse an npy file whose header declares another size than it has, or objects.

    Args:
        file: open at its beginning.
        size: of the file, in bytes.
        where: name of the file, for errors.

    Raises:
        BundleError: it is no array, of another size, or would have to be unpickled.
    """
    headers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    try:
        begin = file.tell()
        shape, _, dtype = headers[np.lib.format.read_magic(file)](file)
        claimed = math.prod(shape) * dtype.itemsize
        left = size - (file.tell() - begin)
    except (ValueError, KeyError, EOFError) as error:
        raise BundleError(f"{where} is not an array ({error}).") from None
    if dtype.hasobject:
        raise BundleError(f"{where} is an array of objects, which would have to be unpickled.")
    if dtype.itemsize == 0 or min(shape, default=0) < 0 or claimed != left:
        raise BundleError(
            f"{where} declares an array of shape {shape} and type {dtype}, but has {left} bytes."
        )


def check_skops(file: Path) -> None:
    """Refuse a skops file that would take more memory than the limits allow.

    Raises:
        BundleError: as `list_members`; or it has members other than arrays, matrices and bytes, or
            its schema reads the same member over and over again.
    """
    where = str(file)
    try:
        with ZipFile(file) as archive:
            pieces = list_members(archive, where, PIECES)
            if "schema.json" not in pieces:
                raise BundleError(f"{where} has no schema.json.")
            sizes = {name: _check_piece(archive, info, where) for name, info in pieces.items()}
            schema = json.loads(archive.read("schema.json"))
    except UNREADABLE as error:
        raise BundleError(f"{where} is not a skops file ({error}).") from None
    try:
        _, read = _weigh(schema, sizes, {})
    except (TypeError, ValueError, RecursionError) as error:
        raise BundleError(f"{where} has a schema that refers to itself ({error}).") from None
    if read > WHOLE_BYTES:
        raise BundleError(f"{where} would read {read} bytes; the limit is {WHOLE_BYTES}.")


def _check_piece(archive: ZipFile, info: ZipInfo, where: str) -> int:
    """Check a member of a skops file by its content, and return the bytes that it unpacks to."""
    name = f"{where}/{info.filename}"
    if info.filename == "schema.json":
        return 0
    if not info.filename.endswith((".npy", ".npz", ".bin")):
        raise BundleError(f"{where} holds {info.filename!r}, which is no part of a model.")
    with archive.open(info) as file:
        # Reading goes by the content and not by the name.
        start = file.read(6)
        file.seek(0)
        if start == b"\x93NUMPY":
            check_array(file, info.file_size, name)
            return info.file_size
        if not start.startswith(b"PK"):
            return info.file_size
        with ZipFile(file) as inner:
            arrays = list_members(inner, name, PARTS)
            for array in arrays.values():
                with inner.open(array) as opened:
                    check_array(opened, array.file_size, f"{name}/{array.filename}")
            return info.file_size + sum(array.file_size for array in arrays.values())


def _weigh(value: Any, sizes: dict[str, int], met: dict[Any, int]) -> tuple[int, int]:
    """Return how many objects a schema makes, and how many bytes of members it reads for them.

    Skops writes an object out wherever it occurs. A forged file could write one out once and refer
    to it by its number, which makes billions of objects of a few; so the same number has to mean
    the same count.
    """
    if isinstance(value, list):
        counts = [_weigh(item, sizes, met) for item in value]
        return sum(count for count, _ in counts), sum(read for _, read in counts)
    if not isinstance(value, dict):
        return 0, 0
    count, read = _weigh(list(value.values()), sizes, met)
    number, file = value.get("__id__"), value.get("file")
    if number is not None and met.setdefault(number, count) != count:
        raise ValueError(f"object {number} has several contents")
    return count + 1, read + (sizes.get(file, 0) if isinstance(file, str) else 0)
