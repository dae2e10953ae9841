"""Characters as numbers of a few bits, and n-grams of them as one number each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.uint32]
"""Code points of characters."""

Numbers = npt.NDArray[np.int64]

BITS = 63
"""Bits of the number that holds the characters of an n-gram."""

_SPACES = re.compile(r"\s\s+")


@dataclass(frozen=True)
class Alphabet:
    """Numbers for characters, in their order, from 1 on; 0 stands for all others.

    Args:
        points: code points in ascending order, none of them 0.
    """

    points: Points

    @classmethod
    def from_points(cls, *parts: Points) -> Alphabet:
        """Return the alphabet of the characters in some arrays; code point 0 is no character."""
        found: Points = np.unique(np.concatenate([np.flatnonzero(np.bincount(p)) for p in parts]))
        return cls(found[found > 0].astype(np.uint32))

    @property
    def bits(self) -> int:
        """Bits of a character's number."""
        return len(self.points).bit_length()

    def is_packable(self, size: int) -> bool:
        """Return whether n-grams of this size fit a number."""
        return self.bits * size <= BITS

    def encode(self, points: Points) -> Numbers:
        """Return the numbers of characters."""
        table = np.zeros(int(self.points.max(initial=0)) + 2, np.int64)
        table[self.points] = np.arange(1, len(self.points) + 1)
        found: Numbers = table[np.minimum(points, len(table) - 1)]
        return found

    def pack(self, points: Points) -> Numbers:
        """Return n-grams as numbers, the first character in the highest bits.

        Args:
            points: shape (n-grams, largest size); 0 after the end of shorter ones.
        """
        packed = np.zeros(len(points), np.int64)
        for column in self.encode(points).T:
            packed = (packed << self.bits) | column
        return packed

    def unpack(self, grams: Numbers, size: int) -> list[str]:
        """Return the strings that `pack` made the numbers from.

        Args:
            grams: shape (n-grams,).
            size: the largest one.
        """
        points = np.concatenate([[0], self.points]).astype(np.uint32)
        shifts = self.bits * np.arange(size - 1, -1, -1)
        spelled = points[(grams[:, None] >> shifts) & ((1 << self.bits) - 1)]
        found: list[str] = np.ascontiguousarray(spelled).view(f"<U{size}").ravel().tolist()
        return found


@dataclass(frozen=True)
class Units:
    """What n-grams are cut from: whole texts, or each word between two spaces.

    Args:
        points: code points of all units, one after another, shape (characters,).
        lengths: of each unit, shape (units,).
        owners: the text that each unit is of, in ascending order, shape (units,).
        texts: how many texts there are.
        by_words: whether the units are words. One that is shorter than all sizes is then an
            n-gram by itself.
    """

    points: Points
    lengths: Numbers
    owners: Numbers
    texts: int
    by_words: bool

    @classmethod
    def from_texts(cls, texts: Sequence[str], by_words: bool) -> Units:
        """Return the units of texts, as scikit-learn's analyzers char and char_wb find them."""
        if by_words:
            words = [text.split() for text in texts]
            owners = np.repeat(np.arange(len(words)), [len(found) for found in words])
            parts = [f" {word} " for found in words for word in found]
        else:
            parts = [_SPACES.sub(" ", text) for text in texts]
            owners = np.arange(len(parts))
        joined = "".join(parts).encode("utf-32-le", "surrogatepass")
        lengths = np.fromiter(map(len, parts), np.int64, len(parts))
        return cls(np.frombuffer(joined, np.uint32), lengths, owners, len(texts), by_words)

    @cached_property
    def unit_indices(self) -> Numbers:
        """The unit that each character is of."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)

    @cached_property
    def positions(self) -> Numbers:
        """The place of each character in its unit."""
        return (
            np.arange(len(self.points))
            - (np.cumsum(self.lengths) - self.lengths)[self.unit_indices]
        )

    def find_starts(self, size: int, sizes: range) -> Numbers:
        """Return where n-grams of a size begin.

        Args:
            size: of the n-grams.
            sizes: all sizes that are wanted; a smaller `size` means units too short for these.
        """
        if size in sizes:
            left = self.lengths[self.unit_indices] - self.positions
            return np.flatnonzero(left >= size)
        if not self.by_words:
            return np.empty(0, np.int64)
        found: Numbers = (np.cumsum(self.lengths) - self.lengths)[self.lengths == size]
        return found

    def pack_ngrams(self, alphabet: Alphabet, sizes: range) -> tuple[Numbers, Numbers]:
        """Return all n-grams as numbers, and where those of each text begin.

        The numbers are in the order in which scikit-learn cuts n-grams: by unit, then by size, then
        by place. One that has a character out of the alphabet is 0.

        Args:
            alphabet: of the numbers.
            sizes: of the n-grams.

        Returns:
            Shapes (n-grams,) and (texts + 1,).
        """
        symbols = alphabet.encode(self.points)
        known = symbols > 0
        packed = np.zeros(len(symbols), np.int64)
        before, begins = self._compute_offsets(sizes)
        grams = np.empty(begins[-1], np.int64)
        for size in range(1, sizes[-1] + 1):
            tail = symbols[size - 1 :]
            packed[: len(tail)] |= tail << (alphabet.bits * (sizes[-1] - size))
            known[: len(tail)] &= tail > 0
            at = self.find_starts(size, sizes)
            unit = self.unit_indices[at]
            where = begins[unit] + before[size - 1][unit] + self.positions[at]
            grams[where] = np.where(known[at], packed[at], 0)
        return grams, begins[np.searchsorted(self.owners, np.arange(self.texts + 1))]

    def _compute_offsets(self, sizes: range) -> tuple[Numbers, Numbers]:
        """Return how many smaller n-grams each unit has, by size, and where its first one goes.

        Returns:
            Shapes (largest size, units) and (units + 1,).
        """
        counts = [
            np.maximum(self.lengths - size + 1, 0)
            if size in sizes
            else ((self.lengths == size) & self.by_words).astype(np.int64)
            for size in range(1, sizes[-1] + 1)
        ]
        before = np.cumsum([np.zeros_like(self.lengths), *counts], axis=0)
        return before[:-1], np.concatenate([[0], np.cumsum(before[-1])])
