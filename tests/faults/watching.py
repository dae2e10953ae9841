"""Commands in processes of their own, and how long they say nothing while they do nothing."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

MARK = "TAGIFAI_FAULT"
"""Variable that all processes of a try have, by which those that are left are found."""

STEP = 0.1
BUSY = 0.2
"""Seconds of a processor within which a process counts as idle."""

LONGEST = 120
"""Seconds after which a command is taken for stuck, and ended."""

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Ended:
    """A command that has ended, or was ended.

    Args:
        command: its arguments.
        code: exit code; below zero by a signal; None if it was stuck.
        output: what it wrote to standard output.
        errors: to standard error.
        seconds: it took.
        silence: longest time, in seconds, without a word and without use of a processor.
    """

    command: str
    code: int | None
    output: str
    errors: str
    seconds: float
    silence: float = 0


class Started:
    """A command that was started, under a watch.

    Args:
        command: program and arguments.
        folder: working directory.
        env: all variables; `MARK` is among them.
        name: what it is called in a report.
    """

    def __init__(
        self, command: Sequence[str], folder: Path, env: Mapping[str, str], name: str
    ) -> None:
        self.name = name
        self._mark = env[MARK]
        kept = tempfile.mkdtemp()  # not where the disk is full
        self._files = [Path(kept, name) for name in ("output", "errors")]
        with self._files[0].open("wb") as output, self._files[1].open("wb") as errors:
            self.process = subprocess.Popen(
                command,
                cwd=folder,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                start_new_session=True,
            )
        self._begun = self._alive = time.monotonic()
        self._size = self._used = 0.0
        self._silence = 0.0

    def wait(self, seconds: float) -> bool:
        """Watch it for some seconds, and return whether it has ended."""
        until = time.monotonic() + seconds
        while self.process.poll() is None and (left := until - time.monotonic()) > 0:
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(min(STEP, left))
            self._look()
        return self.process.poll() is not None

    def send(self, number: signal.Signals, process: int | None = None) -> None:
        """Send a signal to it, or to one of the processes that it has begun."""
        with suppress(ProcessLookupError):
            os.kill(process or self.process.pid, number)

    def list_processes(self) -> list[int]:
        """Return what it has begun and has not ended, itself among them."""
        return list_marked(self._mark)

    def end(self, longest: float = LONGEST) -> Ended:
        """Wait for its end; what is stuck is killed, with all that it has begun."""
        code = self.process.returncode if self.wait(longest) else None
        if code is None:
            for process in self.list_processes():
                self.send(signal.SIGKILL, process)
            self.process.wait()
        seconds = time.monotonic() - self._begun
        texts = [path.read_text(encoding="utf-8", errors="replace") for path in self._files]
        shutil.rmtree(self._files[0].parent)
        return Ended(self.name, code, texts[0], texts[1], seconds, self._silence)

    def _look(self) -> None:
        """Note whether it has said or done anything since the last time."""
        now = time.monotonic()
        if now - self._alive < 1:
            return
        size = sum(path.stat().st_size for path in self._files)
        used, stopped = _measure(self.list_processes())
        if size != self._size or abs(used - self._used) >= BUSY or stopped:
            self._alive, self._size, self._used = now, size, used
        self._silence = max(self._silence, now - self._alive)


def list_marked(mark: str) -> list[int]:
    """Return the processes whose environment has a mark and that have not ended."""
    found = []
    wanted = f"{MARK}={mark}".encode()
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if wanted in (path / "environ").read_bytes().split(b"\0"):
                found.append(int(path.name))
    return found


def _measure(processes: Sequence[int]) -> tuple[float, bool]:
    """Return the seconds of processors that processes have used, and whether one is stopped."""
    used, stopped = 0.0, False
    for process in processes:
        with suppress(OSError):
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            used += (int(fields[11]) + int(fields[12])) / TICKS
            stopped = stopped or fields[0] == "T"
    return used, stopped
