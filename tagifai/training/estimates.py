"""How long a fit will take, said before it begins, and what would make it shorter.

A copy of the model is fitted to a few rows; the model itself and its source of random numbers are
left as they are. Where rows are streamed, the first chunks are timed instead.
"""

from __future__ import annotations

import copy
import math
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from tagifai.config.schema import Config
from tagifai.config.schema.experiment import RandomOverSamplerConfig
from tagifai.config.schema.vectorizers import HashingVectorizerConfig
from tagifai.models.outputs import compute_outputs
from tagifai.models.sampling import FeatureRows
from tagifai.training.model_fitting import fit_once, is_trained_by_epochs, prepare_partial_fit
from tagifai.utils.excerpts import format_duration

LEAST_SECONDS = 60.0
"""What takes less is not worth a word."""

FEW_SECONDS = LEAST_SECONDS / 2
"""Where an estimate is below, no more rows are tried."""

LONG_SECONDS = 1.0
"""A trial that takes longer is exact enough."""

EPOCH_ROWS, FIRST_ROWS, MOST_ROWS = 2000, 100, 2000
"""Rows that a copy is fitted to: for an epoch, and for a fit at once, where they are doubled."""

LEAST_EPOCH_WORK = 2e9
"""Values in all features times classes times epochs, of which a processor does 10**8 a second."""

LEAST_ROWS = 20_000
"""Rows times classes, for a fit at once; with fewer no model of scikit-learn takes a minute."""

FEW_EPOCHS = 3

MOST_SHORTCUTS = 4

Clock = Callable[[], float]


class FitEstimator:
    """Says how long a fit will take, if that is more than a minute.

    Args:
        config: of the run.
        show: called with the sentence, at most once.
        clock: seconds from anywhere.
    """

    def __init__(
        self, config: Config, show: Callable[[str], None], clock: Clock = time.perf_counter
    ) -> None:
        self._config = config
        self._show = show
        self._clock = clock

    def estimate(self, model: Any, balanced: FeatureRows, scored: int) -> None:
        """Estimate a fit to rows in memory.

        Args:
            model: unfitted; it stays so.
            balanced: rows to fit on.
            scored: train and validation rows, whose losses are computed after each epoch.
        """
        training = self._config.training
        by_epochs = is_trained_by_epochs(model)
        try:
            if by_epochs:
                one = measure_epochs(model, balanced, training.epochs, scored, self._clock)
            else:
                one = measure_fit(model, balanced, self._clock)
        except Exception:  # of whatever kind: what is wrong, the fit itself says
            return
        # Repeats are not refitted; of those by seeds, one is the run itself.
        objective = self._config.objective
        repeats = objective.repeats - (objective.by == "seeds")
        refit = scored / max(1, len(balanced.y)) if by_epochs else 1.0
        total = one * (1 + repeats) + (one * max(1.0, refit) if training.refit else 0.0)
        if total <= LEAST_SECONDS:
            return
        parts = [f"{training.epochs} epochs of" * by_epochs, f"{len(balanced.y):,} rows"]
        parts.append(f"with {len(np.unique(balanced.y)):,} classes")
        also = [f"{objective.repeats} repeats"] if repeats else []
        also += ["a refit"] if training.refit else []
        text = " ".join(filter(None, parts)) + "".join(f", {item}" for item in also)
        self._tell(total, f"{text}; measured on a few of the rows", model)

    def _tell(self, seconds: float, what: str, model: Any) -> None:
        about = format_duration(seconds)
        shortcuts = ", ".join(list_shortcuts(self._config, model))
        shorter = f" Shorter: {shortcuts}." if shortcuts else ""
        self._show(f"Training will take about {about} ({what}).{shorter}")

    def watch(
        self, model: Any, rows: int, on_progress: Callable[[int], None] | None
    ) -> Callable[[int], None]:
        """Return a function that takes how many streamed rows of an epoch are done.

        Args:
            model: that is fitted.
            rows: of an epoch.
            on_progress: called by the function returned.
        """
        training = self._config.training
        epochs = training.epochs if is_trained_by_epochs(model) else 1
        # The first chunk has the start of the processes in it.
        first: list[tuple[float, int]] = []
        said = False

        def tell(done: int) -> None:
            nonlocal said
            if on_progress is not None:
                on_progress(done)
            if said:
                return
            now = self._clock()
            first.append((now, done))
            began, before = first[0]
            if done <= before or now - began < LONG_SECONDS:
                return
            said = True
            total = (now - began) / (done - before) * rows * epochs
            if total > LEAST_SECONDS:
                text = f"{epochs} epochs of {rows:,} rows; measured on the first {done:,}"
                self._tell(total, text, model)

        return tell


def measure_epochs(
    model: Any, balanced: FeatureRows, epochs: int, scored: int, clock: Clock
) -> float:
    """Return the seconds of all epochs; 0 where they are too few to be worth a trial.

    Args:
        model: unfitted; it stays so.
        balanced: rows to fit on.
        epochs: passes over them.
        scored: rows whose losses are computed after each epoch.
        clock: seconds from anywhere.
    """
    classes = len(np.unique(balanced.y))
    if _count_values(balanced.X) * classes * epochs < LEAST_EPOCH_WORK:
        return 0.0
    part = _take_rows(balanced, EPOCH_ROWS)
    tried = copy.deepcopy(model)
    prepare_partial_fit(tried, balanced.count_by_class())
    with warnings.catch_warnings(action="ignore"):
        # The first time, the weights are made as well.
        fit_once(tried, part, True, 0)
        began = clock()
        fit_once(tried, part, True, 1)
        fitted = clock()
        compute_outputs(tried, part.X)
        ended = clock()
    by_row = (fitted - began) * len(balanced.y) + (ended - fitted) * scored
    return epochs * by_row / len(part.y)


def measure_fit(model: Any, balanced: FeatureRows, clock: Clock) -> float:
    """Return the seconds of a fit at once; 0 where it is too small to be worth a trial.

    The last two trials say how the time grows with the rows: as they do, or faster, at most as
    their square.

    Args:
        model: unfitted; it stays so.
        balanced: rows to fit on.
        clock: seconds from anywhere.
    """
    rows = len(balanced.y)
    if rows * len(np.unique(balanced.y)) < LEAST_ROWS or rows < 2 * FIRST_ROWS:
        return 0.0
    before, size, power = 0.0, FIRST_ROWS, 2.0
    while True:
        taken = _time_fit(model, _take_rows(balanced, size), clock)
        if before > 0:
            power = min(max(math.log2(taken / before), 1.0), 2.0)
        elif taken > LONG_SECONDS:
            power = 1.0
        found = taken * math.pow(rows / size, power)
        if found < FEW_SECONDS or taken > LONG_SECONDS or 2 * size > min(rows, MOST_ROWS):
            return found
        before, size = taken, 2 * size


def _time_fit(model: Any, rows: FeatureRows, clock: Clock) -> float:
    if hasattr(rows.X, "indices"):
        # Of columns that are empty in these rows, a model would only make weights.
        rows = FeatureRows(rows.X[:, np.unique(rows.X.indices)], rows.y, rows.groups)
    tried = copy.deepcopy(model)
    with warnings.catch_warnings(action="ignore"):
        began = clock()
        fit_once(tried, rows, False, 0)
        return clock() - began


def _take_rows(rows: FeatureRows, number: int) -> FeatureRows:
    """Return so many rows from everywhere, because they may be in the order of their classes."""
    chosen = np.unique(np.linspace(0, len(rows.y) - 1, min(number, len(rows.y))).astype(int))
    groups = None if rows.groups is None else rows.groups[chosen]
    return FeatureRows(rows.X[chosen], rows.y[chosen], groups)


def _count_values(X: Any) -> int:
    return int(X.nnz if hasattr(X, "nnz") else np.size(X))


def list_shortcuts(config: Config, model: Any) -> list[str]:
    """Return settings that would make a fit shorter, and are not as they are now.

    Args:
        config: of the run.
        model: fitted or not.
    """
    training, vectorizer = config.training, config.vectorizer
    of_characters = getattr(vectorizer, "analyzer", "").startswith("char") or hasattr(
        vectorizer, "char_analyzer"
    )
    hashes = isinstance(vectorizer, HashingVectorizerConfig)
    by_epochs = is_trained_by_epochs(model)
    helpful = {
        f"training.epochs={FEW_EPOCHS}": by_epochs and training.epochs > FEW_EPOCHS,
        "training.patience=2": by_epochs and training.patience is None,
        "model=sgd": not by_epochs and not hasattr(model, "partial_fit"),
        "sampling=none": isinstance(config.sampling, RandomOverSamplerConfig),
        "objective.repeats=1": config.objective.repeats > 1,
        "training.refit=false": training.refit,
        "vectorizer=tfidf_word": of_characters and not hashes,
        "vectorizer=hashing": of_characters and hashes,
    }
    return [setting for setting, helps in helpful.items() if helps][:MOST_SHORTCUTS]
