"""What is odd about texts and labels: letters that cleaning deletes, junk, look-alike labels."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from tagifai.exceptions import DataError
from tagifai.preprocessing.cleaning import Cleaner
from tagifai.utils.labels import INVISIBLE

MOST_DELETED, MUCH_DELETED = 0.5, 0.1
"""Shares of the letters: more of them are an error, and a warning."""

WAY_OUT = (
    "Use preprocessing=unicode, which keeps the letters of every script, or preprocessing=none,"
    " which keeps all."
)

BATCH_CHARACTERS = 1_000_000

SHOWN_CHARACTERS = 60

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

_VARIATIONS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")
"""Marks that choose the look of what is before them, such as a coloured heart's."""

_TWINS = str.maketrans(
    "АВСЕНІЈКМОРЅТХУаеіјорѕсхуԁһԛԝΑΒΕΖΗΙΚΜΝΟΡΤΥΧο’‘ʼ“”„–—−‐‑",  # noqa: RUF001
    "ABCEHIJKMOPSTXYaeijopscxydhqwABEZHIKMNOPTYXo'''\"\"\"-----",
)
"""Letters of other alphabets, quotes and dashes, and the characters that they look like."""


# --- letters -----------------------------------------------------------------------------------


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


def compute_deleted_letters(characters: Mapping[str, int], cleaning: Mapping[str, Any]) -> float:
    """Return the share of letters, and of marks on them, that are not among the kept characters.

    What is deleted on purpose does not count: stop words, links, the ends of stemmed words, and
    what registered steps delete.

    Args:
        characters: how often each one is there.
        cleaning: the cleaner's arguments.
    """
    total = deleted = 0
    clean = _make_cleaner(cleaning)
    for character, number in characters.items():
        if _is_letter(character):
            total += number
            deleted += 0 if clean(character).strip() else number
    return deleted / total if total else 0.0


def _is_letter(character: str) -> bool:
    category = unicodedata.category(character)[0]
    return category == "L" or (category == "M" and not _VARIATIONS.match(character))


def _make_cleaner(cleaning: Mapping[str, Any]) -> Cleaner:
    kept = {key: cleaning[key] for key in ("lower", "separate_punctuation", "keep")}
    return Cleaner(**kept, remove_links=False)


def count_cleaned_characters(texts: Sequence[str], cleaning: Mapping[str, Any]) -> Counter[str]:
    """Return how often each character is in texts that the registered first steps have seen."""
    if not cleaning["first"]:
        return count_characters(texts)
    first = Cleaner(
        first=cleaning["first"],
        lower=False,
        separate_punctuation=False,
        keep=None,
        remove_links=False,
    )
    return count_characters(map(first, texts))


def check_cleaning(texts: Sequence[str], cleaning: Mapping[str, Any]) -> None:
    """Refuse a cleaning that deletes most letters of the texts.

    Args:
        texts: n of them, before cleaning.
        cleaning: the cleaner's arguments.

    Raises:
        DataError: it deletes more than half; with an example, and settings that keep them.
    """
    characters = count_cleaned_characters(texts, cleaning)
    share = compute_deleted_letters(characters, cleaning)
    if share > MOST_DELETED:
        clean = _make_cleaner(cleaning)
        lost = {c for c in characters if _is_letter(c) and not clean(c).strip()}
        text = next((t for t in texts if len(lost.intersection(t)) > 2), texts[0])
        scripts = ", ".join(list(compute_scripts({c: characters[c] for c in lost}))[:3])
        raise DataError(
            f"The cleaning would delete {share:.1%} of the letters ({scripts}):"
            f' "{shorten(text)}" would become "{shorten(Cleaner(**cleaning)(text))}". {WAY_OUT}'
        )


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
    "invisible characters": lambda label: _VARIATIONS.sub("", INVISIBLE.sub("", label)),
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


# --- showing -----------------------------------------------------------------------------------


def shorten(text: str, characters: int = SHOWN_CHARACTERS) -> str:
    """Return a text on one line, cut off, with escapes for what cannot be seen."""
    shown = "".join(
        character
        if character == " " or unicodedata.category(character)[0] not in "CZ"
        else character.encode("unicode_escape").decode()
        for character in text[:characters]
    )
    return shown + ("…" if len(text) > characters else "")
