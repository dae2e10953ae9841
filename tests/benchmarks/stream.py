"""Three epochs of SGD on hashed texts, in memory and in chunks, against scikit-learn by hand.

    uv run python -m tests.benchmarks.stream [10000,90000] [ROUNDS]

The data are made in a temporary folder: rows of about 130 characters in twenty classes of different
sizes. Each reads, hashes (words and pairs of words) and fits the rows, as whole processes in turn;
in memory, both compute the losses of train and validation rows after every epoch. Ours also checks
the file, keeps a copy of its rows, scores, tracks and saves. What each takes for 1,000 rows is
subtracted, so that seconds are those of the rows.
"""

from __future__ import annotations

import csv
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tests.app import App
from tests.benchmarks.costs import Cost, cost, limits

FEW = 1_000
LABELS = tuple(f"class {number}" for number in range(20))
SHARES = np.linspace(1, 5, 20) / np.linspace(1, 5, 20).sum()
OWN_WORDS, WORDS, LENGTH = 4, 19, 5.8
"""Of a text, those of its class, and all; mean characters of a word."""


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


def ours(folder: Path, path: Path, way: str) -> list[str]:
    """Return the command for a file, with stores that nothing has been made in."""
    app = App(Path(tempfile.mkdtemp(dir=folder)))
    ways = {"memory": ("data=table", "vectorizer=hashing"), "stream": ("experiment=streamed",)}
    epochs = ("training.epochs=3", "training.patience=null", "training.refit=false")
    return app.command(*ways[way], f"data.path={path}", *epochs, "plots=none", "console=quiet")


def plain(_: Path, path: Path, way: str) -> list[str]:
    return [sys.executable, "-m", "tests.benchmarks.plain_stream", str(path), way]


def main(sizes: str = "10000,90000", rounds: str = "1") -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        pairs = [(make, way) for way in ("memory", "stream") for make in (ours, plain)]
        print("beyond 1,000 texts             seconds         |       of processors    |  peak MiB")
        columns = "  tagifai    plain  ratio"
        print(f"    texts          {columns:>26}{columns}{columns[:-7]}")
        write(folder / "few.csv", FEW)
        fixed = [cost(make(folder, folder / "few.csv", way)) for make, way in pairs]
        for size in map(int, sizes.split(",")):
            path = folder / f"{size}.csv"
            write(path, size)
            found = [
                [cost(make(folder, path, way)) for make, way in pairs] for _ in range(int(rounds))
            ]
            costs = [median([of_round[i] for of_round in found]) for i in range(len(pairs))]
            for place, way in enumerate(("memory", "stream")):
                (a, b), (x, y) = costs[2 * place :][:2], fixed[2 * place :][:2]
                wall, cpu = (a.wall - x.wall, b.wall - y.wall), (a.cpu - x.cpu, b.cpu - y.cpu)
                print(
                    f"{size:>9,} {way:<8}{wall[0]:>10.1f}{wall[1]:>9.1f}{wall[0] / wall[1]:>7.2f}"
                    f"{cpu[0]:>10.1f}{cpu[1]:>9.1f}{cpu[0] / cpu[1]:>7.2f}"
                    f"{a.peak:>9.0f}{b.peak:>9.0f}",
                    flush=True,
                )
    print(limits())


def median(costs: Sequence[Cost]) -> Cost:
    columns = zip(*((c.wall, c.cpu, c.peak) for c in costs), strict=True)
    return Cost(*map(statistics.median, columns))


if __name__ == "__main__":
    main(*sys.argv[1:])
