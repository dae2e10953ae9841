from __future__ import annotations

import shutil
import subprocess
from typing import Any

import pytest

from tagifai.reporting.label_fonts import describe_missing_fonts

LABELS = ["plain", "déjà", "机器学习", "日本語", "한국어", "الرؤية", "🎉 party"]


class FontList:
    """Stands for the program that lists fonts.

    Attributes:
        fonts: what it answers.
        asked: for which characters.
    """

    def __init__(self) -> None:
        self.fonts = b""
        self.asked: list[str] = []

    def run(self, command: list[str], **_: Any) -> subprocess.CompletedProcess[bytes]:
        self.asked.append(command[1])
        return subprocess.CompletedProcess(command, 0, stdout=self.fonts)


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> FontList:
    found = FontList()
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(subprocess, "run", found.run)
    return found


def test_a_script_without_a_font_is_said_with_the_packages_that_have_one(listed: FontList) -> None:
    arabic, east_asian, emoji = describe_missing_fonts(LABELS)
    assert "the Arabic labels" in arabic
    assert "fonts-noto-core of Debian" in arabic
    assert "the Chinese, Japanese or Korean labels" in east_asian
    assert "fonts-noto-cjk of Debian and Ubuntu and google-noto-sans-cjk-fonts" in east_asian
    assert "fonts-noto-color-emoji" in emoji
    # A few characters of each script are asked for, each by itself, until one is missing.
    assert len(listed.asked) == 3
    assert ":charset=1f389" in listed.asked


def test_characters_of_a_script_may_be_in_several_fonts(
    monkeypatch: pytest.MonkeyPatch, listed: FontList
) -> None:
    held = {":charset=3297", ":charset=1f600", ":charset=1f389"}  # each in a font of its own

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[bytes]:
        found = b"a font" if command[1] in held else b""
        return subprocess.CompletedProcess(command, 0, stdout=found)

    monkeypatch.setattr(subprocess, "run", run)
    assert describe_missing_fonts(["\u3297 😀 🎉"]) == []
    (note,) = describe_missing_fonts(["from € → to ★"])
    assert "has the symbols in labels of the report's figures" in note
    assert "emoji" not in note


def test_where_fonts_are_there_or_all_is_latin_nothing_is_said(listed: FontList) -> None:
    listed.fonts = b"Noto Sans"
    assert describe_missing_fonts(LABELS) == []
    listed.asked.clear()
    assert describe_missing_fonts(["plain", "déjà vu", "a/b (c)", "naïve…"]) == []
    assert listed.asked == []


def test_where_nobody_knows_of_fonts_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert describe_missing_fonts(LABELS) == []


@pytest.mark.parametrize("error", [OSError("no memory"), subprocess.TimeoutExpired("fc-list", 10)])
def test_a_list_of_fonts_that_fails_is_no_reason_for_a_run_to_fail(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(subprocess, "run", fail)
    assert describe_missing_fonts(LABELS) == []
