from __future__ import annotations

import pytest

from tagifai.utils.excerpts import format_duration, shorten

URL = "postgresql://user:***@host/db"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\tb\nc\r", r"a\tb\nc\r"),
        ("a\u200bb\u00a0c\u2028", r"a\u200bb\xa0c\u2028"),
        ("é 好 ☺", "é 好 ☺"),
        ("x" * 61, "x" * 60 + "…"),
        ("\x1b[31mred", r"\x1b[31mred"),
        (f"{'x' * 30} postgresql://user:hunter2{'x' * 40}@host/db", f"{'x' * 30} {URL}"),
    ],
)
def test_a_text_is_shown_on_a_line_with_what_cannot_be_seen(text: str, shown: str) -> None:
    assert shorten(text) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (40.4, "40 s"),
        (61.0, "61 s"),
        (150.0, "2 min"),
        (1500.0, "25 min"),
        (5760.0, "1.6 h"),
    ],
)
def test_a_duration_is_said_about(seconds: float, shown: str) -> None:
    assert format_duration(seconds) == shown
