from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from imblearn.over_sampling import RandomOverSampler
from imblearn.under_sampling import RandomUnderSampler
from scipy.sparse import csr_matrix

from tagifai.models.sampling import balance
from tagifai.preprocessing.labels import Indices

quick = settings(max_examples=15)

X = np.array([[1.0, 0.0], [2.0, 0.0], [3.0, 0.0], [0.0, 4.0]])
y = np.array([0, 0, 0, 1])


class Doubling:
    """Hands every row back twice, and remembers what it was given."""

    def fit_resample(self, X: Any, y: Indices) -> tuple[Any, Indices]:
        self.given = (X, y)
        return np.repeat(X, 2, axis=0), np.repeat(y, 2)


def test_without_a_sampler_the_rows_are_the_same_objects() -> None:
    features, labels, _ = balance(None, X, y)
    assert features is X
    assert labels is y


def test_a_sampler_is_given_all_rows_and_its_answer_is_returned() -> None:
    sampler = Doubling()
    features, labels, groups = balance(sampler, X, y)
    # It does not say which rows are copies of which.
    assert groups.tolist() == list(range(8))
    assert sampler.given[0] is X
    assert sampler.given[1] is y
    assert features[:, 0].tolist() == [1, 1, 2, 2, 3, 3, 0, 0]
    assert labels.tolist() == [0, 0, 0, 0, 0, 0, 1, 1]


def test_oversampling_repeats_the_smaller_class_and_keeps_the_larger() -> None:
    sampler = RandomOverSampler(sampling_strategy="all", random_state=np.random.RandomState(0))
    features, labels, _ = balance(sampler, csr_matrix(X), y)
    assert np.bincount(labels).tolist() == [3, 3]
    assert sorted(map(tuple, features.toarray().tolist())) == [
        (0.0, 4.0),
        (0.0, 4.0),
        (0.0, 4.0),
        (1.0, 0.0),
        (2.0, 0.0),
        (3.0, 0.0),
    ]


def test_undersampling_leaves_as_many_rows_as_the_smallest_class_has() -> None:
    sampler = RandomUnderSampler(random_state=np.random.RandomState(0))
    features, labels, _ = balance(sampler, X, y)
    assert labels.tolist() == [0, 1]
    assert features[1].tolist() == [0.0, 4.0]


@quick
@given(st.lists(st.integers(1, 6), min_size=2, max_size=4), st.integers(0, 2**32 - 1))
def test_oversampled_rows_keep_their_labels(counts: list[int], seed: int) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    rows = np.arange(len(labels), dtype=float).reshape(-1, 1)
    sampler = RandomOverSampler(sampling_strategy="all", random_state=np.random.RandomState(seed))
    features, balanced, groups = balance(sampler, rows, labels)
    assert np.bincount(balanced).tolist() == [max(counts)] * len(counts)
    assert set(features[:, 0].astype(int).tolist()) == set(range(len(labels)))
    assert labels[features[:, 0].astype(int)].tolist() == balanced.tolist()
    assert groups.tolist() == features[:, 0].astype(int).tolist()
