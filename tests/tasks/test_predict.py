"""Predicting few texts and many, end to end."""

from __future__ import annotations

import csv
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tagifai.tasks.predict import FEW_TEXTS
from tests.app import SMALL, App

WORDS = ("graph", "images", "words", "language", "nodes", "vision", "servers", "models", "rows")


def texts(number: int) -> list[str]:
    """Return different texts; the first ones are the same whatever the number."""
    return [
        " ".join(WORDS[(i * (3 + k) + i // (7 + k)) % len(WORDS)] for k in range(1 + i % 9))
        for i in range(number)
    ]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, ready: Callable[[Path], App]) -> App:
    app = ready(tmp_path_factory.mktemp("trained"))
    app.ok(*SMALL)
    for name, number in {
        "few": FEW_TEXTS,
        "some": FEW_TEXTS + 1,
        "many": 5000,
        "huge": 400_000,
    }.items():
        (app.cwd / f"{name}.txt").write_text("\n".join(texts(number)) + "\n")
    return app


def predicted(app: App, name: str, *arguments: str, kind: str = "csv") -> bytes:
    files = (f"task.input={name}.txt", f"task.output={name}.{kind}")
    assert app.ok("task=predict", *files, *arguments) == ""
    return (app.cwd / f"{name}.{kind}").read_bytes()


@pytest.mark.parametrize("kind", ["csv", "json", "jsonl"])
def test_the_output_of_several_processes_is_that_of_one(trained: App, kind: str) -> None:
    one = predicted(trained, "many", "task.n_jobs=1", kind=kind)
    for arguments in (("task.n_jobs=2",), ("task.n_jobs=3", "task.batch_size=7"), ()):
        assert predicted(trained, "many", *arguments, kind=kind) == one


def test_a_text_is_tagged_the_same_among_few_some_and_many(trained: App) -> None:
    few = predicted(trained, "few").splitlines()
    assert predicted(trained, "some").splitlines()[: len(few)] == few
    assert predicted(trained, "many").splitlines()[: len(few)] == few
    alone = trained.ok("task=predict", f"task.text={texts(FEW_TEXTS)[-1]}")
    with (trained.cwd / "few.csv").open() as file:
        last = [*csv.DictReader(file)][-1]
    (row,) = json.loads(alone)
    assert {key: str(value) for key, value in row.items()} == last


def test_a_bad_row_among_many_is_one_message_and_leaves_no_output(trained: App) -> None:
    rows = [json.dumps({"text": text}) for text in texts(5000)]
    (trained.cwd / "bad.jsonl").write_text("\n".join([*rows, '{"txt": 1}', *rows]) + "\n")
    arguments = ("task=predict", "task.input=bad.jsonl", "task.n_jobs=2")
    done = trained.run(*arguments, "task.output=bad.csv")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "bad.jsonl, line 5001: there is no text" in done.stderr
    assert not [path for path in trained.cwd.iterdir() if "bad.csv" in path.name]
    # What came before it is on standard output, as far as whole batches go.
    shown = trained.run(*arguments).stdout
    assert shown.count("input_text") == 5000


def test_no_processes_are_a_message(trained: App) -> None:
    done = trained.run("task=predict", "task.input=many.txt", "task.n_jobs=0")
    assert done.returncode == 2
    assert "task.n_jobs = 0 is not allowed: a whole number of at least 1" in done.stderr


def children(parent: int) -> list[int]:
    listed = Path(f"/proc/{parent}/task/{parent}/children")
    return [int(number) for number in listed.read_text().split()]


def is_gone(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def until(ready: Callable[[], bool]) -> bool:
    end = time.monotonic() + 60
    while not ready() and time.monotonic() < end:
        time.sleep(0.05)
    return ready()


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks at /proc")
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)]
)
def test_processes_end_with_the_command_and_nothing_is_half_written(
    trained: App, unmeasured: None, number: signal.Signals, code: int
) -> None:
    process = trained.start(
        "task=predict", "task.input=huge.txt", "task.output=huge.csv", "task.n_jobs=2"
    )
    assert until(lambda: len(children(process.pid)) == 2)
    crew = children(process.pid)
    os.kill(process.pid, number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert errors == {130: "Interrupted.\n", 143: "Terminated.\n", -9: ""}[code]
    assert until(lambda: all(map(is_gone, crew)))
    left = [path for path in trained.cwd.iterdir() if "huge.csv" in path.name]
    # Nobody can clean up after a process that was killed outright; what it wrote has another name.
    assert not [path for path in left if path.name == "huge.csv" or code != -9]
    for path in left:
        path.unlink()
