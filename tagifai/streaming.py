"""Streaming: rows that are trained on a chunk at a time, with a sample of them in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.random import RandomState
from sklearn.utils import get_tags

from tagifai import ngrams, pipeline, text, workers
from tagifai.blocks import Blocks
from tagifai.datasets import Dataset
from tagifai.errors import ConfigError, DataError
from tagifai.holdout import Group, Holdout, chosen
from tagifai.labels import Indices, LabelEncoder, policy
from tagifai.pipeline import Parts, Prepared
from tagifai.schema import Config, Table
from tagifai.splits import Split
from tagifai.text import Cleaner
from tagifai.training import Rows, Stream

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


@dataclass(frozen=True)
class Streamed(Prepared):
    """Rows of which the validation and test rows and a sample of the train rows are in memory.

    Args:
        source: all rows, and what becomes of them.
        counted: train rows by class, those included that are left out for their text.
        totals: rows by label.
        random_state: of the order of the train rows.
        processes: that prepare chunks; the result is the same for any number.
    """

    source: Source
    counted: tuple[int, ...]
    totals: Mapping[str, int]
    random_state: RandomState
    processes: int

    def ids(self) -> dict[str, Any]:
        """Return the row ids of the parts that are in memory; all other train rows are the rest."""
        return {**super().ids(), "rest_trains": True}

    def sizes(self) -> dict[str, int]:
        """Return the rows of each part."""
        return {**super().sizes(), "train": sum(self.counted)}

    def counts(self) -> dict[str, int]:
        """Return rows by label, the most frequent first, equal ones by name."""
        return dict(sorted(self.totals.items(), key=lambda item: (-item[1], item[0])))

    def streamed_rows(self) -> int | None:
        """Return how many rows an epoch goes through."""
        return self.source.blocks.rows

    def notes(self) -> list[str]:
        """Return what a person should know of how the rows are used, a sentence each."""
        unused = sum(self.totals.values()) - sum(self.sizes().values())
        spare = f" {unused} validation or test rows are not used." if unused else ""
        said = (
            f"Streamed in chunks of {self.source.rows} rows; the train loss is that of"
            f" {len(self.part('train'))} rows. Rows with the text of a validation or test row do"
            f" not train.{spare}"
        )
        return [said]

    @contextmanager
    def to_fit_on(
        self, parts: Parts, train_rows: Rows, told: Callable[[int], None] | None
    ) -> Iterator[Stream]:
        """Give the train rows as a stream of chunks, which other processes prepare, if any."""
        source = self.source
        steps = [*source.cleaning.get("first", ()), *source.cleaning.get("last", ())]
        processes = min(self.processes, source.blocks.rows // source.rows // 2)
        work = partial(source.chunk, parts.vectorizer)
        with workers.mapping(work, processes, text.modules(steps)) as made:
            yield Chunks(self, made, told)


@dataclass(frozen=True)
class Cut:
    """What a chunk is made of.

    Args:
        blocks: their numbers.
        seed: of the order of the rows.
    """

    blocks: list[int]
    seed: int


@dataclass(frozen=True)
class Source:
    """All rows, and what becomes of them.

    Args:
        blocks: of the stored table.
        rows: of a chunk.
        labels: index of each tag's label; rows of other tags are left out.
        cleaning: the cleaner's arguments.
        held: cleaned texts of validation and test rows, which no train row may have.
        shuffle: train on the rows in another order in each epoch.
    """

    blocks: Blocks
    rows: int
    labels: Mapping[str, int]
    cleaning: Mapping[str, Any]
    held: frozenset[str]
    shuffle: bool

    def chunk(self, vectorizer: Any, cut: Cut) -> Rows:
        """Return the features of the train rows of some blocks."""
        table = self.blocks.read(cut.blocks)
        if "split" in table:
            table = table[table["split"] == "train"]
        y = _indices(table["tag"], self.labels)
        texts = [*map(Cleaner(**self.cleaning), pipeline.raw_texts(table))]
        trained = np.flatnonzero((y >= 0) & np.array([t not in self.held for t in texts]))
        if self.shuffle:
            trained = RandomState(cut.seed).permutation(trained)
        return Rows(ngrams.transform(vectorizer, [texts[i] for i in trained]), y[trained])


class Chunks:
    """The train rows, a chunk at a time.

    Args:
        prepared: says which rows these are.
        made: gives the chunks of cuts, in order.
        told: called with the rows of the epoch that are done.
    """

    def __init__(
        self, prepared: Streamed, made: workers.Map, told: Callable[[int], None] | None
    ) -> None:
        self._prepared = prepared
        self._made = made
        self._told = told

    def counts(self) -> dict[int, int]:
        """Return train rows by class."""
        return dict(enumerate(self._prepared.counted))

    def chunks(self, epoch: int) -> Iterator[Rows]:
        """Yield the chunks of an epoch.

        Raises:
            DataError: no row of some class trains, because all have texts of held-out rows.
        """
        source, done = self._prepared.source, 0
        seen = np.zeros(len(self._prepared.encoder.classes), np.int64)
        cuts = self._plan()
        for cut, chunk in zip(cuts, self._made(cuts), strict=True):
            seen += np.bincount(chunk.y, minlength=len(seen))
            if len(chunk.y):
                yield chunk
            done += len(cut.blocks) * source.blocks.size
            if self._told is not None:
                self._told(min(done, source.blocks.rows))
        if not seen.all():
            absent = self._prepared.encoder.decode(np.flatnonzero(seen == 0).tolist())
            raise DataError(
                f"No row of {', '.join(absent[:10])} is left to train on: all have the text of a"
                " validation or test row. Leave repeated rows out of the data, or the class"
                " (data.accepted_tags, data.min_freq)."
            )

    def _plan(self) -> list[Cut]:
        source = self._prepared.source
        order = np.arange(len(source.blocks))
        if source.shuffle:
            self._prepared.random_state.shuffle(order)
        step = max(1, source.rows // source.blocks.size)
        blocks = [order[first : first + step].tolist() for first in range(0, len(order), step)]
        seeds = self._prepared.random_state.randint(2**31, size=len(blocks)).tolist()
        return [Cut(*of_cut) for of_cut in zip(blocks, seeds, strict=True)]


def prepare(
    dataset: Dataset,
    config: Config,
    random_state: RandomState,
    told: Told = lambda done, of: None,
    processes: int = 1,
) -> Prepared:
    """Prepare the rows of a data set: all, or those that stay in memory while the rest is streamed.

    Args:
        dataset: with its table in the store.
        config: of a run.
        random_state: advanced by the choice of the rows.
        told: how far it is, where the rows are streamed.
        processes: that prepare chunks for training, at most.

    Raises:
        DataError: the rows cannot be split, or have fewer than two labels.
    """
    data, rows = config.data, chunk_rows(config)
    if rows is None or not isinstance(data, Table):
        return pipeline.prepare(
            dataset.table, data, config.preprocessing, config.split, random_state
        )
    blocks = Blocks.of(dataset.path, max(1, rows // BLOCKS))
    counted = _counted(blocks, rows, lambda done: told(done, 2 * blocks.rows))
    by_tag: Counter[str] = Counter()
    for (_, tag), number in counted.items():
        by_tag[tag] += number
    label_of = policy(by_tag, data.accepted_tags, data.min_freq, data.other)
    encoder = LabelEncoder.fit(label_of.values())
    indices = {tag: encoder.index(label) for tag, label in label_of.items()}
    counts = _by_class(counted, indices)
    held = chosen(counts, encoder, config.split, data.sample_rows, random_state)
    found = _collected(
        blocks, rows, held, indices, lambda done: told(blocks.rows + done, 2 * blocks.rows)
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


def _indices(tags: pd.Series[str], indices: Mapping[str, int]) -> Indices:
    """Return label indices, -1 of tags whose rows are left out."""
    return np.array([indices.get(tag, -1) for tag in tags.tolist()], np.int64)


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
        y = _indices(table["tag"], indices)
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
