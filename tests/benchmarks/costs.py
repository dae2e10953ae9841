"""What whole commands cost: time, processors, memory; and what the machine can do at most."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.app import ROOT, environment

LOOK_SECONDS = 0.05


@dataclass(frozen=True)
class Cost:
    """What a command took: seconds on the clock, seconds of processors, MiB at its peak.

    Memory is the sum over its processes of what is theirs alone and of their share of the rest.
    """

    wall: float
    cpu: float
    peak: float


def cost(command: Sequence[str]) -> Cost:
    """Run a command, and what it begins, to its end."""
    peaks, ended = [0.0], threading.Event()
    before, began = os.times(), time.perf_counter()
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL, stderr=errors
        )
        # Looked at by another thread, so that the end of the command is seen when it comes.
        watcher = threading.Thread(target=_watch, args=(process.pid, peaks, ended))
        watcher.start()
        process.wait()
        after, taken = os.times(), time.perf_counter() - began
        ended.set()
        watcher.join()
        errors.seek(0)
        assert process.returncode == 0, errors.read().decode()
    used = after.children_user + after.children_system
    return Cost(taken, used - before.children_user - before.children_system, max(peaks))


def _watch(number: int, peaks: list[float], ended: threading.Event) -> None:
    while not ended.wait(LOOK_SECONDS):
        peaks.append(_memory(number))


def _memory(number: int) -> float:
    """Return the proportional memory of a process and its children in MiB, 0 where it is gone."""
    try:
        below = Path(f"/proc/{number}/task/{number}/children").read_text().split()
        found = re.search(r"^Pss: +(\d+)", Path(f"/proc/{number}/smaps_rollup").read_text(), re.M)
    except OSError:
        return 0.0
    return (int(found[1]) / 1024 if found else 0.0) + sum(_memory(int(child)) for child in below)


def limits() -> str:
    """Return what the machine does at most: copying memory, and fitting features that are ready."""
    import numpy as np
    from sklearn.feature_extraction.text import HashingVectorizer
    from sklearn.linear_model import SGDClassifier

    block = np.ones(2**27, np.uint8)
    copies = min(timed(block.copy) for _ in range(5))
    made, classes, rows = np.random.default_rng(7), 5, 10_000
    letters = np.array(list("abcdefghij "))
    texts = ["".join(made.choice(letters, 130)) for _ in range(rows)]
    X = HashingVectorizer(analyzer="char_wb", ngram_range=(2, 5)).transform(texts)
    y = made.integers(classes, size=rows)
    model = SGDClassifier(loss="log_loss", random_state=1)
    fits = min(timed(lambda: model.partial_fit(X, y, classes=range(classes))) for _ in range(5))
    return (
        f"the machine: {len(os.sched_getaffinity(0))} processors; copies"
        f" {2 * block.size / copies / 1e9:.1f} GB/s (read and written);"
        f" SGD {rows * classes / fits / 1e3:.0f} thousand updates/s of texts of 130 characters"
    )


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that a function takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
