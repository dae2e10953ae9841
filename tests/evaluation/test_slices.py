from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tagifai.evaluation import slices
from tagifai.evaluation.slices import Row, compute_masks, slicing_function

NLP = "natural-language-processing"


@pytest.fixture(autouse=True)
def _registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the slices that a test registers."""
    monkeypatch.setattr(slices, "_REGISTERED", dict(slices._REGISTERED))


def rows(*pairs: tuple[str, str]) -> pd.DataFrame:
    return pd.DataFrame(list(pairs), columns=["text", "tag"])


def test_nlp_cnn_is_language_projects_with_convolutions() -> None:
    table = rows(
        ("text cnn", NLP),
        ("convolutional seq2seq", NLP),
        ("cnn for images", "computer-vision"),
        ("transformers", NLP),
    )
    assert compute_masks(table)["nlp_cnn"].tolist() == [True, True, False, False]


def test_short_text_is_fewer_than_8_words() -> None:
    table = rows(("a b c d e f g", "x"), ("a b c d e f g h", "x"), ("", "x"), ("a  b", "x"))
    assert compute_masks(table)["short_text"].tolist() == [True, False, True, True]


def test_decorating_a_function_is_all_it_takes() -> None:
    @slicing_function
    def mentions_bert(row: Row) -> bool:
        return "bert" in row.text

    found = compute_masks(rows(("bert", "x"), ("gpt", "x"), ("roberta", "y")))
    assert found["mentions_bert"].tolist() == [True, False, True]
    assert set(found) == {"nlp_cnn", "short_text", "mentions_bert"}


def test_a_decorated_function_can_still_be_called() -> None:
    def of_vision(row: Row) -> bool:
        return row.tag == "vision"

    assert slicing_function(of_vision) is of_vision


def test_a_mask_is_boolean_whatever_a_function_answers() -> None:
    @slicing_function
    def has_words(row: Row) -> bool:
        return row.text.split()  # type: ignore[return-value]

    mask = compute_masks(rows(("a b c", "x"), (" ", "x")))["has_words"]
    assert mask.dtype == np.bool_
    assert mask.tolist() == [True, False]


def test_a_function_of_the_same_name_takes_the_place_of_the_first() -> None:
    def twice(answer: bool) -> None:
        @slicing_function
        def same(row: Row) -> bool:
            return answer

    twice(False)
    twice(True)
    assert compute_masks(rows(("a", "x")))["same"].tolist() == [True]


def test_rows_are_taken_by_position_whatever_their_index() -> None:
    table = rows(("a", "x"), ("a b c d e f g h", "x")).set_index(pd.Index([9, 4]))
    assert compute_masks(table)["short_text"].tolist() == [True, False]


def test_the_error_of_a_function_is_not_swallowed() -> None:
    @slicing_function
    def broken(row: Row) -> bool:
        raise LookupError(f"no such word in {row.text!r}")

    with pytest.raises(LookupError, match="no such word in 'abc'"):
        compute_masks(rows(("abc", "x")))
