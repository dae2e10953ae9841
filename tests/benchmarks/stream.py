"""Training on more texts than are in memory at a time, against scikit-learn in one process.

    uv run python -m tests.benchmarks.stream [10000,100000,1000000] [ROUNDS]

The data are made in a temporary folder: rows of about 130 characters in five classes of different
sizes. Both read, clean, hash (char_wb, 2 to 5) and fit all rows once, as whole processes in turn;
ours also checks the file, keeps a copy of its rows, holds rows out, scores, tracks and saves. What
each takes for 100 rows is subtracted, so that seconds are those of the rows.
"""

from __future__ import annotations

import csv
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import SGDClassifier

from tests.app import ROOT, App, environment

FEW = 100
LABELS = ("first", "second", "third", "fourth", "fifth")
SHARES = (0.4, 0.25, 0.2, 0.1, 0.05)
OWN_WORDS, WORDS, LENGTH = 4, 19, 5.8
"""Of a text, those of its class, and all; mean characters of a word."""


@dataclass(frozen=True)
class Cost:
    """Of a process and its children: seconds on the wall and of processors, most MiB at once."""

    wall: float
    cpu: float
    peak: float


def write(path: Path, rows: int) -> None:
    """Write a table with columns text and label."""
    made = np.random.default_rng(7)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    words = ["".join(made.choice(letters, n)) for n in made.poisson(LENGTH - 2, 20_000) + 2]
    own = made.choice(len(words), (len(LABELS), 400))
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["text", "label"])
        for label in made.choice(len(LABELS), rows, p=SHARES).tolist():
            several = [*made.choice(own[label], OWN_WORDS), *made.integers(len(words), size=15)]
            table.writerow([" ".join(words[i] for i in several), LABELS[label]])


def cost(command: Sequence[str]) -> Cost:
    """Run a command and return what it took."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    peaks = [0.0]
    watching = threading.Thread(target=watch, args=(process, peaks))
    watching.start()
    _, errors = process.communicate()
    wall = time.perf_counter() - began
    watching.join()
    assert process.returncode == 0, errors.decode()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(wall, cpu, max(peaks))


def watch(process: subprocess.Popen[bytes], peaks: list[float]) -> None:
    """Note the resident memory of a process and its descendants while it runs."""
    while process.poll() is None:
        peaks.append(sum(map(resident, tree(process.pid))))
        time.sleep(0.1)


def tree(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid, *(below for child in children for below in tree(int(child)))]


def resident(pid: int) -> float:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0.0
    return pages * resource.getpagesize() / 2**20


def ours(folder: Path, path: Path) -> list[str]:
    """Return the command for a file, with stores that nothing has been made in."""
    app = App(Path(tempfile.mkdtemp(dir=folder)))
    hashed = ("vectorizer.analyzer=char_wb", "vectorizer.ngram_min=2", "vectorizer.ngram_max=5")
    given = ("experiment=streamed", f"data.path={path}", "training.epochs=1", "console=quiet")
    return app.command(*given, *hashed)


def plain(_: Path, path: Path) -> list[str]:
    return [sys.executable, "-m", "tests.benchmarks.plain_stream", str(path)]


def limits() -> str:
    """Return what the machine does at most: copying memory, and fitting features that are ready."""
    block = np.ones(2**27, np.uint8)
    copies = [timed(block.copy) for _ in range(5)]
    made = np.random.default_rng(7)
    letters = np.array(list("abcdefghij "))
    texts = ["".join(made.choice(letters, 130)) for _ in range(10_000)]
    X = HashingVectorizer(analyzer="char_wb", ngram_range=(2, 5)).transform(texts)
    y = made.integers(len(LABELS), size=len(texts))
    model = SGDClassifier(loss="log_loss", random_state=1)
    fits = [timed(lambda: model.partial_fit(X, y, classes=range(len(LABELS)))) for _ in range(5)]
    return (
        f"the machine: copies {2 * block.size / min(copies) / 1e9:.1f} GB/s (read and written);"
        f" SGD {len(texts) * len(LABELS) / min(fits) / 1e3:.0f} thousand updates/s, which is"
        f" {min(fits):.2f} s for 10,000 texts in {len(LABELS)} classes;"
        f" {os.cpu_count()} processors"
    )


def timed(work: object) -> float:
    began = time.perf_counter()
    work()  # type: ignore[operator]
    return time.perf_counter() - began


def main(sizes: str = "10000,100000,1000000", rounds: str = "1") -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write(folder / "few.csv", FEW)
        fixed = [median([cost(make(folder, folder / "few.csv")) for _ in range(3)])
                 for make in (ours, plain)]  # fmt: skip
        print(f"for {FEW} rows: tagifai {fixed[0].wall:.1f} s, plain {fixed[1].wall:.1f} s")
        print("seconds for 10,000 texts     wall          |       of processors    |  peak MiB")
        print("    texts   tagifai    plain  ratio   tagifai    plain  ratio  tagifai    plain")
        each: dict[int, tuple[float, float]] = {}
        for size in map(int, sizes.split(",")):
            path = folder / f"{size}.csv"
            write(path, size)
            pairs = [
                [cost(make(folder, path)) for make in (ours, plain)] for _ in range(int(rounds))
            ]
            found = [median([pair[i] for pair in pairs]) for i in range(2)]
            wall = [(c.wall - f.wall) / size * 1e4 for c, f in zip(found, fixed, strict=True)]
            cpu = [(c.cpu - f.cpu) / size * 1e4 for c, f in zip(found, fixed, strict=True)]
            each[size] = wall[0], cpu[0]
            print(
                f"{size:>9,}{wall[0]:>10.2f}{wall[1]:>9.2f}{wall[1] / wall[0]:>7.2f}"
                f"{cpu[0]:>10.2f}{cpu[1]:>9.2f}{cpu[1] / cpu[0]:>7.2f}"
                f"{found[0].peak:>9.0f}{found[1].peak:>9.0f}",
                flush=True,
            )
        least, most = min(each), max(each)
        wall_ratio, cpu_ratio = (b / a for a, b in zip(each[least], each[most], strict=True))
        print(
            f"a text of {most:,} costs tagifai {wall_ratio:.2f} times one of {least:,}"
            f" ({cpu_ratio:.2f} of processors)"
        )
    print(limits())


def median(costs: Sequence[Cost]) -> Cost:
    columns = zip(*((c.wall, c.cpu, c.peak) for c in costs), strict=True)
    return Cost(*map(statistics.median, columns))


if __name__ == "__main__":
    main(*sys.argv[1:])
