"""What import contracts (see pyproject.toml) do not say: sizes, names, import cost."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "tagifai"

MOST_MODULES = 14
"""Of a package; more are two packages."""

MOST_LINES = 260
"""Of a module; a longer one does two things."""

MOST_FUNCTION_LINES = 45
"""With its docstring."""

LONG_MODULES: set[str] = set()
"""Those that are to be rewritten."""

LONG_FUNCTIONS: set[str] = set()
"""For the same reasons."""

VERBS = {
    *("abandon", "add", "allow", "apply", "are", "ask", "assign", "balance", "batch", "block"),
    *(
        "build",
        "calibrate",
        "call",
        "check",
        "choose",
        "clean",
        "close",
        "collect",
        "compare",
        "compose",
    ),
    *("compute", "connect", "count", "create", "decide", "decode", "delete", "derive"),
    *("describe", "deserialize", "dispatch", "distinguish", "download", "enable", "encode"),
    *(
        "end",
        "ensure",
        "estimate",
        "explain",
        "export",
        "extract",
        "fetch",
        "find",
        "finish",
        "fit",
    ),
    *("flatten", "format", "get", "guard", "has", "hash", "hold", "ignore", "import", "index"),
    *("infer", "is", "iterate", "launch", "list", "listen", "load", "locate", "lock", "log"),
    *("make", "map", "mask", "measure", "mention", "note", "open", "pack", "parse", "plot"),
    *("predict", "preload", "prepare", "publish", "quote", "read", "recognize", "record"),
    *("refit", "refuse", "register", "release", "remove", "render", "reopen", "replace", "report"),
    *("require", "resolve", "resplit", "restore", "run", "sanitize", "save", "score", "search"),
    *("select", "send", "serialize", "serve", "set", "shorten", "show", "skip", "split", "start"),
    *("stop", "strip", "suggest", "sum", "summarize", "supports", "tell", "train", "transform"),
    *("translate", "unpack", "update", "use", "validate", "vectorize", "verify", "wait"),
    *("warm", "wrap", "write"),
}
"""What names of functions begin with."""

HOOKS = {
    # Hydra's config sources, sweepers and callbacks
    *("scheme", "available", "is_group", "load_config", "list", "setup", "sweep"),
    *("on_multirun_start", "on_epoch_end"),
    # Optuna's samplers
    *("before_trial", "after_trial", "infer_relative_search_space", "sample_relative"),
    "sample_independent",
    # scikit-learn's estimators
    *("fit", "transform", "fit_transform", "fit_resample", "predict", "predict_proba"),
    "decision_function",
    # streams
    "isatty",
}
"""Methods whose names a framework has chosen, which calls them."""

HEAVY = ["pandas", "sklearn", "mlflow", "optuna", "matplotlib"]

EVERY_COMMAND = [
    *("run", "tagifai", "tagifai.cli", "tagifai.config.schema", "tagifai.config.plugins"),
    *("tagifai.sweeping.plugins.stock", "tagifai.sweeping.sweeper", "tagifai.tracking.multirun"),
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


def parsed() -> Iterator[tuple[str, str, ast.Module]]:
    """Yield each module's path in the package, its text and its tree."""
    for file in sorted(PACKAGE.rglob("*.py")):
        text = file.read_text(encoding="utf-8")
        yield file.relative_to(PACKAGE).as_posix(), text, ast.parse(text)


def test_modules_are_short_but_those_that_are_to_be_rewritten() -> None:
    too_long = {path for path, text, _ in parsed() if len(text.splitlines()) > MOST_LINES}
    assert too_long == LONG_MODULES


def test_functions_are_short_but_those_that_are_to_be_rewritten() -> None:
    too_long = {
        f"{path}:{node.name}"
        for path, _, tree in parsed()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        and (node.end_lineno or 0) - node.lineno >= MOST_FUNCTION_LINES
    }
    assert too_long == LONG_FUNCTIONS


def test_a_task_has_a_module_of_its_name_and_every_module_is_a_task() -> None:
    tasks = {file.stem for file in (ROOT / "conf" / "task").glob("*.yaml")}
    assert tasks == {file.stem for file in (PACKAGE / "tasks").glob("*.py")} - {"__init__"}


def test_the_entry_is_at_most_forty_lines() -> None:
    assert len((ROOT / "run.py").read_text(encoding="utf-8").splitlines()) <= 40


# --- names -------------------------------------------------------------------------------------


def public_functions(tree: ast.Module) -> Iterator[str]:
    """Yield the names of public functions, and of methods of public classes that are no hooks."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for method in node.body:
                if isinstance(method, ast.FunctionDef) and method.name not in HOOKS:
                    decorators = [ast.unparse(decorator) for decorator in method.decorator_list]
                    if not any("property" in decorator for decorator in decorators):
                        yield method.name


def test_four_fifths_of_the_public_functions_begin_with_a_verb() -> None:
    names = [
        name
        for path, _, tree in parsed()
        if not path.startswith("tasks/")
        for name in public_functions(tree)
        if not name.startswith("_")
    ]
    others = [name for name in names if name.partition("_")[0] not in VERBS]
    assert len(others) <= len(names) / 5, others


def test_no_name_is_that_of_two_classes() -> None:
    counts = Counter(
        node.name
        for _, _, tree in parsed()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    )
    assert [name for name, count in counts.items() if count > 1] == []


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
    # A training computes outputs of features that it has computed once or taken from the cache, and
    # an estimate takes the time of that.
    assert computing - {"tagifai.models.tagger"} == {
        *("tagifai.training.estimates", "tagifai.training.fitting", "tagifai.training.loop")
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


@pytest.mark.e2e
@pytest.mark.parametrize("module", EVERY_COMMAND)
def test_what_every_command_imports_loads_no_heavy_library(module: str, tmp_path: Path) -> None:
    code = f"import sys, {module}; print(*(name for name in {HEAVY} if name in sys.modules))"
    assert run(code, tmp_path).split() == []


@pytest.mark.e2e
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


@pytest.mark.e2e
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
