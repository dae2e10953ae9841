"""Tables of promises on pages: what is in them, and whether the tests that they name are there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

from tests.app import ROOT


def read_rows(page: str, columns: int) -> list[list[str]]:
    """Return the rows of all tables of so many columns of a page, without their heads."""
    rows = []
    lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        head = re.match(r"\|[-|]+$", following) or re.match(r"\|[-|]+$", line)
        if line.startswith("|") and not head and len(cells) == columns:
            rows.append(cells)
    return rows


def list_missing(cell: str) -> list[str]:
    """Return the tests that a cell names and that are not there."""
    tests = re.findall(r"`([^`]+)`", cell)
    assert tests, cell
    return [test for test in tests if not _is_there(*test.split("::"))]


def _is_there(file: str, name: str) -> bool:
    return name in _names(ROOT / "tests" / file)


@cache
def _names(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
