"""Searches with a present configuration, guesses and constraints, as a user starts them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.app import App
from tests.showcase import Showcase
from tests.sweeping.searches import names, study

pytestmark = pytest.mark.e2e

SEARCH = (
    *("-m", "hydra/sweeper=tagifai", "data=sample", "vectorizer=tfidf_word", "training.epochs=1"),
    *("hydra/sweeper/pruner=none", "console=quiet", "plots=none"),
    "vectorizer.min_df=choice(1,20)",
)


@pytest.fixture
def app(tmp_path: Path, showcase: Showcase) -> App:
    return showcase.prepare(tmp_path)


def test_a_training_measures_what_constraints_are_of_and_the_present_configuration_is_first(
    app: App,
) -> None:
    app.ok(*SEARCH, "objective.constraints={model_bytes: <= 100000}", "hydra.sweeper.n_trials=2")
    first, other = study(app).trials
    assert first.user_attrs["first"] == "current"
    assert first.params == {"vectorizer.min_df": 1}
    for trial in (first, other):
        assert trial.constraints == {
            "model_bytes": trial.user_attrs["constraints"]["model_bytes"] - 100000
        }


def test_a_wrong_guess_is_refused_before_there_is_a_study(app: App) -> None:
    done = app.run(*SEARCH, "sweep.first=[{vectorizer.min_df: 2}]")
    assert done.returncode == 2
    assert done.stderr.startswith("Error: sweep.first, entry 1: vectorizer.min_df = 2 is not in")
    assert names(app) == []


def test_a_preview_starts_nothing(app: App) -> None:
    found = app.ok(*SEARCH, "sweep.preview=true")
    assert "choice(1,20)" in found
    assert "2 configurations that differ" in found
    assert names(app) == []
    assert not app.outputs.exists()
