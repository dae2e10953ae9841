"""Private names of other libraries stand in modules that are about nothing else."""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "tagifai"

FENCES = {
    *("config/_hydra.py", "config/_sklearn.py", "preprocessing/_sklearn.py"),
    *("sweeping/_hydra.py", "sweeping/_optuna.py"),
}

PUBLIC = {"_target_", "_exit"}
"""A key of Hydra's configurations, and a documented function of `os`."""

OWN = {("tracking/session.py", name) for name in ("_client", "_artifacts")}
"""Attributes of our own base class, taken from another object of it."""

FILES = sorted(PACKAGE.rglob("*.py"))


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in PUBLIC


def list_own_names() -> set[str]:
    """Names that classes and modules of ours define, outside of the fences."""
    names = set()
    for file in FILES:
        if file.relative_to(PACKAGE).as_posix() in FENCES:
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                names.add(node.name)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                names.add(node.attr)
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                names.add(node.target.id)
    return names


def find_private(tree: ast.AST, own: set[str]) -> Iterator[tuple[int, str]]:
    """Yield line and name of each private name of another library."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            is_self = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            if not (is_self and node.attr in own):
                yield node.lineno, node.attr
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id in ("getattr", "setattr", "hasattr", "delattr"):
                name = node.args[1]
                if isinstance(name, ast.Constant) and is_private(str(name.value)):
                    yield node.lineno, str(name.value)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            module = (node.module or "") if isinstance(node, ast.ImportFrom) else ""
            for alias in node.names:
                full = f"{module}.{alias.name}" if module else alias.name
                if not full.startswith("tagifai.") and any(map(is_private, full.split("."))):
                    yield node.lineno, full


def test_private_names_of_other_libraries_stand_in_their_fences_alone() -> None:
    own, found = list_own_names(), []
    for file in FILES:
        name = file.relative_to(PACKAGE).as_posix()
        if name not in FENCES:
            tree = ast.parse(file.read_text(encoding="utf-8"))
            found += [
                f"tagifai/{name}:{line}: {private}"
                for line, private in find_private(tree, own)
                if (name, private) not in OWN
            ]
    assert not found, f"put these into one of {sorted(FENCES)}, or do without: {found}"


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("study._storage", ["_storage"]),
        ("self._storage", []),
        ("self._apply_overrides(x)", ["_apply_overrides"]),
        ("super()._count_vocab(x)", ["_count_vocab"]),
        ("getattr(model, '_y', None)", ["_y"]),
        ("import hydra._internal.utils", ["hydra._internal.utils"]),
        ("from sklearn.svm._base import BaseSVC", ["sklearn.svm._base.BaseSVC"]),
        ("from sklearn.svm import _base", ["sklearn.svm._base"]),
        ("from tagifai._lazy import make_getattr", []),
        ("cfg.launcher._target_; os._exit(1); model.__dict__", []),
    ],
)
def test_what_is_private_is_found(code: str, found: list[str]) -> None:
    assert [name for _, name in find_private(ast.parse(code), {"_storage"})] == found


def test_no_class_overrides_a_private_method_of_another_library_but_in_a_fence() -> None:
    found = []
    for file in FILES:
        name = file.relative_to(PACKAGE).as_posix()
        if name in FENCES or name == "__main__.py":
            continue
        parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
        module = importlib.import_module(".".join(part for part in parts if part != "__init__"))
        for _, kind in inspect.getmembers(module, inspect.isclass):
            if kind.__module__ != module.__name__:
                continue
            bases = [base for base in kind.__mro__ if not base.__module__.startswith("tagifai")]
            found += [
                f"tagifai/{name}: {kind.__name__}.{attribute}"
                for attribute, value in vars(kind).items()
                if inspect.isfunction(value) and is_private(attribute)
                if any(attribute in vars(base) for base in bases)
            ]
    assert not found


@pytest.mark.parametrize("fence", sorted(FENCES))
def test_a_fence_says_in_which_version_it_was_read_and_which_test_watches_it(fence: str) -> None:
    said = ast.get_docstring(ast.parse((PACKAGE / fence).read_text(encoding="utf-8"))) or ""
    folder, _, name = fence.removesuffix(".py").partition("/_")
    test = f"tests/{folder}/test_private_{name}.py"
    assert "Read in " in said
    assert f"`{test}`" in said
    assert (PACKAGE.parent / test).is_file()
