from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tagifai.evaluation.paired import PredictedRows
from tagifai.tracking.recording import validation_rows


@pytest.mark.parametrize("repeats", [0, 1, 3])
def test_the_rows_are_read_as_they_were_written(repeats: int, tmp_path: Path) -> None:
    parts = [
        PredictedRows(np.arange(300) * 300, np.arange(300) % 7, np.arange(300) % (n + 1))
        for n in range(repeats)
    ]
    path = tmp_path / "trial" / "validation.npz"
    validation_rows.write(path, parts)
    read = validation_rows.read(path)
    assert len(read) == repeats
    for one, other in zip(read, parts, strict=True):
        for name in validation_rows.NAMES:
            assert getattr(one, name).dtype == np.int64
            assert getattr(one, name).tolist() == getattr(other, name).tolist()
    assert path.stat().st_size < 1000 + 3000 * repeats


@pytest.mark.parametrize("content", [b"", b"not a file of arrays", b"PK\x03\x04half"])
def test_what_is_no_such_file_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "validation.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=str(path)):
        validation_rows.read(path)


def test_a_file_that_is_not_there_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        validation_rows.read(tmp_path / "validation.npz")
