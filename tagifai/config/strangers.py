"""What the settings of a stranger may ask for: those of a bundle that came from somewhere else.

A person's own settings may be as large as the person likes, and be interrupted. Those that came in
a file are used before anyone has looked at them, so they must not hang a command or fill memory.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from tagifai.exceptions import ConfigError

TOKEN_PATTERNS = (
    *(r"(?u)\b\w\w+\b", r"\b\w\w+\b", r"(?u)\b\w+\b", r"\b\w+\b", r"(?u)\w+", r"\w+", r"\S+"),
    *(r"(?u)\w+|\S", r"\w+|\S", r"(?u)\w+|[^\w\s]", r"\w+|[^\w\s]", r"(?u)\b\w+\b|[^\w\s]"),
    *(r"\w\w+", r"(?u)\w\w+", r"\w", r"(?u)\w", r"(?u)[a-z0-9]+|\w"),
)
"""Regular expressions of a word that are known to take time that grows with the text, and no more;
of another one nobody can tell."""

MOST = {
    # A text has an n-gram of each length at each place, and all of them are in memory at once.
    "char_ngram_max": 10,
    "ngram_max": 10,
    "ngram_range": 10,
    "word_ngram_max": 5,
    "n_features": 2**24,  # 16 million columns of hashed terms; the default has one million
    "max_features": 2**24,
    "n_estimators": 1_000,
    "max_iter": 100_000,
    "epochs": 1_000,
    "n_jobs": 1,  # more would start processes
    "max_rows": 2**31,
}
"""Largest numbers by the name of a setting; others may be as large as an array's length."""

LARGEST = 2**31
LONGEST_TEXT, LONGEST_LIST = 10_000, 10_000
"""Characters of a setting, and items: a list of stop words has under a thousand."""


def refuse_excess(where: str, settings: Any) -> None:
    """Refuse settings of a stranger that could hang a command or fill memory.

    Args:
        where: what they are, for the error, such as "vectorizer".
        settings: plain values, or mappings and lists of such.

    Raises:
        ConfigError: with the setting, its value and the limit.
    """
    _check(where, where.rpartition(".")[2], settings)


def _check(where: str, name: str, value: Any) -> None:
    if isinstance(value, Mapping):
        _require(len(value) <= LONGEST_LIST, where, value, f"at most {LONGEST_LIST} items")
        for key, item in value.items():
            _check(f"{where}.{key!s:.40}", str(key), item)
    elif isinstance(value, list | tuple):
        _require(len(value) <= LONGEST_LIST, where, value, f"at most {LONGEST_LIST} items")
        for item in value:
            _check(where, name, item)
    elif name == "token_pattern":
        known = value is None or value in TOKEN_PATTERNS
        _require(known, where, value, f"one of {', '.join(TOKEN_PATTERNS)}")
    elif isinstance(value, str):
        short = len(value) <= LONGEST_TEXT
        _require(short, where, value, f"at most {LONGEST_TEXT} characters")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        _require(isinstance(value, int) or math.isfinite(value), where, value, "a finite number")
        least = 1 if name == "n_jobs" else -LARGEST
        most = MOST.get(name, LARGEST)
        _require(least <= value <= most, where, value, f"{least} to {most}")


def _require(right: bool, where: str, value: Any, allowed: str) -> None:
    if not right:
        raise ConfigError(
            f"{where} = {value!r:.80} is not taken from a model that was imported: {allowed}."
        )
