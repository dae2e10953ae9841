"""Write errors: in a frame on a terminal, as a line elsewhere."""

from __future__ import annotations

import os
import re
import shutil
import sys
from contextlib import suppress
from textwrap import wrap

from tagifai.utils.excerpts import make_lines_visible
from tagifai.utils.terminal import is_ansi_enabled

BAR, HEAD = "\x1b[31m┃ \x1b[0m", "\x1b[1;31mError\x1b[0m"
"""What begins a line, in red, and what is in the first one, in bold."""

COMMAND = re.compile(r"(.*?:) ((?:\S*/)?(?:uv|python|pip|mlflow|tagifai|run\.py) \S.*)", re.DOTALL)
"""A command at the end of a sentence, which is shown on a line of its own to be copied."""

PLAIN_OVERRIDES = ("console=plain", "console.style=plain")
"""Overrides that forbid control characters, read before there is a configuration."""


def write(message: str) -> None:
    """Write what went wrong, then the way out, to standard error; framed if that is a terminal."""
    # A name from a file may have control sequences for the terminal.
    framed = is_ansi_enabled(sys.stderr) and not any(word in PLAIN_OVERRIDES for word in sys.argv)
    safe, columns = make_lines_visible(message, "" if framed else "  "), 0
    with suppress(OSError):  # a stream that has no device
        columns = os.get_terminal_size(sys.stderr.fileno()).columns
    columns = max(20, columns or shutil.get_terminal_size().columns)
    sys.stderr.write(format_message(safe, columns) if framed else f"Error: {safe}\n")


def format_message(message: str, columns: int) -> str:
    """Return sentences in a frame of so many columns; the first, what is wrong, is by itself."""
    # Longer words, such as paths, are not broken.
    lines, room = [HEAD], columns - len("┃ ")
    for sentence in (part for line in message.split("\n") for part in _split_sentences(line)):
        folded = wrap(sentence, room, break_long_words=False, break_on_hyphens=False)
        # What is indented is to be copied in one piece.
        lines += [sentence] if sentence.startswith("  ") else folded or [""]
    return "".join(f"{BAR}{line}\n" for line in lines)


def _split_sentences(text: str) -> list[str]:
    """Return the first sentence, the others, and a command at their end."""
    found: list[str] = []
    for part in re.split(r"""(?<=[\w')"\]]{2}[.?!]) (?=[A-Za-z'(])""", text, maxsplit=1):
        command = COMMAND.fullmatch(part)
        found += [command[1], f"  {command[2]}"] if command else [part]
    return found
