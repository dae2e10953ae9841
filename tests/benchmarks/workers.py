"""How busy two workers are on a search whose trials differ tenfold in length.

The same trials (a random sampler with one seed) by this project's sweeper and by the stock one,
which waits for a whole batch before it asks again.

    uv run python -m tests.benchmarks.workers [TRIALS]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from mlflow import MlflowClient

from tests.app import App

SPACE = (
    "vectorizer=tfidf_char_wb",
    "training.epochs=choice(20,200)",
    "hydra/sweeper/sampler=random",
    "hydra.sweeper.sampler.seed=1",
    "hydra/launcher=joblib",
    "hydra.launcher.n_jobs=2",
    "hydra.sweeper.n_jobs=2",
    "console=quiet",
)

SWEEPERS = {
    "tagifai": ("hydra/sweeper=tagifai", "hydra/sweeper/pruner=none"),
    "stock": ("hydra/sweeper=optuna", "hydra.sweeper.direction=maximize"),
}


def spans(app: App) -> list[tuple[float, float]]:
    """Return begin and end of each trial's run, in seconds."""
    client = MlflowClient(f"sqlite:///{app.stores}/mlflow.db")
    experiment = client.get_experiment_by_name("tagifai")
    assert experiment is not None
    found = client.search_runs([experiment.experiment_id], max_results=1000)
    jobs = [run.info for run in found if "mlflow.parentRunId" in run.data.tags]
    return [(info.start_time / 1000, (info.end_time or 0) / 1000) for info in jobs]


def busy_share(found: list[tuple[float, float]], workers: int = 2) -> tuple[float, float]:
    """Return the share of the workers' time in which they trained, and the time of all, in s."""
    whole = max(end for _, end in found) - min(begin for begin, _ in found)
    return sum(end - begin for begin, end in found) / (workers * whole), whole


def main(n_trials: str = "16") -> None:
    print(f"{'sweeper':<10}{'trials':>8}{'seconds':>10}{'busy share':>12}")
    shares = {}
    for name, chosen in SWEEPERS.items():
        with tempfile.TemporaryDirectory() as folder:
            app = App(Path(folder))
            done = app.run("-m", *chosen, *SPACE, f"hydra.sweeper.n_trials={n_trials}")
            assert done.returncode == 0, done.stderr
            found = spans(app)
            shares[name], seconds = busy_share(found)
            print(f"{name:<10}{len(found):>8}{seconds:>10.1f}{shares[name]:>12.2f}")
    print(f"ratio of the shares, tagifai to stock: {shares['tagifai'] / shares['stock']:.2f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
