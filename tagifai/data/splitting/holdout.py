"""Choose the validation and test rows of streamed data from counts, before the rows are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.utils.random import sample_without_replacement

from tagifai.data.splitting import stratified
from tagifai.data.splitting.parts import PARTS
from tagifai.data.splitting.stratified import SplitSizes
from tagifai.preprocessing.labels import Indices, LabelEncoder

Group = tuple[str, int]
"""The part of a row, which is train where the data have no parts, and the index of its class."""


@dataclass(frozen=True)
class Holdout:
    """The chosen rows, by their positions among the rows of their part and class.

    Args:
        codes: of the rows, ascending, shape (n,); see `_make_codes`.
        roles: of the same rows: val, test, or train for the sample of train rows, shape (n,).
        encoder: the names of the classes.
        train_counts: rows by class that are neither val nor test.
        total_counts: rows by class.
    """

    codes: Indices
    roles: npt.NDArray[np.str_]
    encoder: LabelEncoder
    train_counts: tuple[int, ...]
    total_counts: tuple[int, ...]

    def make_seen_counts(self) -> Indices:
        """Return the counts by group before the first row: zeros, shape (groups,)."""
        return np.zeros(len(PARTS) * len(self.encoder.classes), np.int64)

    def assign_roles(self, parts: Sequence[str], y: Indices, seen: Indices) -> npt.NDArray[np.str_]:
        """Return the roles of the next rows of the data, shape (n,); "" for rows not chosen.

        Args:
            parts: of the rows in the data, shape (n,).
            y: label indices, -1 for rows without a label, shape (n,).
            seen: rows by group before these; these rows are added to it.
        """
        part = pd.Series(parts).map(PARTS.index).to_numpy(np.int64)
        group = part * len(self.encoder.classes) + y
        labelled = y >= 0
        place = pd.Series(group).groupby(group).cumcount().to_numpy() + seen[group]
        seen += np.bincount(group[labelled], minlength=len(seen))
        codes = _make_codes(group, place)
        at = np.searchsorted(self.codes, codes).clip(max=len(self.codes) - 1)
        return np.where(labelled & (self.codes[at] == codes), self.roles[at], "")


def _make_codes(group: int | Indices, place: Indices) -> Indices:
    """Return one number for a group and a row's position in it."""
    return place + (np.asarray(group, np.int64) << 40)


def choose_holdout(
    counts: Mapping[Group, int],
    encoder: LabelEncoder,
    sizes: SplitSizes,
    max_rows: int,
    random_state: np.random.RandomState,
) -> Holdout:
    """Choose the rows for validation and test, and a sample of the train rows, class by class.

    Shares are of each class, rounded down, one row at least. Parts that the data have are used;
    missing ones are taken from the train rows.

    Args:
        counts: rows by group.
        encoder: the names of the classes, for errors.
        sizes: shares of the parts.
        max_rows: most rows of val, of test and of the sample, unless there are more classes.
        random_state: advanced by a draw for each group.

    Raises:
        DataError: a class has too few rows.
    """
    shares = _compute_shares(counts, sizes, max_rows)
    codes, roles = [], []
    trained = [counts.get(("train", c), 0) for c in range(len(encoder.classes))]
    for (part, c), rows in counts.items():
        wanted = {r: max(1, int(rows * s + 1e-9)) for r, s in shares[part].items()}
        if part == "train":
            trained[c] -= wanted.get("val", 0) + wanted.get("test", 0)
            wanted["train"] = min(wanted["train"], max(trained[c], 0))
        if trained[c] < 1:
            _refuse(c, part, counts, encoder, sizes)
        drawn = sample_without_replacement(rows, sum(wanted.values()), random_state=random_state)
        # Some of scikit-learn's methods draw in a sorted order.
        codes.append(
            _make_codes(PARTS.index(part) * len(trained) + c, random_state.permutation(drawn))
        )
        roles += [role for role, number in wanted.items() for _ in range(number)]
    everything = np.concatenate(codes)
    order = np.argsort(everything)
    totals = [sum(counts.get((part, c), 0) for part in PARTS) for c in range(len(trained))]
    return Holdout(
        everything[order], np.array(roles)[order], encoder, tuple(trained), tuple(totals)
    )


def _compute_shares(
    counts: Mapping[Group, int], sizes: SplitSizes, max_rows: int
) -> dict[str, dict[str, float]]:
    """Return the shares of each part's rows that are chosen, by role."""
    rows = {part: sum(n for (p, _), n in counts.items() if p == part) for part in PARTS}
    asked = {"val": sizes.val_size, "test": 1 - sizes.train_size - sizes.val_size}
    missing = {role: size for role, size in asked.items() if not rows[role]}
    left = sizes.train_size + sum(missing.values())
    cut = {
        role: min(round(size / left, 12), max_rows / rows["train"])
        for role, size in missing.items()
    }
    given = {part: {part: min(1.0, max_rows / rows[part])} for part in PARTS if rows[part]}
    return {**given, "train": {**cut, **given["train"]}}


def _refuse(
    c: int, part: str, counts: Mapping[Group, int], encoder: LabelEncoder, sizes: SplitSizes
) -> None:
    """Raise the error for a class without train rows.

    Raises:
        DataError: always.
    """
    if ("train", c) not in counts:
        absent = [n for i, n in enumerate(encoder.classes) if ("train", i) not in counts]
        raise stratified.make_no_train_rows_error(absent, len(encoder.classes))
    rows = [counts.get(("train", i), 0) for i in range(len(encoder.classes))]
    reason = f"{encoder.classes[c]} has no row left to train on."
    raise stratified.make_infeasible_error(
        np.array(rows), encoder, sizes.train_size, sizes.val_size, reason
    )
