"""A cache of arrays on disk, shared by all processes, keyed by everything that decides them.

An entry is one npz file, written whole and renamed, and read without unpickling. It is never
stale: whatever decides its content is in its name. A damaged entry is made again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import platform
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from filelock import FileLock

from tagifai.utils.environment import ALL_LIBRARIES, get_versions
from tagifai.utils.state import drafts

CODE = (
    *("cleaning", "vectorizers", "feature_cache", "char_ngrams", "_sklearn"),
    *("sparse_counts", "alphabet", "murmurhash"),
)
"""Modules of this package that decide what is cached; a test compares them with the files."""

UNREADABLE = (
    *(OSError, ValueError, TypeError, KeyError, AttributeError, EOFError),
    *(NotImplementedError, BadZipFile, zlib.error),
)
"""Errors that reading a damaged file raises."""

LOCK_POLL_SECONDS = 0.01

Arrays = dict[str, Any]

log = logging.getLogger(__name__)


class FeatureCache:
    """Return arrays that any process made for the same key before, or make and keep them.

    Where the disk is full or read-only, everything is computed anew, and the log says so once.

    Args:
        folder: of the entries; made with the first one.
        max_bytes: of all entries; above it the least recently used ones are removed.
    """

    def __init__(self, folder: Path, max_bytes: float) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._has_logged = False

    def __call__(self, key: Mapping[str, Any], make: Callable[[], Arrays]) -> Arrays:
        """Return the arrays of a key.

        Args:
            key: what decides the arrays beside code and libraries, as JSON's types.
            make: computes them if they are not cached; its errors are passed on.
        """
        if self._max_bytes <= 0:
            return make()
        path = self._folder / f"{_name(key)}.npz"
        found = _read(path)
        if found is not None:
            return found
        with self._hold_lock(path):
            found = _read(path)
            if found is None:
                found = make()
                self._write(path, found)
        return found

    @contextmanager
    def _hold_lock(self, path: Path) -> Iterator[None]:
        """Make other processes that need the same entry wait, if there can be a lock."""
        lock = FileLock(path.with_name(f".{path.stem}.lock"), poll_interval=LOCK_POLL_SECONDS)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except (OSError, NotImplementedError) as error:
            self._log_once(error)
            yield
            return
        try:
            yield
        finally:
            # Whoever waits for the lock finds the entry, and needs the lock no more.
            Path(lock.lock_file).unlink(missing_ok=True)
            lock.release()

    def _write(self, path: Path, arrays: Arrays) -> None:
        size = sum(array.nbytes for array in arrays.values())
        if size > self._max_bytes:
            return
        try:
            # What is lost with the machine's power is made again, so nobody waits for the disk.
            with drafts.open_file(path, "wb") as (file, draft):
                np.savez(file, allow_pickle=False, **arrays)
                file.flush()
                draft.replace(path)
            self._trim()
        except OSError as error:
            self._log_once(error)

    def _trim(self) -> None:
        """Remove the least recently used entries until the others are small enough."""
        found = []
        for path in self._folder.glob("*.npz"):
            with suppress(FileNotFoundError):  # another process may trim, too
                stat = path.stat()
                found.append((stat.st_mtime_ns, stat.st_size, path))
        left = sum(size for _, size, _ in found)
        for _, size, path in sorted(found):
            if left <= self._max_bytes:
                return
            path.unlink(missing_ok=True)
            left -= size

    def _log_once(self, error: Exception) -> None:
        if not self._has_logged:
            log.info(
                "The cache in %s cannot be used, so all is computed anew: %s", self._folder, error
            )
        self._has_logged = True


def open_feature_cache(stores: str | Path, max_gb: float) -> FeatureCache:
    """Return the cache in the folder of stores.

    Args:
        stores: the folder.
        max_gb: of all entries, in 10**9 bytes.
    """
    return FeatureCache(Path(stores) / "cache" / "features", max_gb * 1e9)


def _read(path: Path) -> Arrays | None:
    """Return an entry that is there and intact, and note its use; otherwise None."""
    if not path.is_file():
        return None
    try:
        # Opened here: NumPy would leave a damaged file open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as content:
            found = {name: content[name] for name in content.files}
    except UNREADABLE:
        return None
    with suppress(OSError):  # it may be another user's
        os.utime(path)
    return found


def _name(key: Mapping[str, Any]) -> str:
    whole = {"key": key, "circumstances": _describe_environment()}
    text = json.dumps(whole, sort_keys=True, allow_nan=True)
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def _describe_environment() -> dict[str, Any]:
    """Return the code, the libraries and the kind of machine, which decide every result."""
    folder = Path(__file__).parent
    sums = {name: hashlib.sha256((folder / f"{name}.py").read_bytes()).hexdigest() for name in CODE}
    machine = (platform.system(), platform.machine())
    return {"code": sums, "versions": get_versions(ALL_LIBRARIES), "machine": machine}
