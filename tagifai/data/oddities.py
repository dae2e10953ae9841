"""What is odd about texts and labels: junk, and labels that look alike."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any

from tagifai.utils.labels import INVISIBLE, VARIATIONS

_TAG_NAMES = (
    "a|abbr|b|blockquote|body|br|code|div|em|font|h[1-6]|head|hr|html|i|img|li|ol|p|pre|script|"
    "span|strong|style|sub|sup|table|tbody|td|th|tr|u|ul"
)
_HTML = re.compile(
    rf"</?(?:{_TAG_NAMES})(?:\s[^<>]*)?/?>|&(?:[a-z]{{2,8}}|#\d{{1,6}}|#x[0-9a-f]{{1,5}});", re.I
)
_LETTER = re.compile(r"[^\W\d_]")
_LINK = re.compile(r"(?:https?://|www\.)\S+", re.I)
_SYLLABLE = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
"""A character of a script in which one or two of them are words."""

_TWINS = str.maketrans(
    "АВСЕНІЈКМОРЅТХУаеіјорѕсхуԁһԛԝΑΒΕΖΗΙΚΜΝΟΡΤΥΧο’‘ʼ“”„–—−‐‑",  # noqa: RUF001
    "ABCEHIJKMOPSTXYaeijopscxydhqwABEZHIKMNOPTYXo'''\"\"\"-----",
)
"""Letters of other alphabets, quotes and dashes, and the characters that they look like."""


# --- junk --------------------------------------------------------------------------------------

JUNK: dict[str, Callable[[str], Any]] = {
    "shorter than 3 characters": lambda text: len(text) < 3 and not _SYLLABLE.search(text),
    "one repeated character": lambda text: len(text) > 2 and text == text[0] * len(text),
    "only a link": lambda text: text[:4].lower() in ("http", "www.") and _LINK.fullmatch(text),
    "no letters": lambda text: not _LETTER.search(text),
    "HTML left over": lambda text: ("<" in text or "&" in text) and _HTML.search(text),
}
"""Kinds of junk, and what tells whether a stripped text is of a kind; the first one counts."""


def find_junk(texts: Iterable[str]) -> dict[str, list[int]]:
    """Return the positions of texts that are junk, by kind; only kinds that there are."""
    found: dict[str, list[int]] = {}
    for position, text in enumerate(texts):
        stripped = text.strip()
        for kind, holds in JUNK.items():
            if holds(stripped):
                found.setdefault(kind, []).append(position)
                break
    return {kind: found[kind] for kind in JUNK if kind in found}


# --- labels ------------------------------------------------------------------------------------


def _make_number(label: str) -> str:
    with suppress(ValueError):
        if label.isascii() and "_" not in label:
            return f"{float(label):.15g}"
    return label


NORMAL_FORMS: dict[str, Callable[[str], str]] = {
    "upper and lower case": lambda label: unicodedata.normalize("NFC", label).casefold(),
    "the form of a number": _make_number,
    "white space": lambda label: "".join(label.split()),
    "invisible characters": lambda label: VARIATIONS.sub("", INVISIBLE.sub("", label)),
    "the form of characters": lambda label: unicodedata.normalize("NFKC", label),
    "characters that look alike": lambda label: label.translate(_TWINS),
}
"""In what labels may differ, and what takes that away."""


def find_lookalikes(labels: Iterable[str]) -> list[tuple[list[str], str]]:
    """Return groups of labels that a reader takes for one, and in what they differ."""
    groups: dict[str, list[str]] = {}
    for label in labels:
        groups.setdefault(_normalize(label), []).append(label)
    return [(group, _explain(group)) for group in groups.values() if len(group) > 1]


def _normalize(label: str) -> str:
    order = [*NORMAL_FORMS][2:] + [*NORMAL_FORMS][:2]
    for name in order:
        label = NORMAL_FORMS[name](label)
    return label


def _explain(group: Sequence[str]) -> str:
    for name, take_away in NORMAL_FORMS.items():
        if len({take_away(label) for label in group}) == 1:
            return name
    return "several of these ways"
