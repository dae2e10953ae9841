"""Kinds of faults that several commands, or their clocks, bring about."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.faults.trial import Skipped, Trial

MOST_STARTS = 8

LIBRARIES = "/usr/lib/*/faketime/libfaketimeMT.so.1"

CLOCKS = ("-40y", "-1d", "-90s", "+90s", "+1d", "+9y")


def start_at_once(trial: Trial) -> None:
    """Several first starts in an empty store, of which now and then one is killed."""
    trial.place.clear()
    trial.place.app.cwd.mkdir(exist_ok=True)
    trial.empty = True
    count = trial.chance.randint(2, MOST_STARTS)
    moment = trial.chance.random() * 3 * trial.place.pace
    killed = trial.chance.random() < 0.4
    trial.say(f"{count} first starts" + (f", one killed after {moment:.2f} s" if killed else ""))
    started = [trial.start("train") for _ in range(count)]
    if killed:
        started[0].wait(moment)
        started[0].send(signal.SIGKILL)
    for number, one in enumerate(started):
        trial.take(one.end(), (0, -9) if killed and number == 0 else (0,))
    finished = [record for record in trial.place.read_records().values() if record[0] == "FINISHED"]
    if len(finished) < count - killed:
        trial.faults.append(f"{len(finished)} finished runs of {count}")


def run_two(trial: Trial) -> None:
    """Two commands at once on one store."""
    names = [*trial.commands]
    first, second = trial.chance.choice(names), trial.chance.choice(names)
    if trial.chance.random() < 0.5:
        second = first
    pause = trial.chance.choice([0.0, 0.0, 0.5])
    trial.say(f"{first} and {second} {pause} s later")
    started = [trial.start(first)]
    started[0].wait(pause)
    started.append(trial.start(second))
    # What another removes, or has done already, may be refused.
    refused = {first, second} & {"clean", "import", "promote", "rollback", "export"}
    for one in started:
        trial.take(one.end(), (0, 2) if refused else (0,))


def set_clock_wrong(trial: Trial) -> None:
    """A command under a clock that is wrong; what comes after it has the right one."""
    libraries = sorted(Path("/").glob(LIBRARIES.removeprefix("/")))
    if not libraries:
        raise Skipped("libfaketime is not installed")
    name, clock = trial.pick()[0], trial.chance.choice(CLOCKS)
    trial.say(f"{name} under the clock {clock}")
    variables = {"LD_PRELOAD": str(libraries[0]), "FAKETIME": clock}
    trial.take(trial.start(name, env=variables).end(), (0,))
