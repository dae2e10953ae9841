"""Rows that are trained on a chunk at a time, with a sample of them in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.random import RandomState

from tagifai.data.blocks import Blocks
from tagifai.data.prepare import PreparedData, get_raw_texts
from tagifai.exceptions import DataError
from tagifai.models.sampling import FeatureRows, RowStream, Sampler
from tagifai.preprocessing import char_ngrams
from tagifai.preprocessing.cleaning import Cleaner
from tagifai.preprocessing.labels import Indices
from tagifai.utils.process_pool import Map, ProcessPool

MAX_PROCESSES = 3
"""Most processes that prepare chunks: more would only wait for the one that fits the model."""


@dataclass(frozen=True)
class StreamedData(PreparedData):
    """Rows of which the validation and test rows and a sample of the train rows are in memory.

    Args:
        source: gives the features of all train rows.
        train_counts: train rows by class, including rows that are left out because of their text.
        label_counts: rows by label.
        random_state: of the order of the train rows.
        processes: how many prepare chunks; the result is the same for any number.
        left_out: sampled train rows that do not train, because held-out rows have their texts.
    """

    source: ChunkSource
    train_counts: tuple[int, ...]
    label_counts: Mapping[str, int]
    random_state: RandomState
    processes: int
    left_out: pd.DataFrame

    def list_cleaned_texts(self) -> tuple[list[str], list[str]]:
        """Return the texts of the sample before and after cleaning, with those left out."""
        # Texts that the cleaning has made equal are among them.
        both = pd.concat([self.rows, self.left_out])
        return both["raw"].tolist(), both["text"].tolist()

    def get_ids(self) -> dict[str, Any]:
        """Return the row ids of the parts that are in memory; all other rows are train rows."""
        return {**super().get_ids(), "rest_trains": True}

    def count_rows(self) -> dict[str, int]:
        """Return the rows of each part."""
        return {**super().count_rows(), "train": sum(self.train_counts)}

    def count_labels(self) -> dict[str, int]:
        """Return rows by label, the most frequent first, equal ones by name."""
        return dict(sorted(self.label_counts.items(), key=lambda item: (-item[1], item[0])))

    def find_most_frequent_class(self) -> str:
        """Return the class with most train rows; of equal ones, the first by name."""
        return self.encoder.classes[self.train_counts.index(max(self.train_counts))]

    def count_streamed_rows(self) -> int | None:
        """Return how many rows an epoch streams."""
        return self.source.blocks.rows

    def list_notes(self) -> list[str]:
        """Return notes on how the rows are used, a sentence each."""
        unused = sum(self.label_counts.values()) - sum(self.count_rows().values())
        spare = f" {unused} validation or test rows are not used." if unused else ""
        said = (
            f"Streamed in chunks of {self.source.rows} rows; the train loss is that of"
            f" {len(self.get_part('train'))} rows. Rows with the text of a validation or test row"
            f" do not train.{spare}"
        )
        return [said]

    @contextmanager
    def open_train_rows(
        self,
        vectorizer: Any,
        sampler: Sampler | None,
        train_rows: FeatureRows,
        on_progress: Callable[[int], None] | None,
    ) -> Iterator[RowStream]:
        """Give the train rows as a stream of chunks, which other processes may prepare."""
        source = self.source
        # One processor fits the model; a process more would only take memory.
        spare = min(self.processes - 1, MAX_PROCESSES, source.blocks.rows // source.rows // 2)
        work = partial(source.read_chunk, vectorizer)
        if spare < 1:
            yield ChunkStream(self, partial(map, work), on_progress)
            return
        with ProcessPool(work, spare, ahead=1, advice="lower data.chunk_rows") as crew:
            yield ChunkStream(self, crew.map, on_progress)


@dataclass(frozen=True)
class ChunkSpec:
    """The blocks that a chunk is made of.

    Args:
        blocks: numbers of the blocks.
        seed: of the order of the rows.
    """

    blocks: list[int]
    seed: int


@dataclass(frozen=True)
class ChunkSource:
    """Reads chunks of a stored table and turns them into features.

    Args:
        blocks: of the stored table.
        rows: of a chunk.
        label_indices: index of each tag's label; rows of other tags are left out.
        cleaning: the cleaner's arguments.
        held_out_texts: cleaned texts of validation and test rows, which no train row may have.
        shuffle: whether each epoch has another order of the rows.
    """

    blocks: Blocks
    rows: int
    label_indices: Mapping[str, int]
    cleaning: Mapping[str, Any]
    held_out_texts: frozenset[str]
    shuffle: bool

    def read_chunk(self, vectorizer: Any, spec: ChunkSpec) -> FeatureRows:
        """Return the features and labels of the train rows of a chunk."""
        table = self.blocks.read(spec.blocks)
        if "split" in table:
            table = table[table["split"] == "train"]
        y = encode_tags(table["tag"], self.label_indices)
        texts = [*map(Cleaner(**self.cleaning), get_raw_texts(table))]
        trained = np.flatnonzero((y >= 0) & np.array([t not in self.held_out_texts for t in texts]))
        if self.shuffle:
            trained = RandomState(spec.seed).permutation(trained)
        return FeatureRows(
            char_ngrams.transform(vectorizer, [texts[i] for i in trained]), y[trained]
        )


class ChunkStream:
    """The train rows, a chunk at a time.

    Args:
        prepared: the streamed data.
        map_chunks: maps chunk specifications to chunks, in order.
        on_progress: called with the number of rows of the epoch that are done.
    """

    def __init__(
        self, prepared: StreamedData, map_chunks: Map, on_progress: Callable[[int], None] | None
    ) -> None:
        self._prepared = prepared
        self._map_chunks = map_chunks
        self._on_progress = on_progress

    @property
    def random_state(self) -> RandomState:
        """Of the order of the rows."""
        return self._prepared.random_state

    def count_by_class(self) -> dict[int, int]:
        """Return train rows by class."""
        return dict(enumerate(self._prepared.train_counts))

    def iterate_chunks(self, epoch: int) -> Iterator[FeatureRows]:
        """Yield the chunks of an epoch.

        Raises:
            DataError: a class has no row to train on, because all have texts of held-out rows.
        """
        source, done = self._prepared.source, 0
        seen = np.zeros(len(self._prepared.encoder.classes), np.int64)
        cuts = self._plan_chunks()
        for cut, chunk in zip(cuts, self._map_chunks(cuts), strict=True):
            seen += np.bincount(chunk.y, minlength=len(seen))
            if len(chunk.y):
                yield chunk
            done += len(cut.blocks) * source.blocks.size
            if self._on_progress is not None:
                self._on_progress(min(done, source.blocks.rows))
        if not seen.all():
            absent = self._prepared.encoder.decode(np.flatnonzero(seen == 0).tolist())
            raise DataError(
                f"No row of {', '.join(absent[:10])} is left to train on: all have the text of a"
                " validation or test row. Leave repeated rows out of the data, or the class"
                " (data.accepted_tags, data.min_freq)."
            )

    def _plan_chunks(self) -> list[ChunkSpec]:
        source = self._prepared.source
        order = np.arange(len(source.blocks))
        if source.shuffle:
            self._prepared.random_state.shuffle(order)
        step = max(1, source.rows // source.blocks.size)
        blocks = [order[first : first + step].tolist() for first in range(0, len(order), step)]
        seeds = self._prepared.random_state.randint(2**31, size=len(blocks)).tolist()
        return [ChunkSpec(*of_cut) for of_cut in zip(blocks, seeds, strict=True)]


def encode_tags(tags: pd.Series[str], indices: Mapping[str, int]) -> Indices:
    """Return label indices, shape (n,); -1 for tags whose rows are left out."""
    return np.array([indices.get(tag, -1) for tag in tags.tolist()], np.int64)
