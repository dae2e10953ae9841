"""What a tagger takes: texts, or a table with the columns that they are joined from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tagifai.exceptions import DataError


def list_columns(options: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the columns that a table of texts has.

    Args:
        options: how the tables of the run were read.
    """
    names = tuple(options.get("other_text") or options.get("text") or ("text",))
    # The column of a table without a header has no name.
    return ("text",) if len(names) == 1 and names[0].isdecimal() else names


def join_values(values: Sequence[Any]) -> Any:
    """Return the text of a row: its values with a space between, or what of them is no text.

    Args:
        values: of the run's columns; a missing one is None or NaN, and joined as nothing.
    """
    missing = [value is None or value != value for value in values]
    if all(missing):
        return None
    for value, is_missing in zip(values, missing, strict=True):
        if not is_missing and not isinstance(value, str):
            return value
    if len(values) == 1:
        return values[0]
    return " ".join("" if no else value for value, no in zip(values, missing, strict=True))


def list_texts(texts: Iterable[str]) -> list[str]:
    """Return texts as a list.

    Args:
        texts: a list, tuple, Series, array or generator; not a table.

    Raises:
        DataError: it is of another kind, or one of its items is not a text.
    """
    if isinstance(texts, bytes | Mapping) or not isinstance(texts, Iterable):
        raise DataError(f"{_describe(texts)} is not a text, and not a list or the like of texts.")
    if getattr(texts, "ndim", 1) != 1:
        raise DataError(
            "A table is not a list of texts. Give one of its columns, such as table['text']."
        )
    # An array's own items are not Python's; those of all else are.
    items: list[Any] = texts.tolist() if hasattr(texts, "tolist") else list(texts)
    # Types first: there are fewer of them than of texts.
    if not all(issubclass(kind, str) for kind in set(map(type, items))):
        place, item = next((n, item) for n, item in enumerate(items) if not isinstance(item, str))
        raise DataError(
            f"texts[{place}] is {_describe(item)}, which is not a text. Leave it out, or put a text"
            " in its place."
        )
    return items


def _describe(value: object) -> str:
    shown = repr(value)
    return f"{shown[:60]}…" if len(shown) > 60 else f"{shown} ({type(value).__name__})"
