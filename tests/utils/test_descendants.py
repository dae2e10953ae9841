from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tagifai.utils.processes import descendants

SLEEP = "import time; print('ready', flush=True); time.sleep(60)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SLEEP
PARENT = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEP!r}])\n" + SLEEP


pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc"),
]


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[str]]]:
    made: list[subprocess.Popen[str]] = []
    yield made
    for process in made:
        process.kill()
        process.communicate()


def start(started: list[subprocess.Popen[str]], code: str) -> int:
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    started.append(process)
    assert process.stdout is not None
    for _ in range(2 if code == PARENT else 1):
        assert process.stdout.readline() == "ready\n"
    return process.pid


def test_processes_are_ended_but_for_those_that_were_there(
    started: list[subprocess.Popen[str]],
) -> None:
    start(started, SLEEP)
    spared = descendants.list_children()
    polite, stubborn = (start(started, code) for code in (SLEEP, STUBBORN))
    assert descendants.list_children() - spared == {polite, stubborn}

    descendants.end_children(spared, 0.5)

    assert [p.poll() for p in started[:1]] == [None]
    assert [p.wait() for p in started[1:]] == [-signal.SIGTERM, -signal.SIGKILL]
    assert descendants.list_children() == spared


def test_a_grandchild_is_no_child(started: list[subprocess.Popen[str]]) -> None:
    before = descendants.list_children()
    parent = start(started, PARENT)
    assert descendants.list_children() - before == {parent}
    descendants.kill(parent)  # what it has begun, and not itself
    assert started[0].poll() is None
