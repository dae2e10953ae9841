"""Read the rows of a stored table a block at a time, in any order."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, chain
from pathlib import Path

import pandas as pd
import pyarrow

# Its own pools keep what was freed, which of 90,000 texts of 130 characters are 65 MB.
pyarrow.set_memory_pool(pyarrow.system_memory_pool())

GROUP_ROWS = 1000
"""Rows of a row group, the least part of a table that is read by itself."""


def write_table(path: Path, tables: Iterable[pyarrow.Table]) -> None:
    """Write the rows of a table to a Parquet file, some at a time.

    Args:
        path: to write.
        tables: at least one, all with the same columns of texts.
    """
    # Late: a table that is stored already is not written.
    import pyarrow.parquet

    rest = iter(tables)
    first = next(rest)
    with pyarrow.parquet.ParquetWriter(path, first.schema, compression="zstd") as writer:
        for table in chain([first], rest):
            writer.write_table(table, row_group_size=GROUP_ROWS)


def read_table(path: Path) -> pd.DataFrame:
    """Return all rows of a stored table, with every field as a text."""
    import pyarrow.parquet

    return _to_frame(pyarrow.parquet.read_table(path))


def _to_frame(table: pyarrow.Table) -> pd.DataFrame:
    return pd.DataFrame({name: pd.array(table[name], dtype="str") for name in table.column_names})


@dataclass(frozen=True)
class Blocks:
    """A stored table in blocks of equally many rows; the last block may have fewer.

    Args:
        path: of the Parquet file.
        size: rows of a block.
        begins: numbers of the rows with which the row groups begin, and of all rows.
    """

    path: Path
    size: int
    begins: tuple[int, ...] = field(repr=False)

    @classmethod
    def from_path(cls, path: Path, size: int) -> Blocks:
        """Return the blocks of a stored table.

        Args:
            path: of the Parquet file.
            size: rows of a block.
        """
        import pyarrow.parquet

        found = pyarrow.parquet.read_metadata(path)
        sizes = (found.row_group(at).num_rows for at in range(found.num_row_groups))
        return cls(path, size, tuple(accumulate(sizes, initial=0)))

    @property
    def rows(self) -> int:
        """Rows of all blocks together."""
        return self.begins[-1]

    def __len__(self) -> int:
        return (self.rows + self.size - 1) // self.size

    def read(self, numbers: Sequence[int]) -> pd.DataFrame:
        """Return the rows of blocks, one block after the other, with every field as a text.

        Args:
            numbers: of the blocks, from 0.
        """
        import pyarrow.parquet

        spans = [(at * self.size, min((at + 1) * self.size, self.rows)) for at in numbers]
        needed = sorted({group for span in spans for group in self._list_groups(*span)})
        with pyarrow.parquet.ParquetFile(self.path) as file:
            table = file.read_row_groups(needed)
        # Where the row groups begin in what was read.
        sizes = (self.begins[group + 1] - self.begins[group] for group in needed)
        shift = {
            group: begin - self.begins[group]
            for group, begin in zip(needed, accumulate(sizes, initial=0), strict=False)
        }
        pieces = [
            table.slice(begin + shift[self._find_group(begin)], end - begin) for begin, end in spans
        ]
        return _to_frame(pyarrow.concat_tables(pieces))

    def read_in_order(self, rows: int) -> Iterator[pd.DataFrame]:
        """Yield all rows in the order of the file, about `rows` of them at a time."""
        step = max(1, rows // self.size)
        for first in range(0, len(self), step):
            yield self.read(range(first, min(first + step, len(self))))

    def _find_group(self, row: int) -> int:
        return bisect_right(self.begins, row) - 1

    def _list_groups(self, begin: int, end: int) -> range:
        return range(self._find_group(begin), self._find_group(end - 1) + 1)
