"""Training on more texts than are in memory at a time, against scikit-learn in one process.

    uv run python -m tests.benchmarks.stream [10000,100000,1000000] [ROUNDS]

The data are made in a temporary folder: rows of about 130 characters in five classes of different
sizes. Both read, clean, hash (char_wb, 2 to 5) and fit all rows once, as whole processes in turn;
ours also checks the file, keeps a copy of its rows, holds rows out, scores, tracks and saves. What
each takes for 100 rows is subtracted, so that seconds are those of the rows.
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

FEW = 100
LABELS = ("first", "second", "third", "fourth", "fifth")
SHARES = (0.4, 0.25, 0.2, 0.1, 0.05)
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


def ours(folder: Path, path: Path) -> list[str]:
    """Return the command for a file, with stores that nothing has been made in."""
    app = App(Path(tempfile.mkdtemp(dir=folder)))
    hashed = ("vectorizer.analyzer=char_wb", "vectorizer.ngram_min=2", "vectorizer.ngram_max=5")
    given = (
        "experiment=streamed",
        f"data.path={path}",
        "training.epochs=1",
        "plots=none",
        "console=quiet",
    )
    return app.command(*given, *hashed)


def plain(_: Path, path: Path) -> list[str]:
    return [sys.executable, "-m", "tests.benchmarks.plain_stream", str(path)]


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
