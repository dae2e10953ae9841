from __future__ import annotations

import math

import pytest

from tagifai.utils import board_cells


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0.000"),
        (1.0, "1.000"),
        (0.71394, "0.7139"),
        (-0.001234567, "-0.001235"),
        (1234.4, "1234"),
        (12345.6, "12346"),
        (math.nan, "-"),
        (None, "-"),
    ],
)
def test_a_number_has_four_significant_digits(value: float | None, shown: str) -> None:
    assert board_cells.format_number(value) == shown


def test_keys_are_as_short_as_they_can_be_and_stay_apart() -> None:
    keys = ["model", "model.alpha", "vectorizer.ngram_max", "model.C", "sampling.C", "x.model"]
    assert board_cells.shorten_keys(keys) == {
        "model": "model",
        "model.alpha": "alpha",
        "vectorizer.ngram_max": "ngram_max",
        "model.C": "model.C",
        "sampling.C": "sampling.C",
        "x.model": "x.model",
    }
    classes = ["model._target_", "model.alpha", "vectorizer._target_", "vectorizer"]
    assert [*board_cells.shorten_keys(classes).values()] == [
        *("model", "alpha", "vectorizer._target_", "vectorizer")
    ]


def test_up_to_two_settings_are_shown_as_they_are() -> None:
    rows = [{"model": "sgd", "model.alpha": value} for value in ("0.0002", "1e-05", "0.01")]
    heading, told, common = board_cells.describe_settings(rows)
    assert (heading, common) == ("settings", "")
    assert told == ["model=sgd alpha=2e-4", "model=sgd alpha=1e-5", "model=sgd alpha=0.01"]


def test_of_more_settings_only_what_is_unlike_the_most_common_is_shown() -> None:
    rows = [
        {"model": "sgd", "model.alpha": "0.1", "seed": "1"},
        {"model": "sgd", "model.alpha": "0.1", "seed": "2"},
        {"model": "nb", "model.alpha": "0.2", "seed": "1"},
    ]
    heading, told, common = board_cells.describe_settings(rows)
    assert heading == "settings unlike the most common"
    assert told == ["·", "seed=2", "model=nb alpha=0.2"]
    assert common == "model=sgd alpha=0.1 seed=1"


def test_a_setting_of_which_all_values_differ_has_no_most_common_one() -> None:
    rows = [{"a": str(n), "b": str(n // 2), "c": "x"} for n in range(3)]
    _, told, common = board_cells.describe_settings(rows)
    assert told == ["a=0", "a=1", "a=2 b=1"]
    assert common == "b=0 c=x"


def test_a_setting_that_an_option_does_not_have_is_not_named() -> None:
    rows = [{"model": m, "model.alpha": a, "n": "1"} for m, a in (*2 * [("sgd", "1")], ("nb", "-"))]
    assert board_cells.describe_settings(rows)[1] == ["·", "·", "model=nb"]
    # It is named where it alone tells two rows apart.
    rows = [{"model": "sgd", "model.max": a, "n": "1"} for a in ("-", "-", "5", "-", "5")]
    assert board_cells.describe_settings(rows)[1] == ["·", "·", "max=5", "·", "max=5"]


def test_values_that_four_digits_do_not_tell_apart_are_whole() -> None:
    rows = [{"model.alpha": value} for value in ("0.12345678", "0.12345679")]
    assert board_cells.describe_settings(rows)[1] == ["alpha=0.12345678", "alpha=0.12345679"]
    assert board_cells.describe_settings([{"x": "[1, 2]"}, {"x": "inf"}])[1] == ["x=[1,2]", "x=inf"]
