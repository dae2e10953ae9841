"""What the URIs of stores, databases and files say by themselves, without a connection."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

PACKAGED = "pkg://tagifai/"


def is_url(source: str) -> bool:
    """Return whether a source is a URL, and not a path."""
    found = re.match(r"[a-z][a-z0-9+.-]+://", source, re.IGNORECASE)
    return found is not None and not is_packaged(source)


def is_packaged(source: str) -> bool:
    """Return whether a source is a file that comes with this package: pkg://tagifai/..."""
    return source.startswith(PACKAGED)


def locate_file(source: str) -> Path:
    """Return the path of a source that is no URL."""
    if not is_packaged(source):
        return Path(source)
    return Path(__file__).parent.parent / source.removeprefix(PACKAGED)


def get_sqlite_path(uri: str) -> Path | None:
    """Return the file of a SQLite database as SQLAlchemy finds it, or None for another one."""
    if not uri.startswith("sqlite:///"):
        return None
    return Path(unquote(uri.removeprefix("sqlite:///").partition("?")[0]))
