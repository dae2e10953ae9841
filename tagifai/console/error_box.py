"""Write errors: in a frame on a terminal, as a line elsewhere."""

from __future__ import annotations

import os
import re
import shutil
import sys
import textwrap

from tagifai.utils.excerpts import make_lines_visible
from tagifai.utils.terminal import is_ansi_enabled

BAR = "┃ "

MARK, HEAD, END = "\x1b[31m", "\x1b[1;31m", "\x1b[0m"
"""Control sequences: red, bold and red, end of both."""

COMMAND = re.compile(r"(.*?:) ((?:uv|python|pip|mlflow|tagifai|run\.py) \S.*)", re.DOTALL)
"""A command at the end of a sentence, which is shown on a line of its own to be copied."""

PLAIN_OVERRIDES = ("console=plain", "console.style=plain")
"""Overrides that forbid control characters, read before there is a configuration."""


def write(message: str) -> None:
    """Write an error to standard error, framed if that is a terminal that shows frames.

    Args:
        message: what went wrong first, then the way out. Nothing in it is left out.
    """
    # A name from a file may have control sequences for the terminal.
    framed = is_ansi_enabled(sys.stderr) and not any(word in PLAIN_OVERRIDES for word in sys.argv)
    safe = make_lines_visible(message, "" if framed else "  ")
    sys.stderr.write(format_message(safe, _columns()) if framed else f"Error: {safe}\n")


def _columns() -> int:
    try:
        columns = os.get_terminal_size(sys.stderr.fileno()).columns
    except OSError:  # a stream that has no device
        columns = 0
    return max(20, columns or shutil.get_terminal_size().columns)


def format_message(message: str, columns: int) -> str:
    """Return a message in a frame.

    Args:
        message: sentences; the first says what went wrong, and gets its own lines.
        columns: of the terminal. Longer words, such as paths, are not broken.
    """
    head, *rest = [line for text in message.split("\n") for line in _split_sentences(text)]
    lines = [f"{HEAD}Error{END}", *_wrap(head, columns)]
    for part in rest:
        lines += _wrap(part, columns)
    return "".join(f"{MARK}{BAR}{END}{line}\n" for line in lines)


def _split_sentences(text: str) -> list[str]:
    """Return the first sentence, the others, and a command at their end."""
    first, *others = re.split(r"""(?<=[\w')"\]]{2}[.?!]) (?=[A-Za-z'(])""", text, maxsplit=1)
    found = []
    for part in (first, *others):
        command = COMMAND.fullmatch(part)
        found += [command[1], f"  {command[2]}"] if command else [part]
    return found


def _wrap(text: str, columns: int) -> list[str]:
    if text.startswith("  "):
        return [text]  # to be copied in one piece
    return textwrap.wrap(
        text, columns - len(BAR), break_long_words=False, break_on_hyphens=False
    ) or [""]
