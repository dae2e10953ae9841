"""Splits: seeded, stratified train, validation and test rows, or an error that says why not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import train_test_split

from tagifai.errors import DataError
from tagifai.labels import Indices, LabelEncoder


@dataclass(frozen=True)
class Split:
    """Row positions of the three parts, each of shape (n_part,), disjoint."""

    train: Indices
    val: Indices
    test: Indices


def stratified(
    y: Indices,
    encoder: LabelEncoder,
    train_size: float,
    val_size: float,
    random_state: np.random.RandomState,
) -> Split:
    """Split rows so that every part has the classes in the same proportions.

    Two cuts are made, train against the rest and then the rest into validation and test; each
    draws once from `random_state`.

    Args:
        y: label indices, shape (n,).
        encoder: the names of the labels, for the error.
        train_size: share of all rows for training, between 0 and 1.
        val_size: share of all rows for validation; test gets what is left.
        random_state: the source of randomness, advanced by the draws.

    Raises:
        DataError: a class has too few rows to be in all three parts.
    """
    # Rounding keeps 0.15 / (1 - 0.7) at one half, which floats put a hair below it.
    val_share = round(val_size / (1 - train_size), 12)
    try:
        train, rest = train_test_split(
            np.arange(len(y)), train_size=train_size, stratify=y, random_state=random_state
        )
        val, test = train_test_split(
            rest, train_size=val_share, stratify=y[rest], random_state=random_state
        )
    except ValueError as error:
        raise _impossible(y, encoder, train_size, val_size, str(error)) from None
    split = Split(train, val, test)
    for name in ("train", "val", "test"):
        absent = np.setdiff1d(y, y[getattr(split, name)])
        if absent.size:
            reason = f"{name} would have no row of {', '.join(encoder.decode(absent))}."
            raise _impossible(y, encoder, train_size, val_size, reason)
    return split


def _impossible(
    y: Indices, encoder: LabelEncoder, train_size: float, val_size: float, reason: str
) -> DataError:
    counts = np.bincount(y, minlength=len(encoder.classes))
    named = ", ".join(f"{name} {n}" for name, n in zip(encoder.classes, counts, strict=True))
    return DataError(
        f"These rows cannot be split into {train_size:g} train, {val_size:g} validation and the"
        f" rest test with every class in each part: {reason} Rows by class: {named}. Raise"
        " data.min_freq so that rare tags join the rest, add rows, or change split.train_size and"
        " split.val_size."
    )
