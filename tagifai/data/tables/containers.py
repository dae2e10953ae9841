"""What a file is by its first bytes, and its unpacked bytes as a stream with a bound."""

from __future__ import annotations

import bz2
import io
import lzma
import os
import re
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from tagifai.data.limits import UnpackLimits
from tagifai.exceptions import DataError
from tagifai.utils.excerpts import shorten

_CONTAINERS = ("gzip", "bz2", "xz", "zstd", "zip")
"""Kinds that hold one file, which is read in their place."""
LARGEST_TRIED = 100_000_000
"""Bytes of a file that is unpacked to see whether it is one; of a larger one the setting counts."""
LONGEST_LINE = 100_000_000
"""Bytes of a line, which is in memory as a whole."""

_AS_TABLE = "save its table as CSV or Parquet"

_KINDS = {
    "gzip": (rb"\x1f\x8b\x08", ""),
    "bz2": (rb"BZh[1-9](1AY&SY|\x17rE8P\x90)", ""),
    "xz": (rb"\xfd7zXZ\0", ""),
    "zstd": (rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18", ""),
    "zip": (rb"PK(\x03\x04|\x05\x06)", ""),
    # A text can begin with such letters too, but not with what follows them.
    "parquet": (rb"PAR[1E][^\t\r\n -~]", ""),
    "workbook": (rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", ""),
    "html": (
        rb"(?i)(\xef\xbb\xbf)?\s*<(!doctype html|html[\s>]|head[\s>])",
        "a web page: download the raw file that it leads to and give that",
    ),
    "lfs": (
        rb"version https://git-lfs",
        "a Git LFS pointer, not the file itself: fetch that with git lfs pull",
    ),
    "xml": (rb"(\xef\xbb\xbf)?<\?xml\s", "XML: convert it to CSV, JSON Lines or Parquet"),
    "pdf": (rb"%PDF-", "a PDF: save its texts as .txt, or its table as CSV"),
    "document": (rb"{\\rtf1", "a document: save its texts as .txt, or its table as CSV"),
    "image": (rb"\x89PNG\r\n|\xff\xd8\xff|GIF8[79]a", "an image: give a file of texts"),
    "tar": (rb"(?s).{257}ustar", "a tar archive: unpack it first and give the file in it"),
    "archive": (
        rb"7z\xbc\xaf\x27\x1c|Rar!\x1a\x07|\x04\x22\x4d\x18|\x1f\x9d",
        "an archive, but none of gzip, bz2, xz, zstd and zip: unpack it first",
    ),
    "database": (rb"SQLite format 3\0", "an SQLite database: export its table as CSV"),
    "pickle": (rb"\x80[\x02-\x05]", f"a pickle, which could run any code: {_AS_TABLE}"),
    "data": (
        rb"\x89HDF\r\n|ARROW1\0|FEA1\0|ORC[^\t\r\n -~]|Obj\x01|\x93NUMPY",
        f"HDF5, Arrow, ORC, Avro or NumPy data: {_AS_TABLE}",
    ),
}
"""What each kind begins with, and if it is no table: what it is, and the way out."""


def recognize(path: Path, named: str, limits: UnpackLimits | None = None) -> str | None:
    """Return what a file is, unpacked, by its first bytes.

    Args:
        path: of the file.
        named: the setting and the file, for errors.
        limits: of what it may become; None are the usual ones.

    Returns:
        parquet, workbook, a kind that `explain_foreign` explains, or None for what may be text.

    Raises:
        DataError: it cannot be read or unpacked.
    """
    with _open_content(path, named) as content:
        if not content.packed:
            return content.kind
        head = content.read(512)
        unpacked = len(head)
        # Unpacking is fast, and reading rows is not.
        while content.size < LARGEST_TRIED and (block := content.read(2**20)):
            unpacked += len(block)
            (limits or UnpackLimits()).refuse_excess(unpacked, content.size, named)
        return _recognize_head(head)


def explain_foreign(kind: str | None, path: Path, named: str) -> str | None:
    """Return the sentence that a file is no table, with the way out, or None if it may be one.

    Args:
        kind: as from `recognize`.
        path: of the file.
        named: the setting and the file.
    """
    what = _KINDS[kind][1] if kind else ""
    if kind == "lfs" and (size := re.search(r"\nsize (\d+)", path.read_text(errors="replace"))):
        what = what.replace(" pointer", f" pointer to {int(size[1]):,} bytes")
    return f"{named} is {what}." if what else None


@contextmanager
def open_bytes(
    path: Path, named: str, limits: UnpackLimits, *, lines: bool = False
) -> Iterator[BinaryIO]:
    """Open a file, unpacked if it is gzip, bz2, xz, zstd, or a zip of one file.

    The stream has `peek`, and cannot seek.

    Args:
        path: of the file; what it is goes by its first bytes, not by its name.
        named: the setting and the file, for errors.
        limits: of what may come out of a container.
        lines: whether it is read a line at a time, so that none may be too long.

    Raises:
        DataError: it cannot be read or is damaged, which may be found while it is read; it has
            several files or needs a password; or more comes out than is allowed.
    """
    with _open_content(path, named) as content, io.BufferedReader(content, 2**18) as stream:
        content.longest = LONGEST_LINE if lines else None
        if content.packed:
            content.limits = limits
            inner = _recognize_head(stream.peek(512))
            if inner in _CONTAINERS:
                raise DataError(
                    f"{named} is {inner} within {content.kind}: unpack the {content.kind} first."
                )
        yield cast(BinaryIO, stream)


class _Content(io.RawIOBase):
    """What a file holds; whatever goes wrong is a DataError, and so is too much of it."""

    def __init__(self, file: io.BufferedReader, named: str) -> None:
        self.kind = _recognize_head(file.peek(512))
        if self.kind == "zip":
            self.kind = _recognize_zip(file)
        self.packed = self.kind in _CONTAINERS
        self.limits: UnpackLimits | None = None
        self.longest: int | None = None
        self._named, self._count, self._line = named, 0, 0
        self.size = os.fstat(file.fileno()).st_size
        self._raw = self._call(lambda: _unpack(file, self.kind, named))

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = int(self._call(lambda: self._raw.readinto(buffer)))
        self._count += count
        if self.limits is not None:
            self.limits.refuse_excess(self._count, self.size, self._named)
        block = bytes(buffer[:count]) if self.longest else b""
        last = max(block.rfind(b"\n"), block.rfind(b"\r"))
        self._line = self._line + len(block) if last < 0 else len(block) - last - 1
        if self.longest and self._line > self.longest:
            raise DataError(
                f"{self._named} has a line of more than {self.longest // 1_000_000:,} MB, which is"
                " no row of a table. JSON on one line is read with format=json."
            )
        return count

    def _call(self, function: Callable[[], Any]) -> Any:
        try:
            return function()
        except DataError:
            raise
        except Exception as error:  # six libraries have errors of their own
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            what = f"is damaged or incomplete {self.kind}" if self.packed else "cannot be read"
            raise DataError(f"{self._named} {what} ({reason.rstrip('.')}).") from None


def refuse_endless(path: Path, named: str) -> None:
    """Refuse what is there and is no file: a device may have no end, a pipe is read once."""
    if path.exists() and not path.is_file() and not path.is_dir():
        what = "pipe: give - and pipe it in" if path.is_fifo() else "device, not a file"
        raise DataError(f"{named} is a {what}.")


@contextmanager
def _open_content(path: Path, named: str) -> Iterator[_Content]:
    refuse_endless(path, named)
    try:
        file = path.open("rb")
    except IsADirectoryError:
        raise DataError(f"{named} is a folder, not a file.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{named} cannot be read: {reason}.") from None
    with file:
        yield _Content(file, named)


def _unpack(file: io.BufferedReader, kind: str | None, named: str) -> Any:
    if kind == "zip":
        return _open_member(zipfile.ZipFile(file), named)
    if kind in ("zstd", "gzip"):
        from pyarrow import CompressedInputStream, PythonFile

        return CompressedInputStream(PythonFile(file), kind)
    return bz2.BZ2File(file) if kind == "bz2" else lzma.LZMAFile(file) if kind == "xz" else file


def _open_member(archive: zipfile.ZipFile, named: str) -> Any:
    """Open the only file of a zip; what archivers of a system add for themselves is none."""
    found = [item for item in archive.infolist() if not item.is_dir()]
    found = [item for item in found if not re.match(r"__MACOSX/|(.*/)?\.DS_Store$", item.filename)]
    names = ", ".join(f"'{shorten(item.filename)}'" for item in found[:10]) + ", ..." * (
        len(found) > 10
    )
    if len(found) != 1:
        holds = f"{len(found)} files ({names})" if found else "no file"
        raise DataError(f"{named} is a zip of {holds}: unpack it first and give those you want.")
    if found[0].flag_bits & 1:
        raise DataError(f"{named} is a zip with a password: unpack it first and give {names}.")
    return archive.open(found[0])


def _recognize_head(head: bytes) -> str | None:
    return next((kind for kind, (start, _) in _KINDS.items() if re.match(start, head)), None)


def _recognize_zip(file: io.BufferedReader) -> str:
    """Tell workbooks and documents, which are zips of many files, from zips that hold one."""
    head = file.peek(512)
    try:
        archive = zipfile.ZipFile(file)
        names = archive.namelist()
        head = archive.open("mimetype").read(512) if names[:1] == ["mimetype"] else head
    except Exception:  # the list of names is at the end, which is lost; the first one is not
        names = [head[30 : 30 + int.from_bytes(head[26:28], "little")].decode(errors="replace")]
    file.seek(0)
    if names[:1] == ["mimetype"]:
        return "workbook" if b"opendocument.spreadsheet" in head else "document"
    if not any(re.match(r"\[Content_Types\]|xl/|docProps/", name) for name in names):
        return "zip"
    written = any(name.startswith(("word/", "ppt/", "visio/")) for name in names)
    return "document" if written else "workbook"
