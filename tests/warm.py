"""Runs the application in forks of a process that has imported the large libraries already.

A run spends most of its time on imports, and the tests run it hundreds of times. The project's own
modules are imported anew each time. Reads a request a line, answers with its exit code:
{"entry": "run.py", "arguments": ["task=train"], "cwd": "…", "env": {…},
 "files": ["stdin", "stdout", "stderr"], "seconds": 240}
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import signal
import sys
import threading
from pathlib import Path
from typing import Any

LIBRARIES = (
    "hydra.main", "hydra.core.plugins", "hydra._internal.hydra", "hydra.core.utils",
    "hydra_plugins.hydra_joblib_launcher._core", "hydra_plugins.hydra_optuna_sweeper._impl",
    "imblearn.over_sampling", "jinja2", "matplotlib.backends.backend_agg",
    "mlflow", "mlflow.pyfunc", "mlflow.store.tracking.sqlalchemy_store",
    "mlflow.tracking.client", "optuna", "optuna.storages", "pandas", "pooch",
    "rich.console", "rich.progress", "rich.table", "scipy.stats", "skops.io",
    "sklearn.feature_extraction.text", "sklearn.linear_model", "sklearn.metrics",
    "sklearn.model_selection", "sklearn.naive_bayes",
)  # fmt: skip

ROOT = Path(__file__).parent.parent


def serve() -> dict[str, Any] | None:
    """Answer requests, and return one in the process that is to run it; None at their end."""
    for line in sys.stdin:
        request: dict[str, Any] = json.loads(line)
        child = os.fork()
        if child == 0:
            return request
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201
    return None


def become(request: dict[str, Any]) -> None:
    """Be a process that was just started with these arguments."""
    signal.alarm(request["seconds"])  # ends it, should it hang
    flags = (os.O_RDONLY, *[os.O_WRONLY | os.O_APPEND] * 2)
    for number, (path, flag) in enumerate(zip(request["files"], flags, strict=True)):
        opened = os.open(path, flag)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - for good
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    sys.argv = [request["entry"], *request["arguments"]]
    # The project's own modules are those beside the entry, which may be a copy's.
    sys.path[0] = str(Path(request["entry"]).parent)
    if "COVERAGE_PROCESS_CONFIG" in os.environ:
        import coverage

        coverage.process_startup(force=True)


if __name__ == "__main__":
    sys.path[0] = str(ROOT)
    for name in LIBRARIES:
        importlib.import_module(name)
    assert threading.active_count() == 1
    assert not [name for name in sys.modules if name.partition(".")[0] == "tagifai"]
    gc.freeze()
    asked = serve()
    if asked is not None:
        become(asked)
        runpy.run_path(sys.argv[0], run_name="__main__")
