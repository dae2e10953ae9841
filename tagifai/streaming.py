"""Streaming: which rows of a table stay in memory while the others are trained on in chunks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from numpy.random import RandomState
from sklearn.utils import get_tags

from tagifai import pipeline
from tagifai.blocks import Blocks
from tagifai.datasets import Dataset
from tagifai.errors import ConfigError, DataError
from tagifai.holdout import Group, Holdout, chosen
from tagifai.labels import LabelEncoder, policy
from tagifai.pipeline import Parts, Prepared
from tagifai.schema import Config, Table
from tagifai.splits import Split
from tagifai.streams import Source, Streamed, indices_of
from tagifai.text import Cleaner
from tagifai.vectorizing import Memory, forget

BLOCKS = 20
"""Of a chunk, from as many places of the file: it may be sorted by label."""

Told = Callable[[int, int], None]
"""Told how many rows are done, and of how many."""


def chunk_rows(config: Config) -> int | None:
    """Return how many rows are to be in memory at a time, or None of data that are as a whole."""
    return config.data.chunk_rows if isinstance(config.data, Table) else None


def check(config: Config, parts: Parts) -> None:
    """Refuse what needs all rows at once, before any data are read.

    Args:
        config: of a run.
        parts: its unfitted objects.

    Raises:
        ConfigError: data.chunk_rows is set, and something else does not go with it.
    """
    if chunk_rows(config) is None:
        return
    model, vectorizer = type(parts.model).__name__, type(parts.vectorizer).__name__
    reasons = {
        f"{vectorizer} learns its terms from all texts. Use vectorizer=hashing, which learns"
        " nothing": get_tags(parts.vectorizer).requires_fit,
        f"{type(parts.sampler).__name__} draws from all rows. Use sampling=none, and for rare"
        " classes model.class_weight=balanced": parts.sampler is not None,
        f"{model} has no partial_fit. Use model=sgd, or model=complement_nb": not hasattr(
            parts.model, "partial_fit"
        ),
        "training.refit=true fits to all rows at once. Use training.refit=false": (
            config.training.refit
        ),
        "objective.repeats cuts all rows anew. Use objective.repeats=1": (
            config.objective.repeats > 1
        ),
    }
    for reason, holds in reasons.items():
        if holds:
            raise ConfigError(
                f"data.chunk_rows = {chunk_rows(config)}: the rows are never in memory all at once,"
                f" and {reason}; or leave data.chunk_rows out, if memory has room for all."
            )


def prepare(
    dataset: Dataset,
    config: Config,
    random_state: RandomState,
    memory: Memory = forget,
    told: Told = lambda done, of: None,
    processes: int = 1,
) -> Prepared:
    """Prepare the rows of a data set: all, or those that stay in memory while the rest is streamed.

    Args:
        dataset: with its table in the store.
        config: of a run.
        random_state: advanced by the choice of the rows.
        memory: keeps cleaned texts, where the rows are in memory.
        told: how far it is, where the rows are streamed.
        processes: that prepare chunks for training, at most.

    Raises:
        DataError: the rows cannot be split, or have fewer than two labels.
    """
    data, rows = config.data, chunk_rows(config)
    if rows is None or not isinstance(data, Table):
        return pipeline.prepare(
            dataset.table, data, config.preprocessing, config.split, random_state, memory
        )
    blocks = Blocks.of(dataset.path, max(1, rows // BLOCKS))
    counted = _counted(blocks, rows, lambda done: told(done // 2, blocks.rows))
    by_tag: Counter[str] = Counter()
    for (_, tag), number in counted.items():
        by_tag[tag] += number
    label_of = policy(by_tag, data.accepted_tags, data.min_freq, data.other)
    encoder = LabelEncoder.fit(label_of.values())
    indices = {tag: encoder.index(label) for tag, label in label_of.items()}
    counts = _by_class(counted, indices)
    held = chosen(counts, encoder, config.split, data.sample_rows, random_state)
    found = _collected(
        blocks, rows, held, indices, lambda done: told((blocks.rows + done) // 2, blocks.rows)
    )
    cleaning = pipeline.cleaner_arguments(config.preprocessing)
    found = found.assign(
        text=[*map(Cleaner(**cleaning), found["raw"])], tag=encoder.decode(found["y"])
    )
    outside = found["role"] == "train"
    texts = frozenset(found.loc[~outside, "text"])
    source = Source(blocks, rows, indices, cleaning, texts, config.split.shuffle)
    kept = found[~(outside & found["text"].isin(list(texts)))].reset_index(drop=True)
    return _streamed(kept, source, held, encoder, data.other, random_state, processes)


def _streamed(
    found: pd.DataFrame,
    source: Source,
    held: Holdout,
    encoder: LabelEncoder,
    other: str | None,
    random_state: RandomState,
    processes: int,
) -> Streamed:
    split = Split(*(np.flatnonzero(found["role"] == name) for name in ("train", "val", "test")))
    if not split.train.size:
        raise DataError(
            "The texts of all rows that were looked at are those of validation and test rows too."
            " Leave repeated rows out of the data, or raise data.sample_rows."
        )
    return Streamed(
        rows=found[["id", "raw", "text", "tag"]],
        y=found["y"].to_numpy(),
        encoder=encoder,
        split=split,
        cleaning=dict(source.cleaning),
        other=other,
        source=source,
        counted=held.trained,
        totals=dict(zip(encoder.classes, held.totals, strict=True)),
        random_state=RandomState(random_state.randint(2**31)),
        processes=processes,
    )


def _counted(blocks: Blocks, rows: int, told: Callable[[int], None]) -> Counter[tuple[str, str]]:
    """Return rows by part and tag; without parts, all are train rows."""
    counted: Counter[tuple[str, str]] = Counter()
    done = 0
    for table in blocks.in_order(rows):
        counted.update(zip(_parts(table), table["tag"].tolist(), strict=True))
        done += len(table)
        told(done)
    return counted


def _parts(table: pd.DataFrame) -> list[str]:
    return table["split"].tolist() if "split" in table else ["train"] * len(table)


def _by_class(counted: Counter[tuple[str, str]], indices: Mapping[str, int]) -> dict[Group, int]:
    """Return rows by part and class."""
    counts: Counter[Group] = Counter()
    for (part, tag), number in counted.items():
        if tag in indices:
            counts[part, indices[tag]] += number
    return dict(sorted(counts.items()))


def _collected(
    blocks: Blocks,
    rows: int,
    held: Holdout,
    indices: Mapping[str, int],
    told: Callable[[int], None],
) -> pd.DataFrame:
    """Return the rows that stay in memory: id, raw, y and their part, in the order of the file."""
    found, seen, done = [], held.nothing_seen(), 0
    for table in blocks.in_order(rows):
        y = indices_of(table["tag"], indices)
        roles = held.find(_parts(table), y, seen)
        at = np.flatnonzero(roles != "")
        raw = pipeline.raw_texts(table)
        found.append(
            pd.DataFrame(
                {
                    "id": table["id"].iloc[at],
                    "raw": raw.iloc[at],
                    "y": y[at],
                    "role": roles[at],
                }
            )
        )
        done += len(table)
        told(done)
    return pd.concat(found, ignore_index=True)
