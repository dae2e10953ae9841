"""The first signal, a second one, and those that come at the beginning, in imports, at the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tagifai.utils import signals
from tagifai.utils.processes import descendants
from tests.app import environment, session_of, wait_until
from tests.runner import keep_signals

ROOT = Path(__file__).parents[2]

ONLY_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")

AT_ONCE = " at once: the next command closes what was open.\n"


@pytest.fixture(autouse=True)
def _kept() -> Iterator[None]:
    with keep_signals():
        yield


def begun(code: str, *before: str) -> subprocess.Popen[str]:
    """Begin a process with some code, and return when it has written a line."""
    process = subprocess.Popen(
        [*before, sys.executable, "-c", textwrap.dedent(code)],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    try:
        _, errors = process.communicate(timeout=20)
    finally:
        process.kill()
    return process.returncode, errors


# --- in this process ---------------------------------------------------------------------------


def test_a_job_inside_of_a_job_is_guarded_by_the_outer_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(signals, "is_worker", lambda: True)
    monkeypatch.setattr(signals, "_get_launcher", os.getppid)
    monkeypatch.setattr(descendants, "end_with", lambda launcher: None)
    with signals.guard_job():
        outer = signal.getsignal(signal.SIGTERM)
        assert callable(outer)
        with signals.guard_job():
            assert signal.getsignal(signal.SIGTERM) is outer
        assert signal.getsignal(signal.SIGTERM) is outer
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        assert signals.find_interrupt() is not None
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (signal.SIGINT, ("Interrupted.", 130)),
        (signal.SIGTERM, ("Terminated.", 143)),
        (signal.SIGHUP, ("Terminated.", 129)),
    ],
)
def test_the_first_signal_is_raised_once_and_says_its_exit_code(
    number: signal.Signals, told: tuple[str, int]
) -> None:
    signals.guard_command()
    with pytest.raises(KeyboardInterrupt) as caught:
        signal.raise_signal(number)
    assert signals.describe(caught.value) == told
    signal.raise_signal(number)  # as terminals do, within a moment
    found = signals.find_interrupt()
    assert found is not None
    assert signals.describe(found) == told


def held(number: int, done: list[str]) -> None:
    with signals.hold_back(lambda came: done.append(f"noticed {came}")), signals.hold_back():
        signal.raise_signal(number)
        done.append("held")
    done.append("never")


def test_a_signal_that_is_held_back_is_raised_at_the_end_of_the_outer_block() -> None:
    signals.guard_command()
    done: list[str] = []
    with pytest.raises(signals.Terminated):
        held(signal.SIGTERM, done)
    assert done == ["held", "noticed 15"]


def test_what_an_ignored_signal_was_it_stays() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signals.guard_command()
    with signals.hold_back():
        signal.raise_signal(signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_a_process_of_somebody_else_keeps_its_handlers_and_its_pipe() -> None:
    before = [signal.getsignal(number) for number in signals.NUMBERS]
    with signals.hold_back():
        assert [signal.getsignal(number) for number in signals.NUMBERS] != before
    assert [signal.getsignal(number) for number in signals.NUMBERS] == before
    assert signal.set_wakeup_fd(-1) == -1


def destroy(done: list[str]) -> None:
    class Slow:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGTERM)
            done.append("destructor")

    Slow()
    wait_until(lambda: False, seconds=5)


def test_a_signal_that_a_destructor_would_swallow_is_raised_after_it() -> None:
    done: list[str] = []
    signals.guard_command()
    with signals.hold_back():
        pass  # something has begun
    with pytest.raises(signals.Terminated):
        destroy(done)
    assert done == ["destructor"]


def test_an_interrupt_that_has_become_an_error_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "find_interrupt", lambda: None)
    with pytest.raises(ValueError, match="x"), signals.prefer_interrupt():
        raise ValueError("x")
    monkeypatch.setattr(signals, "find_interrupt", lambda: signals.Terminated(signal.SIGTERM))
    with pytest.raises(signals.Terminated), signals.prefer_interrupt():
        raise ValueError("x")


# --- in processes ------------------------------------------------------------------------------

HANGING = """
    import os, signal, subprocess, sys, threading, time
    from tagifai.utils import signals
    from tagifai.utils.processes import beginning

    beginning.guard_start()
    signals.guard_command()
    with signals.hold_back():
        child = [sys.executable, "-c", "import subprocess; subprocess.run(['sleep', '600'])"]
        subprocess.Popen(child)
        time.sleep(0.5)
        print("ready", flush=True)
        lock = threading.Lock()
        lock.acquire()
        while True:
            lock.acquire()
"""


@ONLY_LINUX
@pytest.mark.e2e
@pytest.mark.parametrize(
    ("number", "word", "code"),
    [
        (signal.SIGINT, "Interrupted", 130),
        (signal.SIGTERM, "Terminated", 143),
        (signal.SIGHUP, "Terminated", 129),
    ],
)
def test_a_second_signal_ends_a_process_that_hangs_with_its_children_and_theirs(
    number: signal.Signals, word: str, code: int
) -> None:
    process = begun(HANGING)
    process.send_signal(number)
    process.send_signal(number)
    time.sleep(0.5)
    assert process.poll() is None
    assert len(session_of(process.pid)) == 3
    process.send_signal(number)
    assert ended(process) == (code, word + AT_ONCE)
    assert session_of(process.pid) == []


@pytest.mark.e2e
def test_a_hangup_that_nohup_ignores_ends_nothing() -> None:
    process = begun(HANGING, "nohup")
    for _ in range(2):
        process.send_signal(signal.SIGHUP)
        time.sleep(0.3)
    assert process.poll() is None
    os.killpg(process.pid, signal.SIGKILL)
    assert ended(process)[0] == -signal.SIGKILL


IMPORTING = """
    import sys, time
    from tagifai.utils import signals
    from tagifai.utils.processes import beginning

    beginning.guard_start()
    signals.guard_command()
    {begin}
    sys.path.insert(0, {folder!r})
    try:
        import slow_module
        time.sleep(30)
    except KeyboardInterrupt:
        print(hasattr(slow_module, "done"), file=sys.stderr)
        sys.exit(7)
"""


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("begin", "found"),
    [("", (130, "Interrupted.\n")), ("signals.hold_back().__enter__()()", (7, "True\n"))],
)
def test_an_import_is_ended_with_a_process_that_has_begun_nothing_and_otherwise_waited_for(
    tmp_path: Path, begin: str, found: tuple[int, str]
) -> None:
    lines = (
        "import time",
        "print('ready', flush=True)",
        "for _ in range(50):",
        " time.sleep(0.01)",
    )
    (tmp_path / "slow_module.py").write_text("\n".join((*lines, "done = True", "")))
    process = begun(IMPORTING.format(begin=begin, folder=str(tmp_path)))
    process.send_signal(signal.SIGINT)
    assert ended(process) == found


ENDING = """
    import atexit, sys, time
    from tagifai.utils import signals
    from tagifai.utils.processes import beginning

    beginning.guard_start()
    signals.guard_command()

    def finish():
        print("ready", flush=True)
        time.sleep({seconds})

    atexit.register(finish)
    signals.guard_end(5)
    sys.exit(5)
"""


@pytest.mark.e2e
@pytest.mark.parametrize(("seconds", "times"), [(0.5, 1), (60, 2)])
def test_the_exit_code_of_a_command_that_has_ended_stays_whatever_comes(
    seconds: float, times: int
) -> None:
    process = begun(ENDING.format(seconds=seconds))
    for _ in range(times):
        process.send_signal(signal.SIGINT)
        time.sleep(0.2)
    assert ended(process) == (5, "")


COPY = """
    import os, signal, sys, time
    from tagifai.utils import signals

    signals.guard_command()
    child = os.fork()
    if child == 0:
        signals.leave_to_parent()
        time.sleep(600)
    print("ready", flush=True)
    for _ in range(2):
        os.kill(child, signal.SIGINT)
        time.sleep(0.3)
    os.kill(child, signal.SIGTERM)
    print(os.waitpid(child, 0)[1], file=sys.stderr)
"""


@pytest.mark.e2e
def test_signals_of_a_forked_copy_are_not_those_of_its_parent() -> None:
    assert ended(begun(COPY)) == (0, f"{signal.SIGTERM.value}\n")


# --- the first second --------------------------------------------------------------------------


@pytest.mark.e2e
@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize("command", ["run.py", "-m tagifai", "tagifai"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_in_the_first_second_is_one_line_and_an_exit_code(
    tmp_path: Path, command: str, number: signal.Signals
) -> None:
    installed = Path(sys.executable).with_name("tagifai")
    words = {
        "run.py": [sys.executable, str(ROOT / "run.py")],
        "-m tagifai": [sys.executable, "-m", "tagifai"],
        "tagifai": [str(installed)],
    }[command]
    if command == "tagifai" and not installed.exists():
        pytest.skip("the command is not installed here")
    folders = (f"paths.stores={tmp_path}/s", f"paths.outputs={tmp_path}/o")
    word = "Interrupted.\n" if number == signal.SIGINT else "Terminated.\n"
    for delay in (0.08, 0.15, 0.3, 0.5, 0.8, 1.1):
        process = subprocess.Popen(
            [*words, *folders],
            cwd=ROOT, env=environment(), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        time.sleep(delay)
        process.send_signal(number)
        assert (delay, *ended(process)) == (delay, 128 + number, word)
