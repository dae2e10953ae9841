from __future__ import annotations

import io
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest

from tagifai.console import error_box


class Stream(io.StringIO):
    """Standard error, which may be a terminal."""

    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


def written(
    monkeypatch: pytest.MonkeyPatch, message: str, *arguments: str, terminal: bool = True
) -> str:
    stream = Stream(terminal)
    made = SimpleNamespace(stderr=stream, argv=["run.py", *arguments])
    monkeypatch.setattr("tagifai.console.error_box.sys", made)
    error_box.write(message)
    return stream.getvalue()


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")


def seen(text: str) -> list[str]:
    return re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()


def test_on_a_terminal_an_error_has_a_bar_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    text = written(monkeypatch, "It is wrong.")
    assert seen(text) == ["┃ Error", "┃ It is wrong."]
    assert text.startswith("\x1b[31m")


@pytest.mark.parametrize("argument", error_box.PLAIN_OVERRIDES)
def test_plain_lines_are_plain_on_a_terminal_too(
    monkeypatch: pytest.MonkeyPatch, argument: str
) -> None:
    assert written(monkeypatch, "It is wrong.", argument) == "Error: It is wrong.\n"


@pytest.mark.parametrize(
    ("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb"), ("TERM", "unknown")]
)
def test_a_terminal_without_colours_gets_the_plain_line(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    assert written(monkeypatch, "It is wrong.") == "Error: It is wrong.\n"


def test_a_pipe_gets_the_plain_line_however_long(monkeypatch: pytest.MonkeyPatch) -> None:
    message = "It is wrong. " * 20
    assert written(monkeypatch, message, terminal=False) == f"Error: {message}\n"


@pytest.mark.parametrize("terminal", [True, False])
def test_what_a_terminal_takes_for_a_command_is_written_out(
    monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    text = written(monkeypatch, "The file \x1b[2Jx", terminal=terminal)
    assert "The file \\x1b[2Jx" in text


@pytest.mark.parametrize(
    ("message", "lines"),
    [
        ("One. The way out, e.g. this or that. More.",
         ["One.", "The way out, e.g. this or that. More."]),
        ("a=1: there is none. Did you mean 'b'? It takes: b.",
         ["a=1: there is none.", "Did you mean 'b'? It takes: b."]),
        ("The launcher is not installed. To install it: pip install 'tagifai[ray]'",
         ["The launcher is not installed.", "To install it:", "  pip install 'tagifai[ray]'"]),
        ("x is a search, which needs -m: run.py -m sweep=quick",
         ["x is a search, which needs -m:", "  run.py -m sweep=quick"]),
        ("model.alpha = 0.5 is wrong, of a.b.csv", ["model.alpha = 0.5 is wrong, of a.b.csv"]),
        ("One\nof two lines", ["One", "of two lines"]),
        ("", [""]),
    ],
)  # fmt: skip
def test_what_went_wrong_comes_first_and_the_way_out_on_lines_of_its_own(
    message: str, lines: list[str]
) -> None:
    assert seen(error_box.format_message(message, 60)) == [
        "┃ Error",
        *(f"┃ {line}" for line in lines),
    ]


@pytest.mark.parametrize("columns", [20, 60, 80, 140])
def test_a_long_message_is_folded_between_words_within_the_width(columns: int) -> None:
    message = "something that is wrong " * 20
    lines = seen(error_box.format_message(message, columns))
    assert max(map(len, lines)) <= columns
    words = " ".join(line.removeprefix("┃ ") for line in lines[1:])
    assert words == message.strip()


def test_a_path_is_in_one_piece() -> None:
    path = "/home/me/" + "a-folder/" * 12
    assert f"┃ {path}" in seen(error_box.format_message(f"There is no file {path} here", 60))


@pytest.mark.e2e
def test_an_error_needs_no_large_library() -> None:
    code = (
        "import sys; from tagifai.console import error_box; error_box.write('x');"
        " print('rich' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert (done.stdout, done.stderr) == ("False\n", "Error: x\n")


@pytest.mark.parametrize("terminal", [True, False])
def test_no_password_of_a_url_is_written(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> None:
    text = written(monkeypatch, "No https://me:secret@host/x.", terminal=terminal)
    assert "No https://me:***@host/x." in text
