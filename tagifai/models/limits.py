"""Claims: what a file says of its own content, checked before memory or disk is given to it.

A zip of kilobytes may unpack to terabytes, and the header of an array may claim as much.
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
"""Of a member: float64 weights of a million terms and a hundred classes are 0.8 * 10**9."""

WHOLE_BYTES = 2**31
"""Of all members together: weights as above, as many again for an average of them, and terms."""

TEXT_BYTES = 2**28
"""Of a JSON member, which takes many times as much when it is read: ten million terms, or the ten
thousand trees of a boosting."""

PARTS = 1_000
"""Members of an archive: a bundle has a part for each large array, and some twenty as a rule."""

PIECES = 100_000
"""Members of a skops file: five for each tree of a forest or boosting."""

UNREADABLE = (BadZipFile, zlib.error, NotImplementedError, EOFError, ValueError, RecursionError)
"""What is raised by a zip, or by what is in it, that is not what it says."""


def list_members(archive: ZipFile, where: str, max_members: int) -> dict[str, ZipInfo]:
    """Return the members of a zip by name; their sizes are within bounds, as they are declared.

    More than is declared is never read: Python's zipfile stops there, and misses the checksum.

    Args:
        archive: open for reading.
        where: it is, for errors.
        max_members: members that it may have.

    Raises:
        BundleError: too many or too large, twice the same, encrypted, packed in an unusual way, or
            not plain files.
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
        where: they are, for errors.
    """
    for name, size in sizes.items():
        most = TEXT_BYTES if name.endswith((".json", ".yaml")) else MEMBER_BYTES
        if size > most:
            raise BundleError(f"{where}: {name!r} has {size} bytes, and may have {most}.")
    whole = sum(sizes.values())
    if whole > WHOLE_BYTES:
        raise BundleError(f"{where} has {whole} bytes unpacked, and may have {WHOLE_BYTES}.")


def _check_member(info: ZipInfo, where: str) -> None:
    name, kind = info.orig_filename, stat.S_IFMT(info.external_attr >> 16)
    if info.flag_bits & 1:
        raise BundleError(f"{where}: {name!r} is encrypted, which a model is not.")
    if kind not in (0, stat.S_IFREG) or info.is_dir():
        what = "a link" if kind == stat.S_IFLNK else "not a plain file"
        raise BundleError(f"{where}: {name!r} is {what}.")
    if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        # The others may unpack a few bytes to gigabytes at a step.
        raise BundleError(f"{where}: {name!r} is packed in a way that is not read here.")


def check_array(file: IO[bytes], size: int, where: str) -> None:
    """Refuse an npy file whose header claims another size than it has, or objects.

    Args:
        file: at its beginning.
        size: bytes of it.
        where: it is, for errors.

    Raises:
        BundleError: it is no array, or has to be unpickled.
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
        raise BundleError(f"{where} claims shape {shape} of {dtype} and has {left} bytes for it.")


def check_skops(file: Path) -> None:
    """Refuse a skops file that takes more memory to read than its size and its limits say.

    Raises:
        BundleError: as `members`; or it has members other than arrays, matrices and bytes, or its
            schema names one thing over and over again.
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
        raise BundleError(f"{where} has a schema that leads in circles ({error}).") from None
    if read > WHOLE_BYTES:
        raise BundleError(f"{where} would read {read} bytes; no model has more than {WHOLE_BYTES}.")


def _check_piece(archive: ZipFile, info: ZipInfo, where: str) -> int:
    """Check a member of a skops file by its content, and return the bytes that it unpacks to."""
    name = f"{where}/{info.filename}"
    if info.filename == "schema.json":
        return 0
    if not info.filename.endswith((".npy", ".npz", ".bin")):
        raise BundleError(f"{where} holds {info.filename!r}, which does not belong into a model.")
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

    Skops writes an object out wherever it is met. A file that has one written out once and named
    from elsewhere by its number could make billions of a few, so the same number means the same
    count.
    """
    if isinstance(value, list):
        counts = [_weigh(item, sizes, met) for item in value]
        return sum(count for count, _ in counts), sum(read for _, read in counts)
    if not isinstance(value, dict):
        return 0, 0
    count, read = _weigh(list(value.values()), sizes, met)
    number, file = value.get("__id__"), value.get("file")
    if number is not None and met.setdefault(number, count) != count:
        raise ValueError(f"object {number} is not the same everywhere")
    return count + 1, read + (sizes.get(file, 0) if isinstance(file, str) else 0)
