from __future__ import annotations

import numpy as np

from tagifai.evaluation.confusions import (
    compute_confusion_matrix,
    find_confusions,
    fold_classes,
    rank_classes,
)

COUNTS = np.array([[9, 0, 0, 1], [0, 5, 2, 0], [1, 0, 3, 0], [0, 0, 0, 8]])


def test_confusions_are_counted_by_label_and_prediction() -> None:
    counts = compute_confusion_matrix(np.array([0, 0, 1, 2, 2]), np.array([0, 1, 1, 0, 0]), 3)
    assert counts.tolist() == [[1, 1, 0], [0, 1, 0], [2, 0, 0]]


def test_classes_are_ranked_by_what_is_taken_from_and_for_them_then_by_rows() -> None:
    # Wrong rows of and for each: 2, 2, 3, 1.
    assert rank_classes(COUNTS) == [2, 0, 1, 3]
    assert rank_classes(np.diag([1, 3, 2])) == [1, 2, 0]


def test_the_most_frequent_confusions_come_first_with_their_share_of_the_true_class() -> None:
    found = find_confusions(COUNTS, 2)
    assert found == [(1, 2, 2, 2 / 7), (0, 3, 1, 0.1)]
    assert len(find_confusions(COUNTS, 9)) == 3
    assert find_confusions(np.eye(3, dtype=np.int64), 9) == []


def test_folding_keeps_every_row_in_the_order_that_is_asked_for() -> None:
    folded = fold_classes(COUNTS, [2, 0])
    # The last line and column are classes 1 and 3.
    assert folded.tolist() == [[3, 1, 0], [0, 9, 1], [2, 0, 13]]
    assert fold_classes(COUNTS, [3, 2, 1, 0]).tolist() == COUNTS[::-1, ::-1].tolist()
