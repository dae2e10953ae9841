"""Estimates of long fits, with a clock that the models move."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.random import RandomState
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import SGDClassifier
from sklearn.svm import LinearSVC

from tagifai.config.schema import TrainingConfig, check
from tagifai.models.sampling import FeatureRows
from tagifai.training import estimates
from tagifai.training.components import Components
from tagifai.training.estimates import FitEstimator, list_shortcuts
from tagifai.training.fitting import FitResult, TaggerTrainer
from tests.conftest import Compose
from tests.training.test_fitting import prepared

NOW = [0.0]
"""Seconds of the clock."""


def clock() -> float:
    return NOW[0]


class ByEpochs:
    """A model an epoch of which takes a millisecond a row, and its outputs half of it."""

    warm_start, max_iter, classes_ = False, 1, np.arange(3)
    fitted = 0

    def partial_fit(self, X: Any, y: Any, classes: Any) -> None:
        # The first time weights are made, which takes a second.
        NOW[0] += 0.001 * len(y) + (1.0 if not self.fitted else 0.0)
        self.fitted += 1

    def predict(self, X: Any) -> Any:
        NOW[0] += 0.0005 * X.shape[0]
        return np.zeros(X.shape[0], int)


class AtOnce:
    """A model whose fit takes `seconds` for 100 rows, and grows with a power of the rows."""

    def __init__(self, seconds: float, power: float) -> None:
        self.seconds, self.power = seconds, power
        self.sizes: list[int] = []

    def __deepcopy__(self, memo: Any) -> AtOnce:
        made = AtOnce(self.seconds, self.power)
        made.sizes = self.sizes
        return made

    def fit(self, X: Any, y: Any) -> None:
        self.sizes.append(len(y))
        NOW[0] += self.seconds * (len(y) / 100) ** self.power


def make_rows(rows: int, classes: int = 3) -> FeatureRows:
    return FeatureRows(csr_matrix((rows, 5)), np.arange(rows) * classes // rows)


@pytest.fixture
def config(composed: Compose) -> Any:
    return check(composed("training.epochs=10", "training.patience=null", "training.refit=false"))


def estimate(config: Any, model: Any, rows: FeatureRows, scored: int = 0) -> list[str]:
    said: list[str] = []
    FitEstimator(config, said.append, clock).estimate(model, rows, scored)
    return said


def test_epochs_are_estimated_from_a_part_of_one(
    config: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimates, "LEAST_EPOCH_WORK", 0)
    model = ByEpochs()
    # 10 epochs of 90 s, and of 0.5 ms for each of 120,000 rows whose losses are computed.
    (said,) = estimate(config, model, make_rows(90_000), 120_000)
    assert said.startswith(
        "Training will take about 25 min (10 epochs of 90,000 rows with 3 classes; measured on"
        " a few of the rows). Shorter: training.epochs=3, training.patience=2"
    )
    assert model.fitted == 0


def test_a_fit_of_a_minute_or_less_is_nothing_to_say(
    config: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimates, "LEAST_EPOCH_WORK", 0)
    assert estimate(config, ByEpochs(), make_rows(6_000)) == []
    assert len(estimate(config, ByEpochs(), make_rows(6_100))) == 1


def test_a_refit_and_repeats_count(composed: Compose, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimates, "LEAST_EPOCH_WORK", 0)
    asked = ("training.epochs=10", "training.refit=true", "objective.repeats=3")
    # Three fits of 100 s, and a refit to a fifth more rows.
    (said,) = estimate(check(composed(*asked)), ByEpochs(), make_rows(10_000), 0)
    assert "about 7 min (10 epochs of 10,000 rows with 3 classes, 3 repeats, a refit;" in said
    assert "objective.repeats=1" in said


@pytest.mark.parametrize(
    ("seconds", "power", "sizes", "minutes"),
    [
        # Linear: 0.1 s for 100 rows are 100 s for 100,000.
        (0.1, 1.0, [100, 200, 400, 800, 1600], "2 min"),
        # As the square: a thousand times the rows are a million times the time.
        (0.01, 2.0, [100, 200, 400, 800, 1600], "2.8 h"),
        # One that is long itself is the last.
        (2.0, 1.0, [100], "33 min"),
        # So fast that even as the square it would be no minute.
        (0.00002, 1.0, [100], None),
    ],
)
def test_a_fit_at_once_is_estimated_from_fits_to_few_rows(
    config: Any, seconds: float, power: float, sizes: Sequence[int], minutes: str | None
) -> None:
    model = AtOnce(seconds, power)
    said = estimate(config, model, make_rows(100_000))
    assert model.sizes == sizes
    if minutes is None:
        assert said == []
    else:
        expected = f"about {minutes} (100,000 rows with 3 classes; measured on a few of the rows)."
        assert expected in said[0]
        assert "model=sgd" in said[0]
        assert "epochs" not in said[0]


def test_few_rows_are_not_tried(config: Any) -> None:
    model = AtOnce(100.0, 1.0)
    assert estimate(config, model, make_rows(6_000)) == []
    assert model.sizes == []
    small = ByEpochs()
    before = NOW[0]
    assert estimate(config, small, make_rows(90_000)) == []
    assert NOW[0] == before


def test_a_model_that_refuses_the_rows_is_none_of_the_estimates_business(config: Any) -> None:
    class Refusing:
        def fit(self, X: Any, y: Any) -> None:
            raise RuntimeError

    assert estimate(config, Refusing(), make_rows(100_000)) == []


def test_streamed_rows_are_estimated_from_the_first_chunks(config: Any) -> None:
    said: list[str] = []
    told: list[int] = []
    tell = FitEstimator(config, said.append, clock).watch(ByEpochs(), 100_000, told.append)
    # The first chunk comes late, because processes are started. Then 1,000 rows take 0.4 s.
    for done, seconds in ((1_000, 9.0), (2_000, 0.4), (3_000, 0.4), (4_000, 0.4), (5_000, 0.4)):
        NOW[0] += seconds
        tell(done)
    assert told == [1_000, 2_000, 3_000, 4_000, 5_000]
    (note,) = said
    assert note.startswith(
        "Training will take about 7 min (10 epochs of 100,000 rows; measured on the first 4,000)."
    )


def test_only_what_applies_is_suggested(composed: Compose) -> None:
    def suggest(*overrides: str, model: Any = None) -> list[str]:
        return list_shortcuts(check(composed(*overrides)), model or SGDClassifier())

    short = ("training.epochs=3", "training.patience=1", "training.refit=false", "sampling=none")
    assert suggest(*short, "vectorizer=tfidf_word") == []
    assert suggest(*short, "vectorizer=tfidf_union") == ["vectorizer=tfidf_word"]
    characters = ("vectorizer=hashing", "vectorizer.analyzer=char")
    assert suggest(*short, *characters) == ["vectorizer=hashing"]
    more = ("training.epochs=9", "sampling=random_over", "vectorizer=tfidf_word")
    assert suggest(*short, *more) == ["training.epochs=3", "sampling=none"]
    assert suggest(*short, *more, model=LinearSVC()) == ["model=sgd", "sampling=none"]


@pytest.mark.parametrize("model", [SGDClassifier(loss="log_loss"), LinearSVC()])
def test_an_estimate_changes_no_bit_of_the_result(
    config: Any, model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit in ("LEAST_EPOCH_WORK", "LEAST_ROWS", "LEAST_SECONDS", "FEW_SECONDS"):
        monkeypatch.setattr(estimates, limit, 0)
    monkeypatch.setattr(estimates, "FIRST_ROWS", 8)
    said: list[str] = []

    def fit(estimator: FitEstimator | None) -> FitResult:
        made = copy.deepcopy(model).set_params(random_state=RandomState(3))
        components = Components(TfidfVectorizer(), None, made, None)
        training = TrainingConfig(3, refit=True)
        return TaggerTrainer(prepared(), components, training, estimator=estimator).fit()

    with_it, without = fit(FitEstimator(config, said.append)), fit(None)
    assert len(said) == 1
    assert np.array_equal(with_it.tagger.model.coef_, without.tagger.model.coef_)
    assert with_it.history == without.history
    assert with_it.performance == without.performance
