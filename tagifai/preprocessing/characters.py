"""Characters of texts, and the scripts that they belong to."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from tagifai.utils.labels import VARIATIONS

BATCH_CHARACTERS = 1_000_000


def count_characters(texts: Iterable[str]) -> Counter[str]:
    """Return how often each character is in texts."""
    counted: Counter[str] = Counter()

    def add(batch: Sequence[str]) -> None:
        codes = np.frombuffer("".join(batch).encode("utf-32-le", "surrogatepass"), dtype="<u4")
        numbers = np.bincount(codes)
        counted.update({chr(code): int(numbers[code]) for code in np.flatnonzero(numbers)})

    batch, characters = [], 0
    for text in texts:
        batch.append(text)
        characters += len(text)
        if characters > BATCH_CHARACTERS:
            add(batch)
            batch, characters = [], 0
    add(batch)
    return counted


def compute_scripts(characters: Mapping[str, int]) -> dict[str, float]:
    """Return scripts by their shares of the letters, the most frequent first.

    Args:
        characters: how often each one is there.
    """
    counted: Counter[str] = Counter()
    for character, number in characters.items():
        if unicodedata.category(character)[0] == "L":
            counted[_get_script(character)] += number
    total = counted.total()
    return {script: number / total for script, number in counted.most_common()}


def _get_script(letter: str) -> str:
    plain = unicodedata.normalize("NFKC", letter)[0]
    word = re.split("[ -]", unicodedata.name(plain, "OTHER"))[0]
    return {"CJK": "Han", "IDEOGRAPHIC": "Han", "MODIFIER": "Other"}.get(word, word.capitalize())


def is_letter(character: str) -> bool:
    """Return whether a character is a letter, or a mark that goes with one."""
    category = unicodedata.category(character)[0]
    return category == "L" or (category == "M" and not VARIATIONS.match(character))
