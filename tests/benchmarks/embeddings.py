"""Test scores with and without embeddings, on the ten splits and with few labelled rows.

    uv run python -m tests.benchmarks.embeddings FOLDER [SEEDS] [TABLES ...]

FOLDER has the raw Made With ML tables; the packages of the encoder are installed, as
docs/embeddings.md says. The nested row chooses the weight of the embeddings and C inside each
split, by its validation rows. Each of TABLES is a folder with train.csv and test.csv (columns text
and label): of its train rows 20 of each label are taken, 16 to train and 4 to validate.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import tempfile
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from tests.app import App, environment

ROWS = {
    "best": ("experiment=best",),
    "plain default": (),
    "best_embedding": ("experiment=best_embedding",),
}
NESTED = "best_embedding, chosen inside each split"
WEIGHTS = (1.0, 2.0)
STRENGTHS = (10.0, 30.0)
LABELLED, VALIDATED = 20, 4
csv.field_size_limit(2**31 - 1)


def score(app: App, *arguments: str) -> dict[str, Any]:
    """Train, and return the scores by part."""
    command = app.command(*arguments, "console=quiet", "tracking=none", "plots=none")
    subprocess.run(command, check=True, capture_output=True, env=environment(), cwd=app.cwd)
    found: dict[str, Any] = json.loads((app.stores / "performance.json").read_text())
    return found


def get_f1(performance: dict[str, Any], part: str) -> float:
    return float(performance[part]["overall"]["f1"])


def score_nested(app: App, *data: str) -> float:
    """Return the test score of the weight and the C that score best on the validation rows."""
    found = [
        score(
            app,
            "experiment=best_embedding",
            f"vectorizer.embedding_weight={weight}",
            f"model.C={strength}",
            *data,
        )
        for weight, strength in product(WEIGHTS, STRENGTHS)
    ]
    return get_f1(max(found, key=lambda performance: get_f1(performance, "val")), "test")


def compare_splits(app: App, folder: Path, seeds: int) -> None:
    paths = [f"data.{name}={folder}/{name}.csv" for name in ("projects", "tags")]
    found: dict[str, list[float]] = {}
    for seed in range(seeds):
        data = ("data=madewithml", *paths, f"seed={seed}")
        for name, arguments in ROWS.items():
            found.setdefault(name, []).append(get_f1(score(app, *arguments, *data), "test"))
        found.setdefault(NESTED, []).append(score_nested(app, *data))
    show(f"Weighted F1 on the test rows, {seeds} splits; difference to the first row", found)


def write_few(folder: Path, path: Path, seed: int) -> None:
    """Write 20 train rows of each label, and the test rows, as one table with a column of parts."""
    parts = {}
    for part in ("train", "test"):
        with (folder / f"{part}.csv").open(encoding="utf-8", newline="") as file:
            parts[part] = [(row["text"], row["label"]) for row in csv.DictReader(file)]
    chosen: dict[str, list[str]] = {}
    for i in np.random.RandomState(seed).permutation(len(parts["train"])):
        text, label = parts["train"][i]
        if len(chosen.setdefault(label, [])) < LABELLED:
            chosen[label].append(text)
    rows = [(text, label, "test") for text, label in parts["test"]]
    for label, texts in chosen.items():
        rows += [(text, label, "val") for text in texts[:VALIDATED]]
        rows += [(text, label, "train") for text in texts[VALIDATED:]]
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label", "split"), *rows])


def compare_few(app: App, folder: Path, seeds: int) -> None:
    found: dict[str, list[float]] = {}
    path = app.folder / f"{folder.name}.csv"
    for seed in range(seeds):
        write_few(folder, path, seed)
        data = ("data=table", f"data.path={path}", "data.text=text", "data.label=label")
        for name in ("plain default", "best_embedding"):
            scores = score(app, *ROWS[name], *data, "data.split=split", f"seed={seed}")
            # Its recall, weighted by the rows of each class, is the accuracy.
            found.setdefault(name, []).append(float(scores["test"]["overall"]["recall"]))
    show(f"{folder.name}: accuracy with {LABELLED} labelled rows a class, {seeds} samples", found)


def show(title: str, found: dict[str, list[float]]) -> None:
    first = np.array(next(iter(found.values())))
    print(f"{title}\n{'':<42}{'mean':>8}{'std':>8}{'difference':>12}   95 % interval, paired t")
    for name, values in found.items():
        difference = np.array(values) - first
        line = f"{name:<42}{np.mean(values):>8.3f}{np.std(values, ddof=1):>8.3f}"
        if difference.any():
            t = stats.t.interval(0.95, len(first) - 1, difference.mean(), stats.sem(difference))
            line += f"{difference.mean():>+12.3f}   {t[0]:+.3f} to {t[1]:+.3f}"
        print(line, flush=True)


def main(folder: str, seeds: str = "10", *tables: str) -> None:
    with tempfile.TemporaryDirectory() as stores:
        app = App(Path(stores))
        compare_splits(app, Path(folder).absolute(), int(seeds))
        for table in tables:
            compare_few(app, Path(table).absolute(), min(int(seeds), 3))


if __name__ == "__main__":
    main(*sys.argv[1:])
