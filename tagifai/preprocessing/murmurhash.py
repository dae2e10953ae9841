"""MurmurHash3 of character n-grams in NumPy, with the results of scikit-learn's FeatureHasher."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tagifai.preprocessing.alphabet import Numbers, Units

Words = npt.NDArray[np.uint32]


def hash_ngrams(units: Units, sizes: range, n_features: int) -> tuple[Numbers, Numbers, Numbers]:
    """Return the columns of n-grams that scikit-learn's FeatureHasher gives them.

    Args:
        units: to cut.
        sizes: of the n-grams.
        n_features: columns.

    Returns:
        The texts that the n-grams are of, the columns, and the signs, 1 or -1; in any order.
    """
    data, places = _utf8(units)
    blocks, found = _blocks(data), [np.empty((3, 0), np.int64)]
    for size in range(1, sizes[-1] + 1):
        at = units.find_starts(size, sizes)
        first, texts = places[at], units.owners[units.unit_indices[at]]
        hashed = _hash_slices(blocks, first, places[at + size] - first)
        found.append(np.stack([texts, *compute_columns(hashed, n_features)]))
    owners, numbers, signs = np.concatenate(found, axis=1)
    return owners, numbers, signs


def hash_strings(strings: Sequence[bytes]) -> Numbers:
    """Return the signed 32-bit hashes of byte strings, shape (strings,)."""
    lengths = np.fromiter(map(len, strings), np.int64, len(strings))
    data = np.frombuffer(b"".join(strings), np.uint8)
    return _hash_slices(_blocks(data), np.cumsum(lengths) - lengths, lengths)


def compute_columns(hashed: Numbers, n_features: int) -> tuple[Numbers, Numbers]:
    """Return the columns of signed hashes, and their signs, 1 or -1."""
    return np.abs(hashed) % n_features, np.where(hashed >= 0, 1, -1)


def _hash_slices(blocks: Words, first: Numbers, lengths: Numbers) -> Numbers:
    """Return the signed hashes of byte strings that begin at some places of the data."""
    found = np.empty(len(first), np.int64)
    for length in np.unique(lengths):
        chosen = lengths == length
        found[chosen] = hash_blocks(blocks, first[chosen], int(length)).view(np.int32)
    return found


def _utf8(units: Units) -> tuple[npt.NDArray[np.uint8], Numbers]:
    """Return the characters in UTF-8, and where each begins, and the end."""
    text = units.points.tobytes().decode("utf-32-le", "surrogatepass")
    sizes = 1 + np.sum([units.points >= first for first in (0x80, 0x800, 0x10000)], axis=0)
    data = np.frombuffer(text.encode(), np.uint8)
    return data, np.concatenate([[0], np.cumsum(sizes)])


def _blocks(data: npt.NDArray[np.uint8]) -> Words:
    """Return the four bytes from each place on as one number, the first in the lowest bits."""
    padded = np.concatenate([data, np.zeros(4, np.uint8)]).astype(np.uint32)
    last = len(padded) - 3
    parts = (padded[shift : last + shift] << np.uint32(8 * shift) for shift in range(4))
    found: Words = np.bitwise_or.reduce(list(parts))
    return found


def hash_blocks(blocks: Words, first: Numbers, length: int) -> Words:
    """Return 32-bit MurmurHash3 with seed 0 (A. Appleby, 2011) of byte strings of one length.

    Args:
        blocks: the four bytes from each place on.
        first: where each string begins, shape (strings,).
        length: bytes.
    """
    hashed = np.zeros(len(first), np.uint32)
    whole, rest = divmod(length, 4)
    for number in range(whole):
        hashed ^= _mixed(blocks[first + 4 * number])
        hashed = _rotated(hashed, 13) * np.uint32(5) + np.uint32(0xE6546B64)
    if rest:
        hashed ^= _mixed(blocks[first + 4 * whole] & np.uint32((1 << 8 * rest) - 1))
    hashed ^= np.uint32(length)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        hashed = (hashed ^ (hashed >> np.uint32(shift))) * np.uint32(factor)
    hashed ^= hashed >> np.uint32(16)
    return hashed


def _mixed(block: Words) -> Words:
    return _rotated(block * np.uint32(0xCC9E2D51), 15) * np.uint32(0x1B873593)


def _rotated(number: Words, bits: int) -> Words:
    return (number << np.uint32(bits)) | (number >> np.uint32(32 - bits))
