"""Kinds of faults that end or stop processes: kills, kills at calls of the system, signals."""

from __future__ import annotations

import shutil
import signal

from tests.faults.trial import CODES, Skipped, Trial

CALLS = (
    "rename,renameat,renameat2",
    "fsync,fdatasync",
    "unlink,unlinkat",
    "mkdir,link",
    "pwrite64",
)
"""Calls of the system between which files are half done; the first two the most."""

MOST_SECONDS = 6
"""From the last signal to the end: three, and as many again for a machine that is shared."""


def kill_at_random(trial: Trial) -> None:
    """kill -9 at a random moment of a command; now and then one of its workers alone."""
    name, moment = trial.pick()
    started = trial.start(name)
    started.wait(moment)
    others = [pid for pid in started.list_processes() if pid != started.process.pid]
    worker = trial.chance.choice(others) if others and trial.chance.random() < 0.3 else None
    trial.say(f"kill -9 of {'a worker of ' if worker else ''}{name} after {moment:.2f} s")
    started.send(signal.SIGKILL, worker)
    trial.take(started.end(), (*CODES, -9))


def kill_at_call(trial: Trial) -> None:
    """kill -9 at the n-th rename, fsync or the like."""
    name, _ = trial.pick()
    calls = trial.chance.choice([*CALLS[:2], *CALLS])
    number = _draw(trial)
    _inject(trial, name, calls, f"signal=SIGKILL:when={number}", (*CODES, -9))


def fail_at_call(trial: Trial) -> None:
    """An error of the disk at the n-th rename, fsync, write or the like, once or from then on."""
    name, _ = trial.pick()
    calls = trial.chance.choice(CALLS)
    error = trial.chance.choice(["ENOSPC", "EIO", "EROFS", "EDQUOT"])
    number, more = _draw(trial), trial.chance.choice(["", "+"])
    _inject(trial, name, calls, f"error={error}:when={number}{more}", CODES)


def _draw(trial: Trial) -> int:
    """Return which call it is: often one of the first, which short commands have, too."""
    return min(trial.chance.randint(1, 40), trial.chance.randint(1, 40))


def _inject(trial: Trial, name: str, calls: str, what: str, codes: tuple[int, ...]) -> None:
    strace = shutil.which("strace")
    if strace is None:
        raise Skipped("strace is not installed")
    trial.say(f"{name}, {calls}:{what}")
    options = ("-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", f"--trace={calls}")
    started = trial.start(name, (strace, *options, f"--inject={calls}:{what}"))
    trial.take(started.end(), codes)


def send_signals(trial: Trial) -> None:
    """Ctrl-C, TERM or HUP at a random moment, now and then twice."""
    name, moment = trial.pick()
    numbers = [trial.chance.choice([signal.SIGINT, signal.SIGTERM, signal.SIGHUP])]
    numbers *= trial.chance.choice([1, 1, 2])
    pause = trial.chance.choice([0.0, 0.15, 1.0])
    started = trial.start(name)
    started.wait(moment)
    said = " and ".join(number.name for number in numbers)
    trial.say(f"{said} to {name} after {moment:.2f} s, {pause} s apart")
    for number in numbers:
        started.send(number)
        started.wait(pause)
    early = -numbers[0] if moment < 0.2 * trial.place.pace else 0  # Python itself starts
    ended = started.end(MOST_SECONDS * trial.place.pace)
    trial.take(ended, (0, 1, 3, 129, 130, 143, early))


def stop_and_go_on(trial: Trial) -> None:
    """SIGSTOP to a command, or to one of its workers, and SIGCONT after some seconds."""
    name, moment = trial.pick()
    pause = trial.chance.choice([0.5, 1.0, 3.0])
    started = trial.start(name)
    started.wait(moment)
    stopped = trial.chance.choice(sorted(started.list_processes()) or [started.process.pid])
    worker = stopped != started.process.pid
    trial.say(f"STOP of {'a worker of ' if worker else ''}{name} at {moment:.2f} s for {pause} s")
    started.send(signal.SIGSTOP, stopped)
    started.wait(pause)
    started.send(signal.SIGCONT, stopped)
    trial.take(started.end(), (0,))
