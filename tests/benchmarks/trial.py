"""What the runner adds to a warm trial of `sweep=reference`, as a share of the trial's own compute.

    uv run python -m tests.benchmarks.trial FOLDER [TRIALS]

FOLDER has the raw Made With ML tables. The trials run one after another in this process, none is
pruned, and the first one, which imports and compiles, is left out. Each row is the median over the
trials, without what the rows below its own name took: seconds of this thread on a processor, and
seconds by the clock. A file descriptor that waits for the disk is in the second alone.
"""

from __future__ import annotations

import importlib
import os
import runpy
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import Any

from tests.app import ROOT
from tests.benchmarks.costs import limits

COMPUTE = {
    "prepare the rows": ["tagifai.runs.preparation.prepare_rows"],
    "fit, losses, scores": ["tagifai.training.fitting.TaggerTrainer.fit"],
}
RUNNER = {
    "take and tell": [
        "tagifai.sweeping.workers.source.TrialSource.take",
        "tagifai.sweeping.workers.worker.Worker._run_trial",
    ],
    "reports": ["tagifai.sweeping.workers.trials.OpenTrial.report"],
    "job: folder, record, log": ["tagifai.sweeping.workers.worker.Worker._run_job"],
    "compose": ["tagifai.sweeping.composition.TrialComposer.compose"],
    "write the record": ["tagifai.tracking.multirun.write_record"],
    "check the configuration": ["tagifai.cli.load_config"],
    "build the parts": ["tagifai.runs.trainer.build_components"],
    "load the data": ["tagifai.runs.preparation.load_dataset"],
    "provenance": ["tagifai.tracking.provenance.Invocation.make_record"],
    "open and close the run": ["tagifai.runs.trainer.train_trial"],
    "tracking store": ["tagifai.tracking.run.TrackedRun._send"],
    "begin the run": ["tagifai.tracking.recording.beginning.make_recorder"],
    "other inputs": ["tagifai.runs.recording.logger.log_inputs"],
    "callbacks": [
        "tagifai.training.callbacks.ProgressCallback.on_epoch_end",
        "tagifai.training.callbacks.HistoryCallback.on_epoch_end",
        "tagifai.training.callbacks.PruningCallback.on_epoch_end",
    ],
}
TRIAL = "tagifai.sweeping.workers.worker.Worker._run_trial"

Seconds = tuple[float, float]


class Clock:
    """Adds up what each name takes, without what is timed inside it."""

    def __init__(self) -> None:
        self.trials: list[dict[str, Seconds]] = []
        self._spent: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
        self._inside: list[list[float]] = []

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            before = (time.thread_time(), time.perf_counter())
            self._inside.append([0.0, 0.0])
            try:
                return function(*args, **kwargs)
            finally:
                inner = self._inside.pop()
                for place, now in enumerate((time.thread_time(), time.perf_counter())):
                    whole = now - before[place]
                    self._spent[name][place] += whole - inner[place]
                    if self._inside:
                        self._inside[-1][place] += whole

        return call

    def trial(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Have a trial begin when the one before it has ended."""

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                return function(*args, **kwargs)
            finally:
                self.trials.append({name: (s[0], s[1]) for name, s in self._spent.items()})
                self._spent.clear()

        return call

    def put(self, name: str, path: str) -> None:
        """Time a function, given by its full name."""
        owner, attribute = _found(path.removesuffix(".__wrapped__"))
        setattr(owner, attribute, self.timed(name, getattr(owner, attribute)))


def _found(path: str) -> tuple[Any, str]:
    *parents, attribute = path.split(".")
    for length in range(len(parents), 0, -1):
        with suppress(ModuleNotFoundError):
            owner: Any = importlib.import_module(".".join(parents[:length]))
            for name in parents[length:]:
                owner = getattr(owner, name)
            return owner, attribute
    raise ValueError(path)


def search(clock: Clock, data: Path, n_trials: int, folder: Path) -> None:
    """Search in this process, each step timed."""
    os.environ["TAGIFAI_ROOT"] = str(ROOT)
    for name, paths in {**COMPUTE, **RUNNER}.items():
        for path in paths:
            clock.put(name, path)
    owner, attribute = _found(TRIAL)
    setattr(owner, attribute, clock.trial(getattr(owner, attribute)))
    sys.argv = [
        *(str(ROOT / "run.py"), "-m", "sweep=reference", "data=madewithml", "console=quiet"),
        *(f"data.projects={data}/projects.csv", f"data.tags={data}/tags.csv"),
        *(f"paths.stores={folder}/stores", f"paths.outputs={folder}/outputs"),
        *("hydra/launcher=basic", "hydra/sweeper/pruner=none", "hydra/sweeper/sampler=random"),
        *("hydra.sweeper.sampler.seed=1", f"hydra.sweeper.n_trials={n_trials}"),
    ]
    with suppress(SystemExit):
        runpy.run_module("run", run_name="__main__")


def median(trials: list[dict[str, Seconds]], name: str) -> Seconds:
    found = [trial.get(name, (0.0, 0.0)) for trial in trials]
    return statistics.median(s[0] for s in found), statistics.median(s[1] for s in found)


def main(folder: str, n_trials: str = "16") -> None:
    clock = Clock()
    with tempfile.TemporaryDirectory() as scratch:
        search(clock, Path(folder).absolute(), int(n_trials), Path(scratch))
    warm = clock.trials[1:]
    print(f"{'median of a trial, in ms':<28}{'processor':>12}{'clock':>10}")
    sums = {}
    for title, names in (("compute", COMPUTE), ("runner", RUNNER)):
        rows = {name: median(warm, name) for name in names}
        sums[title] = tuple(sum(s[place] for s in rows.values()) for place in (0, 1))
        for name, (processor, by_clock) in sorted(rows.items(), key=lambda row: -row[1][0]):
            print(f"  {name:<26}{1000 * processor:>12.1f}{1000 * by_clock:>10.1f}")
        print(f"{title:<28}{1000 * sums[title][0]:>12.1f}{1000 * sums[title][1]:>10.1f}")
    shares = [sums["runner"][place] / sums["compute"][place] for place in (0, 1)]
    print(f"{'runner / compute':<28}{shares[0]:>12.2f}{shares[1]:>10.2f}")
    print(limits())


if __name__ == "__main__":
    main(*sys.argv[1:])
