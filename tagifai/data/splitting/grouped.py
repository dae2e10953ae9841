"""Splits that keep the rows of a group on one side, stratified as far as the groups allow."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from tagifai.data.splitting.parts import PARTS
from tagifai.data.splitting.splitters import CutSplitter
from tagifai.data.splitting.stratified import Split
from tagifai.exceptions import DataError
from tagifai.preprocessing.labels import Indices, LabelEncoder

MOST_FOLDS = 20
"""Into which rows are cut, so that some of the folds together have about the share asked for."""

CLOSE_ENOUGH = 0.01
"""Difference to the share that fewer folds may have."""


class NoGroupLeftError(DataError):
    """Whatever group is taken away, a class loses all its rows."""


def number_groups(values: Sequence[str]) -> Indices:
    """Return a number for each value, equal for equal values; a blank one is a group of its own.

    Args:
        values: of the column, shape (n,).
    """
    numbers: dict[object, int] = {}
    keys = [value.strip() or position for position, value in enumerate(values)]
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], np.int64)


def merge_groups(one: Indices, other: Indices) -> Indices:
    """Return groups in which rows are together that are so in one of two groupings, or by a chain.

    Args:
        one: number of each row's group, shape (n,).
        other: likewise.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    columns = one.max(initial=-1) + 1
    size = int(columns + other.max(initial=-1) + 1)
    links = coo_array((np.ones(len(one)), (one, other + columns)), shape=(size, size))
    return connected_components(links, directed=False)[1][one].astype(np.int64)


def cut_groups(
    rows: Indices, y: Indices, groups: Indices, share: float, random_state: np.random.RandomState
) -> tuple[Indices, Indices]:
    """Return the rows that stay, and those of whole groups that have about a share of them all.

    The rows are cut into stratified folds of whole groups, and of these the ones are taken that
    come closest to the share of each class. Of every class some rows stay.

    Args:
        rows: positions, shape (n,).
        y: label indices of all rows.
        groups: number of the group of all rows.
        share: of the rows, that are taken.
        random_state: advanced by the shuffle of the folds.

    Raises:
        NoGroupLeftError: no group can be taken.
    """
    free = rows[~np.isin(groups[rows], _find_sole_owners(y[rows], groups[rows]))]
    if not free.size:
        raise NoGroupLeftError("no group can be taken")
    wanted = share * len(rows) / len(free)
    classes = int(y.max()) + 1
    left = np.bincount(y[rows], minlength=classes)
    target, present = share * left, left > 0
    folds = _make_folds(free, y, groups, wanted, random_state)
    most = max(1, round(wanted * len(folds)))
    taken: list[Indices] = []
    distance = np.inf
    for _ in range(most):
        counts = [np.bincount(y[fold], minlength=classes) for fold in folds]
        costs = [
            np.abs(target - count).sum() if (left - count)[present].all() else np.inf
            for count in counts
        ]
        best = int(np.argmin(costs)) if costs else 0
        if not costs or costs[best] >= distance:
            break
        distance = costs[best]
        taken.append(folds.pop(best))
        left, target = left - counts[best], target - counts[best]
    if not taken:
        raise NoGroupLeftError("no group can be taken")
    found = np.concatenate(taken)
    return rows[~np.isin(rows, found)], rows[np.isin(rows, found)]


def _find_sole_owners(y: Indices, groups: Indices) -> Indices:
    """Return the groups that have all rows of a class."""
    pairs = np.unique(np.column_stack([y, groups]), axis=0)
    _, first, owners = np.unique(pairs[:, 0], return_index=True, return_counts=True)
    found: Indices = np.unique(pairs[first[owners == 1], 1])
    return found


def _make_folds(
    rows: Indices,
    y: Indices,
    groups: Indices,
    share: float,
    random_state: np.random.RandomState,
) -> list[Indices]:
    """Return folds of whole groups, of which some have about a share of the rows."""
    most = min(MOST_FOLDS, len(np.unique(groups[rows])), int(np.bincount(y[rows]).max()))
    if most < 2:
        return [rows[groups[rows] == group] for group in np.unique(groups[rows])]
    misses = {n: abs(max(1, round(share * n)) / n - share) for n in range(2, most + 1)}
    close = [n for n, miss in misses.items() if miss <= CLOSE_ENOUGH]
    number = close[0] if close else min(misses, key=lambda n: misses[n])
    return [rows[fold] for _, fold in split_into_folds(rows, y, groups, number, random_state)]


def split_into_folds(
    rows: Indices, y: Indices, groups: Indices, n: int, random_state: np.random.RandomState
) -> list[tuple[Indices, Indices]]:
    """Return n stratified folds of whole groups, as positions in `rows` outside and inside each.

    Args:
        rows: positions, shape (m,).
        y: label indices of all rows.
        groups: number of the group of all rows.
        n: at least 2, and at most the number of groups and of rows of the largest class.
        random_state: advanced by the shuffle.
    """
    cutter = StratifiedGroupKFold(n, shuffle=True, random_state=random_state)
    with warnings.catch_warnings():
        # A class with fewer rows than folds is no fault here: whoever asks looks at the classes.
        warnings.simplefilter("ignore", UserWarning)
        found = cutter.split(rows, y[rows], groups[rows])
        return [(outside, inside) for outside, inside in found if inside.size]


@dataclass(frozen=True)
class GroupSplitter(CutSplitter):
    """The rows of a group are on one side; stratified as far as that allows.

    Args:
        groups: number of each row's group, shape (n,).
        notes: on the groups, a sentence each.
    """

    groups: Indices
    notes: Sequence[str] = ()

    def cut(
        self, rows: Indices, y: Indices, share: float, random_state: np.random.RandomState
    ) -> tuple[Indices, Indices]:
        """Return the rows that stay, and those of whole groups."""
        try:
            return cut_groups(rows, y, self.groups, share, random_state)
        except NoGroupLeftError:
            number = len(np.unique(self.groups[rows]))
            raise DataError(
                f"{self.named}: the {len(rows)} rows are {number} groups,"
                " and whichever of them is taken away from the train rows, a class has none left."
                " Leave rare classes out (data.accepted_tags, data.min_freq), or use"
                " split=stratified."
            ) from None

    def explain_absence(self, y: Indices, absent: Indices) -> str:
        """Return why classes have no train rows."""
        return "because their groups are on the other side"

    def resplit_train_val(
        self, y: Indices, encoder: LabelEncoder, split: Split, random_state: np.random.RandomState
    ) -> Split:
        """Split the train and validation rows again, by groups too."""
        rest = split.rest
        return Split(*self.cut(rest, y, len(split.val) / len(rest), random_state), split.test)

    def cut_folds(
        self, rows: Indices, y: Indices, n: int, random_state: np.random.RandomState
    ) -> list[tuple[Indices, Indices]]:
        """Return folds of whole groups."""
        most = min(len(np.unique(self.groups[rows])), int(np.bincount(y[rows]).max()))
        folds = [] if most < n else split_into_folds(rows, y, self.groups, n, random_state)
        if len(folds) < n:
            # Where groups differ much in size or classes, scikit-learn may leave a fold empty.
            reason = f"those that there are fill {len(folds)}" if folds else f"there are {most}"
            raise DataError(
                f"objective.repeats = {n} folds need {n} groups of rows outside the test rows, and"
                f" {reason}. Use fewer folds, or objective.by=seeds."
            )
        return [(rows[train], rows[val]) for train, val in folds]

    def list_notes(self, split: Split) -> list[str]:
        """Return how many groups there are, and which of them are on two sides all the same."""
        sides = [set(self.groups[getattr(split, name)].tolist()) for name in PARTS]
        several = sum(map(len, sides)) - len(set.union(*sides))
        straddling = (
            [f"{several} groups are in two of the parts that the data have themselves."]
            if several
            else []
        )
        return [*self.notes, *straddling]
