"""Streams: rows that are trained on a chunk at a time, with a sample of them in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.random import RandomState

from tagifai import ngrams, pipeline
from tagifai.blocks import Blocks
from tagifai.errors import DataError
from tagifai.labels import Indices
from tagifai.pipeline import Parts, Prepared
from tagifai.text import Cleaner
from tagifai.training import Rows, Stream
from tagifai.workers import Map, Workers

MOST = 3
"""Processes: more would have to wait for the one that fits the model, and each takes memory."""


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
        processes = min(self.processes, MOST, source.blocks.rows // source.rows // 2)
        work = partial(source.chunk, parts.vectorizer)
        if processes < 2:
            yield Chunks(self, partial(map, work), told)
            return
        with Workers(work, processes, ahead=1, advice="lower data.chunk_rows") as crew:
            yield Chunks(self, crew.map, told)


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
        y = indices_of(table["tag"], self.labels)
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

    def __init__(self, prepared: Streamed, made: Map, told: Callable[[int], None] | None) -> None:
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


def indices_of(tags: pd.Series[str], indices: Mapping[str, int]) -> Indices:
    """Return label indices, -1 of tags whose rows are left out."""
    return np.array([indices.get(tag, -1) for tag in tags.tolist()], np.int64)
