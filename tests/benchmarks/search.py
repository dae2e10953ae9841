"""A search of `sweep=reference` with two workers against the plain loop of Optuna, whole processes.

The plain loop is run with MLflow, which it calls after every epoch, and without.

    uv run python -m tests.benchmarks.search FOLDER [TRIALS] [ROUNDS]

FOLDER has the raw Made With ML tables.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import optuna

from tests.app import ROOT, App, environment
from tests.benchmarks.costs import limits

PLAIN = (sys.executable, "-W", "ignore", "-m", "tests.benchmarks.plain_search")


def plain(data: Path, n_trials: str, tracking: str) -> tuple[float, float]:
    """Return the seconds of the plain loop and its best validation score."""
    with tempfile.TemporaryDirectory() as folder:
        tables = [str(data / "projects.csv"), str(data / "tags.csv")]
        began = time.perf_counter()
        done = subprocess.run(
            [*PLAIN, *tables, folder, n_trials, tracking],
            capture_output=True, text=True, check=True, env=environment(), cwd=ROOT,
        )  # fmt: skip
        return time.perf_counter() - began, float(done.stdout.split()[-1])


def ours(data: Path, n_trials: str) -> tuple[float, float]:
    """Return the seconds of the search and its best validation score."""
    with tempfile.TemporaryDirectory() as folder:
        app = App(Path(folder))
        tables = [f"data.projects={data}/projects.csv", f"data.tags={data}/tags.csv"]
        search = [
            "-m",
            "sweep=reference",
            "data=madewithml",
            *tables,
            "plots=none",
            "console=quiet",
        ]
        command = app.command(*search, f"hydra.sweeper.n_trials={n_trials}")
        began = time.perf_counter()
        subprocess.run(command, capture_output=True, check=True, env=environment(), cwd=folder)
        seconds = time.perf_counter() - began
        storage = f"sqlite:///{app.stores}/studies.db"
        study = optuna.load_study(study_name="reference-madewithml", storage=storage)
        return seconds, study.best_value


def main(folder: str, n_trials: str = "100", rounds: str = "1") -> None:
    data = Path(folder).absolute()
    ratios: dict[str, list[float]] = {}
    print(f"{'':<24}{'seconds':>10}{'best val_f1':>14}")
    for _ in range(int(rounds)):
        timed = {
            "tagifai": ours(data, n_trials),
            "plain loop": plain(data, n_trials, "none"),
            "plain loop with MLflow": plain(data, n_trials, "mlflow"),
        }
        for name, (seconds, best) in timed.items():
            print(f"{name:<24}{seconds:>10.1f}{best:>14.4f}", flush=True)
            ratios.setdefault(name, []).append(timed["tagifai"][0] / seconds)
    for name, found in list(ratios.items())[1:]:
        print(f"ratio, tagifai to the {name}: {statistics.median(found):.2f}")
    print(limits())


if __name__ == "__main__":
    main(*sys.argv[1:])
