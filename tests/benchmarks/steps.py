"""What each step from the published pipeline to experiment=best is worth, by task=compare.

    uv run python -m tests.benchmarks.steps FOLDER [SEEDS]

FOLDER has the raw Made With ML tables. A step is a multirun over the seeds of the split; it keeps
what the steps before it have changed. Figures are of test rows: for reporting, not for choosing.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.app import App, environment

PUBLISHED = ("experiment=reference", "threshold=quantile")

STEPS: tuple[tuple[str, ...], ...] = (
    PUBLISHED,
    ("experiment=reference", "threshold=none"),
    ("experiment=reference", "threshold=none", "vectorizer=tfidf_word"),
    (
        *("experiment=reference", "threshold=none", "vectorizer=tfidf_word"),
        "vectorizer.sublinear_tf=true",
    ),
    ("experiment=reference", "threshold=none", "vectorizer=tfidf_union"),
    (
        *("experiment=reference", "threshold=none", "vectorizer=tfidf_union"),
        *("sampling=none", "model.class_weight=balanced"),
    ),
    ("experiment=best", "training.refit=false"),
    ("experiment=best",),
)


def main(folder: str, seeds: str = "10") -> None:
    tables = Path(folder).absolute()
    paths = [f"data.{name}={tables}/{name}.csv" for name in ("projects", "tags")]
    with tempfile.TemporaryDirectory() as stores:
        app = App(Path(stores))
        for step in STEPS:
            run(app, "-m", "data=madewithml", *paths, *step, f"seed=range({seeds})")
        board = app.cwd / "steps.md"
        everything = ("task=compare", "task.filter=metrics.test_f1 > 0")
        run(app, *everything, "task.baseline=threshold=quantile", f"task.output={board}")
        print(board.read_text())


def run(app: App, *arguments: str) -> None:
    command = app.command(*arguments)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment(), cwd=app.cwd)


if __name__ == "__main__":
    main(*sys.argv[1:])
