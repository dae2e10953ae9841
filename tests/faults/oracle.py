"""What holds after every fault, whatever it was."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Collection, Iterator
from contextlib import suppress

from tests.app import SMALL
from tests.faults.place import Place
from tests.faults.watching import Ended, list_marked

UNWANTED = (
    "Traceback (most recent call last)", "not foreseen", "[Errno", "Exception ignored",
    "sqlalche.me", "[('", "Fatal Python error",
)  # fmt: skip

MOST_SILENCE = 11
"""Seconds that a command may wait without a word: ten, and what is used before it waits."""

MOST_REMAINING = 5
"""Seconds after which nothing is left of a command."""

DATABASES = ("mlflow.db", "studies.db")


def check_ended(ended: Ended, codes: Collection[int]) -> Iterator[str]:
    """Yield what is wrong with the end of a command that may have these exit codes."""
    if ended.code is None:
        yield f"{ended.command}: stuck, ended after {ended.seconds:.0f} s.{_quote(ended)}"
    elif ended.code not in codes:
        yield f"{ended.command}: exit code {ended.code}.{_quote(ended)}"
    if ended.silence > MOST_SILENCE:
        yield f"{ended.command}: waited {ended.silence:.0f} s without a word.{_quote(ended)}"
    written = ended.output + ended.errors
    found = [text for text in UNWANTED if text in written]
    if found:
        yield f"{ended.command}: {found} in what it wrote.{_quote(ended)}"
    messages = re.findall(r"^(?:Error:|Interrupted\.|Terminated\.)", ended.errors, re.MULTILINE)
    if len(messages) > 1:
        yield f"{ended.command}: {len(messages)} messages in place of one.{_quote(ended)}"
    if ended.code in (1, 2, 3) and not written.strip():
        yield f"{ended.command}: failed without a word."


def check_end_of_processes(mark: str) -> Iterator[str]:
    """Yield what is left of the processes of a try."""
    until = time.monotonic() + MOST_REMAINING
    while (left := list_marked(mark)) and time.monotonic() < until:
        time.sleep(0.1)
    if left:
        yield f"{len(left)} processes are left after {MOST_REMAINING} s: {left}"


def check_going_on(place: Place, damaged: bool = False) -> Iterator[str]:
    """Yield what is wrong with the next commands; after damage they may ask for a repair."""
    yield from check_ended(place.follow("task=info"), (0,))
    training = place.follow(*SMALL, "seed=9")
    if damaged and training.code in (1, 2) and "task=repair" in training.errors:
        yield from check_ended(training, (1, 2))
        yield from check_ended(place.follow("task=repair", "task.apply=true"), (0,))
        training = place.follow(*SMALL, "seed=9")
    yield from check_ended(training, (0,))
    marks = [path.name for path in place.app.stores.glob("running/*.run")]
    if marks:
        yield f"{len(marks)} runs are marked as under way: {marks}"


def check_databases(place: Place, damaged: Collection[str] = ()) -> Iterator[str]:
    """Yield what is wrong with the databases, but for those that the fault has damaged."""
    for name in DATABASES:
        if not (place.app.stores / name).exists():
            continue
        try:
            answer = place.ask(name, "PRAGMA integrity_check")
        except sqlite3.Error as error:
            answer = [(str(error),)]
        if answer != [("ok",)] and name not in damaged:
            yield f"{name} is not whole: {answer[:3]}"
    with suppress(sqlite3.Error):
        running = [run for run, record in place.read_records().items() if record[0] == "RUNNING"]
        if running:
            yield f"{len(running)} runs are still RUNNING: {running}"


def check_nothing_lost(place: Place, lost: Collection[str] = ()) -> Iterator[str]:
    """Yield what is lost of what was there before.

    Args:
        place: where it was.
        lost: what the fault itself has taken: ids of runs, names of databases.
    """
    for run, answer in place.answers.items():
        if run not in lost:
            done = place.predict(run)
            if done.output != answer:
                yield f"run {run} predicts otherwise, not {answer!r}:{_quote(done)}"
    bundles = place.hash_bundles()
    changed = [
        run for run in place.bundles if run not in lost and bundles[run] != place.bundles[run]
    ]
    if changed:
        yield f"bundles have changed: {changed}"
    with suppress(sqlite3.Error):
        if "mlflow.db" not in lost:
            records = place.read_records()
            for run, record in place.records.items():
                now = records.get(run, ("", 0, 0))  # the parent of a search that goes on grows
                if now[0] != record[0] or now[1] < record[1] or now[2] < record[2]:
                    yield f"run {run} is recorded as {now}, not {record}"
        if "studies.db" not in lost and place.count_trials() < place.trials:
            yield f"the study has {place.count_trials()} finished trials, not {place.trials}"


def _quote(ended: Ended) -> str:
    """Return the end of what a command has written, to be shown below a sentence."""
    lines = ended.output.strip().splitlines()[-3:] + ended.errors.strip().splitlines()[-12:]
    return "".join(f"\n      | {line[:300]}" for line in lines)
