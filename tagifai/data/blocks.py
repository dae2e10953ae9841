"""Read the rows of a stored table a block at a time, in any order."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from tagifai.exceptions import DataError


@dataclass(frozen=True)
class Blocks:
    """A table in blocks of equally many rows; the last block may have fewer.

    Args:
        path: of a CSV file with a header line.
        size: rows of a block.
        rows: of all blocks together.
        offsets: bytes at which the blocks begin, and at which the last one ends.
        stamp: inode, size and time of the file, which change when it is replaced.
    """

    path: Path
    size: int
    rows: int
    offsets: tuple[int, ...]
    stamp: tuple[int, ...]

    @classmethod
    def from_csv(cls, path: Path, size: int) -> Blocks:
        """Return the blocks of a table, whose bytes are read once to find where they begin.

        Args:
            path: of a CSV file with a header line.
            size: rows of a block.
        """
        rows, offsets, quoted = 0, [0], False
        with path.open("rb") as file:
            stamp = _stamp(file)
            place = offsets[0] = len(file.readline())
            for line in file:
                place += len(line)
                # A quoted text may contain line ends; a row has an even number of quotes.
                quoted ^= line.count(b'"') % 2 == 1
                if not quoted:
                    rows += 1
                    if rows % size == 0:
                        offsets.append(place)
        if offsets[-1] != place:
            offsets.append(place)
        return cls(path, size, rows, tuple(offsets), stamp)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def read(self, numbers: Sequence[int]) -> pd.DataFrame:
        """Return the rows of blocks, one block after the other, with every field as a text.

        Args:
            numbers: of the blocks, from 0.

        Raises:
            DataError: the file has been replaced since the blocks were found.
        """
        with self.path.open("rb") as file:
            if _stamp(file) != self.stamp:
                raise DataError(
                    f"{self.path} was replaced while it was in use. Start again; give data that"
                    " others use at the same time a data.name of their own."
                )
            content = [file.readline()]
            for number in numbers:
                begin, end = self.offsets[number : number + 2]
                file.seek(begin)
                content.append(file.read(end - begin))
        return pd.read_csv(
            io.BytesIO(b"".join(content)), dtype=str, keep_default_na=False, index_col=False
        )

    def read_in_order(self, rows: int) -> Iterator[pd.DataFrame]:
        """Yield all rows in the order of the file, about `rows` of them at a time."""
        step = max(1, rows // self.size)
        for first in range(0, len(self), step):
            yield self.read(range(first, min(first + step, len(self))))


def _stamp(file: io.BufferedReader) -> tuple[int, ...]:
    found = os.fstat(file.fileno())
    return found.st_ino, found.st_size, found.st_mtime_ns
