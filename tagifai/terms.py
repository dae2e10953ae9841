"""Terms: what scikit-learn's vectorizers cut a text into, without scikit-learn."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

_WHITE_SPACES = re.compile(r"\s\s+")


def analyzer(given: Mapping[str, Any]) -> Callable[[str], list[str]]:
    """Return the function from a text to its terms that a vectorizer's parameters describe."""
    low, high = given["ngram_range"]
    accents, lower = _ACCENTS[given["strip_accents"]], given["lowercase"]
    cut = {"char": _characters, "char_wb": _within_words}.get(given["analyzer"])
    if cut is None:
        cut = partial(_words, re.compile(given["token_pattern"]))
    return lambda text: cut(accents(text.lower() if lower else text), low, high)


def _characters(text: str, low: int, high: int) -> list[str]:
    return _ngrams(_WHITE_SPACES.sub(" ", text), low, high)


def _ngrams(text: str, low: int, high: int) -> list[str]:
    sizes = range(low, min(high, len(text)) + 1)
    return [text[i : i + size] for size in sizes for i in range(len(text) - size + 1)]


def _within_words(text: str, low: int, high: int) -> list[str]:
    found = []
    for word in text.split():
        padded = f" {word} "
        # A word that is shorter than the shortest n-gram is a term itself.
        found += _ngrams(padded, low, high) if len(padded) > low else [padded]
    return found


def _words(pattern: re.Pattern[str], text: str, low: int, high: int) -> list[str]:
    words = pattern.findall(text)
    sizes = range(low, min(high, len(words)) + 1)
    return [" ".join(words[i : i + size]) for size in sizes for i in range(len(words) - size + 1)]


def _without_accents(text: str) -> str:
    if text.isascii():
        return text
    parts = unicodedata.normalize("NFKD", text)
    return "".join(c for c in parts if not unicodedata.combining(c))


def _ascii(text: str) -> str:
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")


_ACCENTS: dict[str | None, Callable[[str], str]] = {
    None: str,
    "ascii": _ascii,
    "unicode": _without_accents,
}
