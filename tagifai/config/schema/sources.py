"""Rules for files that are read or written, and for mappings of texts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tagifai.config.schema.rules import require, require_not_blank
from tagifai.utils.urls import is_readable, is_url


def require_source(key: str, value: str | None) -> None:
    """Refuse a file to read that is blank, or a URL of a scheme that does not work."""
    require_not_blank(key, value)
    ways = "a path, or a URL with https://, http:// or file:///; download the file first"
    require(value is None or is_readable(value), key, value, ways)


def require_target(key: str, value: str | None) -> None:
    """Refuse a file to write that is blank, or a URL."""
    require_not_blank(key, value)
    local = value is None or (is_readable(value) and not is_url(value))
    require(local, key, value, "a path on this machine")


def read_mapping(key: str, value: Any) -> dict[str, str]:
    """Return a mapping of texts; on the command line it is a text that has it as JSON.

    Raises:
        InvalidValueError: it is none.
    """
    found = json.loads(value) if isinstance(value, str) and value.startswith("{") else value
    right = isinstance(found, Mapping) and all(
        isinstance(item, str | int) for item in found.values()
    )
    require(right, key, value, "a mapping, such as {a: b, c: d}")
    return {str(name): str(item) for name, item in found.items()}
