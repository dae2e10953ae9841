"""Vectors of texts on disk, for all processes: what was embedded once is not embedded again.

One SQLite file for each encoder, by the texts themselves; folds, refits, trials and later runs with
other splits find each text. What an encoder's vectors depend on is in the name of its file.
"""

from __future__ import annotations

import hashlib
import json
import logging
import platform
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
from filelock import FileLock

from tagifai.preprocessing.encoders.encoder import Encoder, Vectors
from tagifai.utils.environment import get_versions
from tagifai.utils.excerpts import format_duration

LIBRARIES = ("onnxruntime", "tokenizers", "numpy")
CHUNK = 500
"""Texts that are read or written at a time."""

PATIENCE_SECONDS = 30
"""How long another process is waited for that writes."""

LONG_SECONDS = 20.0
"""Embedding that takes longer is said before, with how long it will take."""

SAMPLE_SECONDS = 2.0
"""After so much work its whole length is estimated."""

Item = TypeVar("Item")

log = logging.getLogger(__name__)


class EmbeddingStore:
    """Keeps an encoder's vectors.

    Where the disk is full or read-only, nothing is kept, and the log says so.

    Args:
        folder: of the files; made with the first one.
        max_bytes: of a file; a larger one loses its oldest half. 0 keeps nothing.
    """

    def __init__(self, folder: Path, max_bytes: float) -> None:
        self._folder = folder
        self._max_bytes = max_bytes

    def read(self, encoder: Encoder, texts: Sequence[str]) -> dict[str, Vectors]:
        """Return the vectors of those texts that are there."""
        path = self._get_path(encoder)
        if self._max_bytes <= 0 or not path.is_file():
            return {}
        found: dict[str, Vectors] = {}
        try:
            with closing(_connect(path)) as connection:
                for some in _chunk(texts):
                    by_key = {_make_key(text): text for text in some}
                    marks = ",".join("?" * len(by_key))
                    query = f"SELECT text, vector FROM vectors WHERE text IN ({marks})"  # noqa: S608 # nosec B608
                    for key, content in connection.execute(query, list(by_key)):
                        vector = np.frombuffer(content, np.float32)
                        if len(vector) == encoder.dimensions:
                            found[by_key[key]] = vector
        except sqlite3.Error as error:
            self._discard(path, error)
        return found

    def write(self, encoder: Encoder, vectors: dict[str, Vectors]) -> None:
        """Keep vectors by their texts."""
        if self._max_bytes <= 0 or not vectors:
            return
        path = self._get_path(encoder)
        rows = [(_make_key(text), vector.tobytes()) for text, vector in vectors.items()]
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            if path.exists() and not path.is_file():
                raise IsADirectoryError(f"{path} is not a file")
            with closing(_connect(path)) as connection, connection:
                connection.execute(
                    "CREATE TABLE IF NOT EXISTS vectors (text BLOB UNIQUE, vector BLOB)"
                )
                connection.executemany("INSERT OR IGNORE INTO vectors VALUES (?, ?)", rows)
            if path.stat().st_size > self._max_bytes:
                _halve(path)
        except (OSError, sqlite3.Error) as error:
            self._discard(path, error)

    @contextmanager
    def hold_lock(self, encoder: Encoder) -> Iterator[None]:
        """Make other processes wait that would embed with the same encoder, if there can be a lock.

        Workers of a search begin with the same texts.
        """
        path = self._get_path(encoder)
        if self._max_bytes <= 0:
            yield
            return
        lock = FileLock(path.with_name(f".{path.stem}.lock"))
        with suppress(OSError, NotImplementedError):
            self._folder.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def _get_path(self, encoder: Encoder) -> Path:
        versions = get_versions(LIBRARIES)
        made_by = [encoder.digest, versions, platform.system(), platform.machine()]
        name = hashlib.sha256(json.dumps(made_by, sort_keys=True).encode()).hexdigest()
        return self._folder / f"{name[:32]}.sqlite"

    def _discard(self, path: Path, error: Exception) -> None:
        log.info("The embeddings in %s cannot be used, so they are computed: %s", path, error)
        # Of this class itself are errors of damaged files; those of a full disk or a lock derive.
        if type(error) is sqlite3.DatabaseError:
            with suppress(OSError):
                path.unlink()


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=PATIENCE_SECONDS)


def _make_key(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:16]


def _halve(path: Path) -> None:
    """Remove the older half of the vectors."""
    with closing(_connect(path)) as connection:
        with connection:
            connection.execute(
                "DELETE FROM vectors WHERE rowid <= (SELECT (MIN(rowid) + MAX(rowid)) / 2"
                " FROM vectors)"
            )
        connection.execute("VACUUM")


def warm(
    encoder: Encoder,
    texts: Sequence[str],
    store: EmbeddingStore,
    *,
    on_progress: Callable[[int, int], None] = lambda done, of: None,
    on_estimate: Callable[[str], None] = log.info,
) -> None:
    """Have the vectors of texts at hand, from the store or by embedding them now.

    Args:
        encoder: that holds them afterwards.
        texts: all that a run will need.
        store: where they are looked for, and kept.
        on_progress: called with the texts that are embedded, and how many there are to embed.
        on_estimate: called with a sentence, once, if embedding takes long.
    """
    encoder.remove_others(texts)
    encoder.hold(store.read(encoder, encoder.find_unknown(texts)))
    if encoder.find_unknown(texts):
        with store.hold_lock(encoder):
            # Another process may have embedded them in the meantime.
            encoder.hold(store.read(encoder, encoder.find_unknown(texts)))
            _embed_missing(encoder, encoder.find_unknown(texts), store, on_progress, on_estimate)


def _embed_missing(
    encoder: Encoder,
    missing: Sequence[str],
    store: EmbeddingStore,
    on_progress: Callable[[int, int], None],
    on_estimate: Callable[[str], None],
) -> None:
    """Embed texts, and keep their vectors."""
    begun = first = 0.0
    is_said = False

    def tell(done: int, share: float) -> None:
        nonlocal begun, first, is_said
        on_progress(done, len(missing))
        now = time.monotonic()
        if not begun:
            # Before, all texts were cut into tokens, and the encoder warmed up.
            begun, first = now, share
        elif not is_said and now - begun >= SAMPLE_SECONDS:
            is_said = True
            whole = (now - begun) / (share - first)
            if whole >= LONG_SECONDS:
                on_estimate(_describe_estimate(len(missing), whole))

    for some in _chunk(encoder.compute(missing, tell)):
        # Kept bit by bit, so that an interrupt loses little.
        store.write(encoder, dict(some))
        encoder.hold(dict(some))


def _chunk(items: Iterable[Item]) -> Iterator[list[Item]]:
    iterator = iter(items)
    while some := list(islice(iterator, CHUNK)):
        yield some


def _describe_estimate(texts: int, seconds: float) -> str:
    return (
        f"Embedding {texts:,} texts takes about {format_duration(seconds)}, once: what is"
        " embedded is kept for later runs. Fewer or shorter texts, or a smaller encoder, take less."
    )
