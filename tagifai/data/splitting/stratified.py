"""Seeded, stratified splits into train, validation and test rows, with errors that say why not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from sklearn.model_selection import StratifiedKFold, train_test_split

from tagifai.data.splitting.parts import PARTS, find_parts, list_cuts
from tagifai.exceptions import DataError
from tagifai.preprocessing.labels import Indices, LabelEncoder

MAX_SHOWN_CLASSES = 10
"""Most classes that an error names."""


class SplitSizes(Protocol):
    """Settings of the `split` group."""

    train_size: float
    val_size: float


@dataclass(frozen=True)
class Split:
    """Row positions of the three parts, each of shape (n_part,), disjoint."""

    train: Indices
    val: Indices
    test: Indices

    @property
    def rest(self) -> Indices:
        """The rows that are not for the test, in their order."""
        return np.sort(np.concatenate([self.train, self.val]))


def make_stratified(
    y: Indices,
    encoder: LabelEncoder,
    train_size: float,
    val_size: float,
    random_state: np.random.RandomState,
) -> Split:
    """Split rows so that every part has the classes in the same proportions.

    Two cuts are made, first the train rows, then the others into validation and test; each draws
    once from `random_state`.

    Args:
        y: label indices, shape (n,).
        encoder: the names of the labels, for the error.
        train_size: share of all rows for training, between 0 and 1.
        val_size: share of all rows for validation; test gets what is left.
        random_state: the source of randomness, advanced by the draws.

    Raises:
        DataError: a class has too few rows to be in all three parts.
    """
    # Rounding keeps 0.15 / (1 - 0.7) at one half; as a float it is a little less.
    val_share = round(val_size / (1 - train_size), 12)
    try:
        train, rest = train_test_split(
            np.arange(len(y)), train_size=train_size, stratify=y, random_state=random_state
        )
        val, test = train_test_split(
            rest, train_size=val_share, stratify=y[rest], random_state=random_state
        )
    except ValueError as error:
        raise _make_infeasible_error(y, encoder, train_size, val_size, str(error)) from None
    split = Split(train, val, test)
    for name in PARTS:
        absent = np.setdiff1d(y, y[getattr(split, name)])
        if absent.size:
            reason = f"{name} would have no row of {', '.join(encoder.decode(absent))}."
            raise _make_infeasible_error(y, encoder, train_size, val_size, reason)
    return split


def resplit_train_val(
    y: Indices, encoder: LabelEncoder, split: Split, random_state: np.random.RandomState
) -> Split:
    """Split the train and validation rows again, in the same sizes; the test rows stay the same.

    Args:
        y: label indices, shape (n,).
        encoder: the names of the labels, for the error.
        split: the first cut.
        random_state: advanced by one draw.

    Raises:
        DataError: a class has too few rows to be in both parts.
    """
    rest = split.rest
    try:
        train, val = train_test_split(
            rest,
            train_size=len(split.train),
            test_size=len(split.val),
            stratify=y[rest],
            random_state=random_state,
        )
    except ValueError as error:
        reason = f"objective.repeats splits train and validation again, and {error}"
        raise _make_infeasible_error(
            y, encoder, len(split.train) / len(y), len(split.val) / len(y), reason
        ) from None
    again = Split(train, val, split.test)
    absent = np.setdiff1d(y[split.val], y[val])
    if absent.size:
        reason = f"split again, val would have no row of {', '.join(encoder.decode(absent))}."
        raise _make_infeasible_error(
            y, encoder, len(split.train) / len(y), len(split.val) / len(y), reason
        )
    return again


def make_folds(
    y: Indices, encoder: LabelEncoder, split: Split, n: int, random_state: np.random.RandomState
) -> list[Split]:
    """Split the train and validation rows into stratified folds, each the validation rows once.

    Args:
        y: label indices, shape (n_rows,).
        encoder: the names of the labels, for the error.
        split: the first one, whose test rows stay the same.
        n: folds, at least 2.
        random_state: advanced by the draws of the shuffle.

    Raises:
        DataError: a class has fewer rows than there are folds.
    """
    rest = split.rest
    counts = np.bincount(y[rest], minlength=len(encoder.classes))
    if counts.min() < n:
        scarce = encoder.classes[int(counts.argmin())]
        raise DataError(
            f"objective.repeats = {n} folds need {n} rows of each class outside the test rows;"
            f" {scarce} has {counts.min()}. Use fewer folds, objective.by=seeds, or raise"
            " data.min_freq so that rare tags get the fallback label."
        )
    cutter = StratifiedKFold(n, shuffle=True, random_state=random_state)
    return [Split(rest[train], rest[val], split.test) for train, val in cutter.split(rest, y[rest])]


def shorten_train(split: Split, y: Indices, most: int | None) -> Split:
    """Return a split with fewer train rows, of each class its share and one at least.

    They lie as far apart as they can, so that nothing has to be drawn.

    Args:
        split: of the rows.
        y: label indices, shape (n,).
        most: about so many train rows are kept; None keeps all.
    """
    rows = split.train
    if most is None or most >= len(rows):
        return split
    chosen = []
    for label in np.unique(y[rows]):
        of_class = np.flatnonzero(y[rows] == label)
        n = max(1, len(of_class) * most // len(rows))
        chosen.append(of_class[np.arange(n) * len(of_class) // n])
    return replace(split, train=rows[np.sort(np.concatenate(chosen))])


def make_predefined(
    parts: Sequence[str],
    y: Indices,
    encoder: LabelEncoder,
    train_size: float,
    val_size: float,
    random_state: np.random.RandomState,
) -> Split:
    """Return the parts that the data have; a missing one is taken from the train rows.

    Args:
        parts: train, val or test for each row, shape (n,).
        y: label indices, shape (n,).
        encoder: the names of the labels, for errors.
        train_size: share of all rows for training.
        val_size: share for validation; a missing part is taken in its proportion to training.
        random_state: advanced by a draw for each part that is taken.

    Raises:
        DataError: a class has no train rows, or too few for the missing parts.
    """
    rows = find_parts(parts)
    for name, cut in list_cuts(rows, train_size, val_size):
        try:
            kept, rows[name] = train_test_split(
                rows["train"], test_size=cut, stratify=y[rows["train"]], random_state=random_state
            )
        except ValueError as error:
            reason = f"the {name} rows have to be taken from the train rows, and {error}"
            raise _make_infeasible_error(y, encoder, train_size, val_size, reason) from None
        rows["train"] = kept
    absent = np.setdiff1d(y, y[rows["train"]])
    if absent.size:
        raise make_no_train_rows_error(encoder.decode(absent), len(encoder.classes))
    return Split(rows["train"], rows["val"], rows["test"])


def make_no_train_rows_error(absent: Sequence[str], classes: int) -> DataError:
    """Return the error for classes that have no train rows in the data's own parts."""
    return DataError(
        f"The data have parts of their own, and {len(absent)} of {classes} classes have no train"
        f" rows: {name_classes(absent)}. Give them train rows, or leave them out"
        " (data.accepted_tags, data.min_freq)."
    )


def name_classes(names: Sequence[str]) -> str:
    """Return the names of classes for an error, and how many more there are."""
    more = len(names) - MAX_SHOWN_CLASSES
    shown = ", ".join(names[:MAX_SHOWN_CLASSES])
    return f"{shown} and {more} more" if more > 0 else shown


def _make_infeasible_error(
    y: Indices, encoder: LabelEncoder, train_size: float, val_size: float, reason: str
) -> DataError:
    counts = np.bincount(y, minlength=len(encoder.classes))
    return make_infeasible_error(counts, encoder, train_size, val_size, reason)


def make_infeasible_error(
    counts: Indices, encoder: LabelEncoder, train_size: float, val_size: float, reason: str
) -> DataError:
    """Return the error for rows that cannot be split.

    Args:
        counts: rows by class, shape (classes,).
        encoder: the names of the classes.
        train_size: share for training.
        val_size: share for validation.
        reason: as a sentence.
    """
    by_size = sorted(zip(counts.tolist(), encoder.classes, strict=True))
    named = ", ".join(f"{name} {n}" for n, name in by_size[:MAX_SHOWN_CLASSES])
    more = (
        f" (the smallest {MAX_SHOWN_CLASSES} of {len(by_size)} classes)"
        if len(by_size) > MAX_SHOWN_CLASSES
        else ""
    )
    # scikit-learn appends the numbers of all classes.
    reason = reason.partition(" Classes with too few")[0].partition(" The minimum number of")[0]
    reason = reason.rstrip(".")
    return DataError(
        f"These rows cannot be split into {train_size:g} train, {val_size:g} validation and the"
        f" remaining test rows with every class in each part: {reason}. Rows by class:"
        f" {named}{more}. Raise data.min_freq so that rare tags get the fallback label"
        " (data.other; null leaves them out), add rows, or change split.train_size and"
        " split.val_size."
    )
