"""The harness notices what it is for, and a small part of it is tried."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.app import ROOT, environment
from tests.faults.oracle import check_end_of_processes, check_ended
from tests.faults.watching import MARK, Ended, Started

pytestmark = pytest.mark.e2e

KINDS = (
    *("kill", "call", "error", "signal", "damage", "full", "readonly", "pair", "stop", "start"),
    *("clock", "server"),
)


def start(code: str, folder: Path, mark: str) -> Started:
    variables: Mapping[str, str] = environment({MARK: mark})
    return Started([sys.executable, "-c", code], folder, variables, "tried")


@pytest.mark.parametrize(
    ("code", "errors", "silence", "said"),
    [
        (0, "", 0.0, ""),
        (2, "Error: no such file. Choose another.\n", 3.0, ""),
        (None, "", 0.0, "stuck"),
        (-11, "", 0.0, "exit code -11"),
        (2, "", 0.0, "without a word"),
        (0, "", 12.0, "waited 12 s"),
        (1, "Traceback (most recent call last):\n", 0.0, "Traceback"),
        (1, "Error: ValueError: x\nThis was not foreseen.\n", 0.0, "not foreseen"),
        (1, "Error: [Errno 28] No space left on device\n", 0.0, "Errno"),
        (1, "Error: a\nError: b\n", 0.0, "2 messages"),
    ],
)
def test_what_is_wrong_with_an_end_is_said(
    code: int | None, errors: str, silence: float, said: str
) -> None:
    found = [*check_ended(Ended("tried", code, "", errors, 1.0, silence), (0, 1, 2))]
    assert (found == []) == (said == "")
    assert said in "".join(found)


def test_a_command_that_waits_is_silent_and_one_that_computes_is_not(tmp_path: Path) -> None:
    waits = start("import time; time.sleep(4)", tmp_path, "waits").end()
    computes = start("s = 0\nfor i in range(4 * 10**7): s += i", tmp_path, "computes").end()
    assert (waits.code, computes.code) == (0, 0)
    assert waits.silence > 2.5 > computes.silence


def test_a_command_that_is_stuck_is_ended_with_what_it_has_begun(tmp_path: Path) -> None:
    code = "import subprocess; subprocess.Popen(['sleep', '60']).wait()"
    started = start(code, tmp_path, "stuck")
    assert started.end(1.0).code is None
    assert [*check_end_of_processes("stuck")] == []


def test_a_process_that_is_left_is_found(tmp_path: Path) -> None:
    code = "import subprocess; print(subprocess.Popen(['sleep', '60']).pid)"
    ended = start(code, tmp_path, "left").end()
    assert "1 processes are left" in "".join(check_end_of_processes("left"))
    os.kill(int(ended.output), signal.SIGKILL)
    assert [*check_end_of_processes("left")] == []


@pytest.mark.usefixtures("unmeasured")
def test_a_fault_of_each_kind_is_survived() -> None:
    kinds = [word for kind in KINDS for word in ("--kind", kind)]
    command = [sys.executable, "-m", "tests.faults", "--count", "12", "--seed", "100", *kinds]
    done = subprocess.run(
        command, check=False, cwd=ROOT, text=True, capture_output=True, timeout=900
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "survived   12" in done.stdout or "skipped" in done.stdout
