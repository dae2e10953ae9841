"""Prepare data sets for training, in memory or, for large tables, as a stream of chunks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from numpy.random import RandomState
from sklearn.utils import get_tags

from tagifai.config.schema import Config, SplitByConfig, TableConfig
from tagifai.data.blocks import Blocks
from tagifai.data.dataset_store import Dataset
from tagifai.data.prepare import PreparedData, get_cleaner_arguments, get_raw_texts, prepare_table
from tagifai.data.splitting.holdout import Group, Holdout, choose_holdout
from tagifai.data.splitting.parts import PARTS
from tagifai.data.splitting.stratified import Split
from tagifai.exceptions import ConfigError, DataError
from tagifai.preprocessing.cleaning import Cleaner
from tagifai.preprocessing.deletions import list_deletions, refuse_deletions
from tagifai.preprocessing.feature_cache import ArrayCache, skip_cache
from tagifai.preprocessing.labels import LabelEncoder, build_label_map
from tagifai.training.chunks import ChunkSource, StreamedData, encode_tags
from tagifai.training.components import Components

BLOCKS_PER_CHUNK = 20
"""Blocks of a chunk, from as many places of the file, because the file may be sorted by label."""

OnProgress = Callable[[int, int], None]
"""Called with the number of rows that are done, and of all rows."""


def get_chunk_rows(config: Config) -> int | None:
    """Return how many rows may be in memory at a time, or None where the data are not streamed."""
    return config.data.chunk_rows if isinstance(config.data, TableConfig) else None


def check_supported(config: Config, components: Components) -> None:
    """Refuse settings that need all rows at once, before any data are read.

    Args:
        config: of a run.
        components: its unfitted objects.

    Raises:
        ConfigError: data.chunk_rows is set, and another setting cannot be used with it.
    """
    if get_chunk_rows(config) is None:
        return
    model, vectorizer = type(components.model).__name__, type(components.vectorizer).__name__
    reasons = {
        f"{vectorizer} learns its terms from all texts. Use vectorizer=hashing, which learns"
        " nothing": get_tags(components.vectorizer).requires_fit,
        f"{type(components.sampler).__name__} draws from all rows. Use sampling=none, and for rare"
        " classes model.class_weight=balanced": components.sampler is not None,
        f"{model} has no partial_fit. Use model=sgd, or model=complement_nb": not hasattr(
            components.model, "partial_fit"
        ),
        "training.refit=true fits to all rows at once. Use training.refit=false": (
            config.training.refit
        ),
        "this split looks at all rows. Use split=stratified, and split.near_duplicates=apart": (
            isinstance(config.split, SplitByConfig) or config.split.near_duplicates == "together"
        ),
        "training.max_rows draws from all rows. Use training.max_rows=null": (
            config.training.max_rows is not None
        ),
        "objective.repeats splits all rows again. Use objective.repeats=1": (
            config.objective.repeats > 1
        ),
    }
    for reason, holds in reasons.items():
        if holds:
            raise ConfigError(
                f"data.chunk_rows = {get_chunk_rows(config)}: the rows are never in memory all at"
                f" once, and {reason}; or leave data.chunk_rows out, if all rows fit into memory."
            )


def prepare_dataset(
    dataset: Dataset,
    config: Config,
    random_state: RandomState,
    cache: ArrayCache = skip_cache,
    on_progress: OnProgress = lambda done, of: None,
    processes: int = 1,
) -> PreparedData:
    """Prepare the rows of a data set: all, or the held-out ones and a sample while others stream.

    Args:
        dataset: with its table in the store.
        config: of a run.
        random_state: advanced by the choice of the rows.
        cache: of cleaned texts, where the rows are in memory.
        on_progress: called with the progress, where the rows are streamed.
        processes: most processes that prepare chunks for training.

    Raises:
        DataError: the rows cannot be split, or have fewer than two labels.
    """
    data, rows = config.data, get_chunk_rows(config)
    if rows is None or not isinstance(data, TableConfig):
        return prepare_table(
            dataset.table, data, config.preprocessing, config.split, random_state, cache
        )
    blocks = Blocks.from_path(dataset.path, max(1, rows // BLOCKS_PER_CHUNK))
    total = blocks.rows
    counted = _count_rows(blocks, rows, lambda done: on_progress(done // 2, total))
    encoder, indices = _encode_labels(counted, data)
    counts = _count_by_class(counted, indices)
    holdout = choose_holdout(counts, encoder, config.split, data.sample_rows, random_state)
    found = _collect_rows(
        blocks, rows, holdout, indices, lambda done: on_progress((total + done) // 2, total)
    )
    cleaning = get_cleaner_arguments(config.preprocessing)
    found["text"] = [*map(Cleaner(**cleaning), found["raw"])]
    found["tag"] = encoder.decode(found["y"])
    texts = frozenset(found.loc[found["role"] != "train", "text"])
    source = ChunkSource(blocks, rows, indices, cleaning, texts, config.split.shuffle)
    return _build_streamed(found, source, holdout, data.other, random_state, processes)


def _encode_labels(
    counted: Counter[tuple[str, str]], data: TableConfig
) -> tuple[LabelEncoder, dict[str, int]]:
    """Return the labels, and the index of each tag's label.

    Args:
        counted: rows by part and tag.
        data: which labels are kept.
    """
    by_tag: Counter[str] = Counter()
    for (_, tag), number in counted.items():
        by_tag[tag] += number
    label_of = build_label_map(by_tag, data.accepted_tags, data.min_freq, data.other)
    encoder = LabelEncoder.fit(label_of.values())
    return encoder, {tag: encoder.index(label) for tag, label in label_of.items()}


def _build_streamed(
    found: pd.DataFrame,
    source: ChunkSource,
    holdout: Holdout,
    other: str | None,
    random_state: RandomState,
    processes: int,
) -> StreamedData:
    left_out = (found["role"] == "train") & found["text"].isin(list(source.held_out_texts))
    rows = found[~left_out].reset_index(drop=True)
    split = Split(*(np.flatnonzero(rows["role"] == name) for name in PARTS))
    if not split.train.size:
        # Texts of which the cleaning leaves nothing are all the same.
        raw, text = found["raw"].tolist(), found["text"].tolist()
        refuse_deletions(list_deletions(raw, text, source.cleaning))
        raise DataError(
            "The texts of all sampled rows are also texts of validation or test rows. Leave"
            " duplicate rows out of the data, or raise data.sample_rows."
        )
    return StreamedData(
        rows=rows[["id", "raw", "text", "tag"]],
        y=rows["y"].to_numpy(),
        encoder=holdout.encoder,
        split=split,
        cleaning=dict(source.cleaning),
        other=other,
        source=source,
        train_counts=holdout.train_counts,
        label_counts=dict(zip(holdout.encoder.classes, holdout.total_counts, strict=True)),
        random_state=RandomState(random_state.randint(2**31)),
        processes=processes,
        left_out=found.loc[left_out, ["raw", "text"]],
    )


def _count_rows(
    blocks: Blocks, rows: int, on_progress: Callable[[int], None]
) -> Counter[tuple[str, str]]:
    """Return rows by part and tag; without parts, all are train rows."""
    counted: Counter[tuple[str, str]] = Counter()
    done = 0
    for table in blocks.read_in_order(rows):
        counted.update(zip(_parts(table), table["tag"].tolist(), strict=True))
        done += len(table)
        on_progress(done)
    return counted


def _parts(table: pd.DataFrame) -> list[str]:
    return table["split"].tolist() if "split" in table else ["train"] * len(table)


def _count_by_class(
    counts_by_tag: Counter[tuple[str, str]], indices: Mapping[str, int]
) -> dict[Group, int]:
    """Return rows by part and class."""
    counts: Counter[Group] = Counter()
    for (part, tag), number in counts_by_tag.items():
        if tag in indices:
            counts[part, indices[tag]] += number
    return dict(sorted(counts.items()))


def _collect_rows(
    blocks: Blocks,
    rows: int,
    holdout: Holdout,
    indices: Mapping[str, int],
    on_progress: Callable[[int], None],
) -> pd.DataFrame:
    """Return the rows that stay in memory: id, raw, y and their part, in the order of the file."""
    found, seen, done = [], holdout.make_seen_counts(), 0
    for table in blocks.read_in_order(rows):
        y = encode_tags(table["tag"], indices)
        roles = holdout.assign_roles(_parts(table), y, seen)
        at = np.flatnonzero(roles != "")
        raw = get_raw_texts(table)
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
        on_progress(done)
    return pd.concat(found, ignore_index=True)
