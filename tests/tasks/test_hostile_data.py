"""What is shown of a table whose names, labels and texts would steer a terminal or forge a log."""

from __future__ import annotations

import csv
import re

import pytest

from tests.app import SMALL, App, environment
from tests.runner import Terminal, run_in_process

BAD = "\x1b]0;owned\x07\x1b[2J\x9b9m\x7f\x08\r\n2026-01-01 00:00:00,000 INFO tagifai | forged\u202e"
FILE = "in\x1b]0;owned\x07\x1b[2J\x9b9m\n2026-01-01 00:00:00,000 INFO tagifai | forged\u202e.csv"
LABELS = [f"[bold]{name}[/bold] {BAD}" for name in ("one", "two")]

STEERING = re.compile("[\0-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
ON_TERMINAL = re.compile("\x1b\\]|\x1b\\[2J|[\x07\x08\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""What of that a terminal does not get; of ours are colours, and what draws bars."""

LOGGED = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z]+ [\w.]+ \| |    ")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> App:
    app = App(tmp_path_factory.mktemp("hostile"))
    rows = [
        (f"{word} {BAD} {n}", LABELS[n % 2], BAD, "x" * n)
        for n in range(60)
        for word in ("apples", "oranges")[n % 2 : n % 2 + 1]
    ]
    with (app.cwd / FILE).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", f"label {BAD}", f"note {BAD}", "more"), *rows])
    return app


def test_nothing_from_data_steers_a_terminal_or_forges_a_line(hostile: App) -> None:
    label = f'data.label="label {BAD}"'
    data = ("data=table", f'data.path="{FILE}"', "data.name=hostile", label)
    commands = [
        ("task=elt", *data),
        (*SMALL, *data),
        (*SMALL, *data, "model=sgd", "console=plain"),
        ("task=evaluate",),
        ("task=errors",),
        ("task=predict", f'task.input="{FILE}"', "task.keep=all"),
        ("task=predict", f'task.text="{BAD}"'),
        ("task=compare",),
        ("task=info",),
        ("task=predict", f'task.input="{BAD}"'),
        ("task=elt", *data[:2], f'data.label="{BAD}"'),
        ("task=elt", *data, 'data.label_names="nowhere"'),
    ]
    for number, command in enumerate(commands):
        done = hostile.run(*command)
        assert done.returncode == (0 if number < 9 else 2), done.stderr
        assert not STEERING.findall(done.stdout + done.stderr), command
        assert "\n2026-01-01" not in done.stdout + done.stderr, command
        terminal = Terminal()
        words = hostile.command(*command)[1:]
        variables = environment({"TERM": "xterm-256color", "COLUMNS": "100"})
        run_in_process(words, hostile.cwd, variables, terminal=terminal)
        assert not ON_TERMINAL.findall(terminal.getvalue()), command
        assert "\n2026-01-01" not in terminal.getvalue(), command
    logs = [*hostile.outputs.glob("**/run.log")]
    assert len(logs) >= 6
    for log in logs:
        content = log.read_text(encoding="utf-8")
        assert not STEERING.findall(content), log
        assert all(LOGGED.match(line) for line in content.split("\n")[:-1]), log
