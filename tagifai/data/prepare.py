"""Prepare a table for training: clean, label and split its rows, without touching the disk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from tagifai.config.schema import STANDARD_METRICS, DataConfig, PreprocessingConfig, SplitConfig
from tagifai.data.splitting.factory import build_splitter
from tagifai.data.splitting.parts import PARTS
from tagifai.data.splitting.splitters import Splitter, StratifiedSplitter
from tagifai.data.splitting.stratified import Split
from tagifai.evaluation import metrics, slices
from tagifai.exceptions import ConfigError, InvalidValueError, suggest_closest
from tagifai.models.sampling import FeatureRows, RowStream, Sampler, balance_rows
from tagifai.preprocessing import feature_cache, stopwords
from tagifai.preprocessing.cleaning import Cleaner
from tagifai.preprocessing.deletions import Deletion, list_deletions
from tagifai.preprocessing.feature_cache import ArrayCache, skip_cache
from tagifai.preprocessing.labels import Indices, LabelEncoder, assign_labels


@dataclass(frozen=True)
class PreparedData:
    """Rows with cleaned texts and labels, and the parts that they belong to.

    Args:
        rows: columns id, raw (as given), text (cleaned), tag (label), shape (n, 4).
        y: label indices, shape (n,).
        encoder: label names.
        split: row positions of the parts.
        cleaning: the cleaner's arguments.
        other: the fallback label, or None.
        splitter: that shared the rows out, and does so again for repeats and folds.
    """

    rows: pd.DataFrame
    y: Indices
    encoder: LabelEncoder
    split: Split
    cleaning: dict[str, Any]
    other: str | None
    splitter: Splitter = field(default_factory=StratifiedSplitter, kw_only=True)

    @property
    def is_split(self) -> bool:
        """Whether there are other rows than those to train on."""
        return bool(self.split.val.size or self.split.test.size)

    def get_part(self, name: str) -> pd.DataFrame:
        """Return the rows of "train", "val" or "test"."""
        found: pd.DataFrame = self.rows.iloc[getattr(self.split, name)]
        return found

    def get_texts(self, name: str) -> list[str]:
        """Return the cleaned texts of "train", "val" or "test"."""
        return list(self.get_part(name)["text"])

    def list_cleaned_texts(self) -> tuple[list[str], list[str]]:
        """Return the texts that were cleaned, before and after it."""
        return self.rows["raw"].tolist(), self.rows["text"].tolist()

    @cached_property
    def deletions(self) -> list[Deletion]:
        """What the cleaning has taken from the texts, where it is worth a word."""
        return list_deletions(*self.list_cleaned_texts(), self.cleaning)

    def get_labels(self, name: str) -> Indices:
        """Return the label indices of "train", "val" or "test"."""
        found: Indices = self.y[getattr(self.split, name)]
        return found

    def get_ids(self) -> dict[str, Any]:
        """Return the row ids of each part, which are recorded with the run."""
        return {name: self.get_part(name)["id"].tolist() for name in PARTS}

    def count_rows(self) -> dict[str, int]:
        """Return the rows of each part."""
        return {name: len(self.get_part(name)) for name in PARTS}

    def count_labels(self) -> dict[str, int]:
        """Return rows by label, the most frequent first, equal ones by name."""
        return dict(sorted(Counter(self.rows["tag"]).items(), key=lambda item: (-item[1], item[0])))

    def find_most_frequent_class(self) -> str:
        """Return the class with most train rows; of equal ones, the first by name."""
        return self.encoder.classes[int(np.bincount(self.get_labels("train")).argmax())]

    def count_streamed_rows(self) -> int | None:
        """Return how many rows an epoch streams; None where all rows are in memory."""
        return None

    def list_notes(self) -> list[str]:
        """Return notes on how the rows are used, a sentence each."""
        return self.splitter.list_notes(self.split)

    @contextmanager
    def open_train_rows(
        self,
        vectorizer: Any,
        sampler: Sampler | None,
        train_rows: FeatureRows,
        on_progress: Callable[[int], None] | None,
    ) -> Iterator[FeatureRows | RowStream]:
        """Give the rows that a model is fitted to.

        Args:
            vectorizer: fitted.
            sampler: balances the rows, or None.
            train_rows: features of the part "train".
            on_progress: called with the number of rows of an epoch that are done, where the rows
                are streamed.
        """
        yield balance_rows(sampler, train_rows)

    def replace_split(self, split: Split) -> PreparedData:
        """Return the same rows with other parts."""
        return replace(self, split=split)

    def check_objective(self, metric: str) -> None:
        """Refuse a metric that a run on these rows will not have, before anything is fitted.

        Args:
            metric: of the objective, such as "val_f1".

        Raises:
            ConfigError: there is no such metric; with the known ones.
        """
        if metric in STANDARD_METRICS:
            return
        val, y = self.get_part("val"), self.get_labels("val")
        scored = metrics.compute_performance(y, y, self.encoder.classes, slices.compute_masks(val))
        known = list(dict.fromkeys([*STANDARD_METRICS, *metrics.flatten(scored, "val")]))
        if metric not in known:
            raise ConfigError(
                f"objective.metric = {metric!r}: a run on these data has no such metric."
                f"{suggest_closest(metric, known)} It has: {', '.join(known)}."
            )


def prepare_table(
    table: pd.DataFrame,
    data: DataConfig,
    preprocessing: PreprocessingConfig,
    split: SplitConfig,
    random_state: np.random.RandomState,
    cache: ArrayCache = skip_cache,
) -> PreparedData:
    """Shuffle, clean, label and split the rows of a table; draws in this order.

    Args:
        table: columns id and tag, text or title and description, and maybe split.
        data: which labels are kept.
        preprocessing: the cleaner's arguments.
        split: sizes, whether to shuffle, and by what the rows are split.
        random_state: advanced by the shuffle and the two splits.
        cache: of cleaned texts.

    Raises:
        DataError: the rows cannot be split, or have fewer than two labels.
    """
    if split.shuffle:
        table = table.sample(frac=1, random_state=random_state)
    tags = assign_labels(table["tag"], data.accepted_tags, data.min_freq, data.other)
    # Without a fallback label, some rows may have no label.
    table = table.loc[tags.index].reset_index(drop=True)
    cleaning = get_cleaner_arguments(preprocessing)
    rows = _clean_rows(table.assign(tag=tags.reset_index(drop=True)), cleaning, cache)
    encoder = LabelEncoder.fit(rows["tag"])
    y = encoder.encode(rows["tag"])
    splitter = build_splitter(split, table, rows)
    given = table["split"].tolist() if "split" in table else None
    parts = splitter.split(y, encoder, given, split, random_state)
    return PreparedData(rows, y, encoder, parts, cleaning, data.other, splitter=splitter)


def prepare_unsplit(table: pd.DataFrame, preprocessing: PreprocessingConfig) -> PreparedData:
    """Clean the rows of a table that cannot be split: all of them train, with the labels they have.

    Args:
        table: columns id and tag, text or title and description.
        preprocessing: the cleaner's arguments.
    """
    cleaning = get_cleaner_arguments(preprocessing)
    # An encoder has two classes at least, whatever there is in the rows.
    encoder = LabelEncoder(tuple(sorted({"", *table["tag"]})))
    nothing = np.arange(0)
    return PreparedData(
        rows=_clean_rows(table, cleaning, skip_cache),
        y=encoder.encode(table["tag"]),
        encoder=encoder,
        split=Split(np.arange(len(table)), nothing, nothing),
        cleaning=cleaning,
        other=None,
    )


def _clean_rows(
    table: pd.DataFrame, cleaning: Mapping[str, Any], cache: ArrayCache
) -> pd.DataFrame:
    raw = get_raw_texts(table)
    texts = clean_texts(raw.tolist(), cleaning, cache)
    return pd.DataFrame({"id": table["id"], "raw": raw, "text": texts, "tag": table["tag"]})


def clean_texts(texts: Sequence[str], cleaning: Mapping[str, Any], cache: ArrayCache) -> list[str]:
    """Return texts as the vectorizer sees them.

    Args:
        texts: n of them.
        cleaning: the cleaner's arguments.
        cache: of cleaned texts; not used with registered steps, which may depend on anything.
    """

    def clean() -> list[str]:
        return [*map(Cleaner(**cleaning), texts)]

    if cache is skip_cache or cleaning["first"] or cleaning["last"]:
        return clean()
    key = {"cleaning": cleaning, "texts": feature_cache.compute_digest(texts)}
    kept = cache(key, lambda: {"texts": feature_cache.pack_texts(clean())})
    return feature_cache.unpack_texts(kept["texts"])


def get_cleaner_arguments(preprocessing: PreprocessingConfig) -> dict[str, Any]:
    """Return the cleaner's arguments, with the stop words of a language in place of its name.

    Raises:
        ConfigError: there are no stop words for the language, or a step is unknown.
    """
    arguments = asdict(preprocessing)
    language = arguments.pop("language")
    if language is not None:
        arguments["stopwords"] = [*arguments["stopwords"], *stopwords.get_for_language(language)]
    try:
        Cleaner(**arguments)
    except InvalidValueError as error:
        raise ConfigError(f"preprocessing.{error}") from None
    return arguments


def get_raw_texts(table: pd.DataFrame) -> pd.Series[str]:
    """Return the texts of a data set's rows before cleaning, shape (n,)."""
    if "text" in table:
        return table["text"]
    return table["title"] + " " + table["description"]
