"""Texts and durations as they are shown."""

from __future__ import annotations

import unicodedata

SHOWN_CHARACTERS = 60


def shorten(text: str, characters: int = SHOWN_CHARACTERS) -> str:
    """Return a text on one line, cut off, with escapes for what cannot be seen."""
    shown = "".join(
        character
        if character == " " or unicodedata.category(character)[0] not in "CZ"
        else character.encode("unicode_escape").decode()
        for character in text[:characters]
    )
    return shown + ("…" if len(text) > characters else "")


def format_duration(seconds: float) -> str:
    """Return about how long something takes, in words: "40 seconds", "25 minutes", "1.6 hours"."""
    minutes = seconds / 60
    if minutes >= 90:
        return f"{minutes / 60:.1f} hours"
    if minutes >= 1.5:
        return f"{minutes:.0f} minutes"
    return "a minute" if minutes >= 1 else f"{seconds:.0f} seconds"
