"""How thoroughly a configuration is tried: on a sample of the rows, on all rows, on folds."""

from __future__ import annotations

from dataclasses import dataclass

from numpy.random import RandomState

from tagifai.config.schema import Config, ObjectiveConfig
from tagifai.data.dataset_store import Dataset
from tagifai.data.prepare import PreparedData
from tagifai.exceptions import ConfigError, DataError
from tagifai.preprocessing.cache import open_feature_cache
from tagifai.training import objectives, streaming

SAMPLE_SHARE = 4
"""The train rows are so many times a sample."""

LEAST_SAMPLE, MOST_SAMPLE = 1000, 20_000
"""Rows of a sample; where there are fewer than the least, all are taken at once."""

FOLDS = {300: 5, 1000: 3}
"""Folds where there are fewer validation rows than that: too few to tell good from better."""


@dataclass(frozen=True)
class Fidelity:
    """Rows that configurations are tried on.

    Args:
        train_rows: that one fit on all rows sees.
        sample_rows: train rows of a first trial, or None where all are tried at once.
        folds: of a trial on all rows, or None for the objective's own repeats.
        repeats: fits of a trial on all rows.
    """

    train_rows: int
    sample_rows: int | None
    folds: int | None
    repeats: int

    def get_work(self, rows: int | None) -> int:
        """Return the rows that a trial fits to, over all its fits; None is a trial on all rows."""
        return self.train_rows * self.repeats if rows is None else rows

    def list_overrides(self, rows: int | None) -> list[str]:
        """Return the overrides of a trial on a sample, or for None on all rows."""
        if rows is not None:
            alone = ["objective.by=seeds", "objective.repeats=1"]
            return [f"training.max_rows={rows}", *alone]
        if self.folds is None:
            return []
        return ["objective.by=folds", f"objective.repeats={self.folds}"]


def choose_fidelity(config: Config, dataset: Dataset) -> Fidelity:
    """Return how thoroughly the configurations of a search are tried.

    Args:
        config: that all trials share.
        dataset: that they train on.

    Raises:
        ConfigError: the rows are never in memory all at once.
        DataError: the rows cannot be split, or have one label.
    """
    if streaming.get_chunk_rows(config) is not None:
        raise ConfigError(
            "sweep.budget is for rows that fit into memory, and data.chunk_rows is set. Leave"
            " data.chunk_rows out, or search without a budget (sweep=quick)."
        )
    # The trials need the cleaned texts, too.
    cache = open_feature_cache(config.paths.stores, config.cache.max_gb)
    prepared = streaming.prepare_dataset(dataset, config, RandomState(config.seed), cache)
    train, val = (len(prepared.split.train), len(prepared.split.val))
    most = config.training.max_rows or train
    folds = None
    if config.objective.repeats == 1:
        folds = next((n for rows, n in FOLDS.items() if val < rows), None)
        while folds is not None and not _has_folds(config, prepared, folds):
            folds = folds - 1 if folds > 2 else None
    fitted = min(most, train if folds is None else (train + val) * (folds - 1) // folds)
    sample = min(max(LEAST_SAMPLE, train // SAMPLE_SHARE), MOST_SAMPLE)
    return Fidelity(
        train_rows=fitted,
        sample_rows=sample if 2 * sample <= most else None,
        folds=folds,
        repeats=folds or config.objective.repeats,
    )


def _has_folds(config: Config, prepared: PreparedData, folds: int) -> bool:
    """Return whether the rows can be split into folds with every class."""
    objective = ObjectiveConfig(repeats=folds, by="folds")
    try:
        objectives.make_repeats(prepared, objective, config.seed)
    except DataError:
        return False
    return True
