"""What the URIs of stores, databases and files say by themselves, without a connection."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote


def is_url(source: str) -> bool:
    """Return whether a source is a URL, and not a path."""
    return re.match(r"[a-z][a-z0-9+.-]+://", source, re.IGNORECASE) is not None


def mask_password(uri: str) -> str:
    """Return a URI without the password in it."""
    # A server's path may have an @ in it, and a database's password a slash.
    secret = r"[^/]*" if uri.startswith("http") else ".*"
    uri = re.sub(rf"(://[^:/]*):{secret}@", r"\1:***@", uri)
    return re.sub(r"([?&]\w*(?:password|passwd|pwd)\w*=)[^&]*", r"\1***", uri, flags=re.IGNORECASE)


def get_sqlite_path(uri: str) -> Path | None:
    """Return the file of a SQLite database as SQLAlchemy finds it, or None for another one."""
    if not uri.startswith("sqlite:///"):
        return None
    return Path(unquote(uri.removeprefix("sqlite:///").partition("?")[0]))
