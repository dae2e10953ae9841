"""Every vectorizer with every model, on the embedded data with small settings."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from numpy.random import RandomState
from omegaconf import DictConfig
from sklearn.linear_model import SGDClassifier

from tagifai.config import instantiate
from tagifai.config.schema import TrainingConfig, TwoTablesConfig, check
from tagifai.data import datasets, prepare
from tagifai.models import bundles, losses
from tagifai.preprocessing.cache import FeatureCache
from tagifai.training import fitting
from tagifai.training.components import Components
from tests.conftest import CONF, DOCUMENTS, Compose
from tests.encoders import make_encoder, require_extra

SMALL = {
    "tfidf_char": ("vectorizer.ngram_max=3", "vectorizer.max_features=2000"),
    "tfidf_char_wb": ("vectorizer.ngram_max=3", "vectorizer.max_features=2000"),
    "tfidf_union": ("vectorizer.char_ngram_max=3", "vectorizer.max_features=2000"),
    "hashing": ("vectorizer.n_features=4096",),
    "embedding": ("vectorizer.encoder=tiny",),
    "tfidf_embedding": ("vectorizer.encoder=tiny", "vectorizer.max_features=2000"),
}
GROUPS = ("vectorizer", "sampling", "model", "threshold")
VECTORIZERS = sorted(path.stem for path in (CONF / "vectorizer").glob("*.yaml"))
MODELS = sorted(path.stem for path in (CONF / "model").glob("*.yaml"))
SAMPLINGS = sorted(path.stem for path in (CONF / "sampling").glob("*.yaml"))
THRESHOLDS = sorted(path.stem for path in (CONF / "threshold").glob("*.yaml"))


@dataclass
class Trying:
    """Fits combinations of options; what they share is made once.

    Args:
        compose: gives a configuration.
        prepared: the embedded data.
        cache: of features.
        made: options that were composed already.
    """

    compose: Compose
    prepared: prepare.PreparedData
    cache: FeatureCache
    made: dict[str, Any] = field(default_factory=dict)

    def option(self, group: str, name: str) -> Any:
        key = f"{group}={name}"
        if key not in self.made:
            self.made[key] = getattr(check(self.compose(key, *SMALL.get(name, ()))), group)
        return self.made[key]

    def fit(self, epochs: int, **options: str) -> fitting.FitResult:
        """Fit with the named options, and those of the default for the rest."""
        chosen = {"vectorizer": "tfidf_word", "sampling": "random_over", "model": "sgd"}
        chosen |= {"threshold": "auto", **options}
        state = RandomState(0)
        components = Components(
            *(
                instantiate.build(group, self.option(group, chosen[group]), state)
                for group in GROUPS
            )
        )
        components.check()
        training = TrainingConfig(epochs=epochs)
        return fitting.TaggerTrainer(self.prepared, components, training, self.cache).fit()


@pytest.fixture(scope="module")
def trying(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trying]:
    folder = tmp_path_factory.mktemp("pairs")
    with pytest.MonkeyPatch.context() as patch, initialize_config_dir(str(CONF)):
        patch.setenv("TAGIFAI_ROOT", str(folder))
        patch.delenv("TAGIFAI_STORES", raising=False)
        patch.setenv("TAGIFAI_ENCODERS", str(folder))

        def composed(*overrides: str) -> DictConfig:
            return compose("config", overrides=list(overrides))

        config = check(composed())
        sample = CONF.parent / "tagifai" / "sample"
        source = TwoTablesConfig(
            name="sample", projects=str(sample / "projects.csv"), tags=str(sample / "tags.csv")
        )
        prepared = prepare.prepare_table(
            datasets.load(source, folder).table,
            config.data,
            config.preprocessing,
            config.split,
            RandomState(0),
        )
        yield Trying(composed, prepared, FeatureCache(folder / "cache", 1e9))


@pytest.mark.parametrize("vectorizer", VECTORIZERS)
def test_every_vectorizer_works_with_every_model(
    trying: Trying, tmp_path: Path, vectorizer: str
) -> None:
    if "embedding" in vectorizer:
        require_extra()
        folder = Path(os.environ["TAGIFAI_ENCODERS"], "tiny")
        if not folder.exists():
            make_encoder(folder)
    for model in MODELS:
        if "embedding" in vectorizer and model == "complement_nb":
            continue  # It takes no negative features, and says so.
        result = trying.fit(3, vectorizer=vectorizer, model=model)
        # Random vectors of a few words say less than words do.
        check_result(result, model, 0.2 if vectorizer == "embedding" else 0.3)
        # A vectorizer and a model are saved one beside the other: each once is enough.
        if vectorizer == "tfidf_word" or model == "sgd":
            check_bundle(result, tmp_path / model, model)


def check_result(result: fitting.FitResult, model: str, least: float) -> None:
    # The most frequent class alone has a weighted F1 of 0.22.
    assert result.performance["val"]["overall"]["f1"] > least, model
    epochs = 3 if isinstance(result.tagger.model, SGDClassifier) else 1
    assert len(result.history.val_loss) == epochs, model
    assert np.isfinite(result.history.val_loss).all(), model
    has_probabilities = losses.get_loss_name(result.tagger.model) == "log_loss"
    assert (result.tagger.threshold is not None) == has_probabilities, model
    # The others get some by temperature.
    assert (result.tagger.temperature is None) == has_probabilities, model
    assert result.tagger.has_probabilities, model


def check_bundle(result: fitting.FitResult, folder: Path, model: str) -> None:
    """Check that what a tagger is saved as says the same."""
    bundles.save(folder, result.tagger, DOCUMENTS)
    texts = ["Graphs of nodes", "Images and convolutions", ""]
    expected = result.tagger.predict(texts)
    assert bundles.load(folder).predict(texts) == expected, model


def test_every_sampling_works_with_every_threshold(trying: Trying) -> None:
    for sampling, threshold in itertools.product(SAMPLINGS, THRESHOLDS):
        result = trying.fit(2, sampling=sampling, threshold=threshold)
        pair = (sampling, threshold)
        assert (result.tagger.threshold is None) == (threshold == "none"), pair
        assert 0 < result.performance["test"]["overall"]["f1"] < 1, pair
