"""What a cleaning takes from texts: letters, whole texts, and what tells texts apart.

Of each, more than a tenth is worth a warning, and more than half an error.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tagifai.exceptions import DataError
from tagifai.preprocessing.characters import compute_scripts, count_characters, is_letter
from tagifai.preprocessing.cleaning import Cleaner
from tagifai.utils.excerpts import shorten

MOST_DELETED, MUCH_DELETED = 0.5, 0.1
"""Shares of the letters or the texts: more of them are an error, and a warning."""

KEEPS_ALL = "preprocessing=none, which keeps all"

WAY_OUT = f"Use preprocessing=unicode, which keeps the letters of every script, or {KEEPS_ALL}."

TRIED_TEXTS = 200
"""Of those that a cleaning empties or makes equal, to find the setting that does it."""

RELAXATIONS: dict[str, tuple[str, Any]] = {
    "preprocessing.stopwords=[] preprocessing.language=null": ("stopwords", []),
    "preprocessing.keep=null": ("keep", None),
    "preprocessing.remove_links=false": ("remove_links", False),
    "preprocessing.stem=false": ("stem", False),
    "preprocessing.first=[]": ("first", []),
    "preprocessing.last=[]": ("last", []),
}
"""Settings with which a cleaning deletes less, and the argument that each of them changes."""


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
        if is_letter(character):
            total += number
            deleted += 0 if clean(character).strip() else number
    return deleted / total if total else 0.0


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


@dataclass(frozen=True)
class Deletion:
    """Something that a cleaning takes from texts.

    Args:
        share: of the letters or the texts.
        done: a sentence on what is lost and what to do, where the share is small enough to go on.
        refused: the same, where it is not.
    """

    share: float
    done: str
    refused: str


def list_deletions(
    raw: Sequence[str], cleaned: Sequence[str], cleaning: Mapping[str, Any]
) -> list[Deletion]:
    """Return what a cleaning takes from texts, where it is more than a tenth.

    Args:
        raw: n texts, before cleaning.
        cleaned: the same after it.
        cleaning: the cleaner's arguments.
    """
    found = [
        *_find_deleted_letters(raw, cleaning),
        *_find_emptied(raw, cleaned, cleaning),
        *_find_made_equal(raw, cleaned, cleaning),
    ]
    return [deletion for deletion in found if deletion.share > MUCH_DELETED]


def list_warnings(found: Sequence[Deletion]) -> list[str]:
    """Return sentences on the deletions that `refuse_deletions` does not refuse."""
    return [deletion.done for deletion in found if deletion.share <= MOST_DELETED]


def refuse_deletions(found: Sequence[Deletion]) -> None:
    """Refuse a cleaning that leaves too little of the texts.

    Args:
        found: what it takes from them.

    Raises:
        DataError: it deletes more than half of the letters, empties more than half of the texts,
            or makes more than half of the different ones equal; with an example, and a way out.
    """
    for deletion in found:
        if deletion.share > MOST_DELETED:
            raise DataError(deletion.refused)


def _find_deleted_letters(raw: Sequence[str], cleaning: Mapping[str, Any]) -> Iterator[Deletion]:
    characters = count_cleaned_characters(raw, cleaning)
    share = compute_deleted_letters(characters, cleaning)
    if share <= MUCH_DELETED:
        return
    clean = _make_cleaner(cleaning)
    lost = {c for c in characters if is_letter(c) and not clean(c).strip()}
    text = next((t for t in raw if len(lost.intersection(t)) > 2), raw[0])
    scripts = ", ".join(list(compute_scripts({c: characters[c] for c in lost}))[:3])
    yield Deletion(
        share,
        f"The cleaning deletes {share:.1%} of the letters. {WAY_OUT}",
        f"The cleaning would delete {share:.1%} of the letters ({scripts}):"
        f' "{shorten(text)}" would become "{shorten(Cleaner(**cleaning)(text))}". {WAY_OUT}',
    )


def _find_emptied(
    raw: Sequence[str], cleaned: Sequence[str], cleaning: Mapping[str, Any]
) -> Iterator[Deletion]:
    emptied = [
        text for text, left in zip(raw, cleaned, strict=True) if not left.strip() and text.strip()
    ]
    if not emptied:
        return
    share = len(emptied) / len(raw)
    what = f"{len(emptied):,} of {len(raw):,} texts ({share:.1%}), such as"
    rest = f'{what} "{shorten(emptied[0])}". '
    if share > MUCH_DELETED:
        rest += _find_way_out([(text, "") for text in emptied[:TRIED_TEXTS]], cleaning)
    yield Deletion(share, f"The cleaning empties {rest}", f"The cleaning would empty {rest}")


def _find_made_equal(
    raw: Sequence[str], cleaned: Sequence[str], cleaning: Mapping[str, Any]
) -> Iterator[Deletion]:
    """Yield how many texts become equal that differ in more than case and white space."""
    left = {text: rest for text, rest in zip(raw, cleaned, strict=True) if text.strip()}
    counts = Counter(left.values())
    # Of those alone the form is worth computing.
    among = [text for text, rest in left.items() if rest.strip() and counts[rest] > 1]
    if len(among) <= MUCH_DELETED * len(left):
        return
    forms: dict[str, dict[str, str]] = {}
    for text in among:
        forms.setdefault(left[text], {}).setdefault(" ".join(text.casefold().split()), text)
    groups = [[*group.values()] for group in forms.values() if len(group) > 1]
    if not groups:
        return
    same = len(among) - sum(map(len, forms.values()))
    number, total = sum(map(len, groups)), len(left) - same
    one, other = groups[0][:2]
    rest = (
        f"{number:,} of {total:,} different texts equal to another one ({number / total:.1%}):"
        f' "{shorten(one)}" and "{shorten(other)}" both become "{shorten(left[one])}". '
    ) + _find_way_out([(group[0], group[1]) for group in groups[:TRIED_TEXTS]], cleaning)
    yield Deletion(number / total, f"The cleaning makes {rest}", f"The cleaning would make {rest}")


def _find_way_out(pairs: Sequence[tuple[str, str]], cleaning: Mapping[str, Any]) -> str:
    """Return what to do, with the settings that alone keep most of the pairs apart.

    Args:
        pairs: texts that the cleaning makes equal.
        cleaning: the cleaner's arguments.
    """
    helpful = []
    for setting, (key, value) in RELAXATIONS.items():
        if cleaning[key] == value:
            continue
        clean = Cleaner(**{**cleaning, key: value})
        kept = sum(_differ(one, other, clean) for one, other in pairs)
        helpful += [setting] if kept > len(pairs) / 2 else []
    return f"Use {', or '.join([*helpful, KEEPS_ALL])}."


def _differ(one: str, other: str, clean: Cleaner) -> bool:
    """Return whether cleaned texts differ, in their letters and digits if the texts do."""
    form = _join_letters if _join_letters(one) != _join_letters(other) else str.strip
    return form(clean(one)) != form(clean(other))


def _join_letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))
