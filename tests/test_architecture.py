"""The arrows between the modules, read from the source and not from what happens to be loaded."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "tagifai"

GROUND = ("errors", "addresses", "files", "provenance", "liveness", "signals", "terminals")
"""What every room may stand on; none of them knows another."""

PURE = (
    "stopwords",
    "text",
    "labels",
    "splits",
    "holdout",
    "features",
    "characters",
    "hashes",
    "ngrams",
    "vectorizing",
    "models",
    "sampling",
    "thresholds",
    "slices",
    "metrics",
    "probabilities",
    "layouts",
    "states",
    "terms",
    "direct",
    "losses",
    "tuning",
    "training",
    "tagger",
    "sizes",
    "mistakes",
    "selection",
    "leaderboards",
    "reports",
    "soundness",
    "probes",
    "leftovers",
    "plots",
)
"""Arrays and frames in and out; each may import those before it."""

EDGES = (
    "blocks",
    "components",
    "datasets",
    "downloads",
    "decoding",
    "formats",
    "labeled",
    "tables",
    "readers",
    "archives",
    "artifacts",
    "claims",
    "workers",
    "estimators",
    "sqlite",
    "store",
    "entries",
    "tracked",
    "calls",
    "clerk",
    "tracking",
    "desk",
    "lookup",
    "registry",
    "serving",
    "server",
    "ledger",
    "folders",
    "cache",
    "pages",
    "drawing",
    "studies",
    "samplers",
    "trials",
    "listings",
    "progress",
    "frames",
    "console",
)
BETWEEN_EDGES = {
    ("console", "listings"),
    ("console", "progress"),
    ("datasets", "downloads"),
    ("datasets", "tables"),
    ("datasets", "labeled"),
    ("labeled", "formats"),
    ("formats", "decoding"),
    ("archives", "artifacts"),
    ("archives", "claims"),
    ("artifacts", "estimators"),
    ("estimators", "claims"),
    ("store", "sqlite"),
    ("studies", "sqlite"),
    ("tracked", "entries"),
    ("tracked", "store"),
    ("clerk", "calls"),
    ("clerk", "tracked"),
    ("clerk", "workers"),
    ("tracking", "clerk"),
    ("tracking", "store"),
    ("tracking", "tracked"),
    ("desk", "calls"),
    ("desk", "serving"),
    ("desk", "store"),
    ("desk", "tracking"),
    ("lookup", "store"),
    ("registry", "store"),
    ("serving", "artifacts"),
    ("server", "serving"),
    ("ledger", "store"),
    ("ledger", "lookup"),
    ("samplers", "studies"),
    ("trials", "studies"),
    ("trials", "samplers"),
    ("drawing", "pages"),
}
"""The only edges that know another: the part of their own work that was given a room."""

TASKS = (
    *("elt", "train", "evaluate", "errors", "predict", "compare", "info"),
    *("promote", "rollback", "rerun", "export", "import", "serve", "clean"),
)

ARROWS: dict[str, set[str]] = {
    **{name: set() for name in GROUND},
    "schema": {"errors"},
    **{name: {"errors", *PURE[:place]} for place, name in enumerate(PURE)},
    # Edges: one outside thing each.
    "components": {"errors"},
    "blocks": {"errors"},
    "workers": {"errors"},
    "tables": {"errors"},
    "downloads": {"errors", "terminals"},
    "decoding": {"errors"},
    "formats": {"errors", "decoding"},
    "labeled": {"errors", "formats"},
    "datasets": {"errors", "addresses", "files", "schema", "tables", "labeled", "downloads"},
    "readers": {"errors", "files", "tagger"},
    "claims": {"errors"},
    "estimators": {"errors", "soundness", "states", "claims"},
    "artifacts": {
        *("errors", "files", "provenance", "labels", "tagger", "probes", "direct", "estimators"),
    },
    "archives": {"errors", "files", "artifacts", "claims"},
    "sqlite": set(),
    "pages": set(),
    "drawing": {"plots", "pages"},
    "store": {"errors", "addresses", "sqlite"},
    "entries": set(),
    "tracked": {"errors", "addresses", "store", "entries"},
    "calls": {"errors", "signals"},
    "clerk": {"errors", "signals", "tracked", "calls", "workers"},
    "tracking": {"errors", "addresses", "liveness", "signals", "store", "tracked", "clerk"},
    "desk": {"errors", "addresses", "store", "calls", "serving", "tracking"},
    "lookup": {"errors", "store"},
    "registry": {"store"},
    "serving": {"artifacts", "tagger"},
    "server": {"errors", "serving", "tagger"},
    "ledger": {"errors", "liveness", "leftovers", "store", "lookup"},
    "folders": {"errors", "leftovers"},
    "cache": {"provenance"},
    "studies": {"errors", "addresses", "sqlite"},
    "samplers": {"errors", "studies"},
    "trials": {"errors", "studies", "samplers"},
    "console": {"metrics", "terminals", "listings", "progress"},
    "progress": set(),
    "frames": {"terminals"},
    "listings": {"metrics"},
    # Assembly.
    "paths": {"addresses", "schema"},
    "pipeline": {"errors", "schema", *PURE},
    "objectives": {"errors", "schema", "metrics", "splits", "pipeline"},
    "profiles": {"pipeline"},
    "streams": {"errors", *PURE, "blocks", "workers", "pipeline"},
    "streaming": {"errors", "schema", *PURE, "blocks", "datasets", "pipeline", "streams"},
    "recorded": {
        *("errors", "schema", "labels", "artifacts", "blocks", "datasets", "pipeline", "paths"),
    },
    "callbacks": {"training"},
    "promotion": {
        *("errors", "schema", "artifacts", "registry", "store"),
        *("pipeline", "recorded", "tagger"),
    },
    "runs": {
        *("errors", "files", "schema", "selection", "tagger"),
        *("artifacts", "store", "tracking", "lookup", "registry"),
    },
    "recording": {
        *("errors", "files", "schema"),
        *(
            "artifacts",
            "datasets",
            "tracking",
            "serving",
            "pipeline",
            "callbacks",
            "training",
            "origins",
        ),
    },
    "sweeps": {
        *("files", "liveness", "schema", "store", "tracking", "studies", "trials"),
    },
    "removal": {
        *("liveness", "leftovers", "artifacts", "folders", "ledger", "runs", "sweeps"),
    },
    "origins": {"provenance", "schema", "sweeps"},
    "views": {"addresses", "schema", "store", "console", "pipeline", "origins"},
    "rounds": {
        *("errors", "schema", "training", "vectorizing", "components", "tracking", "console"),
        *("pipeline", "objectives", "callbacks", "recording", "sweeps"),
    },
    "trainer": {
        *("errors", "schema", "training", "cache", "datasets", "store", "tracking", "console"),
        *("pipeline", "objectives", "profiles", "recording", "runs", "streaming", "sweeps"),
        *("origins", "reporting", "rounds", "views", "workers"),
    },
    "figures": {"losses", "mistakes", "probabilities", "plots", "drawing", "pipeline"},
    "summaries": {
        *("schema", "metrics", "pages", "drawing", "pipeline", "profiles", "origins"),
    },
    "comparisons": {"leaderboards", "reports", "plots", "pages", "drawing"},
    "reporting": {
        *("files", "schema", "leaderboards", "console", "pages", "drawing", "tracking", "paths"),
        *("pipeline", "origins", "figures", "summaries", "comparisons"),
    },
    "reruns": {"errors", "metrics", "artifacts", "recorded"},
    **{
        f"tasks.{name}": {
            *GROUND,
            "schema",
            *PURE,
            *EDGES,
            "pipeline",
            "objectives",
            "profiles",
            "streaming",
            "recorded",
            "promotion",
            "callbacks",
            "runs",
            "recording",
            "sweeps",
            "removal",
            "origins",
            "views",
            "reporting",
            "trainer",
            "reruns",
        }
        for name in TASKS
    },
    "tasks": set(),
    # Top.
    "search": {
        *("errors", "addresses", "files", "provenance", "schema"),
        *("components", "datasets", "store", "tracking", "lookup", "console", "pages", "drawing"),
        *("progress", "studies", "samplers", "plots"),
        *("objectives", "pipeline", "streaming", "paths", "sweeps", "reporting", "summaries"),
    },
    "sweeper": {"console", "search"},
    "plugins": {"schema"},
    "cli": {"frames", "console", "schema", "tasks", "errors", "paths", "sweeps", "clerk"},
    "run": {"cli", "components", "paths", "schema"},
    "tagifai": {"registry", "runs", "store", "tagger"},
}

ONLY_IN: dict[str, set[str]] = {
    "mlflow": {"tracking", "tracked", "store", "lookup", "ledger", "registry", "serving", "server"},
    "optuna": {"studies", "samplers", "trials", "search"},
    "hydra": {
        *("components", "samplers", "paths", "origins", "sweeps", "reporting"),
        *(
            "tasks.elt",
            "tasks.evaluate",
            "tasks.errors",
            "tasks.clean",
            "search",
            "sweeper",
            "plugins",
            "cli",
            "run",
        ),
    },
    "hydra_plugins": {"search", "sweeper"},
    "omegaconf": {
        *("schema", "recording", "recorded", "reporting", "sweeps", "tasks.evaluate"),
        *("search", "sweeper", "plugins", "cli", "run"),
    },
    "filelock": {
        *("liveness", "tracking", "ledger", "studies", "datasets", "runs", "sweeps", "search"),
        *("promotion", "cache"),
    },
    "imblearn": set(),
    "jinja2": {"pages"},
    "matplotlib": {"plots", "drawing", "figures", "comparisons", "search"},
    "joblib": {"search"},
    "nltk": {"text"},
    "pandera": {"tables"},
    "pooch": {"downloads"},
    "ray": {"search"},
    "requests": {"downloads"},
    "rich": {"console", "listings", "progress"},
    "skops": {"estimators"},
    "snorkel": {"slices"},
    "submitit": {"search"},
    "subprocess": {"provenance", "search", "clerk"},
    "tempfile": {"archives", "cache", "files", "runs", "tracked"},
    "uvicorn": {"server"},
}
"""Libraries and the modules that may know them."""

DISK = {"os", "io", "pathlib", "shutil", "tempfile", "glob", "subprocess", "sqlite3", "socket"}

HEAVY = ["pandas", "sklearn", "mlflow", "optuna", "matplotlib"]

EVERY_COMMAND = [
    *("run", "tagifai", "tagifai.config.schema", "tagifai.cli", "tagifai.config.plugins"),
    *("tagifai.sweeping.sweeper", "tagifai.tracking.multirun"),
]
"""What is imported before it is known what the command is; the plugins by Hydra's discovery."""


def sources() -> dict[str, list[Path]]:
    """Return the files of each room; a package whose parts belong together is one room."""
    found: dict[str, list[Path]] = {"run": [ROOT / "run.py"]}
    for file in sorted(PACKAGE.rglob("*.py")):
        found.setdefault(room(module_of(file)), []).append(file)
    return found


def module_of(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def room(module: str) -> str:
    """Return "schema" for "tagifai.config.schema.rules", "tasks.train" for "tagifai.tasks.train"."""
    name = module.removeprefix("tagifai.")
    return name if name.startswith("tasks.") else name.partition(".")[0]


@cache
def imports(file: Path) -> frozenset[str]:
    """Return the full names of what a file imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} has a relative import"
            module = str(node.module)
            inside = module == "tagifai" or module == "tagifai.tasks"
            names |= {f"{module}.{alias.name}" for alias in node.names} if inside else {module}
    return frozenset(names)


def imported_by(name: str) -> set[str]:
    return {found for file in sources()[name] for found in imports(file)}


def arrows(name: str) -> set[str]:
    found = imported_by(name)
    return {room(module) for module in found if module.split(".")[0] == "tagifai"} - {name}


# --- arrows ------------------------------------------------------------------------------------


def test_every_module_has_a_room() -> None:
    assert set(sources()) == set(ARROWS)


@pytest.mark.parametrize(
    "name",
    sorted(ARROWS),
)
def test_a_module_imports_only_from_the_rooms_above_its_own(name: str) -> None:
    assert arrows(name) <= ARROWS[name]


def test_the_rooms_allow_no_circle() -> None:
    left = {name: set(allowed) for name, allowed in ARROWS.items()}
    while free := {name for name, allowed in left.items() if not allowed & set(left)}:
        left = {name: allowed for name, allowed in left.items() if name not in free}
    assert left == {}


def test_edges_import_no_other_edges_than_those_of_the_list() -> None:
    found = {(name, other) for name in EDGES for other in arrows(name) & set(EDGES)}
    assert found == BETWEEN_EDGES


def test_no_task_imports_another() -> None:
    for name in TASKS:
        assert not {other for other in arrows(f"tasks.{name}") if other.startswith("tasks")}


def test_tasks_and_the_entry_are_imported_by_nobody() -> None:
    for name in ARROWS:
        found = imported_by(name)
        assert "run" not in found
        assert not {module for module in found if module.startswith("tagifai.tasks")}


def test_a_task_has_a_module_of_its_name_and_every_module_is_a_task() -> None:
    tasks = {file.stem for file in (ROOT / "conf" / "task").glob("*.yaml")}
    assert tasks == set(TASKS)
    assert tasks == {file.stem for file in (PACKAGE / "tasks").glob("*.py")} - {"__init__"}


# --- libraries ---------------------------------------------------------------------------------


@pytest.mark.parametrize("library", sorted(ONLY_IN))
def test_a_library_is_known_only_where_it_belongs(library: str) -> None:
    knowing = {
        name
        for name in ARROWS
        if any(module.split(".")[0] == library for module in imported_by(name))
    }
    assert knowing <= ONLY_IN[library]


@pytest.mark.parametrize("name", PURE)
def test_a_pure_module_knows_neither_frameworks_nor_the_disk(name: str) -> None:
    known = {module.split(".")[0] for module in imported_by(name)}
    assert not known & ({"hydra", "omegaconf", "mlflow", "optuna", "rich"} | DISK)


def test_metrics_and_slices_do_not_know_each_other() -> None:
    assert "metrics" not in arrows("slices")
    assert "slices" not in arrows("metrics")


def test_the_ground_knows_no_library_but_the_lock() -> None:
    known = {module.split(".")[0] for name in GROUND for module in imported_by(name)}
    assert known - sys.stdlib_module_names == {"filelock"}


def test_the_entry_is_at_most_forty_lines() -> None:
    assert len((ROOT / "run.py").read_text(encoding="utf-8").splitlines()) <= 40


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
    late = (
        "tagifai.sweeping",
        "tagifai.tasks",
        "tagifai.sweeping.studies",
        "tagifai.sweeping.trials",
    )
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
