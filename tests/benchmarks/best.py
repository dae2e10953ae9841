"""Test scores of experiment=best against the published pipeline, over the seeds of the split.

    uv run python -m tests.benchmarks.best FOLDER [SEEDS] [TRIALS]

FOLDER has the raw Made With ML tables. The preset was chosen by validation rows of one split, which
are test rows of another, so its figure is not nested. With TRIALS above 0 a search of so many
trials chooses anew inside each split, and that figure is.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from scipy import stats

from tests.app import App, environment

ROWS = {
    "published, quartile threshold": ("experiment=reference", "threshold=quantile"),
    "published, no threshold": ("experiment=reference", "threshold=none"),
    "best": ("experiment=best",),
}
NESTED = "sweep=best, chosen inside each split"


def score(app: App, *arguments: str) -> float:
    """Train, and return the weighted F1 on the test rows."""
    command = app.command(*arguments, "console=quiet", "tracking=none")
    subprocess.run(command, check=True, capture_output=True, env=environment(), cwd=app.cwd)
    performance = json.loads((app.stores / "performance.json").read_text())
    return float(performance["test"]["overall"]["f1"])


def nested(app: App, data: tuple[str, ...], seed: int, trials: int) -> float:
    """Search by the validation rows of a split, and return the winner's F1 on its test rows."""
    search = ("-m", "sweep=best", f"hydra.sweeper.n_trials={trials}", "console=quiet")
    name = f"nested-{seed}"
    command = app.command(*search, *data, f"seed={seed}", f"hydra.sweeper.study_name={name}")
    subprocess.run(command, check=True, capture_output=True, env=environment(), cwd=app.cwd)
    return score(app, f"experiment={name}", *data, f"seed={seed}")


def main(folder: str, seeds: str = "10", trials: str = "0") -> None:
    tables = Path(folder).absolute()
    paths = [f"data.{name}={tables}/{name}.csv" for name in ("projects", "tags")]
    data = ("data=madewithml", *paths)
    found: dict[str, list[float]] = {name: [] for name in ROWS}
    with tempfile.TemporaryDirectory() as stores:
        app = App(Path(stores))
        for seed in range(int(seeds)):
            for name, arguments in ROWS.items():
                found[name].append(score(app, *arguments, *data, f"seed={seed}"))
            if int(trials):
                found.setdefault(NESTED, []).append(nested(app, data, seed, int(trials)))
    first = np.array(next(iter(found.values())))
    print(
        f"Weighted F1 on the test rows, {len(first)} splits; difference to the first row, paired t"
    )
    print(f"{'':<38}{'mean':>8}{'std':>8}{'difference':>12}   95 % interval")
    for name, values in found.items():
        difference = np.array(values) - first
        line = f"{name:<38}{np.mean(values):>8.3f}{np.std(values, ddof=1):>8.3f}"
        if difference.any():
            low, high = stats.t.interval(
                0.95, len(first) - 1, difference.mean(), stats.sem(difference)
            )
            line += f"{difference.mean():>+12.3f}   {low:+.3f} to {high:+.3f}"
        print(line)
    print(
        "best is one preset for all splits, chosen by the validation rows of seed 42: not nested."
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
