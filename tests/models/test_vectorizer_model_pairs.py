"""Every vectorizer with every model, on the embedded data with small settings."""

from __future__ import annotations

import itertools
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.random import RandomState
from sklearn.linear_model import SGDClassifier

from tagifai.config import instantiate
from tagifai.config.schema import Config, TwoTablesConfig, check
from tagifai.data import datasets, prepare
from tagifai.models import bundles, losses
from tagifai.training import fitting
from tagifai.training.components import Components
from tests.conftest import CONF, DOCUMENTS, Compose

SMALL = {
    "tfidf_char": ("vectorizer.ngram_max=3", "vectorizer.max_features=2000"),
    "tfidf_char_wb": ("vectorizer.ngram_max=3", "vectorizer.max_features=2000"),
    "tfidf_union": ("vectorizer.char_ngram_max=3", "vectorizer.max_features=2000"),
    "hashing": ("vectorizer.n_features=4096",),
}
VECTORIZERS = sorted(path.stem for path in (CONF / "vectorizer").glob("*.yaml"))
MODELS = sorted(path.stem for path in (CONF / "model").glob("*.yaml"))
SAMPLINGS = sorted(path.stem for path in (CONF / "sampling").glob("*.yaml"))
THRESHOLDS = sorted(path.stem for path in (CONF / "threshold").glob("*.yaml"))


@cache
def rows(stores: Path) -> datasets.Dataset:
    folder = CONF.parent / "tagifai" / "sample"
    source = TwoTablesConfig(
        name="sample", projects=str(folder / "projects.csv"), tags=str(folder / "tags.csv")
    )
    return datasets.load(source, stores)


def fitted(config: Config, stores: Path) -> fitting.FitResult:
    state = RandomState(0)
    groups = ("vectorizer", "sampling", "model", "threshold")
    parts = Components(
        *(instantiate.build(group, getattr(config, group), state) for group in groups)
    )
    parts.check()
    prepared = prepare.prepare_table(
        rows(stores).table, config.data, config.preprocessing, config.split, state
    )
    return fitting.TaggerTrainer(prepared, parts, config.training).fit()


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stores")


@pytest.mark.parametrize(("vectorizer", "model"), [*itertools.product(VECTORIZERS, MODELS)])
def test_every_vectorizer_works_with_every_model(
    composed: Compose, stores: Path, tmp_path: Path, vectorizer: str, model: str
) -> None:
    chosen = (f"vectorizer={vectorizer}", f"model={model}", *SMALL.get(vectorizer, ()))
    result = fitted(check(composed(*chosen, "training.epochs=3")), stores)

    # Better than the most frequent class alone, whose weighted F1 is 0.22.
    assert result.performance["val"]["overall"]["f1"] > 0.3
    epochs = 3 if isinstance(result.tagger.model, SGDClassifier) else 1
    assert len(result.history.val_loss) == epochs
    assert np.isfinite(result.history.val_loss).all()
    has_probabilities = losses.get_loss_name(result.tagger.model) == "log_loss"
    assert (result.tagger.threshold is not None) == has_probabilities
    # What it is saved as says the same.
    bundles.save(tmp_path / "bundle", result.tagger, DOCUMENTS)
    texts = ["Graphs of nodes", "Images and convolutions", ""]
    expected = result.tagger.predict(texts)
    assert bundles.load(tmp_path / "bundle").predict(texts) == expected


@pytest.mark.parametrize(("sampling", "threshold"), [*itertools.product(SAMPLINGS, THRESHOLDS)])
def test_every_sampling_works_with_every_threshold(
    composed: Compose, stores: Path, sampling: str, threshold: str
) -> None:
    chosen = (f"sampling={sampling}", f"threshold={threshold}", "vectorizer=tfidf_word")
    result = fitted(check(composed(*chosen, "training.epochs=2")), stores)
    assert (result.tagger.threshold is None) == (threshold == "none")
    assert 0 < result.performance["test"]["overall"]["f1"] < 1
