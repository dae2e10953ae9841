"""The cells of boards: numbers of four digits, and the settings in which the rows differ."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress

MISSING = "-"
"""What stands for a number or a setting that there is not."""

USUAL = "·"
"""What stands for settings of which none is unlike the most common ones."""

SETTINGS, UNUSUAL = "settings", "settings unlike the most common"
"""Headings of the column of settings, of which all or only the unusual ones are shown."""

FEW_KEYS = 2
"""Settings that are always shown: so few are read faster than looked up."""


def format_number(value: float | None, sign: str = "") -> str:
    """Return a number with four significant digits, or all of those before the point.

    Args:
        value: the number; None and NaN are a dash.
        sign: "+" for one before positive numbers, too.
    """
    if value is None or math.isnan(value):
        return MISSING
    # Whole from a thousand on: a power of ten is harder to read than five digits.
    is_large = 1000 <= abs(value) < math.inf
    return format(value, f"{sign}.0f" if is_large else f"{sign}#.4g").rstrip(".")


def shorten_keys(keys: Collection[str]) -> dict[str, str]:
    """Return for each key as many of its last parts as tell it from the others.

    Args:
        keys: such as "model.alpha", of which "alpha" is left unless another ends so. A class, such
            as "model._target_", has the name of what it is the class of.
    """
    found: dict[str, str] = {}
    for length in range(1, max((key.count(".") for key in keys), default=0) + 2):
        left = [key for key in keys if key not in found]
        ends = {key: ".".join(key.removesuffix("._target_").split(".")[-length:]) for key in keys}
        counts = Counter(ends.values())
        found |= {key: ends[key] for key in left if counts[ends[key]] == 1}
    return {key: found.get(key, key) for key in keys}


def describe_settings(rows: Sequence[Mapping[str, str]]) -> tuple[str, list[str], str]:
    """Return what tells rows apart, as short as it can be.

    Args:
        rows: the settings of each, by the same keys; "-" where a row has no such setting.

    Returns:
        Heading of the column, a text for each row, and the most common values, empty where all
        settings are shown. Of those a text leaves out what its row has in common with them.
    """
    keys = [*rows[0]] if rows else []
    names = shorten_keys(keys)
    values = {key: _shorten_values([row[key] for row in rows]) for key in keys}
    common = {}
    if len(keys) > FEW_KEYS:
        most = {key: Counter(values[key]).most_common(1)[0] for key in keys}
        common = {key: value for key, (value, rows_with_it) in most.items() if rows_with_it > 1}
    texts = [
        " ".join(
            f"{names[key]}={values[key][number]}"
            for key in keys
            if values[key][number] != common.get(key) and not _follows(rows, row, key)
        )
        for number, row in enumerate(rows)
    ]
    usual = " ".join(f"{names[key]}={value}" for key, value in common.items() if value != MISSING)
    return UNUSUAL if common else SETTINGS, [text or USUAL for text in texts], usual


def _follows(rows: Sequence[Mapping[str, str]], row: Mapping[str, str], key: str) -> bool:
    """Return whether a row lacks a setting because all rows with its option do."""
    group = key.partition(".")[0]
    if row[key] != MISSING or group not in row or group == key:
        return False
    return all(other[key] == MISSING for other in rows if other[group] == row[group])


def _shorten_values(values: Sequence[str]) -> list[str]:
    """Return numbers with four significant digits, unless these would make two of them equal."""
    short = {value: shorten_value(value) for value in dict.fromkeys(values)}
    if len({*short.values()}) < len(short):
        return [*values]
    return [short[value] for value in values]


def shorten_value(value: str) -> str:
    """Return a setting in few characters: a number with four significant digits, lists closely."""
    if "." in value or "e" in value.lower():
        with suppress(ValueError, OverflowError):
            number = float(value)
            digits, _, power = f"{number:.3e}".partition("e")
            if math.isfinite(number):
                spellings = (f"{number:.4g}", f"{digits.rstrip('0').rstrip('.')}e{int(power)}")
                return min(value, *spellings, key=len)
    return value.replace(", ", ",")
