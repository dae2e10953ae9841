"""Fixtures that several modules share."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from tagifai.tagger import Tagger

settings.register_profile("project", deadline=None, database=None)
settings.load_profile("project")

CONF = Path(__file__).parent.parent / "conf"

TEXTS = ("Images with convolutions", "A graph of nodes", "The words of a language") * 4
TAGS = ("cv", "graph", "nlp") * 4


def fitted(seed: int = 0) -> Tagger:
    """Return a small tagger; the same seed gives the same one in any process."""
    from numpy.random import RandomState
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import SGDClassifier

    from tagifai.labels import LabelEncoder
    from tagifai.tagger import Tagger

    encoder = LabelEncoder.fit(TAGS)
    vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(1, 3))
    model = SGDClassifier(loss="log_loss", random_state=RandomState(seed))
    model.fit(vectorizer.fit_transform([text.lower() for text in TEXTS]), encoder.encode(TAGS))
    cleaning = {"lower": True, "separate_punctuation": False, "keep": None}
    return Tagger(cleaning, vectorizer, model, encoder, 0.4, "cv")


@pytest.fixture(scope="session")
def tagger() -> Tagger:
    return fitted()


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tracking database without experiments of ours; making one takes seconds."""
    from tagifai import store, tracking

    path = tmp_path_factory.mktemp("tracking") / "mlflow.db"
    store.connect(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def tracked_stores(
    migrated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """A folder of stores with a tracking database; the environment is as it was afterwards."""
    before = dict(os.environ)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    stores = tmp_path / "stores"
    stores.mkdir()
    shutil.copyfile(migrated, stores / "mlflow.db")
    yield stores
    for name in os.environ.keys() - before.keys():
        del os.environ[name]


@pytest.fixture
def composed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Compose]:
    """A function that composes the project's configuration from overrides."""
    from hydra import compose, initialize_config_dir

    monkeypatch.setenv("TAGIFAI_ROOT", str(tmp_path))
    with initialize_config_dir(str(CONF)):
        yield lambda *overrides: compose("config", overrides=list(overrides))


Compose = Callable[..., "DictConfig"]
