"""Lines and tables that fit the width of a console."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tagifai.evaluation import summary
from tagifai.utils.excerpts import make_visible
from tagifai.utils.secrets import mask

if TYPE_CHECKING:
    # For types only: the header is shown before scikit-learn is imported.
    from tagifai.evaluation.metrics import Performance, Scores

NAME_WIDTH = 15
"""Width of names, with the blanks behind them."""

OPTION_WIDTH = 14
"""Width of options in the header; longer ones move their settings to the right."""

GroupSettings = tuple[str | None, Mapping[str, Any]]
"""The chosen option of a group, and its settings."""


def format_setting_line(name: str, group: GroupSettings, chosen: Collection[str]) -> Text:
    """Return a line of the header.

    Args:
        name: of the group.
        group: its option and settings; a setting that is None is left out.
        chosen: settings that were overridden, which come first, before a dot.
    """
    option, settings = group
    values = {
        k: make_visible(f"{k}={shorten_value(v)}") for k, v in settings.items() if v is not None
    }
    first = ", ".join(text for key, text in values.items() if key in chosen)
    rest = ", ".join(text for key, text in values.items() if key not in chosen)
    line = Text.assemble((_pad(make_visible(name), NAME_WIDTH), "cyan"))
    if option is not None:
        option = make_visible(option)
        line.append(_pad(option, OPTION_WIDTH) if values else option)
    line.append(first, style="bold")
    line.append(" · " if first and rest else "", style="dim")
    line.append(rest, style="dim")
    return line


def format_fact(name: str, text: str, style: str = "") -> Text:
    """Return a name and a text in one line."""
    head = _pad(f"{make_visible(name)}:", NAME_WIDTH) if name else " " * NAME_WIDTH
    return Text.assemble((head, "cyan"), (make_visible(text), style))


def wrap_line(line: Text, console: Console, indent: int) -> Iterator[Text]:
    """Yield a line folded into lines that fit a console, indented from the second one on."""
    first, rest = line.divide([indent])
    for number, piece in enumerate(rest.wrap(console, max(20, console.width - indent))):
        piece.rstrip()
        yield Text.assemble(first if number == 0 else " " * indent, piece)


def _pad(text: str, columns: int) -> str:
    """Return a text filled up with blanks to a width, with two blanks at least."""
    return text + " " * max(2, columns - cell_len(text))


def make_empty(columns: Sequence[str], text_columns: Collection[int], fold: bool = False) -> Table:
    """Return an empty table.

    Args:
        columns: their names.
        text_columns: numbers of the columns of texts, which are aligned to the left and folded; the
            others have numbers, aligned to the right.
        fold: fold numbers too, instead of cutting them off.
    """
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0))
    for number, name in enumerate(columns):
        if number in text_columns:
            table.add_column(Text(name), overflow="fold")
        else:
            table.add_column(Text(name), justify="right", no_wrap=not fold, overflow="fold")
    return table


def make_results(columns: Sequence[str], cells: Sequence[Sequence[str]], *, fold: bool) -> Table:
    """Return a table with numbers, and texts in the last column."""
    table = make_empty(columns, {len(columns) - 1}, fold)
    for row in cells:
        table.add_row(*map(Text, row))
    return table


def make_leaderboard(
    names: Mapping[str, Sequence[str]], numbers: Mapping[str, Sequence[str]]
) -> Table:
    """Return a table with names on the left and numbers on the right."""
    table = make_empty([*names, *numbers], range(len(names)))
    for row in zip(*names.values(), *numbers.values(), strict=True):
        table.add_row(*map(Text, row))
    return table


def make_leaderboard_variants(
    names: Mapping[str, Sequence[str]], numbers: Mapping[str, Sequence[str]]
) -> Iterator[Table]:
    """Yield tables of the same content, each narrower than the one before."""
    yield make_leaderboard(names, numbers)
    yield make_leaderboard(
        {name.replace(".", ".\n"): texts for name, texts in names.items()}, numbers
    )
    yield make_leaderboard(
        {"": ["\n".join(row) for row in _pairs(names)]} if names else {}, numbers
    )


def _pairs(columns: Mapping[str, Sequence[str]]) -> Iterator[list[str]]:
    """Yield for each row its cells with the names of their columns."""
    for row in zip(*columns.values(), strict=True):
        yield [f"{name}={text}" for name, text in zip(columns, row, strict=True)]


def make_scores(performance: Performance, format_name: Callable[[str], str] = str) -> Table:
    """Return a table of all rows, of each class or the worst and best ones, and of each slice.

    Args:
        performance: the scores.
        format_name: returns a name as it is shown, which may have several lines.
    """
    table = make_empty(["", "precision", "recall", "f1", "samples"], {0})
    overall = performance["overall"]
    rows = overall["num_samples"]
    for label, found in summary.find_extreme_classes(performance["class"]).items():
        table.add_row(Text(format_name(make_visible(label))), *_format_scores(found, rows))
    table.add_section()
    table.add_row(format_name("overall (weighted)"), *_format_scores(overall, rows), style="bold")
    if performance["slices"]:
        table.add_section()
    for label, found in performance["slices"].items():
        name = Text(format_name(make_visible(f"slice {label}")))
        table.add_row(name, *_format_scores(found, rows), style="dim")
    return table


def wrap_name(name: str, columns: int) -> str:
    """Return a name in lines of a width, broken at blanks and hyphens if it has any."""
    return "\n".join(textwrap.wrap(name, columns)) or name


def _format_scores(scores: Scores, rows: int) -> list[str]:
    values = [scores["precision"], scores["recall"], scores["f1"]]
    shown = [summary.format_score(value, rows) for value in values]
    return [*shown, str(scores["num_samples"])]


def shorten_value(value: Any) -> str:
    """Return a value shortened for a line: long lists as their length, long texts as both ends."""
    if isinstance(value, list | tuple) and len(value) > 6:
        return f"[{len(value)} items]"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(mask(str(item)) for item in value) + "]"
    text = mask(str(value))
    return text if len(text) <= 60 else f"{text[:24]}…{text[-32:]}"
