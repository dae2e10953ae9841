"""Files written whole: a reader sees the old content or the new, never a part."""

from __future__ import annotations

import errno
import glob
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO

from tagifai.exceptions import DataError
from tagifai.utils.secrets import mask_all
from tagifai.utils.state import drafts
from tagifai.utils.system import errors

MOST_PIPED = 10**9
"""Bytes of standard input that are kept."""


@contextmanager
def open_output(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a file that the user asked for; it appears whole at the end of the block.

    Args:
        path: of the file.
        mode: "w" for text, "wb" for bytes.

    Raises:
        DataError: it cannot be written there.
    """
    try:
        with replace_atomically(path, mode) as file:
            yield file
    except OSError as error:
        reason = f"{path} cannot be written: {error.strerror or error}."
        raise DataError(errors.describe_limit(error) or reason) from error


def check_output(path: str | None, source: str | None) -> None:
    """Refuse an output that could not take its place, before any work is done for it.

    Args:
        path: of the file that will be written; None for none.
        source: path or glob of what will be read, if anything.

    Raises:
        DataError: there is a folder or a device, it is the input, or its folder takes no files.
    """
    if path is None:
        return
    if not Path(path).exists():
        if not is_writable(Path(path)):
            folder = next(place for place in Path(path).parents if place.exists())
            code = errno.EACCES if folder.is_dir() else errno.ENOTDIR
            raise DataError(f"{path} cannot be written: {os.strerror(code)}.")
        return
    if not Path(path).is_file():
        reason = "Is a directory" if Path(path).is_dir() else "Is not a regular file"
        raise DataError(f"{path} cannot be written: {reason}.")
    sources = [] if source in (None, "-") else [str(source), *glob.glob(str(source))]  # noqa: PTH207
    if any(Path(name).exists() and Path(name).samefile(path) for name in sources):
        raise DataError(f"{path} is the input too; the output needs another name.")


@contextmanager
def replace_atomically(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a file that takes the place of `path` when the block ends well, and is on disk then.

    What an earlier writer of the same file left when it was killed is removed.

    Args:
        path: where the file will stand; its folder is made if it is missing.
        mode: "w" for text, "wb" for bytes.
    """
    drafts.remove_abandoned(path)
    with errors.name_file(path), drafts.open_file(path, mode) as (file, draft):
        yield file
        drafts.finish_file(file)
        draft.replace(path)
    drafts.sync_folder(path.parent)


@contextmanager
def create_atomically(path: Path) -> Iterator[IO[bytes]]:
    """Open a binary file that stands at `path` when the block ends well.

    Args:
        path: where the file will stand; its folder is made if it is missing.

    Raises:
        FileExistsError: something is there, before or after the block.
    """
    _refuse_existing(path)
    drafts.remove_abandoned(path)
    with errors.name_file(path), drafts.open_file(path, "wb") as (file, draft):
        yield file
        drafts.finish_file(file)
        _refuse_existing(path)
        draft.rename(path)
    drafts.sync_folder(path.parent)


def _refuse_existing(path: Path) -> None:
    if path.exists() or path.is_symlink():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))


@contextmanager
def replace_folder_atomically(path: Path) -> Iterator[Path]:
    """Give a new folder that takes the place of `path` when the block ends well.

    Its files are on disk before it has its name.

    Args:
        path: where the folder will stand; its parent is made if it is missing.
    """
    drafts.remove_abandoned(path)
    with drafts.open_folder(path) as made:
        with errors.name_file(path):
            yield made
            drafts.finish_folder(made)
        old = made.with_name(f"{made.name}{drafts.OLD}")
        try:
            if path.exists():
                path.rename(old)
            made.rename(path)
        except BaseException:
            if old.exists() and not path.exists():
                old.rename(path)
            raise
        drafts.sync_folder(path.parent)
        shutil.rmtree(old, ignore_errors=True)


def write_json(path: Path, content: Any) -> None:
    """Write a record as indented JSON without secrets, in place of what was there."""
    with replace_atomically(path) as file:
        file.write(format_json(mask_all(content)))


def format_json(content: Any) -> str:
    """Return JSON as it is written to files."""
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def is_writable(path: Path) -> bool:
    """Return whether a file or folder can be written, or made where it is not there yet."""
    there = next(place for place in (path, *path.parents) if os.access(place, os.F_OK))
    return os.access(there, os.W_OK) and (there == path or there.is_dir())


def compute_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_pieces(stream: BinaryIO) -> Iterator[bytes]:
    """Yield what a pipe has, which may have no end.

    Raises:
        DataError: there is more than `MOST_PIPED` bytes.
    """
    size = 0
    while piece := stream.read(2**20):
        size += len(piece)
        if size > MOST_PIPED:
            raise DataError(
                f"Standard input has more than {MOST_PIPED // 10**6:,} MB. Save it as a file and"
                " give its path."
            )
        yield piece
