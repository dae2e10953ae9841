"""The page on security: each promise names a module that keeps it and tests that show it."""

from __future__ import annotations

import ast
import re

import pytest

from tests.app import ROOT

PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf-8")

PROMISES = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith("|") and not re.match(r"\|[-|]+$|\| attack", line)
]
"""Rows of the table: attack, promise, modules, tests."""


def test_there_are_promises_of_four_cells() -> None:
    assert len(PROMISES) >= 30
    assert {len(row) for row in PROMISES} == {4}


@pytest.mark.parametrize("row", PROMISES, ids=lambda row: str(row[0])[:40])
def test_each_promise_is_kept_by_a_module_and_shown_by_a_test(row: list[str]) -> None:
    modules, tests = (re.findall(r"`([^`]+)`", cell) for cell in row[2:])
    assert modules
    assert tests
    assert [name for name in modules if not (ROOT / "tagifai" / name).is_file()] == []
    for test in tests:
        file, _, name = test.partition("::")
        tree = ast.parse((ROOT / "tests" / file).read_text(encoding="utf-8"))
        names = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        assert name in names, test
