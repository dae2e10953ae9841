"""Open files as text, compressed or not, with errors that name the line of a wrong byte."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import IO

from tagifai.exceptions import DataError


@contextmanager
def _open_binary(path: Path, named: str) -> Iterator[gzip.GzipFile | BufferedReader]:
    """Open a file, decompressed if it is gzip."""
    try:
        with path.open("rb") as file:
            zipped = file.peek(2).startswith(b"\x1f\x8b")
            yield gzip.GzipFile(fileobj=file) if zipped else file
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{named} cannot be read: {error}.") from None


@contextmanager
def open_text(path: Path, encoding: str, named: str, newline: str = "") -> Iterator[IO[str]]:
    """Open a file as text, to be read a part at a time.

    Args:
        path: of the file; gzip is decompressed.
        encoding: a name that Python knows.
        named: the setting and the file, for errors.
        newline: as for `open`.

    Raises:
        DataError: it cannot be read, or has another encoding; with the line.
    """
    with _open_binary(path, named) as file:
        try:
            yield io.TextIOWrapper(file, _without_bom(encoding), newline=newline)
        except UnicodeError as error:
            raise _make_decode_error(path, encoding, named, error) from None


def _without_bom(encoding: str) -> str:
    """Return the encoding that skips the byte order mark which some programs begin UTF-8 with."""
    return "utf-8-sig" if codecs.lookup(encoding).name == "utf-8" else encoding


def _make_decode_error(path: Path, encoding: str, named: str, reason: UnicodeError) -> DataError:
    """Return the error that names the first line of a file that is not of its encoding."""
    decoder, lines = codecs.getincrementaldecoder(_without_bom(encoding))(), 1
    with _open_binary(path, named) as file:
        try:
            while block := file.read(2**20):
                lines += block.count(b"\n")
                decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            # The decoder's object ends where reading has stopped.
            lines -= error.object.count(b"\n", error.start)
            found = error.object[error.start : error.start + 1].hex()
            advice = (
                "If the whole file has another encoding, name it: data.encoding=cp1252"
                if _without_bom(encoding) == "utf-8-sig"
                else f"If the file is UTF-8, leave out data.encoding={encoding}"
            )
            return DataError(
                f"{named} is not {encoding} in line {lines} (byte 0x{found}). {advice}; if only"
                " parts of it do, convert them first."
            )
        except UnicodeError as error:
            reason = error
    return DataError(f"{named} is not {encoding}: {reason}.")
