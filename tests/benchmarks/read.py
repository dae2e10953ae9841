"""From a CSV file to checked rows, against pandas' C reader alone.

    uv run python -m tests.benchmarks.read [ROWS] [ROUNDS]

ROWS (1,000,000) rows of 200 characters with 20 labels; a tenth has quotes, one in a hundred a line
end. Both sides run in turn, each in a process of its own that prints what it took of the processor
after its imports, and the peak of its memory. Ours gives labelled rows a chunk at a time; `load`
also stores them with their digest.
"""

from __future__ import annotations

import csv
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CHARACTERS = 200
SIDES = ("pandas", "rows", "load")


def write_rows(path: Path, rows: int) -> None:
    """Write synthetic texts with labels."""
    draw = random.Random(0)
    words = ["".join(draw.choices("abcdefghij", k=draw.randint(3, 9))) for _ in range(5000)]
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["text", "label"])
        for number in range(rows):
            text = " ".join(draw.choices(words, k=34))
            if number % 10 == 0:
                text = f'{text[:50]}, "as said" {text[50:]}'
            if number % 100 == 0:
                text = f"{text[:80]}\n{text[80:]}"
            writer.writerow([text[:CHARACTERS], f"class {number % 20}"])


def read_with_pandas(path: Path) -> int:
    """Return the rows that pandas reads."""
    import pandas as pd

    _start()
    return len(pd.read_csv(path, dtype=str, keep_default_na=False, index_col=False))


def read_labeled_rows(path: Path) -> int:
    """Return the rows that our reader reads and checks."""
    from tagifai.data.tables.labeled import LabeledReader
    from tagifai.data.tables.options import ReadOptions
    from tagifai.data.tables.reader import TableFile

    _start()
    reader = LabeledReader({"path": TableFile(path, "data.path")}, ReadOptions(format="csv"))
    return sum(len(chunk.columns["tag"]) for chunk in reader.read())


def load_dataset(path: Path) -> int:
    """Return the rows of the data set that is read, checked and stored."""
    from tagifai.config.schema import TableConfig
    from tagifai.data import datasets

    _start()
    with tempfile.TemporaryDirectory() as stores:
        found = datasets.load(TableConfig(path=str(path)), Path(stores))
        return int(found.manifest["rows"])


READERS = dict(zip(SIDES, (read_with_pandas, read_labeled_rows, load_dataset), strict=True))

began: list[float] = []


def _start() -> None:
    """Begin to measure, after the imports."""
    began.append(time.process_time())


def main(rows: str = "1000000", rounds: str = "3") -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        write_rows(path, int(rows))
        found: dict[str, list[tuple[float, float]]] = {side: [] for side in SIDES}
        for _ in range(int(rounds)):
            for side in SIDES:
                command = [sys.executable, "-m", "tests.benchmarks.read", side, str(path)]
                said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                read, seconds, peak = said.split()
                assert int(read) == int(rows), (side, read)
                found[side].append((float(seconds), float(peak)))
    print(f"{'':<8}{'CPU s':>8}{'ratio':>8}{'peak MiB':>10}")
    for side, costs in found.items():
        pairs = zip(costs, found["pandas"], strict=True)
        ratio = statistics.median(ours[0] / theirs[0] for ours, theirs in pairs)
        seconds, peak = (statistics.median(column) for column in zip(*costs, strict=True))
        print(f"{side:<8}{seconds:>8.2f}{ratio:>8.2f}{peak:>10.0f}")


if __name__ == "__main__":
    if sys.argv[1:] and sys.argv[1] in SIDES:
        count = READERS[sys.argv[1]](Path(sys.argv[2]))
        took = time.process_time() - began[-1]
        print(count, took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    else:
        main(*sys.argv[1:])
