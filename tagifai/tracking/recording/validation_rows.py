"""What a run has said of its validation rows, in a file by which two runs are compared."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tagifai.evaluation import intervals, paired
from tagifai.evaluation.paired import PredictedRows, ScoreDifference
from tagifai.preprocessing.labels import Indices
from tagifai.utils.files import replace_atomically

FILE_NAME = "validation.npz"

NAMES = ("rows", "true", "predicted")

TOLERANCE = 1e-9
"""Of a score that is computed again from a file."""


def write(path: Path, repeats: Sequence[PredictedRows]) -> None:
    """Write the validation rows of a run, in place of earlier ones.

    Args:
        path: of the file.
        repeats: the rows of each training whose mean is the run's value.
    """
    arrays = {
        f"{name}_{number}": _shrink(getattr(part, name))
        for number, part in enumerate(repeats)
        for name in NAMES
    }
    with replace_atomically(path, "wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]  # its options have names of their own


def _shrink(values: Indices) -> Indices:
    """Return indices in the smallest type that holds them."""
    return values.astype(np.min_scalar_type(int(values.max(initial=0))))


def read(path: Path) -> list[PredictedRows]:
    """Return the validation rows of a run, one part for each training.

    Args:
        path: of the file.

    Raises:
        OSError: there is no such file.
        ValueError: it holds something else.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return [
                PredictedRows(*(arrays[f"{name}_{number}"].astype(np.int64) for name in NAMES))
                for number in range(len(arrays.files) // len(NAMES))
            ]
    except (ValueError, KeyError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} holds no predictions: {error}") from error


def compare(
    pairs: Sequence[tuple[Path, Path]],
    metric: str,
    values: tuple[float, float],
    choices: int = 1,
    confidence: float = paired.CONFIDENCE,
) -> ScoreDifference:
    """Return the difference of two runs on their validation rows, or of runs of several seeds.

    Args:
        pairs: folders of both, the one first whose difference to the other is asked for; a pair
            for each seed.
        metric: of validation rows.
        values: of both, means over the pairs, by which files of other trainings are told.
        choices: comparisons of which this is one, where the runs were chosen by their values.
        confidence: of the interval, as a share.

    Raises:
        ValueError: there is none, with the reason.
    """
    score = metric.removeprefix("val_")
    if score == metric or score not in intervals.SCORES:
        raise ValueError(f"{metric} is no score of predicted labels")
    one: list[PredictedRows] = []
    other: list[PredictedRows] = []
    for pair in pairs:
        for folder, parts in zip(pair, (one, other), strict=True):
            path = folder / FILE_NAME
            try:
                parts.extend(read(path))
            except (OSError, ValueError) as error:
                raise ValueError(f"the predictions are not in {path}") from error
    try:
        found = paired.compute_score_difference(one, other, score, choices, confidence=confidence)
    except ValueError as error:
        raise ValueError("the two have other validation rows") from error
    for place, (value, wanted) in enumerate(zip((found.one, found.other), values, strict=True)):
        if abs(value - wanted) > TOLERANCE:
            folders = ", ".join(str(pair[place]) for pair in pairs)
            raise ValueError(f"the predictions in {folders} are of another training")
    return found
