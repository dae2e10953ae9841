"""The whole application on a terminal, and in a pseudo-terminal of its own."""

from __future__ import annotations

import re

import pytest

from tests import terminals
from tests.app import SMALL, App, environment
from tests.runner import Terminal, run_in_process
from tests.showcase import Showcase


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, showcase: Showcase) -> App:
    """An application with one run; tests read it only."""
    return showcase.copy("run", tmp_path_factory.mktemp("terminal"))


def on(app: App, columns: int, *arguments: str, **env: str) -> terminals.Session:
    """Run a command within this process, as on a terminal of so many columns."""
    size = {"COLUMNS": str(columns), "LINES": "40", "TERM": "xterm-256color"}
    terminal = Terminal()
    command = app.command(*arguments)[1:]
    done = run_in_process(command, app.cwd, environment(size | env), terminal=terminal)
    written = terminal.getvalue().replace("\n", "\r\n")
    screen = terminals.rendered(written, columns)
    return terminals.Session(done.returncode, written, screen)


def too_long(session: terminals.Session, columns: int) -> list[str]:
    """Lines that the terminal had to break, but paths and commands, which are to be copied."""
    lines = session.written.replace("\r\n", "\n").split("\n")
    copied = re.compile(r"\S+|(python|uv|mlflow) .*")
    return [line for line in lines if len(line) > columns and not copied.fullmatch(line)]


def test_a_training_leaves_no_bars_on_the_terminal(app: App) -> None:
    session = on(app, 140, *SMALL, "tracking=none", "plots=none")
    assert session.code == 0, session.lines
    assert "Loading libraries" in session.written
    text = "\n".join(session.lines)
    assert "━" in session.written
    assert "━" not in text
    assert "Loading" not in text
    assert "Epochs:        3 of 3, train_loss" in text
    assert re.search(r"^vectorizer +tfidf_word ", text, re.M)
    assert re.search(r"^training +epochs=3 · patience=3, refit=True, resume=False$", text, re.M)


@pytest.mark.parametrize(
    ("columns", "task"),
    [
        *((60, task) for task in ("evaluate", "errors", "elt", "info", "clean", "compare")),
        *((80, task) for task in ("evaluate", "clean")),
    ],
)
def test_a_task_fits_the_terminal(app: App, columns: int, task: str) -> None:
    session = on(app, columns, f"task={task}", NO_COLOR="1")
    assert session.code == 0, session.lines
    assert too_long(session, columns) == []
    assert "\x1b" not in session.written


@pytest.mark.parametrize("columns", [60, 80])
def test_without_colours_there_are_none_in_a_whole_training(app: App, columns: int) -> None:
    session = on(app, columns, *SMALL, "tracking=none", "plots=none", NO_COLOR="1")
    assert session.code == 0
    assert too_long(session, columns) == []
    assert "\x1b" not in session.written
    assert "Epoch 0 | train_loss" in session.written


def test_an_error_is_framed_on_a_terminal(app: App) -> None:
    session = on(app, 60, "task=nope")
    assert session.code == 2
    assert session.lines[:2] == ["┃ Error", "┃ task=nope: there is no such option."]
    assert all(line.startswith("┃ ") and len(line) <= 60 for line in session.lines)


def test_an_error_is_a_line_on_a_dumb_terminal_and_in_a_pipe(app: App) -> None:
    dumb = on(app, 60, "task=nope", TERM="dumb").written.replace("\r\n", "\n")
    piped = app.run("task=nope").stderr
    assert dumb == piped
    assert re.fullmatch(r"Error: task=nope: there is no such option\. task takes: .*\.\n", piped)


def test_scores_come_before_figures_are_drawn_and_where_things_are_after_that(app: App) -> None:
    session = on(app, 80, *SMALL[:2], "tracking=none")
    assert session.code == 0, session.lines
    found = [session.written.index(word) for word in ("overall (", "Score:", "Figure", "Report:")]
    assert found == sorted(found)
    assert "Figure" not in "\n".join(session.lines)


@pytest.mark.e2e
def test_a_real_terminal_is_seen_as_one(app: App) -> None:
    command = app.command(*SMALL, "tracking=none", "plots=none")
    session = terminals.run(command, 140, app.cwd)
    assert session.code == 0, session.lines
    assert "━" in session.written
    assert "━" not in "\n".join(session.lines)
