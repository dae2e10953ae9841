"""The page on what holds when something goes wrong: each promise names the tests that show it."""

from __future__ import annotations

import re

import pytest

from tests.docs.promises import list_missing, read_rows
from tests.faults.__main__ import KINDS

PAGE = "docs/guarantees.md"

PROMISES = read_rows(PAGE, 3)
"""Promise, faults, tests."""


def test_there_are_promises() -> None:
    assert len(PROMISES) >= 30


@pytest.mark.parametrize("row", PROMISES, ids=lambda row: str(row[0])[:40])
def test_each_promise_is_shown_by_tests_that_are_there(row: list[str]) -> None:
    assert all(row)
    assert list_missing(row[2]) == []


def test_the_page_names_every_kind_of_fault_and_no_other() -> None:
    named = [re.fullmatch(r"`(\w+)`", row[0]) for row in read_rows(PAGE, 2)]
    assert {match[1] for match in named if match} == {*KINDS}
