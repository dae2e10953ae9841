"""What a trial has said of its validation rows, in a file by which two trials are compared."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tagifai.evaluation.paired import PredictedRows
from tagifai.preprocessing.labels import Indices
from tagifai.utils.files import replace_atomically

FILE_NAME = "validation.npz"

NAMES = ("rows", "true", "predicted")


def write(path: Path, repeats: Sequence[PredictedRows]) -> None:
    """Write the validation rows of a trial, in place of earlier ones.

    Args:
        path: of the file.
        repeats: the rows of each training whose mean is the trial's value.
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
    """Return the validation rows of a trial, one part for each training.

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
