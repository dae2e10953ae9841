"""What import contracts (see pyproject.toml) do not say: sizes of packages, names, import cost."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "tagifai"

MOST_MODULES = 14
"""Of a package; more are two packages."""

HEAVY = ["pandas", "sklearn", "mlflow", "optuna", "matplotlib"]

EVERY_COMMAND = [
    *("run", "tagifai", "tagifai.cli", "tagifai.config.schema", "tagifai.config.plugins"),
    *("tagifai.sweeping.sweeper", "tagifai.tracking.multirun"),
]
"""What is imported before it is known what the command is; the plugins by Hydra's discovery."""


def module_of(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


# --- packages ----------------------------------------------------------------------------------


def test_packages_are_small() -> None:
    folders = {file.parent for file in PACKAGE.rglob("*.py")} - {PACKAGE / "tasks"}
    sizes = {
        # Private names of a library stand in modules by themselves, which are counted apart: they
        # are no part of what a package is for, and one that is not needed any more goes.
        folder.name: len([file for file in folder.glob("*.py") if not file.stem.startswith("_")])
        for folder in folders
    }
    assert sizes.pop("tagifai") <= 6  # and `__main__` and `_lazy`
    assert max(sizes.values()) <= MOST_MODULES, sizes


def test_a_task_has_a_module_of_its_name_and_every_module_is_a_task() -> None:
    tasks = {file.stem for file in (ROOT / "conf" / "task").glob("*.yaml")}
    assert tasks == {file.stem for file in (PACKAGE / "tasks").glob("*.py")} - {"__init__"}


def test_the_entry_is_at_most_forty_lines() -> None:
    assert len((ROOT / "run.py").read_text(encoding="utf-8").splitlines()) <= 40


# --- one way for each thing --------------------------------------------------------------------


def list_importers(module: str, name: str) -> set[str]:
    """Modules that import a name of a module."""
    found = set()
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == module:
                found |= {module_of(file) for alias in node.names if alias.name == name}
    return found


def test_texts_become_outputs_in_the_tagger_alone() -> None:
    vectorizing = list_importers("tagifai.preprocessing", "char_ngrams")
    computing = list_importers("tagifai.models.outputs", "compute_outputs")
    # A training computes outputs of features that it has computed once or taken from the cache.
    assert computing - {"tagifai.models.tagger"} == {
        *("tagifai.training.fitting", "tagifai.training.loop")
    }
    assert vectorizing & computing == {"tagifai.models.tagger"}


# --- what importing does -----------------------------------------------------------------------


def run(code: str, cwd: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=cwd,
        env=environment(),
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.stdout


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if "MLFLOW" not in name}
    return kept | {"PYTHONPATH": str(ROOT)}


@pytest.mark.parametrize("module", EVERY_COMMAND)
def test_what_every_command_imports_loads_no_heavy_library(module: str, tmp_path: Path) -> None:
    code = f"import sys, {module}; print(*(name for name in {HEAVY} if name in sys.modules))"
    assert run(code, tmp_path).split() == []


@pytest.mark.parametrize("module", EVERY_COMMAND)
def test_what_every_command_imports_loads_neither_the_search_nor_a_task(
    module: str, tmp_path: Path
) -> None:
    late = ("tagifai.tasks", "tagifai.sweeping.loop", "tagifai.sweeping.studies")
    code = f"import sys, {module}; print(*(name for name in sys.modules if name in {late}))"
    assert run(code, tmp_path).split() == []


def test_every_plugin_is_among_what_every_command_imports() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        plugins = tomllib.load(file)["project"]["entry-points"]["hydra.plugins"]
    assert {entry.partition(":")[0] for entry in plugins.values()} <= set(EVERY_COMMAND)


def test_importing_every_module_makes_no_file_and_changes_no_environment(tmp_path: Path) -> None:
    modules = [module_of(file) for file in sorted(PACKAGE.rglob("*.py"))]
    code = (
        "import importlib, json, os; before = dict(os.environ);"
        f"[importlib.import_module(name) for name in {modules}];"
        "new = {name for name, value in os.environ.items() if before.get(name) != value};"
        "print(*(name for name in new if name.startswith(('MLFLOW', 'TAGIFAI', 'HYDRA'))))"
    )
    assert run(code, tmp_path).split() == []
    assert list(tmp_path.iterdir()) == []
