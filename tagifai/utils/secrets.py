"""Secrets: the only place that hides passwords in what is shown or recorded."""

from __future__ import annotations

import re

HIDDEN = "***"
"""What stands in place of a password."""


def mask(text: str) -> str:
    """Return a text whose URLs show no password: neither before the host nor in the query.

    Args:
        text: a URL, or a text with URLs in it, such as a command or the message of an error.
    """
    if "://" not in text:
        return text
    # The password of a URL that stands by itself may have blanks; in a text they end the URL.
    alone = re.match(r"([\w.+/@]*=)?[a-z][a-z0-9+.-]*://", text, re.IGNORECASE)
    end = "" if alone else r"\s"
    for secret in (
        # A server's path may have an @ in it, and a database's password a slash.
        rf"(https?://[^:/\s]*:)[^/{end}]*(?=@)",
        rf"((?<!http)(?<!https)://[^:/\s]*:)[^\n{end}]*(?=@)",
        rf"([?&]\w*(?:password|passwd|pwd)\w*=)[^&{end}]*",
    ):
        text = re.sub(secret, rf"\1{HIDDEN}", text, flags=re.IGNORECASE)
    return text
