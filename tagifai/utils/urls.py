"""What the URIs of stores, databases and files say by themselves, without a connection."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote, unquote

PACKAGED = "pkg://tagifai/"


FETCHED = ("http", "https")
"""Schemes of the URLs that files are fetched from."""


def is_url(source: str) -> bool:
    """Return whether a source is a URL that leads elsewhere, and not a path or a file: URL."""
    found = re.match(r"([a-z][a-z0-9+.-]+)://", source, re.IGNORECASE)
    return found is not None and not is_packaged(source) and found[1].lower() != "file"


def is_packaged(source: str) -> bool:
    """Return whether a source is a file that comes with this package: pkg://tagifai/..."""
    return source.startswith(PACKAGED)


def is_readable(source: str) -> bool:
    """Return whether a source is a path, or a URL that files can be read from.

    Args:
        source: as it was given; a file: URL is of this machine.
    """
    found = re.match(r"([a-z][a-z0-9+.-]+):(//)?", source, re.IGNORECASE)
    if found is None or is_packaged(source):
        return True
    scheme = found[1].lower()
    if scheme == "file":
        return locate_file(source).is_absolute()
    if found[2]:
        return scheme in FETCHED
    inline = scheme == "data" and "," in source
    return scheme not in FETCHED and not inline


def locate_file(source: str) -> Path:
    """Return the path of a source that is no URL, or a file: URL."""
    if is_packaged(source):
        return Path(__file__).parent.parent / source.removeprefix(PACKAGED)
    found = re.fullmatch(r"file:(?://(?:localhost(?=/))?)?(.*)", source, re.IGNORECASE | re.DOTALL)
    return Path(unquote(found[1]) if found else source)


def format_place(folder: Path) -> str:
    """Return a folder as a place of artifacts: as it is, or as a URI if its name is an odd one.

    A tracking store would take a part of such a name, as of `a?b`, for something else.
    """
    return str(folder) if quote(str(folder)) == str(folder) else folder.as_uri()


def get_sqlite_path(uri: str) -> Path | None:
    """Return the file of a SQLite database as SQLAlchemy finds it, or None for another one."""
    if not uri.startswith("sqlite:///"):
        return None
    return Path(unquote(uri.removeprefix("sqlite:///").partition("?")[0]))
