"""Prepare a training: check its settings, load its data, and prepare their rows."""

from __future__ import annotations

from pathlib import Path

from numpy.random import RandomState

from tagifai.config.job import get_job
from tagifai.config.schema import Config
from tagifai.console.display import Display
from tagifai.data import datasets, prepare
from tagifai.data.dataset_store import Dataset
from tagifai.data.prepare import PreparedData
from tagifai.preprocessing.deletions import refuse_deletions
from tagifai.preprocessing.embeddings import find_embedding
from tagifai.preprocessing.encoders.encoder import open_encoder
from tagifai.preprocessing.encoders.store import EmbeddingStore, warm
from tagifai.preprocessing.feature_cache import ArrayCache
from tagifai.training import objectives, streaming
from tagifai.training.components import Components
from tagifai.utils import process_pool


def check_settings(config: Config, components: Components) -> None:
    """Refuse what a training cannot do, before any data are read.

    Args:
        config: of the training.
        components: unfitted.

    Raises:
        ConfigError: with the setting that is wrong.
    """
    prepare.get_cleaner_arguments(config.preprocessing)
    objectives.check_metrics(config.objective)
    objectives.check_model(config.objective, components.model)
    objectives.check_shown_metrics(config.metrics)
    streaming.check_supported(config, components)


def load_dataset(config: Config, display: Display) -> Dataset:
    """Return the configured data set; errors as of `datasets.load`."""
    stores = Path(config.paths.stores)
    with display.show_row_progress("Reading") as on_progress:
        return datasets.load(config.data, stores, progress=display.live, on_progress=on_progress)


def prepare_rows(
    config: Config,
    dataset: Dataset,
    components: Components,
    random_state: RandomState,
    cache: ArrayCache,
    display: Display,
) -> PreparedData:
    """Return the rows of a training, checked, with their embeddings at hand if it embeds.

    Args:
        config: of the training.
        dataset: that it is made on.
        components: unfitted.
        random_state: advanced by the choice of the rows.
        cache: of cleaned texts.
        display: shows progress.

    Raises:
        ConfigError: the rows do not have a metric of the objective.
        DataError: the rows cannot be split, or the cleaning leaves too little of them.
    """
    # The trials of a search run in parallel already.
    processes = process_pool.count_processors() if get_job().trial is None else 1
    with display.show_row_progress("Scanning") as on_progress:
        prepared = streaming.prepare_dataset(
            dataset, config, random_state, cache, on_progress, processes
        )
    refuse_deletions(prepared.deletions)
    for metric in config.objective.measured:
        prepared.check_objective(metric)
    _warm_embeddings(config, prepared, components, display)
    return prepared


def _warm_embeddings(
    config: Config, prepared: PreparedData, components: Components, display: Display
) -> None:
    """Embed all rows at once, if the vectorizer embeds; folds and refits then find them."""
    embedding = find_embedding(components.vectorizer)
    if embedding is None:
        return
    encoder, texts = open_encoder(embedding.encoder), prepared.rows["text"].tolist()
    folder = Path(config.paths.stores) / "cache" / "embeddings"
    store = EmbeddingStore(folder, config.cache.max_gb * 1e9)
    with display.show_row_progress("Embedding") as on_progress:
        warm(encoder, texts, store, on_progress=on_progress, on_estimate=display.show_note)
