"""Read JSON and arrays of a model, having checked what they would become."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from tagifai.exceptions import BundleError, DamagedFileError
from tagifai.utils.state import reading

MOST_BYTES = 2**30
"""Of a JSON document; lists of words are the largest."""

DEPTH = 20
"""Most levels of JSON: scores by class and slice have six, a union of vectorizers ten."""


def read_json(file: Path) -> Any:
    """Return a JSON document that is not deep, and whose numbers and texts can be written again.

    Raises:
        BundleError: it cannot be read, or is no such document.
    """
    try:
        text = reading.read_text(file, MOST_BYTES)
        content = json.loads(text, parse_constant=_read_number, parse_float=_read_number)
        if r"\ud" in text.lower():  # the only way in for half of a character
            json.dumps(content, ensure_ascii=False).encode()
        level, depth = [content], 0
        while level:
            if (depth := depth + 1) > DEPTH:
                raise ValueError(f"it is nested in more than {DEPTH} levels")
            inner = [item for item in level if isinstance(item, dict | list)]
            level = [i for one in inner for i in (one.values() if isinstance(one, dict) else one)]
    except (OSError, ValueError, RecursionError, DamagedFileError) as error:
        reason = error.reason if isinstance(error, DamagedFileError) else str(error)
        raise BundleError(f"{file} cannot be read ({reason:.200}).") from None
    return content


def _read_number(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(f"{text:.20} is no finite number")
    return number


def read_array(path: Path) -> Any:
    """Return the array of an npy file, whose header says what the file has.

    Raises:
        BundleError: it is no array, of another size, or would have to be unpickled.
    """
    try:
        mapped = np.lib.format.open_memmap(path, mode="r")  # reads the header, and no more
        claimed, size = mapped.offset + mapped.nbytes, path.stat().st_size
        if claimed != size or mapped.dtype.itemsize == 0:
            shown = f"shape {mapped.shape} and type {mapped.dtype}"
            raise ValueError(f"{shown} would be {claimed} bytes, and it has {size}")
    except Exception as error:  # of Python's tokenizer, too
        raise BundleError(f"{path} is not an array ({error!s:.200}).") from None
    return np.array(mapped)
