"""Size of a fitted object in bytes, the same for equal objects in any process."""

from __future__ import annotations

from typing import Any

import numpy as np


def count_bytes(fitted: Any) -> int:
    """Return the bytes of all arrays, texts and numbers that an object is made of.

    A number counts 8 bytes, a text its UTF-8; the language's own overhead counts nothing.

    Args:
        fitted: an estimator, or anything inside one.
    """
    return _count_bytes(fitted, {})


def _count_bytes(item: Any, met: dict[int, Any]) -> int:
    if isinstance(item, str):
        return len(item.encode())
    if isinstance(item, int | float | complex | np.generic):
        return 8
    if id(item) in met or isinstance(item, type | np.random.RandomState):
        return 0
    met[id(item)] = item  # held, so that nothing else gets its id
    if isinstance(item, np.ndarray) and item.dtype != object:
        return int(item.nbytes)
    if isinstance(item, np.ndarray):
        return _count_bytes(item.ravel().tolist(), met)
    if isinstance(item, dict):
        return sum(_count_bytes(key, met) + _count_bytes(value, met) for key, value in item.items())
    if isinstance(item, list | tuple | set | frozenset):
        return sum(_count_bytes(part, met) for part in item)
    # Objects without Python attributes, such as a tree's nodes, have a pickling state at most.
    return _count_bytes(vars(item) if hasattr(item, "__dict__") else _get_state(item), met)


def _get_state(item: Any) -> Any:
    try:
        return item.__getstate__()
    except TypeError:
        return ()
