"""Which heavy libraries each command loads: what a person waits for before anything happens."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.app import ROOT, SMALL, TIMEOUT_SECONDS, App, environment

HEAVY = {
    *("fastapi", "imblearn", "matplotlib", "mlflow", "nltk", "numpy", "optuna"),
    *("onnxruntime", "pandas", "pooch", "pyarrow", "requests", "rich", "scipy", "tokenizers"),
    *("scipy.stats", "skops", "sklearn", "snorkel", "sqlalchemy", "uvicorn"),
}
"""What is looked for; each takes a tenth of a second or more, or brings one that does."""

CONSOLE = {"rich"}
FRAMES = {"numpy", "pandas", "pyarrow"}
SKLEARN = {*FRAMES, "scipy", "scipy.stats", "sklearn"}
TRACKING = {*FRAMES, "scipy", "mlflow", "fastapi", "requests", "sqlalchemy"}

MODEL = "{stores}/model.zip"

COMMANDS: dict[str, tuple[list[str], set[str]]] = {
    "--help": (["--help"], set()),
    "--cfg job": (["--cfg", "job"], set()),
    "completion": (["-sc", "query=bash"], set()),
    "elt": (["task=elt"], {*CONSOLE, *SKLEARN}),
    "train": ([*SMALL], {*CONSOLE, *SKLEARN, *TRACKING, "snorkel"}),
    "train untracked, with sampling": (
        [*SMALL, "tracking=none", "sampling=random_over"],
        {*CONSOLE, *SKLEARN, "imblearn", "snorkel"},
    ),
    "evaluate": (["task=evaluate"], {*CONSOLE, *SKLEARN, "snorkel"}),
    "errors": (["task=errors"], {*CONSOLE, *SKLEARN}),
    "predict": (["task=predict", "task.text=A graph"], {*CONSOLE, *SKLEARN}),
    "compare": (["task=compare", "plots=none"], {*CONSOLE, *TRACKING}),
    "compare, drawn": (["task=compare"], {*CONSOLE, *TRACKING, "matplotlib"}),
    "init": (["task=init", "task.path={stores}/conf"], {*CONSOLE}),
    "runs": (["task=runs"], {*CONSOLE, *TRACKING}),
    # It names the studies and the champion.
    "info": (["task=info"], {*CONSOLE, *TRACKING, "optuna"}),
    "promote": (
        ["task=promote", "task.force=true"],
        {*CONSOLE, *SKLEARN, *TRACKING, "snorkel"},
    ),
    # Of the latest run, which has sampling.
    "rerun": (
        ["task=rerun", "plots=none"],
        {*CONSOLE, *SKLEARN, *TRACKING, "imblearn", "snorkel"},
    ),
    "curve": (
        ["task=curve", "task.shares=[0.5,1]", "task.repeats=2", *SMALL],
        {*CONSOLE, *SKLEARN, "snorkel"},
    ),
    "export": (["task=export", f"task.path={MODEL}"], {*CONSOLE, *SKLEARN}),
    # The process that checks the file has scikit-learn, and not this one.
    "import": (["task=import", f"task.path={MODEL}"], {*CONSOLE, "numpy"}),
    "clean": (["task=clean"], {*CONSOLE, *TRACKING}),
    # There is nothing to record.
    "sync": (["task=sync"], CONSOLE),
    "repair": (["task=repair"], {*CONSOLE, *FRAMES}),
    # There is one version only, so it is refused, but not before the registry has been asked.
    "rollback": (["task=rollback"], {*CONSOLE, *TRACKING}),
}
"""Commands, one after the other in the same stores, and what each may load of `HEAVY`."""

REFUSED = {"rollback"}

NOT_RUN = {"serve", "nested"}
"""One ends only when it is told to, and loads MLflow's server; the work of the other is done by
processes that are looked at as searches and trainings."""

WATCHED = """
import atexit, pathlib, runpy, sys

output, *sys.argv = sys.argv[1:]
atexit.register(lambda: pathlib.Path(output).write_text("\\n".join(sys.modules)))
runpy.run_path(sys.argv[0], run_name="__main__")
"""


EARLY = {
    "a missing file": ["data=table", "data.path=gone.csv", "data.text=a", "data.label=b"],
    "a misspelt class": ["model=custom", "model._target_=sklearn.linear_model.RidgeClasifier"],
    "a metric that is none": ["objective.metric=val_f2"],
    "a metric to show that is none": ["metrics=[acuracy]"],
    "a language without stop words": ["preprocessing.language=xx"],
    "an output that cannot be": ["task=compare", "task.output=modules.txt/board.csv"],
    "missing data of another task": ["task=elt", "data.projects=gone.csv"],
}
"""Arguments that are refused before any library is loaded."""


def loaded_by(app: App, name: str) -> set[str]:
    """Run a command in a process of its own and return the modules that it had in the end."""
    given = [argument.format(stores=app.stores) for argument in COMMANDS[name][0]]
    return loaded_in(app, given, refused=name in REFUSED)


def loaded_in(app: App, given: list[str], *, refused: bool) -> set[str]:
    output = app.cwd / "modules.txt"
    variables = environment({"COMP_LINE": "run.py mod"})
    variables.pop("COVERAGE_PROCESS_CONFIG", None)  # it has modules of its own
    command = [sys.executable, "-c", WATCHED, str(output), *app.command(*given)[1:]]
    done = subprocess.run(
        command,
        cwd=app.cwd,
        env=variables,
        check=False,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
    )
    assert done.returncode == (2 if refused else 0), done.stdout + done.stderr
    assert done.stdout or refused
    return set(output.read_text().split("\n"))


@pytest.fixture(scope="module")
def loaded(
    ready: Callable[[Path], App], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, set[str]]:
    app = ready(tmp_path_factory.mktemp("imports"))
    return {name: loaded_by(app, name) for name in COMMANDS}


@pytest.mark.e2e
@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_loads_the_heavy_libraries_that_it_needs_and_no_other(
    name: str, loaded: dict[str, set[str]]
) -> None:
    assert loaded[name] & HEAVY == COMMANDS[name][1]


@pytest.mark.e2e
@pytest.mark.parametrize("name", ["--help", "--cfg job", "completion"])
def test_what_only_shows_the_configuration_loads_no_event_loop_and_no_task(
    name: str, loaded: dict[str, set[str]]
) -> None:
    assert (
        loaded[name]
        & {"asyncio", "filelock", "sqlite3", "tagifai.tracking.session", "tagifai.tasks"}
        == set()
    )


@pytest.mark.e2e
@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize("reason", EARLY)
def test_what_is_wrong_for_sure_is_refused_before_libraries_are_loaded(
    reason: str, tmp_path: Path
) -> None:
    app = App(tmp_path)
    (app.cwd / "modules.txt").touch()
    assert loaded_in(app, EARLY[reason], refused=True) & HEAVY == set()


def test_every_task_is_looked_at() -> None:
    tasks = {file.stem for file in (ROOT / "conf" / "task").glob("*.yaml")}
    assert tasks - NOT_RUN <= set(COMMANDS)
