"""Counts of n-grams as a sparse matrix, a row a text.

A key is one number for a text and a column: text times width plus column.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

from tagifai.preprocessing.alphabet import Numbers


def make_keys(columns: Numbers, begins: Numbers, width: int) -> Numbers:
    """Return one number for text and column of each n-gram whose column is not -1.

    Args:
        columns: of the n-grams, shape (n-grams,).
        begins: where those of each text begin, shape (texts + 1,).
        width: how many columns there are.
    """
    texts = np.repeat(np.arange(len(begins) - 1), np.diff(begins))
    found: Numbers = (texts * width + columns)[columns >= 0]
    return found


def count_keys(keys: Numbers, height: int, width: int) -> csr_matrix:
    """Return how often each key is there, columns in ascending order.

    Args:
        keys: texts times width plus columns, in any order.
        height: how many texts there are.
        width: how many columns there are.
    """
    keys = np.sort(keys)
    starts = np.flatnonzero(np.diff(keys, prepend=-1))
    return _make_matrix(keys[starts], np.diff(starts, append=len(keys)), height, width)


def sum_by_key(keys: Numbers, values: Numbers, height: int, width: int) -> csr_matrix:
    """Return the sum of the values of each key, columns in ascending order.

    Args:
        keys: texts times width plus columns, in any order.
        values: of the keys, shape (keys,).
        height: how many texts there are.
        width: how many columns there are.
    """
    order = np.argsort(keys)
    keys = keys[order]
    starts = np.flatnonzero(np.diff(keys, prepend=-1))
    totals = np.concatenate([[0], np.cumsum(values[order])])
    return _make_matrix(keys[starts], np.diff(totals[np.append(starts, len(keys))]), height, width)


def _make_matrix(keys: Numbers, values: Numbers, height: int, width: int) -> csr_matrix:
    bounds = np.searchsorted(keys, np.arange(height + 1) * width)
    parts = values.astype(np.intc), (keys % width).astype(np.int32), bounds.astype(np.int32)
    return csr_matrix(parts, shape=(height, width))
