"""Lines, and tables in which no number is broken, and no word that there is room for."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from tagifai.utils.excerpts import make_visible
from tagifai.utils.secrets import mask

NAME_WIDTH, OPTION_WIDTH, MOST_WIDTH = 15, 14, 30
"""Columns of names and of a header's options with the blanks behind them, and the most of each."""

Groups = Mapping[str, tuple[str | None, Mapping[str, Any]]]
"""By the name of a group, its chosen option and its settings."""

MOST_WORD, GAP = 30, 2
"""Columns that a word has for sure (a longer one, such as a path, may be broken); those between."""


def make_table(
    cells: Mapping[int, Sequence[str]], texts: Collection[int], console: Console
) -> Table | None:
    """Return a table, or None if a number or a word would have to be broken.

    Args:
        cells: by number of a column, its name and a text a row; a row of empty texts is a line.
        texts: columns of texts, which are to the left and folded; the others have numbers, to the
            right and in one piece. Names of texts may be folded at dots.
        console: whose width it has at most.
    """
    unlimited = console.options.update(width=100_000)

    def measure(texts: Sequence[str]) -> Measurement:
        return console.measure(Text("\n".join(texts)), options=unlimited)

    most = {number: measure(column).maximum for number, column in cells.items()}
    words = {n: [c[0].replace(".", ". "), *c[1:]] for n, c in cells.items() if n in texts}
    least = most | {n: min(MOST_WORD, measure(found).minimum) for n, found in words.items()}
    room = console.width - GAP * (len(cells) - 1)
    if sum(least.values()) > room:
        return None
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, GAP - 1, 0, 0))
    table.expand = narrow = sum(most.values()) > room
    for number, width in least.items():
        name, folded = cells[number][0], narrow and width < most[number]
        # Shares of the room in proportion to the longest words leave none of them without room.
        table.add_column(
            Text(name.replace(".", ".\n") if folded else name),
            justify="left" if number in texts else "right",
            overflow="fold",
            no_wrap=not folded,
            ratio=width + GAP if folded else None,
        )
    for row in zip(*(column[1:] for column in cells.values()), strict=True):
        table.add_row(*map(Text, row)) if any(row) else table.add_section()
    return table


def find_width(names: Collection[str], least: int = 0) -> int:
    """Return the columns of names with the blanks behind them, within reason."""
    return min(MOST_WIDTH, max([least, *(cell_len(make_visible(name)) + 2 for name in names)]))


def make_head(name: str, width: int = NAME_WIDTH, style: str = "cyan") -> Text:
    """Return a name, filled up with blanks to a width; with two at least."""
    head = Text().append(make_visible(name), style)
    head.pad_right(max(2, width - head.cell_len) if name else width)
    return head


def format_header(groups: Groups, chosen: Collection[str]) -> Iterator[tuple[Text, Text]]:
    """Yield what begins the line of each group, and the rest; what was chosen comes first."""
    names = find_width(groups, NAME_WIDTH)
    options = find_width([str(option) for option, given in groups.values() if given], OPTION_WIDTH)
    for name, (option, settings) in groups.items():
        head, line = make_head(name, names), Text(make_visible(option or ""))
        if settings:
            head += Text() if option is None else make_head(option, options, "")
            asked = {key.partition(".")[2] for key in chosen if key.startswith(f"{name}.")}
            line = _format_settings(settings, asked)
        yield head, line


def _format_settings(settings: Mapping[str, Any], asked: Collection[str]) -> Text:
    """Return settings that are not None in one line, which may be cut; those asked for first."""
    shown = {k: make_visible(f"{k}={_shorten(v)}") for k, v in settings.items() if v is not None}
    first = ", ".join(text for key, text in shown.items() if key in asked)
    rest = ", ".join(text for key, text in shown.items() if key not in asked)
    line = Text(first, "bold", no_wrap=True, overflow="ellipsis")
    return line.append(" · " if first and rest else "", "dim").append(rest, "not bold dim")


def _shorten(value: Any) -> str:
    """Return a value for a line: long lists as their length, long texts as both ends."""
    if isinstance(value, list | tuple):
        items = ", ".join(mask(str(item)) for item in value)
        return f"[{items}]" if len(value) <= 6 else f"[{len(value)} items]"
    text = mask(str(value))
    return text if len(text) <= 60 else f"{text[:24]}…{text[-32:]}"
