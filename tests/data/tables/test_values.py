from __future__ import annotations

import datetime
import math
from decimal import Decimal
from typing import Any

import pytest

from tagifai.data.tables.values import convert, convert_all

DAY = datetime.date(2024, 2, 29)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (" a\n", " a\n"),
        ("NA", "NA"),
        (None, ""),
        (math.nan, ""),
        (Decimal("NaN"), ""),
        (True, "true"),
        (False, "false"),
        (0, "0"),
        (-7, "-7"),
        (1.0, "1.0"),
        (1.5, "1.5"),
        (Decimal("1.50"), "1.50"),
        (b"Sch\xc3\xb6n", "Schön"),
        (DAY, "2024-02-29"),
        (datetime.datetime(2024, 2, 29, 8, 5), "2024-02-29T08:05:00"),
        (datetime.time(8, 5), "08:05:00"),
        ([], ""),
        (["pos"], "pos"),
        ([1], "1"),
        ([["pos"]], "pos"),
        (("pos",), "pos"),
    ],
)
def test_a_value_is_the_text_that_any_format_would_have(value: Any, text: str) -> None:
    assert convert(value) == text


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"\xff", r"^b'\\xff' are bytes that are not UTF-8$"),
        (["a", "b"], r"^\['a', 'b'\] is a list of 2 values, and has to be a text or a number$"),
        ({"a": 1}, r"^\{'a': 1\} is an object, and has to be"),
        ([{"a": 1}], "is an object"),
        ([("a", "b")], "is a list of 2 values"),
        (datetime.timedelta(1), "is a timedelta, and has to be"),
        (object, "is a type"),
        (["x" * 100, "y"], r"^\['x{38}… is a list"),
    ],
)
def test_what_is_no_text_is_refused_with_what_it_is(value: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        convert(value)


def test_a_column_says_which_of_its_values_are_none() -> None:
    texts, problems = convert_all(["a", ["b", "c"], None, 5, "d\0e", "\ud83d"], (), replace=False)
    assert texts == ["a", "", "", "5", "", ""]
    assert problems == {
        1: "['b', 'c'] is a list of 2 values, and has to be a text or a number",
        4: "'d\\x00e' has NUL, which no text has",
        5: "'\\ud83d' has half of a surrogate pair, which no text has",
    }


def test_by_request_a_character_takes_the_place_of_what_no_text_has() -> None:
    given = ["a\0b", "\ud83dx", "ok"]
    assert convert_all(given, (), replace=True) == (["a\ufffdb", "\ufffdx", "ok"], {})


def test_halves_of_a_pair_in_two_values_are_no_character_together() -> None:
    assert set(convert_all(["\ud83d", "\ude00"], (), replace=False)[1]) == {0, 1}


def test_what_is_said_to_be_missing_is_missing_and_nothing_else() -> None:
    given = ["NA", "na", "\\N", " NA", "None", -1, None]
    texts, problems = convert_all(given, frozenset({"NA", "\\N", "-1"}), replace=False)
    assert texts == ["", "na", "", "", "None", "", ""]
    assert problems == {}


def test_without_a_setting_only_nothing_is_missing() -> None:
    words = ["NA", "N/A", "null", "None", "nan", "NaN", "\\N", "#N/A"]
    assert convert_all(words, (), replace=False) == (words, {})
