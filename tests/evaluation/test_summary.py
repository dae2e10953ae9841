from __future__ import annotations

from typing import Any

import pytest

from tagifai.evaluation import summary
from tagifai.evaluation.metrics import Scores


def scores(f1: float, rows: int = 5) -> Scores:
    return {"precision": f1, "recall": f1, "f1": f1, "num_samples": rows}


@pytest.mark.parametrize(
    ("rows", "shown"),
    [(0, "0.87"), (7, "0.87"), (100, "0.87"), (500, "0.871"), (1000, "0.871"), (10_000, "0.8712"),
     (1_000_000, "0.8712")],
)  # fmt: skip
def test_a_score_has_as_many_digits_as_its_rows_carry(rows: int, shown: str) -> None:
    assert summary.format_score(0.87123, rows) == shown


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [("val_f1", 0.87123, "0.87"), ("val_loss", 0.87123, "0.8712"), ("log_loss", 0.1, "0.1000"),
     ("model_bytes", 12345.0, "12345")],
)  # fmt: skip
def test_losses_have_four_digits_and_bytes_none(name: str, value: float, shown: str) -> None:
    assert summary.format_metric(name, value, 100) == shown


def test_few_classes_are_shown_in_their_own_order() -> None:
    found = {"b": scores(0.9), "a": scores(0.1), "empty": scores(0.0, 0)}
    assert list(summary.find_extreme_classes(found, 3)) == ["b", "a", "empty"]
    assert summary.describe_extreme_classes(found, 3) == ""


def test_of_many_the_lowest_and_the_highest_are_and_those_with_more_rows_first() -> None:
    found = {
        "empty": scores(0.0, 0),
        "half": scores(0.5),
        "rare": scores(0.2, 1),
        "worst": scores(0.2, 9),
        "good": scores(1.0, 2),
        "best": scores(1.0, 8),
    }
    assert list(summary.find_extreme_classes(found, 2)) == ["worst", "best"]
    assert list(summary.find_extreme_classes(found, 4)) == ["worst", "rare", "good", "best"]
    said = "the 4 classes of 6 that have the lowest and the highest F1"
    assert summary.describe_extreme_classes(found, 4) == said


@pytest.mark.parametrize(
    ("rows", "said"),
    [(1, "1 row: too few to tell"), (7, "7 rows: too few to tell"), (9, "9 rows: too few to tell"),
     (10, "")],
)  # fmt: skip
def test_a_slice_of_fewer_than_ten_rows_says_so(rows: int, said: str) -> None:
    assert summary.describe_small_slice(scores(1.0, rows)) == said


def test_classes_of_few_rows_are_the_weakest_only_where_no_others_are() -> None:
    def found(**classes: tuple[float, int]) -> list[str]:
        scored = {
            name: {"precision": f1, "recall": f1, "f1": f1, "num_samples": rows}
            for name, (f1, rows) in classes.items()
        }
        whole = {"precision": 0.5, "recall": 0.5, "f1": 0.5, "num_samples": 100}
        performance: Any = {"overall": whole, "class": scored, "slices": {}}
        return summary.describe_weakest(performance)

    few = {"a": (0.0, 2), "b": (0.0, 1), "c": (0.0, 1), "unseen": (0.0, 0)}
    assert found(**few, large=(0.5, 10), best=(1.0, 50)) == ["large: F1 0.50 on 10 rows"]
    assert found(**few, best=(1.0, 50)) == [
        "a: F1 0.00 on 2 rows, too few rows to tell",
        "b: F1 0.00 on 1 row, too few rows to tell",
        "3 of 4 classes have F1 0",
    ]
    assert found(a=(0.5, 2), best=(1.0, 50)) == ["a: F1 0.50 on 2 rows, too few rows to tell"]
    assert found(good=(1.0, 60), best=(1.0, 50)) == []
