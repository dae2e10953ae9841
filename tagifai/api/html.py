"""HTML by which a notebook shows what the functions hand back, on light and on dark pages.

Colours are see-through, so that the page's own text stays readable on them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from tagifai.utils.excerpts import make_visible
from tagifai.utils.secrets import mask

FOR, AGAINST = "46, 160, 67", "248, 81, 73"
"""Colours of words that speak for a class and against it: green and red."""

STRONGEST = 0.55
"""Opacity of the colour of the word that says most."""

Columns = Mapping[str, Sequence[str]]
"""Texts by heading, one for each row."""


def quote(text: object) -> str:
    """Return a text as HTML: without secrets, control characters and markup of its own."""
    return escape(make_visible(mask(str(text))))


def format_page(title: str, said: str, *parts: str, report: Path | None = None) -> str:
    """Return a title and what is said of it, with parts below.

    Args:
        title: in bold.
        said: behind it.
        parts: HTML.
        report: path of the page that says more, or None.
    """
    head = f"<p><b>{quote(title)}</b>{': ' if said else ''}{quote(said)}</p>"
    link = "" if report is None else f"<p>Report: <code>{quote(report)}</code></p>"
    return f"<div>{head}{''.join(parts)}{link}</div>"


def format_note(text: str) -> str:
    """Return a sentence below a table."""
    return f"<p><small>{quote(text)}</small></p>"


def format_table(columns: Columns, texts: Sequence[str]) -> str:
    """Return a table.

    Args:
        columns: of it.
        texts: headings of those that are aligned to the left; the others are numbers.
    """
    sides = [f"text-align: {'left' if name in texts else 'right'}" for name in columns]
    head = "".join(
        f'<th style="{side}">{quote(name)}</th>' for name, side in zip(columns, sides, strict=True)
    )
    rows = [
        "".join(
            f'<td style="{side}">{quote(cell)}</td>' for cell, side in zip(row, sides, strict=True)
        )
        for row in zip(*columns.values(), strict=True)
    ]
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def format_scores(name: str, scores: pd.DataFrame, columns: Sequence[str]) -> str:
    """Return scores as a table.

    Args:
        name: heading of the index.
        scores: with num_samples.
        columns: of the scores that are shown; the number of rows comes last.
    """
    shown = {column: [*map("{:.4f}".format, scores[column])] for column in columns}
    rows = [*map("{:,.0f}".format, scores["num_samples"])]
    return format_table({name: [*map(str, scores.index)], **shown, "rows": rows}, [name])


def format_frame(name: str, table: pd.DataFrame) -> str:
    """Return a frame as a table, numbers with four significant digits.

    Args:
        name: heading of the index, which comes first.
        table: the frame.
    """
    columns = {name: [*map(str, table.index)]}
    columns |= {str(key): [*map(_format_value, cells)] for key, cells in table.items()}
    texts = [str(key) for key, cells in table.items() if any(isinstance(c, str) for c in cells)]
    return format_table(columns, [name, *texts])


def _format_value(value: Any) -> str:
    """Return a value as it is read: numbers with four significant digits."""
    if pd.isna(value):
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def mark_words(words: Sequence[tuple[str, float]]) -> str:
    """Return a text whose words have a colour by what they add to a class.

    Args:
        words: each with what it adds, in the order of the text.
    """
    most = max((abs(value) for _, value in words), default=0.0) or 1.0
    marked = []
    for word, value in words:
        colour = FOR if value > 0 else AGAINST
        style = f"background: rgba({colour}, {STRONGEST * abs(value) / most:.2f})"
        marked.append(f'<span style="{style}" title="{value:+.2f}">{quote(word)}</span>')
    return f'<p style="line-height: 1.7; white-space: pre-wrap">{"".join(marked)}</p>'
