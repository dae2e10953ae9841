"""Labels: which tags keep their own name, and how names become indices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tagifai.exceptions import DataError
from tagifai.utils.excerpts import shorten

if TYPE_CHECKING:
    import pandas as pd

Indices = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


def build_label_map(
    counts: Mapping[str, int], accepted: Collection[str], min_freq: int, other: str | None
) -> dict[str, str]:
    """Return the label of each tag: its own name or, if it is rare or not accepted, the fallback.

    Without a fallback label, such tags have no label.

    Args:
        counts: rows by tag.
        accepted: tags that may keep their name; empty accepts all.
        min_freq: rows that a tag needs to keep its name, counted after the first renaming.
        other: the fallback label, or None.
    """
    named = {tag: tag if not accepted or tag in accepted else other for tag in counts}
    rows: Counter[str | None] = Counter()
    for tag, label in named.items():
        rows[label] += counts[tag]
    labels = {tag: label if rows[label] >= min_freq else other for tag, label in named.items()}
    return {tag: label for tag, label in labels.items() if label is not None}


def assign_labels(
    tags: pd.Series[str], accepted: Collection[str], min_freq: int, other: str | None
) -> pd.Series[str]:
    """Return the labels of rows; rows without a label are left out.

    Args:
        tags: one tag a row, shape (n,).
        accepted: as for `build_label_map`.
        min_freq: likewise.
        other: likewise.

    Returns:
        The labels, with the index of `tags`; shape (n,) if there is a fallback label.
    """
    counts = Counter(tags.dropna().tolist())
    labels = tags.map(build_label_map(counts, accepted, min_freq, other))
    return labels.dropna() if other is None else labels.fillna(other)


@dataclass(frozen=True)
class LabelEncoder:
    """Label names in alphabetical order; a name's index is its place.

    Args:
        classes: the names, sorted and unique.

    Raises:
        DataError: fewer than two classes, or names that are not sorted and unique.
    """

    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        if list(self.classes) != sorted(set(self.classes)):
            raise DataError(f"Class names must be sorted and unique, got {list(self.classes)}.")
        if len(self.classes) < 2:
            raise DataError(
                f"A classifier needs at least two classes, and the data have {len(self.classes)}"
                f" ({', '.join(map(shorten, self.classes)) or 'none'}). Lower data.min_freq or"
                " accept more tags (data.accepted_tags)."
            )

    @classmethod
    def fit(cls, labels: Iterable[str]) -> LabelEncoder:
        """Return the encoder of the distinct labels."""
        return cls(tuple(sorted(set(labels))))

    def index(self, label: str) -> int:
        """Return the index of one label.

        Raises:
            DataError: the label is not one of the classes.
        """
        if label not in self.classes:
            raise DataError(f"Label {label!r} is not one of the classes {list(self.classes)}.")
        return self.classes.index(label)

    def encode(self, labels: Iterable[str]) -> Indices:
        """Return the indices of the labels, shape (n,).

        Raises:
            DataError: a label is not one of the classes.
        """
        places = {label: place for place, label in enumerate(self.classes)}
        # `index` raises the error of an unknown label.
        found = (places[label] if label in places else self.index(label) for label in labels)
        return np.fromiter(found, dtype=np.int64)

    def decode(self, indices: Iterable[int]) -> list[str]:
        """Return the labels of the indices."""
        return [self.classes[index] for index in indices]


def replace_unknown(
    labels: Sequence[str], classes: Collection[str], other: str | None
) -> list[str]:
    """Replace labels that are not among the classes by the fallback label.

    Args:
        labels: n names.
        classes: names that the model knows.
        other: the fallback label, or None.

    Raises:
        DataError: a label is unknown, and there is no fallback label.
    """
    if other is None or other not in classes:
        unknown = sorted(set(labels) - set(classes))
        if unknown:
            raise DataError(
                f"The model has no class {', '.join(map(repr, unknown[:5]))} and no fallback"
                f" label. Its classes: {', '.join(classes)}."
            )
        return list(labels)
    return [label if label in classes else other for label in labels]
