"""What features cost that were made before: cold, and from the cache.

    uv run python -m tests.benchmarks.features FOLDER [ROUNDS]

FOLDER has the raw Made With ML tables. Cleaning, fitting the vectorizer to the train rows and
transforming the validation rows, as a trial does; medians of ROUNDS (9), in turn.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from numpy.random import RandomState
from sklearn.feature_extraction.text import TfidfVectorizer

from tagifai.config.schema import PreprocessingConfig, SplitConfig, TwoTablesConfig
from tagifai.data import prepare
from tagifai.preprocessing.cache import FeatureCache
from tagifai.preprocessing.feature_cache import CachedVectorizer
from tests.benchmarks.costs import limits
from tests.benchmarks.plain_data import ACCEPTED, MIN_FREQ, stopword_list

KINDS: dict[str, Callable[[], Any]] = {
    "char 2 to 7": lambda: TfidfVectorizer(analyzer="char", ngram_range=(2, 7)),
    "char 2 to 10": lambda: TfidfVectorizer(analyzer="char", ngram_range=(2, 10)),
    "char_wb 2 to 5": lambda: TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5)),
    "words": lambda: TfidfVectorizer(ngram_range=(1, 2)),
}


def made(table: pd.DataFrame, vectorizer: Any, memory: Any) -> tuple[float, float]:
    """Return the seconds of cleaning and of features."""
    data = TwoTablesConfig(
        name="madewithml", projects="p", tags="t",
        accepted_tags=list(ACCEPTED), min_freq=MIN_FREQ, other="other",
    )  # fmt: skip
    began = time.perf_counter()
    prepared = prepare.prepare_table(
        table,
        data,
        PreprocessingConfig(stopwords=stopword_list()),
        SplitConfig(),
        RandomState(42),
        memory,
    )
    cleaned = time.perf_counter()
    features = CachedVectorizer(vectorizer, memory)
    features.fit_transform(prepared.get_texts("train"))
    features.transform(prepared.get_texts("val"))
    return cleaned - began, time.perf_counter() - cleaned


def main(folder: str, rounds: str = "9") -> None:
    projects, tags = (pd.read_csv(Path(folder) / f"{name}.csv") for name in ("projects", "tags"))
    table = pd.merge(projects, tags, on="id").astype({"id": str})
    print(f"{'ms, medians':<18}{'cleaning':>22}{'features':>24}{'both':>8}")
    print(
        f"{'':<18}{'cold':>8}{'kept':>7}{'ratio':>7}{'cold':>10}{'kept':>7}{'ratio':>7}{'ratio':>8}"
    )
    for name, kind in KINDS.items():
        pairs = []
        for _ in range(int(rounds)):
            with tempfile.TemporaryDirectory() as scratch:
                memory = FeatureCache(Path(scratch), 1e9)
                pairs.append([made(table, kind(), memory) for _ in range(2)])
        cold, kept = ([statistics.median(c) for c in zip(*side, strict=True)]
                      for side in zip(*pairs, strict=True))  # fmt: skip
        cells = [f"{1e3 * a:>{w}.0f}{1e3 * b:>7.1f}{b / a:>7.2f}"
                 for a, b, w in zip(cold, kept, (8, 10), strict=True)]  # fmt: skip
        print(f"{name:<18}{''.join(cells)}{sum(kept) / sum(cold):>8.2f}", flush=True)
    print(limits())


if __name__ == "__main__":
    main(*sys.argv[1:])
