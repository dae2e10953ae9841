from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import coo_array, csr_matrix
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import SGDClassifier
from sklearn.tree import DecisionTreeClassifier

from tagifai.models.size import count_bytes
from tests.conftest import fitted

FITTED = """
from tagifai.models.size import count_bytes
from tests.conftest import fitted

tagger = fitted(3)
print(count_bytes(tagger.vectorizer), count_bytes(tagger.model))
"""


# --- by hand -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("item", "size"),
    [
        (None, 0),
        ("", 0),
        ("abc", 3),
        ("é", 2),
        (np.str_("abc"), 3),
        (1, 8),
        (2**100, 8),
        (0.5, 8),
        (float("nan"), 8),
        (1j, 8),
        (True, 8),
        (np.float32(1), 8),
        (np.bool_(True), 8),
        ([], 0),
        ((), 0),
        ({}, 0),
        ([1, "ab", None], 10),
        ((1, (2, 3)), 24),
        ({1, 2}, 16),
        (frozenset({"ab"}), 2),
        ({"ab": 1, "c": [2]}, 19),
        (np.zeros(0), 0),
        (np.zeros((2, 3)), 48),
        (np.zeros(3, dtype=np.float32), 12),
        (np.zeros(4, dtype=bool), 4),
        (np.array(["ab", "c"]), 16),  # four bytes a character
        (np.array(["ab", 1, None], dtype=object), 10),
        (SimpleNamespace(x=1, name="ab"), 9 + 4 + 2),
        (SimpleNamespace(), 0),
        (int, 0),
        (SGDClassifier, 0),
        (np.random.RandomState(0), 0),
        (len, 0),
        (lambda: 1, 0),
    ],
)  # fmt: skip
def test_a_number_counts_8_bytes_a_text_its_utf_8_an_array_its_own_and_the_rest_nothing(
    item: Any, size: int
) -> None:
    assert count_bytes(item) == size


def test_a_sparse_matrix_counts_its_values_its_places_and_its_shape() -> None:
    matrix = csr_matrix(np.array([[1.0, 0, 2], [0, 0, 3]]))
    arrays = matrix.data.nbytes + matrix.indices.nbytes + matrix.indptr.nbytes
    assert arrays == 3 * 8 + 3 * 4 + 3 * 4
    assert count_bytes(matrix) >= arrays
    assert count_bytes(matrix) - arrays == count_bytes(csr_matrix((2, 3))) - 3 * 4
    assert count_bytes(coo_array(matrix)) > 3 * (8 + 4 + 4) - 1


# --- what is counted once ----------------------------------------------------------------------


def test_an_array_that_is_there_twice_counts_once_and_an_equal_one_again() -> None:
    array = np.zeros(10)
    assert count_bytes([array, array]) == 80
    assert count_bytes([array, array.copy()]) == 160
    shared = SimpleNamespace(a=array)
    assert count_bytes([shared, shared, array]) == 1 + 80


def test_texts_and_numbers_count_as_often_as_they_are_there() -> None:
    text, number = "ab" * 50, 10**6
    assert count_bytes([text, text, number, number]) == 216


def test_what_contains_itself_has_an_end() -> None:
    item: list[Any] = [1]
    item.append(item)
    assert count_bytes(item) == 8
    knot = SimpleNamespace(x=1)
    knot.me = knot
    assert count_bytes(knot) == 1 + 8 + 2


@given(st.lists(st.integers() | st.text(max_size=3) | st.floats(), max_size=6))
def test_a_list_is_as_large_as_its_items(items: list[Any]) -> None:
    assert count_bytes(items) == sum(map(count_bytes, items)) == count_bytes(tuple(items))


def test_an_array_of_objects_is_as_large_as_its_items_in_any_shape() -> None:
    array = np.array([["a", "b"], ["c", "d"], ["e", "f"], ["g", "h"]], dtype=object)
    assert count_bytes(array.ravel()) == 8
    assert count_bytes(array) == 8


# --- estimators --------------------------------------------------------------------------------


def test_a_larger_vocabulary_is_a_larger_vectorizer() -> None:
    texts = ["a graph of nodes", "the words of a language"]
    small, large = (TfidfVectorizer(max_features=n).fit(texts) for n in (2, 6))
    assert count_bytes(large) > count_bytes(small) > 0


def test_a_linear_model_counts_its_weights() -> None:
    def model(features: int) -> SGDClassifier:
        X = np.random.RandomState(0).rand(9, features)
        return SGDClassifier(random_state=0).fit(X, np.arange(9) % 3)

    # A row of weights a class, each of 8 bytes.
    assert count_bytes(model(110)) - count_bytes(model(10)) == 100 * 3 * 8


@pytest.mark.e2e
def test_equal_models_are_of_one_size_in_any_process() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FITTED], capture_output=True, text=True, check=True, timeout=60
    )
    tagger = fitted(3)
    assert done.stdout.split() == [
        str(count_bytes(tagger.vectorizer)),
        str(count_bytes(tagger.model)),
    ]


def test_asking_for_the_size_changes_nothing() -> None:
    tagger = fitted()
    assert count_bytes(tagger.model) == count_bytes(tagger.model)
    assert count_bytes(tagger.model) == count_bytes(fitted().model)


ROWS = np.random.RandomState(0).rand(60, 4)


def test_a_tree_counts_its_nodes() -> None:
    small, large = (
        DecisionTreeClassifier(max_depth=depth).fit(ROWS, np.arange(60) % 3) for depth in (1, 20)
    )
    assert count_bytes(large) > count_bytes(small) + 20 * 8


def test_twice_the_trees_are_about_twice_the_size() -> None:
    few, many = (
        count_bytes(GradientBoostingClassifier(n_estimators=n).fit(ROWS, np.arange(60) % 3))
        for n in (20, 40)
    )
    assert many > 1.8 * few
