"""Runs that embed, from the training to a machine without the encoder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.app import App
from tests.encoders import make_encoder, require_extra

require_extra()

TRAIN = ("vectorizer=tfidf_embedding", "vectorizer.encoder=tiny", "training.epochs=2", "plots=none")
TEXT = "task.text=Detecting cars in video"


def run(app: App, *arguments: str, env: dict[str, str]) -> str:
    done = app.run(*arguments, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def trained(
    tmp_path_factory: pytest.TempPathFactory, ready: Callable[[Path], App]
) -> tuple[App, dict[str, str]]:
    """An application with one run that embeds, and the environment with its encoder."""
    app = ready(tmp_path_factory.mktemp("trained"))
    make_encoder(app.folder / "encoders" / "tiny")
    environment = {"TAGIFAI_ENCODERS": str(app.folder / "encoders")}
    run(app, *TRAIN, env=environment)
    return app, environment


def test_a_run_embeds_and_is_used_with_the_same_encoder(
    trained: tuple[App, dict[str, str]],
) -> None:
    app, environment = trained
    (found,) = json.loads(run(app, "task=predict", TEXT, env=environment))
    assert found["predicted_tag"] == "computer-vision"
    assert len(list((app.stores / "cache" / "embeddings").glob("*.sqlite"))) == 1


def test_a_machine_without_the_encoder_says_what_is_missing(
    trained: tuple[App, dict[str, str]], tmp_path: Path, ready: Callable[[Path], App]
) -> None:
    app, environment = trained
    run(app, "task=export", "task.path=model.zip", env=environment)
    elsewhere = ready(tmp_path / "elsewhere")
    shutil.copy(app.cwd / "model.zip", elsewhere.cwd / "got.zip")
    refused = elsewhere.run("task=import", "task.path=got.zip")
    assert refused.returncode == 2
    assert "was trained with the encoder tiny, whose weights are not part of it" in refused.stderr
    assert not list((elsewhere.stores / "artifacts").glob("*"))
    run(elsewhere, "task=import", "task.path=got.zip", env=environment)


def test_an_encoder_that_is_not_there_is_refused_before_anything_is_written(
    trained: tuple[App, dict[str, str]],
) -> None:
    app, _ = trained
    before = {path for path in app.stores.rglob("*") if "artifacts" in path.parts}
    refused = app.run(*TRAIN)
    assert refused.returncode == 2
    assert "There is no encoder 'tiny'" in refused.stderr
    assert {path for path in app.stores.rglob("*") if "artifacts" in path.parts} == before


def test_a_learning_curve_embeds_all_texts_before_its_trainings(
    trained: tuple[App, dict[str, str]],
) -> None:
    app, environment = trained
    make_encoder(app.folder / "encoders" / "short", max_tokens=16)
    kept = app.stores / "cache" / "embeddings"
    before = set(kept.glob("*.sqlite"))
    curve = ("task=curve", "task.shares=[0.5,1]", "task.repeats=2", *TRAIN)
    run(app, *curve, "vectorizer.encoder=short", env=environment)
    # Trainings look for vectors, but keep none.
    assert len(set(kept.glob("*.sqlite")) - before) == 1
