"""Whether this machine has fonts for the labels of figures, and the packages that have them."""

from __future__ import annotations

import shutil
import subprocess
import unicodedata
from collections.abc import Iterable

EAST_ASIAN = ("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO", "FULLWIDTH", "HALFWIDTH")
"""First words of characters' names that one font has."""

PACKAGES = {
    "Chinese, Japanese or Korean": ("fonts-noto-cjk", "google-noto-sans-cjk-fonts"),
    "emoji": ("fonts-noto-color-emoji", "google-noto-color-emoji-fonts"),
}
"""Of Debian and of Fedora."""

OTHER_PACKAGES = ("fonts-noto-core", "google-noto-sans-fonts")
"""With fonts of nearly all other scripts."""

LAST_PLAIN = "\u024f"
"""The last of the Latin letters that every font has."""

FIRST_EMOJI = "\U0001f000"
"""The first of the signs that are drawn in colours."""

MOST_ASKED = 3
"""Characters of a script that stand for the others; each is asked for by itself."""


def describe_missing_fonts(labels: Iterable[str]) -> list[str]:
    """Return what the labels of figures need that this machine has no font for, a sentence each.

    The texts of a figure are drawn by who looks at it, so another machine may have what this one
    has not.

    Args:
        labels: of the classes.
    """
    scripts: dict[str, set[str]] = {}
    for character in {character for label in labels for character in label}:
        if character > LAST_PLAIN and unicodedata.category(character)[0] in "LNS":
            scripts.setdefault(_name_script(character), set()).add(character)
    notes = []
    for script, characters in sorted(scripts.items()):
        if not all(map(has_font, sorted(characters)[:MOST_ASKED])):
            debian, fedora = PACKAGES.get(script, OTHER_PACKAGES)
            notes.append(
                f"No font of this machine has the {script} labels of the report's figures. One is"
                f" in the package {debian} of Debian and Ubuntu and {fedora} of Fedora; macOS and"
                " Windows have theirs."
            )
    return notes


def _name_script(character: str) -> str:
    first = unicodedata.name(character, "other").partition(" ")[0].partition("-")[0]
    if first in EAST_ASIAN:
        return "Chinese, Japanese or Korean"
    if unicodedata.category(character)[0] == "S":
        return "emoji" if character >= FIRST_EMOJI else "symbols in"
    return first.capitalize()


def has_font(character: str) -> bool:
    """Return whether a font has a character; true where fontconfig, which knows, is missing."""
    program = shutil.which("fc-list")
    if program is None:
        return True
    command = [program, f":charset={ord(character):x}", "family"]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=2)  # noqa: S603 # nosec B603
    except (OSError, subprocess.TimeoutExpired):
        return True
    return done.returncode != 0 or bool(done.stdout.strip())
