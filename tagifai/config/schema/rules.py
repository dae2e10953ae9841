"""Rules for the fields of the schema; a value that breaks one raises an `InvalidValueError`."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import fields
from typing import Any

from tagifai.exceptions import InvalidValueError
from tagifai.utils.secrets import HIDDEN, mask


def represent(settings: Any) -> str:
    """Return how settings are shown in Python: as dataclasses are, without secrets.

    Args:
        settings: of a group; a dataclass.
    """
    shown = ", ".join(f"{f.name}={getattr(settings, f.name)!r}" for f in fields(settings))
    return mask(f"{type(settings).__name__}({shown})")


def require_no_secret(key: str, value: str) -> None:
    """Refuse the value of a secret variable where a name is wanted, which is shown as it is.

    Args:
        key: name of the field.
        value: of the field.

    Raises:
        InvalidValueError: with the key.
    """
    allowed = "a name that is not the value of a secret variable"
    require(mask(value) == value, key, HIDDEN, allowed)


LONGEST_NAME = 500
"""Characters of the name of an experiment or a run that MLflow takes."""


def require_short(key: str, value: str | None) -> None:
    """Refuse a name that is longer than MLflow takes; arguments and errors as above."""
    fits = value is None or len(value) <= LONGEST_NAME
    require(fits, key, f"{value or '':.40}…", f"a name of at most {LONGEST_NAME} characters")


def require(holds: bool, key: str, value: object, allowed: str) -> None:
    """Refuse the value of a field unless the rule holds.

    Args:
        holds: whether the value follows the rule.
        key: name of the field.
        value: of the field.
        allowed: what is accepted, as a phrase.

    Raises:
        InvalidValueError: the rule does not hold.
    """
    if not holds:
        raise InvalidValueError(key, value, allowed)


def require_one_of(key: str, value: object, allowed: Collection[object]) -> None:
    """Refuse a value that is not among the allowed ones."""
    shown = ", ".join("null" if item is None else str(item) for item in allowed)
    require(value in allowed, key, value, f"one of {shown}")


def require_positive(key: str, value: float) -> None:
    """Refuse a value that is not a finite number above 0."""
    require(0 < value < math.inf, key, value, "a number above 0")


def require_non_negative(key: str, value: float) -> None:
    """Refuse a value that is not a finite number of at least 0."""
    require(0 <= value < math.inf, key, value, "a number of at least 0")


def require_at_least(key: str, value: int, least: int) -> None:
    """Refuse a number below `least`."""
    require(value >= least, key, value, f"a whole number of at least {least}")


def require_fraction(key: str, value: float) -> None:
    """Refuse a value that is not strictly between 0 and 1."""
    require(0 < value < 1, key, value, "a share between 0 and 1, both excluded")


def require_not_blank(key: str, value: str | None) -> None:
    """Refuse a blank string; None is accepted."""
    require(value is None or bool(value.strip()), key, value, "something that is not blank")
