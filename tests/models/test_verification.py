from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tagifai.models import verification
from tagifai.models.tagger import Tagger
from tagifai.preprocessing.labels import LabelEncoder
from tagifai.utils.files import format_json


class Fixed:
    """A vectorizer and a model that give the same outputs for every text."""

    def __init__(self, *outputs: float) -> None:
        self.outputs = outputs
        self.classes_ = np.arange(len(outputs))

    def transform(self, texts: list[str]) -> Any:
        return np.zeros((len(texts), 1))

    def decision_function(self, X: Any) -> Any:
        return np.array([self.outputs] * len(X))


def tagger_of(*outputs: float, names: tuple[str, ...] = ("a", "b", "c")) -> Tagger:
    cleaning: dict[str, Any] = {"stopwords": []}
    return Tagger(cleaning, Fixed(*outputs), Fixed(*outputs), LabelEncoder(names), None, None)


def there_and_back(tagger: Tagger) -> Any:
    return json.loads(format_json(verification.record_outputs(tagger)))


def test_a_probe_has_a_sentence_and_names_of_classes_and_no_rows(tagger: Tagger) -> None:
    probe = there_and_back(tagger)
    assert probe["texts"] == [verification.SENTENCE, "cv", "graph", "nlp"]
    np.testing.assert_allclose(probe["outputs"], tagger.compute_outputs(probe["texts"]), rtol=1e-8)
    many = tagger_of(0.0, names=tuple(map(str, range(100, 200))))
    assert len(there_and_back(many)["texts"]) == 10


def test_outputs_are_kept_to_nine_digits() -> None:
    outputs = verification.record_outputs(tagger_of(1 / 3, 2e9 / 3, -1e-12 / 3))["outputs"]
    assert outputs[0] == [0.333333333, 666666667.0, -3.33333333e-13]


def test_a_tagger_agrees_with_its_own_probe(tagger: Tagger) -> None:
    assert verification.verify_outputs(there_and_back(tagger), tagger)


@pytest.mark.parametrize(
    ("outputs", "agrees"),
    [
        ((0.5, -2.0, 0.0), True),
        ((0.5 * (1 + 9e-7), -2.0, 0.0), True),
        ((0.5 * (1 + 2e-6), -2.0, 0.0), False),
        ((0.5, -2.0, 9e-10), True),
        ((0.5, -2.0, 1e-8), False),
        ((0.5, -2.0, float("nan")), False),
        ((0.5, -2.0), False),
    ],
)
def test_outputs_agree_up_to_a_millionth(outputs: tuple[float, ...], agrees: bool) -> None:
    probe = there_and_back(tagger_of(0.5, -2.0, 0.0))
    assert verification.verify_outputs(probe, tagger_of(*outputs)) is agrees


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_outputs_that_are_no_numbers_are_kept_and_agree(value: float) -> None:
    probe = there_and_back(tagger_of(value, 1.0, 2.0))
    assert probe["outputs"][0] == [None, 1.0, 2.0]
    assert verification.verify_outputs(probe, tagger_of(value, 1.0, 2.0))
    assert not verification.verify_outputs(probe, tagger_of(0.0, 1.0, 2.0))


def test_another_cleaning_is_another_tagger(tagger: Tagger) -> None:
    other = replace(tagger, cleaning={**tagger.cleaning, "keep": "a-m"})
    assert not verification.verify_outputs(there_and_back(tagger), other)
