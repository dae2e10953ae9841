"""What is counted of a data set while its rows are read."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow


@dataclass
class DatasetTotals:
    """The totals over all rows of a data set."""

    rows: int = 0
    rows_read: Counter[str] = field(default_factory=Counter)
    counts: dict[str, int] = field(default_factory=dict)
    tag_counts: Counter[str] = field(default_factory=Counter)
    parts: set[str] = field(default_factory=set)
    notes: Counter[str] = field(default_factory=Counter)
    sums: dict[str, Any] = field(default_factory=dict)

    def add(self, table: pyarrow.Table) -> None:
        """Count rows, and add them to the digest."""
        self.rows += len(table)
        self.tag_counts.update(table["tag"].to_pylist())
        for name in table.column_names:
            values = table[name].to_pylist()
            # No value has NUL, so it tells where one ends; the digest knows nothing of chunks.
            self.sums.setdefault(name, sha256()).update(("\0".join(values) + "\0").encode())
            if name == "split":
                self.parts |= set(values)

    def compute_digest(self) -> str:
        """Return the digest of all rows."""
        content = "".join(f"{name} {found.hexdigest()}\n" for name, found in self.sums.items())
        return sha256(content.encode()).hexdigest()

    def format_notes(self) -> list[str]:
        """Return what is to be said of the files, a sentence each."""
        found = [f"{name}: {number}" for name, number in self.notes.items()]
        several = [tag for tag in self.tag_counts if re.search(r"[;|]", tag)]
        if several:
            found.append(
                f"{len(several)} labels have ; or | in them, such as {several[0]!r}; each is one"
            )
        return [f"{note}." for note in found]
