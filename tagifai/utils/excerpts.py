"""Texts and durations as they are shown."""

from __future__ import annotations

import re
from typing import Any

from tagifai.utils.secrets import mask

SHOWN_CHARACTERS = 60

UNSEEN = re.compile(
    "[\0-\x1f\x7f-\x9f\xa0\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
"""Characters that steer what shows a text, or cannot be seen: those that control a terminal, end a
line or turn its direction, and halves of surrogate pairs. The two that join letters (U+200C and
U+200D) are part of words and signs."""

FORMULA = re.compile(
    r"(?![+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$)[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]", re.IGNORECASE
)
"""The beginning of a cell that a spreadsheet would compute, in full width too; numbers are none."""


def make_visible(text: str) -> str:
    """Return a text as it may be shown: on one line, without secrets.

    What cannot be seen has escapes, as Python writes them.
    """
    return _escape(mask(text))


def make_lines_visible(text: str, begin: str = "    ") -> str:
    """Return a text of several lines as it may be shown, with what begins those after the first.

    So nobody takes a line end in a name for the end of what is said of it.
    """
    return f"\n{begin}".join(map(_escape, mask(text).rstrip("\n").split("\n")))


def _escape(text: str) -> str:
    return UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def shorten(text: str, characters: int = SHOWN_CHARACTERS) -> str:
    """Return the beginning of a text, made visible."""
    text = mask(text)  # first: a part of a secret is not known for one
    return make_visible(text[:characters]) + "…" * (len(text) > characters)


def secure_cell(cell: Any) -> Any:
    """Return a cell of a CSV that no spreadsheet takes for a formula: a ' before it says so."""
    return f"'{cell}" if isinstance(cell, str) and FORMULA.match(cell) else cell


def format_duration(seconds: float) -> str:
    """Return about how long something takes: "40 s", "25 min", "1.6 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def format_time(seconds: float) -> str:
    """Return how long something took: "5.9 s", "2 min 5 s", "1 h 4 min"."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def format_size(count: float) -> str:
    """Return a number of bytes: "135 B", "24 kB", "1.2 MB", "3.4 GB"."""
    for unit, digits in (("B", 0), ("kB", 0), ("MB", 1)):
        if count < 999.5:
            return f"{count:.{digits}f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def shorten_id(run_id: str) -> str:
    """Return the first 8 digits of a run's id, which stand for it: `task.run_id` takes them."""
    return run_id[:8]
