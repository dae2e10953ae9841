"""The nested estimate: a search inside each split, scored on test rows that have chosen nothing.

What a search reports of its best trial is too good, because the same rows have chosen it (S. Varma
and R. Simon, 2006). Here each split has a search of its own, which sees no test rows, and the
winner's scores on the test rows of that split are what is reported.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from tagifai.config.job import get_job
from tagifai.config.schema import Config, name_test_metric
from tagifai.evaluation import metrics
from tagifai.evaluation.paired import compute_t_interval
from tagifai.exceptions import ConfigError, UserError
from tagifai.utils import program, signals
from tagifai.utils.secrets import mask_all

CONFIDENCE = 0.95

OWN_GROUPS = ("task", "tracking", "console", "plots", "paths")
OWN_KEYS = ("seed", "sweep", "sweep.restart")
"""What the searches and trainings of the splits have of their own, as they have these groups."""


@dataclass(frozen=True)
class SplitEstimate:
    """What was chosen and scored in one split.

    Args:
        seed: of the split.
        chosen: settings of the best trial.
        val: scores of the winner on the validation rows, which chose it.
        test: scores on the test rows.
        test_rows: ids of the test rows.
    """

    seed: int
    chosen: Mapping[str, Any]
    val: Mapping[str, float]
    test: Mapping[str, float]
    test_rows: Sequence[str]


class SplitEstimator:
    """Searches and trains inside splits, each in processes of its own.

    What is found is kept in stores of its own, below the caches, so that an interrupted search goes
    on and no run of a split is taken for one of the user's.

    Args:
        config: of the task.
    """

    def __init__(self, config: Config) -> None:
        job = get_job()
        self._output = job.output_dir
        self._task = config.task
        self._overrides = [item for item in job.overrides if not _is_own(item)]
        if mask_all(self._overrides) != self._overrides:
            raise ConfigError(
                "task=nested begins commands of its own, whose arguments everybody on this machine"
                " can see, and a setting has a secret. Write '${oc.env:NAME}' in its place, and put"
                " it into the variable NAME; or log in by ~/.netrc."
            )
        content = json.dumps([self._task.sweep, sorted(self._overrides), str(Path.cwd())])
        key = sha256(content.encode()).hexdigest()[:16]
        self.stores = Path(config.paths.stores) / "cache" / "nested" / key

    def estimate(self, seed: int) -> SplitEstimate:
        """Return what a search inside a split chooses, and its scores.

        Args:
            seed: of the split.

        Raises:
            UserError: the search or the training failed.
        """
        folder, study = self._output / f"split-{seed}", f"nested-{seed}"
        own = [f"seed={seed}", f"paths.stores={self.stores}", "tracking=none"]
        trials = self._task.trials
        self._run(
            seed,
            *("-m", f"sweep={self._task.sweep}", *self._overrides, *own, "console=quiet"),
            *(f"hydra.sweeper.study_name={study}", f"hydra.sweep.dir={folder / 'search'}"),
            *([f"hydra.sweeper.n_trials={trials}"] if trials is not None else []),
        )
        chosen = [item for item in self._overrides if _get_key(item) != "experiment"]
        self._run(
            seed,
            *(f"experiment={study}", *chosen, *own, "console=quiet", "plots=none"),
            f"hydra.run.dir={folder / 'run'}",
        )
        return _read_estimate(seed, folder)

    def _run(self, seed: int, *arguments: str) -> None:
        words = program.list_words(*arguments)
        # With it, which the command sets for itself, an error would be a traceback.
        env = {key: value for key, value in os.environ.items() if key != "HYDRA_FULL_ERROR"}
        with signals.keep_from_children():
            process = subprocess.Popen(  # noqa: S603 # nosec B603
                words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=env,
                text=True,
                encoding="utf-8",
            )
        with process:
            try:
                _, errors = process.communicate()
            except BaseException:
                with signals.hold_back():  # its own study is closed by it
                    process.terminate()
                    process.communicate()
                raise
        if process.returncode:
            said = errors.rpartition("Error: ")[2].strip() or f"exit code {process.returncode}"
            raise UserError(f"The split with seed {seed}: {said}")


def _get_key(override: str) -> str:
    return override.lstrip("+~").partition("=")[0]


def _is_own(override: str) -> bool:
    key = _get_key(override)
    return key in OWN_KEYS or re.split("[./]", key)[0] in OWN_GROUPS


def _read_estimate(seed: int, folder: Path) -> SplitEstimate:
    found = yaml.safe_load((folder / "search" / "optimization_results.yaml").read_text("utf-8"))
    performance = json.loads((folder / "run" / "performance.json").read_text("utf-8"))
    splits = json.loads((folder / "run" / "bundle" / "splits.json").read_text("utf-8"))
    val, test = (metrics.flatten(performance[part], part) for part in ("val", "test"))
    return SplitEstimate(seed, found.get("best_params", {}), val, test, splits["test"])


def check_objective(config: Config) -> str:
    """Return the metric of the test rows that the estimate is of.

    Raises:
        ConfigError: the objective has several metrics, or one that test rows do not have.
    """
    names = config.objective.metrics
    if len(names) > 1:
        raise ConfigError(
            f"task=nested estimates one metric, and the objective has {', '.join(names)}. Choose"
            " one: objective.metric=val_f1."
        )
    if not names[0].startswith("val_") or names[0] == "val_loss":
        raise ConfigError(
            f"task=nested: test rows have no such metric as objective.metric = {names[0]!r}."
            " Choose another, such as objective.metric=val_f1."
        )
    return name_test_metric(names[0])


@dataclass(frozen=True)
class NestedEstimate:
    """The scores of winners over several splits.

    Args:
        metric: of the test rows.
        splits: at least two.
    """

    metric: str
    splits: Sequence[SplitEstimate]

    @property
    def scores(self) -> list[float]:
        """The metric of each split."""
        return [split.test[self.metric] for split in self.splits]

    def describe(self) -> str:
        """Return the estimate in words."""
        mean, low, high = compute_t_interval(np.array(self.scores), CONFIDENCE)
        return (
            f"{self.metric} = {mean:.4f} ± {np.std(self.scores, ddof=1):.4f} (mean and standard"
            f" deviation over {len(self.splits)} splits); {CONFIDENCE:.0%} interval"
            f" {low:.4f} to {high:.4f}, Student's t".replace("%", " %")
        )

    def list_notes(self) -> list[str]:
        """Return what has to be known of the figures, a sentence each."""
        same = len({tuple(split.test_rows) for split in self.splits}) == 1
        notes = ["The splits share train rows, so that the interval is rather too narrow."]
        if same:
            notes.append(
                "All splits have the same test rows, which the data give or the time; the interval"
                " is of the choice and the training alone."
            )
        return notes

    def to_document(self) -> dict[str, Any]:
        """Return the estimate as JSON's types, with every digit."""
        mean, low, high = compute_t_interval(np.array(self.scores), CONFIDENCE)
        return {
            "metric": self.metric,
            "mean": mean,
            "std": float(np.std(self.scores, ddof=1)),
            "interval": {"kind": "Student's t", "confidence": CONFIDENCE, "low": low, "high": high},
            "splits": [
                {"seed": s.seed, "chosen": dict(s.chosen), "val": dict(s.val), "test": dict(s.test)}
                for s in self.splits
            ],
        }
