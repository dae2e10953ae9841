from __future__ import annotations

import io
from pathlib import Path

import pytest

from tagifai.utils.terminal import format_path, is_ansi_enabled


class Stream(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("variables", "able"),
    [
        ({"TERM": "xterm-256color"}, True),
        ({"TERM": "xterm", "NO_COLOR": ""}, True),
        ({"TERM": "xterm", "NO_COLOR": "0"}, False),
        ({"TERM": "dumb"}, False),
        ({"TERM": "Unknown"}, False),
        ({}, True),
    ],
)
def test_a_terminal_draws_unless_it_cannot_or_somebody_minds(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], able: bool
) -> None:
    for name in ("TERM", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert is_ansi_enabled(Stream()) is able
    assert not is_ansi_enabled(io.StringIO())


def test_a_path_is_relative_within_the_working_directory_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert format_path(tmp_path / "a" / "b.csv") == "a/b.csv"
    assert format_path(tmp_path) == "."
    assert format_path(tmp_path.parent / "x") == str(tmp_path.parent / "x")
    assert format_path("c.csv") == "c.csv"
