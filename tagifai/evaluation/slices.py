"""Slices: subsets of the rows with scores of their own.

A slicing function takes a row with its cleaned `text` and its label `tag` and says whether the
row belongs to the slice. A decorated function is scored in every run:

    @slicing_function
    def mentions_bert(row: Row) -> bool:
        return "bert" in row.text
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import pandas as pd

    from tagifai.preprocessing.labels import Mask


class Row(Protocol):
    """What a slicing function sees of a row."""

    text: str
    tag: str


_REGISTERED: dict[str, Callable[[Any], bool]] = {}


def slicing_function(function: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Register a function from row to bool as a slice of its name."""
    _REGISTERED[function.__name__] = function
    return function


def get_registered() -> dict[str, Callable[[Any], bool]]:
    """Return the registered functions by name."""
    return dict(_REGISTERED)


def compute_masks(rows: pd.DataFrame) -> dict[str, Mask]:
    """Return for each registered slice which rows belong to it.

    Snorkel's own slicing classes derive from its labeling functions but import torch; a labeling
    function that answers 0 or 1 is the same thing without it.

    Args:
        rows: columns `text` (cleaned) and `tag` (label name), n rows.

    Returns:
        By name, a boolean mask of shape (n,).
    """
    if not _REGISTERED:
        return {}
    # Late: most tasks do without them.
    import numpy as np
    from snorkel.labeling import LabelingFunction

    functions = [LabelingFunction(name, _vote(f)) for name, f in _REGISTERED.items()]
    # No applier of Snorkel's: that of data frames makes a Series of each row, ten times as slow,
    # and the bar of the others has a semaphore that a worker which is interrupted leaves behind.
    points = list(rows.itertuples())
    return {f.name: np.array([f(point) == 1 for point in points], bool) for f in functions}


def _vote(function: Callable[[Any], bool]) -> Callable[[Any], int]:
    return lambda row: int(bool(function(row)))


@slicing_function
def nlp_cnn(row: Row) -> bool:
    """Projects of natural language processing that use convolutions."""
    is_nlp = row.tag == "natural-language-processing"
    return is_nlp and ("cnn" in row.text or "convolution" in row.text)


@slicing_function
def short_text(row: Row) -> bool:
    """Texts of fewer than 8 words after cleaning."""
    return len(row.text.split()) < 8
