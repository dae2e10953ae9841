"""Read the files of the stores, whatever may be in their place."""

from __future__ import annotations

import json
import os
import re
import stat
from pathlib import Path
from typing import Any

from tagifai.exceptions import DamagedFileError

RUN_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")

MOST_BYTES = 2**24
"""Of a file that is read as a whole; ours have some thousand."""


def read_text(path: Path, most: int = MOST_BYTES) -> str:
    """Return the text of a small file of the stores, whatever may be in its place.

    Args:
        path: of the file.
        most: bytes that it may have.

    Raises:
        FileNotFoundError: nothing is there.
        DamagedFileError: it cannot be read; with the reason.
    """
    try:
        content = _read_bytes(path, most)
        if b"\0" in content:
            raise ValueError("it has bytes that no text has")
        return content.decode("utf-8")
    except FileNotFoundError:
        if path.is_symlink():
            raise DamagedFileError(path, "it is a link to nothing") from None
        raise
    except UnicodeDecodeError:
        raise DamagedFileError(path, "it is not UTF-8") from None
    except (OSError, ValueError) as error:
        raise DamagedFileError(path, getattr(error, "strerror", None) or str(error)) from None


def _read_bytes(path: Path, most: int) -> bytes:
    # A pipe would otherwise wait for somebody who writes to it.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("it is not a plain file")
        if found.st_size > most:
            raise ValueError(f"it has more than {most:,} bytes")
        with os.fdopen(handle, "rb", closefd=False) as file:
            # Python makes room at once for as much as is asked for.
            return file.read(found.st_size)
    finally:
        os.close(handle)


def read_json(path: Path) -> Any:
    """Return the content of a JSON file of the stores; errors as of `read_text`."""
    text = read_text(path)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = "it is empty" if not text.strip() else f"it is no JSON: {error!s:.100}"
        raise DamagedFileError(path, reason) from None


def read_run(path: Path, *keys: str) -> dict[str, str]:
    """Return what a JSON file says of a run: its id as "run_id", and more texts.

    Args:
        path: of the file.
        keys: of the other texts.

    Raises:
        FileNotFoundError: it is gone.
        DamagedFileError: it cannot be read, or has another form.
    """
    found = read_json(path)
    texts = [found.get(key) for key in ("run_id", *keys)] if isinstance(found, dict) else [None]
    if not all(isinstance(text, str) for text in texts):
        raise DamagedFileError(path, "it names no run")
    if RUN_ID.fullmatch(found["run_id"]) is None:
        raise DamagedFileError(path, f"{found['run_id']!r:.80} is no run")
    return dict(found)
