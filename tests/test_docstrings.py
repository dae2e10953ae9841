"""Docstrings name what there is: arguments by their names, errors by their classes."""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator
from pathlib import Path

from tests.app import ROOT

MODULES = {
    path: ast.parse(path.read_text(encoding="utf-8"))
    for path in sorted((ROOT / "tagifai").rglob("*.py"))
}

CLASSES = {
    node.name: node
    for tree in MODULES.values()
    for node in ast.walk(tree)
    if isinstance(node, ast.ClassDef)
}

Documented = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef

PRIVATE_WORDS = r"(?i)\b(clerks?|desk|ledger|leftovers?|soundness|reaped|beaten)\b"
"""Words of an earlier vocabulary; the glossary has those that took their place."""


def documented() -> Iterator[tuple[Path, Documented, str]]:
    """Yield the functions and classes that have a docstring, with it."""
    for path, tree in MODULES.items():
        for node in ast.walk(tree):
            if isinstance(node, Documented) and (text := ast.get_docstring(node)):
                yield path, node, text


def section(text: str, name: str) -> list[str]:
    """Return the names that a section of a docstring explains."""
    found = re.search(rf"^{name}:\n((?:    .*\n?|\n(?=    ))+)", text, re.MULTILINE)
    pattern = r"^    \*{0,2}(\w+(?:[.]\w+)*(?:, \w+)*):"
    lines = re.findall(pattern, found[1], re.MULTILINE) if found else []
    return [item.rpartition(".")[2] for line in lines for item in line.split(", ")]


def parameters(node: Documented) -> set[str] | None:
    """Return what a call can name, or None if a class has it from another library."""
    if not isinstance(node, ast.ClassDef):
        arguments = node.args
        named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        others = [item for item in (arguments.vararg, arguments.kwarg) if item is not None]
        return {item.arg for item in [*named, *others]}
    for item in node.body:
        if isinstance(item, ast.FunctionDef) and item.name == "__init__":
            return parameters(item)
    known = {
        item.target.id
        for item in node.body
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
    }
    for base in node.bases:
        name = ast.unparse(base)
        inherited = parameters(CLASSES[name]) if name in CLASSES else None
        if inherited is None and name not in ("Protocol", "TypedDict", "NamedTuple"):
            return None
        known |= inherited or set()
    return known


def test_a_docstring_explains_arguments_that_there_are() -> None:
    wrong = []
    for path, node, text in documented():
        known = parameters(node)
        if known is not None:
            others = set(section(text, "Args")) - known
            wrong += [f"{path.relative_to(ROOT)}: {node.name}({name})" for name in sorted(others)]
    assert wrong == []


def test_a_docstring_names_errors_that_there_are() -> None:
    wrong = []
    for path, node, text in documented():
        imported = {
            alias.asname or alias.name
            for item in ast.walk(MODULES[path])
            if isinstance(item, ast.Import | ast.ImportFrom)
            for alias in item.names
        }
        known = {*CLASSES, *imported, *dir(builtins)}
        others = sorted({*section(text, "Raises")} - known)
        wrong += [f"{path.relative_to(ROOT)}: {node.name} raises {name}" for name in others]
    assert wrong == []


def test_the_package_speaks_the_words_of_the_field() -> None:
    found = {
        str(path.relative_to(ROOT)): words
        for path in MODULES
        if (words := re.findall(PRIVATE_WORDS, path.read_text(encoding="utf-8")))
    }
    assert found == {}
