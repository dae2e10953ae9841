"""The one form of a label, in data and in settings."""

from __future__ import annotations

import re
import unicodedata

INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
"""Characters that nobody sees: soft hyphens, zero-width ones, marks of direction and order."""

VARIATIONS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")
"""Marks that choose the look of what is before them, such as a coloured heart's."""


def clean_label(label: str) -> str:
    """Return a label in its one form: NFC, without invisible characters and spaces around."""
    if label.isascii():
        return label.strip()
    return INVISIBLE.sub("", unicodedata.normalize("NFC", label)).strip()
