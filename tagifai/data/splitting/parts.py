"""The parts of a split: which the data have themselves, and how large the others are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tagifai.preprocessing.labels import Indices

PARTS = ("train", "val", "test")


def find_parts(parts: Sequence[str]) -> dict[str, Indices]:
    """Return the positions of the rows of each part.

    Args:
        parts: train, val or test for each row, shape (n,).
    """
    of_row = np.asarray(parts)
    return {name: np.flatnonzero(of_row == name) for name in PARTS}


def list_cuts(
    rows: Mapping[str, Indices], train_size: float, val_size: float
) -> list[tuple[str, float]]:
    """Return the parts without rows, and the share of the train rows left that each of them takes.

    Args:
        rows: positions of each part.
        train_size: share of all rows for training.
        val_size: share for validation; test gets what is left.
    """
    sizes = {"test": 1 - train_size - val_size, "val": val_size}
    missing = {name: size for name, size in sizes.items() if not rows[name].size}
    left = train_size + sum(missing.values())
    cuts = []
    for name, size in missing.items():
        # Rounded, as in `stratified.make_stratified`.
        cuts.append((name, round(size / left, 12)))
        left -= size
    return cuts
