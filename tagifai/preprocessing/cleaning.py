"""Text cleaning, the same for training, evaluation and prediction."""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from string import punctuation
from typing import NoReturn

from tagifai.exceptions import InvalidValueError, suggest_closest
from tagifai.utils import own_modules

CleaningStep = Callable[[str], str]
"""Takes a text and returns a text."""

_REGISTERED: dict[str, CleaningStep] = {}

_LINK = re.compile(r"http\S+")
_PUNCTUATION = re.compile(f"([{re.escape(punctuation)}])")
MARKS = r"\p{M}"
"""What stands for all combining marks in `keep`."""

_SPACES = re.compile(" +")


def cleaning_step(function: CleaningStep) -> CleaningStep:
    """Register a function from text to text, for `preprocessing.first` and `last` to name.

    A model stores the names of its steps, so it needs the functions wherever it is loaded.
    """
    _REGISTERED[function.__name__] = function
    own_modules.register_function(function)
    return function


def list_own_modules(names: Iterable[str]) -> set[str]:
    """Return the modules, other than this package's, that steps of these names are from."""
    modules = {getattr(_REGISTERED[name], "__module__", None) for name in names}
    return {module for module in modules if module and module.partition(".")[0] != "tagifai"}


def get_registered() -> dict[str, CleaningStep]:
    """Return the registered functions by name."""
    return dict(_REGISTERED)


class Cleaner:
    r"""Clean a text step by step, in the fixed order of the arguments below.

    Args:
        first: names of registered steps that come first.
        lower: lower-case the text.
        stopwords: words to delete, with the white space that follows them, where they stand on
            word boundaries. Earlier words win, so "you" before "you're" leaves "'re".
        separate_punctuation: put a space on both sides of every ASCII punctuation character.
        keep: characters to keep, as the inside of a regular expression's brackets; every run of
            others becomes one space. `\w` has letters and digits of every script, and `\p{M}`
            the marks that go with them, such as the vowel signs of Devanagari. `A-Z` is a range,
            `\]` and the like are the character itself. None keeps all.
        remove_links: delete what starts with "http", up to the next white space.
        stem: reduce every word to its stem (M. F. Porter, 1980, in NLTK's extended version).
        last: names of registered steps that come last.

    Raises:
        InvalidValueError: `keep` is not the inside of a character class, or a step is unknown.
    """

    def __init__(  # noqa: PLR0913 - YAML names the class and gives it each argument
        self,
        first: Sequence[str] = (),
        lower: bool = True,
        stopwords: Sequence[str] = (),
        separate_punctuation: bool = True,
        keep: str | None = "A-Za-z0-9",
        remove_links: bool = True,
        stem: bool = False,
        last: Sequence[str] = (),
    ) -> None:
        self._steps: list[CleaningStep] = [
            *(_get_registered("first", name) for name in first),
            *([str.lower] if lower else []),
            *([_deletion(stopwords)] if stopwords else []),
            *([_separate_punctuation] if separate_punctuation else []),
            *([_restriction(keep)] if keep is not None else []),
            *([_collapse_spaces] if separate_punctuation or keep is not None else []),
            *([_delete_links] if remove_links else []),
            *([_stemming()] if stem else []),
            *(_get_registered("last", name) for name in last),
        ]

    def __call__(self, text: str) -> str:
        """Return the cleaned text; it may be empty."""
        for step in self._steps:
            text = step(text)
        return text


def _get_registered(key: str, name: str) -> CleaningStep:
    if name not in _REGISTERED:
        known = ", ".join(sorted(_REGISTERED)) or "none yet"
        allowed = "the name of a function that is decorated with @cleaning_step."
        raise InvalidValueError(
            key, name, f"{allowed}{suggest_closest(name, _REGISTERED)} There are: {known}."
        )
    return _REGISTERED[name]


def _deletion(words: Sequence[str]) -> CleaningStep:
    pattern = re.compile(rf"\b{_any_of(words)}\b\s*")
    return lambda text: pattern.sub("", text)


def _any_of(words: Sequence[str]) -> str:
    """Return a pattern that matches as `"|".join(words)` does, in fewer steps.

    Words that begin alike are tried together: at one place in a text, only they can match.
    """
    groups: list[tuple[str, list[str]]] = []
    open_groups: dict[str, list[str]] = {}
    for word in words:
        first, rest = word[:1], word[1:]
        if first in open_groups:
            open_groups[first].append(rest)
            continue
        groups.append((first, [rest]))
        # What comes after a word that has ended is not to be tried before it.
        open_groups = {**open_groups, first: groups[-1][1]} if first else {}
    tried = [re.escape(first) + (_any_of(rest) if first else "") for first, rest in groups]
    return tried[0] if len(tried) == 1 else f"(?:{'|'.join(tried)})"


def _separate_punctuation(text: str) -> str:
    return _PUNCTUATION.sub(r" \1 ", text)


def _restriction(keep: str) -> CleaningStep:
    pattern = re.compile(f"[^{''.join(_parse_characters(keep))}]+")
    return lambda text: pattern.sub(" ", text)


def _parse_characters(keep: str) -> dict[str, None]:
    """Return the parts of a character class, none of which can end it and begin another pattern."""
    parts: dict[str, None] = {}
    place = 0

    def refuse(reason: str) -> NoReturn:
        wrong = f"not the inside of a character class: {reason} at character {place + 1}"
        raise InvalidValueError("keep", keep, wrong)

    while place < len(keep):
        first, after = _split_character(keep, place)
        if first is None:
            refuse(f"{keep[place : place + 2]!r} has no meaning")
        if first == "]" and place and after == place + 1:
            refuse(r"a ']' that is not the first is written '\]'")
        if keep[after : after + 1] == "-" and after + 1 < len(keep):
            last, end = _split_character(keep, after + 1)
            is_end = keep[after + 1] == "]"
            if last is None or is_end or len(first) > 1 or len(last) > 1 or first > last:
                refuse(f"{keep[place:end]!r} is no range")
            parts[f"{re.escape(first)}-{re.escape(last)}"] = None
            place = end
        else:
            parts[first if len(first) > 1 else re.escape(first)] = None
            place = after
    if not parts:
        refuse("there is nothing")
    return parts


def _split_character(keep: str, place: int) -> tuple[str | None, int]:
    """Return the character or the class at a place, None if it is no such thing, and its end."""
    if keep[place] != "\\":
        return keep[place], place + 1
    if keep.startswith(MARKS, place):
        return _marks(), place + len(MARKS)
    escaped = keep[place + 1 : place + 2]
    if escaped and escaped in "dDsSwW":
        return f"\\{escaped}", place + 2
    return (escaped if escaped and escaped in punctuation else None), place + 2


@cache
def _marks() -> str:
    r"""Return all combining marks, which Python's `\w` leaves out, as ranges."""
    found = [n for n in range(sys.maxunicode + 1) if unicodedata.category(chr(n))[0] == "M"]
    ranges: list[list[int]] = []
    for number in found:
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in ranges)


def _collapse_spaces(text: str) -> str:
    return _SPACES.sub(" ", text).strip()


def _delete_links(text: str) -> str:
    return _LINK.sub("", text)


def _stemming() -> CleaningStep:
    # Late: nltk takes half a second to import, and only stemming needs it.
    from nltk.stem.porter import PorterStemmer

    stem = PorterStemmer().stem
    return lambda text: " ".join(stem(word, to_lowercase=False) for word in text.split(" "))
