from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.naive_bayes import MultinomialNB
from sklearn.neural_network import MLPClassifier

from tagifai.models.sampling import FeatureRows
from tagifai.training import model_fitting
from tagifai.training.model_fitting import fit_classes_together, is_trained_by_epochs, refit_model


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (SGDClassifier(), True),
        (MLPClassifier(), True),
        (MultinomialNB(), False),
        (LogisticRegression(), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_model_trains_by_epochs_if_a_second_pass_goes_on_from_the_first(
    model: Any, expected: bool
) -> None:
    assert is_trained_by_epochs(model) is expected


@pytest.mark.parametrize("missing", ["partial_fit", "warm_start", "max_iter"])
def test_a_model_that_lacks_one_of_the_three_does_not_train_by_epochs(missing: str) -> None:
    model = SimpleNamespace(partial_fit=None, warm_start=True, max_iter=1)
    assert is_trained_by_epochs(model)
    delattr(model, missing)
    assert not is_trained_by_epochs(model)


@pytest.mark.parametrize("processors", [2, 5])
def test_classes_that_are_fitted_side_by_side_have_the_same_bits(
    processors: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = np.random.RandomState(0)
    rows = FeatureRows(source.rand(60, 7), np.arange(60) % 6)

    asked: list[int] = []

    def fit(number: int) -> SGDClassifier:
        def count() -> int:
            asked.append(number)
            return number

        monkeypatch.setattr(model_fitting, "count_processors", count)
        model = SGDClassifier(random_state=np.random.RandomState(3))
        with fit_classes_together(model):
            refit_model(model, rows, 3)
        return model

    assert np.array_equal(fit(1).coef_, fit(processors).coef_)
    assert asked == [1, processors]
