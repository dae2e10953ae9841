"""`sweep=auto` and the plain default against scikit-learn and fastText's autotune.

    uv run python -m tests.benchmarks.auto FOLDER [SECONDS] [SEEDS]

FOLDER has a folder for each data set, or is one: `train.csv`, `val.csv` and `test.csv` with the
columns `text` and `label`. Everybody chooses by the validation rows, is fitted again to train and
validation rows, and is scored once on the test rows. SECONDS (60) are wall clock: of the whole
command of the product, its start, its report and its board too, and of fastText's autotune alone.
Stores are new for each seed, so nothing comes from a cache. fastText is left out where neither of
its packages is installed (`uv pip install fasttext-wheel`).
"""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from tests.app import App, environment

PARTS = ("train", "val", "test")
KEYS = ("path", "val_path", "test_path")
"""Of the configuration, for each part."""
STRENGTHS = (0.1, 0.3, 1.0, 3.0)

Rows = tuple[list[str], list[str]]
"""Texts and labels."""


@dataclass(frozen=True)
class Score:
    """Scores on the test rows in per cent, and seconds of wall clock."""

    accuracy: float
    macro_f1: float
    wall: float


def product(folder: Path, seed: int, *search: str) -> Score:
    """Run the command: a search with these arguments, or the plain default without any."""
    with tempfile.TemporaryDirectory() as scratch:
        app = App(Path(scratch))
        paths = [f"data.{key}={folder}/{name}.csv" for key, name in zip(KEYS, PARTS, strict=True)]
        command = app.command(
            *(*search, f"seed={seed}", "data=table"),
            *("data.text=text", "data.label=label", *paths),
        )
        began = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True, env=environment(), cwd=app.cwd)
        wall = time.perf_counter() - began
        scored = json.loads((app.stores / "performance.json").read_text())["test"]["metrics"]
    return Score(100 * scored["accuracy"], 100 * scored["macro_f1"], wall)


def plain(train: Rows, val: Rows, test: Rows, strengths: Sequence[float]) -> Score:
    """Words and pairs of words beside characters, LinearSVC, its C by the validation rows."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.metrics import f1_score
    from sklearn.pipeline import make_union
    from sklearn.svm import LinearSVC

    def union() -> Any:
        words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
        inside = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True)
        return make_union(words, inside)

    began, features = time.perf_counter(), union()
    X, X_val = features.fit_transform(train[0]), features.transform(val[0])

    def validate(strength: float) -> float:
        predicted = LinearSVC(C=strength).fit(X, train[1]).predict(X_val)
        return float(f1_score(val[1], predicted, average="weighted", zero_division=0))

    best = max(strengths, key=validate) if len(strengths) > 1 else strengths[0]
    model, features = LinearSVC(C=best), union()
    model.fit(features.fit_transform(train[0] + val[0]), train[1] + val[1])
    predicted = model.predict(features.transform(test[0]))
    return score(test[1], predicted, time.perf_counter() - began)


def fasttext(train: Rows, val: Rows, test: Rows, seconds: float, seed: int) -> Score:
    """The supervised mode of fastText, its settings by autotune on the validation rows."""
    library: Any = import_module("fasttext")

    def clean(text: str) -> str:
        return " ".join(re.sub(r"([^\w\s])", r" \1 ", text.lower()).split()) or "."

    def write(path: Path, *parts: Rows) -> str:
        rows = [(text, label) for part in parts for text, label in zip(*part, strict=True)]
        lines = [f"__label__{names[label]} {clean(text)}\n" for text, label in rows]
        path.write_text("".join(lines), encoding="utf-8")
        return str(path)

    names = {label: str(n) for n, label in enumerate(sorted({*train[1], *val[1]}))}
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        files = [write(Path(scratch, "train"), train), write(Path(scratch, "val"), val)]
        both = write(Path(scratch, "both"), train, val)
        tuned = library.train_supervised(
            input=files[0],
            autotuneValidationFile=files[1],
            autotuneDuration=int(seconds),
            thread=2,
            seed=seed,
            verbose=0,
        )
        found = tuned.f.getArgs()
        kept = ("lr", "dim", "epoch", "wordNgrams", "minn", "maxn", "bucket", "minCount")
        settings = {name: getattr(found, name) for name in kept}
        model = library.train_supervised(
            input=both, thread=2, seed=seed, verbose=0, loss=found.loss.name, **settings
        )
    known = {number: label for label, number in names.items()}
    # Its own `predict` does not work with NumPy 2.
    told = [model.f.predict(f"{clean(text)}\n", 1, 0.0, "strict") for text in test[0]]
    predicted = [known[one[0][1].removeprefix("__label__")] if one else "" for one in told]
    return score(test[1], predicted, time.perf_counter() - began)


def score(truth: Sequence[str], predicted: Sequence[str], wall: float) -> Score:
    from sklearn.metrics import accuracy_score, f1_score

    macro = f1_score(truth, predicted, labels=sorted({*truth}), average="macro", zero_division=0)
    return Score(100 * accuracy_score(truth, predicted), 100 * float(macro), wall)


def read(path: Path) -> Rows:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [row["text"] for row in rows], [row["label"] for row in rows]


def show(name: str, found: Sequence[Score]) -> None:
    cells = [f"{name:<12}"]
    for key in ("accuracy", "macro_f1"):
        values = [getattr(one, key) for one in found]
        spread = f" ± {np.std(values, ddof=1):.1f}" if len(values) > 1 else ""
        cells.append(f"{np.mean(values):.1f}{spread}".rjust(14))
    cells.append(f"{max(one.wall for one in found):.0f}".rjust(10))
    print("".join(cells), flush=True)


def compare(folder: Path, seconds: float, seeds: int) -> None:
    train, val, test = (read(folder / f"{part}.csv") for part in PARTS)
    print(f"\n{folder.name:<12}{'accuracy':>14}{'macro F1':>14}{'longest, s':>12}", flush=True)
    systems: dict[str, Callable[[int], Score]] = {
        "sweep=auto": lambda seed: product(
            folder, seed, "-m", "sweep=auto", f"sweep.budget={seconds:g}"
        ),
        "default": lambda seed: product(folder, seed),
    }
    if find_spec("fasttext") is not None:
        systems["fastText"] = lambda seed: fasttext(train, val, test, seconds, seed)
    for name, run in systems.items():
        show(name, [run(seed) for seed in range(1, seeds + 1)])
    # Nothing of it is random.
    show("plain, C=1", [plain(train, val, test, [1.0])])
    show("plain", [plain(train, val, test, STRENGTHS)])


def main(folder: str, seconds: str = "60", seeds: str = "3") -> None:
    csv.field_size_limit(2**31 - 1)
    root = Path(folder).absolute()
    is_set = (root / "train.csv").is_file()
    sets = [root] if is_set else sorted(path.parent for path in root.glob("*/train.csv"))
    processors = len(os.sched_getaffinity(0))
    print(f"{seconds} s of wall clock, {seeds} seeds, {processors} processors, test rows, per cent")
    if find_spec("fasttext") is None:
        print("fastText is not installed: uv pip install fasttext-wheel")
    for each in sets:
        compare(each, float(seconds), int(seeds))


if __name__ == "__main__":
    main(*sys.argv[1:])
