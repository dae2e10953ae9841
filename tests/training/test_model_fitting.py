from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.naive_bayes import MultinomialNB
from sklearn.neural_network import MLPClassifier

from tagifai.training.model_fitting import is_trained_by_epochs


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
