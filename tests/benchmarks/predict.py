"""Predictions against the plain script's: one text in a new process, and files of many.

    uv run python -m tests.benchmarks.predict FOLDER [ROUNDS]

FOLDER has the raw Made With ML tables; both sides are trained on them (char n-grams, 2 to 7).
Commands run in alternation, medians of ROUNDS (3).
"""

from __future__ import annotations

import random
import re
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.app import App
from tests.benchmarks.costs import cost, limits

PLAIN = (sys.executable, "-W", "ignore", "-m", "tests.benchmarks.plain_run")
TEXT = "Transfer learning with transformers for text classification"
SIZES = (20_000, 200_000)
CHARACTERS = 130


def compare(name: str, own: Sequence[str], other: Sequence[str], rounds: int) -> None:
    """Run two commands in turn, and print the medians and the median of the ratios."""
    pairs = [(cost(own), cost(other)) for _ in range(rounds)]
    cells = []
    for measure in ("wall", "cpu", "peak"):
        columns = [[getattr(one, measure) for one in pair] for pair in pairs]
        ours, theirs = (statistics.median(column) for column in zip(*columns, strict=True))
        ratio = statistics.median(a / b for a, b in columns)
        digits = 0 if measure == "peak" else 2
        cells.append(f"{ours:>9.{digits}f}{theirs:>9.{digits}f}{ratio:>7.2f}")
    print(f"{name:<22}" + "".join(cells), flush=True)


def write_texts(path: Path, number: int, tables: Path) -> None:
    """Write synthetic texts, one a line: words of the data, drawn as often as they are there."""
    words = re.findall(r"[A-Za-z][a-z'-]+|[.,!?:()]", (tables / "projects.csv").read_text("utf-8"))
    draw = random.Random(0)
    with path.open("w") as file:
        for _ in range(number):
            text, length = "", draw.gauss(CHARACTERS, CHARACTERS / 4)
            while len(text) < length:
                text += f"{draw.choice(words)} "
            file.write(text.strip() + "\n")


def main(folder: str, rounds: str = "3") -> None:
    tables, number = Path(folder).absolute(), int(rounds)
    files = [tables / "projects.csv", tables / "tags.csv"]
    with tempfile.TemporaryDirectory() as scratch:
        app = App(Path(scratch))
        data = [f"data.{path.stem}={path}" for path in files]
        app.cold("experiment=reference", *data, "console=quiet")
        cost([*PLAIN, "train", scratch, *map(str, files)])
        groups = ("wall, s", "CPU, s", "memory, MiB")
        print(f"{'':<22}" + "".join(f"{group:>25}" for group in groups))
        print(f"{'':<22}" + f"{'tagifai':>9}{'plain':>9}{'ratio':>7}" * 3)
        one = app.command("task=predict", f"task.text={TEXT}")
        compare("one text", one, [*PLAIN, "predict", scratch, TEXT], 2 * number)
        for size in SIZES:
            source, target = app.folder / f"{size}.txt", app.folder / "predicted.csv"
            write_texts(source, size, tables)
            own = app.command("task=predict", f"task.input={source}", f"task.output={target}")
            other = [*PLAIN, "predict_file", scratch, str(source), f"{scratch}/plain.csv"]
            compare(f"{size:,} texts", own, other, number)
    print("a ratio of 0.56 is 1.8 times as fast")
    print(limits())


if __name__ == "__main__":
    main(*sys.argv[1:])
