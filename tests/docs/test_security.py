"""The page on security: each promise names a module that keeps it and tests that show it."""

from __future__ import annotations

import re

import pytest

from tests.app import ROOT
from tests.docs.promises import list_missing, read_rows

PROMISES = read_rows("SECURITY.md", 4)
"""Rows of the tables: attack, promise, modules, tests."""


def test_there_are_promises_of_four_cells() -> None:
    assert len(PROMISES) >= 30
    tables = [line for line in (ROOT / "SECURITY.md").read_text().splitlines() if line[:2] == "| "]
    assert len(tables) == len(PROMISES) + sum(line.startswith("| attack") for line in tables)


@pytest.mark.parametrize("row", PROMISES, ids=lambda row: str(row[0])[:40])
def test_each_promise_is_kept_by_a_module_and_shown_by_a_test(row: list[str]) -> None:
    modules = re.findall(r"`([^`]+)`", row[2])
    assert modules
    assert [name for name in modules if not (ROOT / "tagifai" / name).is_file()] == []
    assert list_missing(row[3]) == []
