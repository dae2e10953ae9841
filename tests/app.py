"""Runs the application as a person does: within this process, or in one of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow.entities import Run

ROOT = Path(__file__).parent.parent
TIMEOUT_SECONDS = 240

SMALL = ("vectorizer=tfidf_word", "training.epochs=3", "plots=none")
"""A training that takes no time, and draws nothing."""


@dataclass(frozen=True)
class App:
    """The application with stores and outputs of its own.

    Args:
        folder: holds `stores`, `outputs` and, as working directory, `cwd`.
    """

    folder: Path

    @property
    def stores(self) -> Path:
        return self.folder / "stores"

    def dataset(self, name: str) -> Path:
        """Return the folder of the only data set of a name in the store."""
        (found,) = self.stores.glob(f"data/{name}-{12 * '[0-9a-f]'}")
        return found

    @property
    def outputs(self) -> Path:
        return self.folder / "outputs"

    @property
    def cwd(self) -> Path:
        path = self.folder / "cwd"
        path.mkdir(exist_ok=True)
        return path

    def command(self, *arguments: str) -> list[str]:
        paths = [f"paths.stores={self.stores}", f"paths.outputs={self.outputs}"]
        return [sys.executable, str(ROOT / "run.py"), *arguments, *paths]

    def start(self, *arguments: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self.cwd,
            env=environment(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def run(
        self,
        *arguments: str,
        stdin: str = "",
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run it within this process."""
        from tests.runner import run_in_process  # late: benchmarks measure without the libraries

        return run_in_process(self.command(*arguments)[1:], self.cwd, environment(env), stdin)

    def fork(
        self, *arguments: str, env: Mapping[str, str] | None = None, seconds: int = TIMEOUT_SECONDS
    ) -> subprocess.CompletedProcess[str]:
        """Run it in a fork of a process that has the libraries, which a hang ends by SIGALRM."""
        return forked(self.command(*arguments)[1:], self.cwd, environment(env), seconds)

    def cold(self, *arguments: str) -> str:
        """Run what must succeed in a process of its own, and return its output."""
        process = self.start(*arguments)
        output, errors = process.communicate(timeout=TIMEOUT_SECONDS)
        assert (process.returncode, errors) == (0, ""), output + errors
        return output

    def ok(self, *arguments: str, stdin: str = "") -> str:
        """Run within this process what must succeed without a complaint, and return its output."""
        done = self.run(*arguments, stdin=stdin)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
        return done.stdout

    def wait_for(self, text: str) -> None:
        """Wait until the log of a run has a text."""
        logs = ("*/*/run.log", "*/*/*/run.log")
        wait_until(
            lambda: any(
                text in p.read_text() for pattern in logs for p in self.outputs.glob(pattern)
            )
        )

    def run_id(self) -> str:
        return (self.stores / "run_id.txt").read_text().strip()

    def bundle(self) -> Path:
        return self.stores / "artifacts" / self.run_id() / "artifacts" / "bundle"


@cache
def _warm() -> subprocess.Popen[str]:
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_LOGGING_LEVEL": "WARNING"}
    variables = environment(quiet)
    variables.pop("COVERAGE_PROCESS_CONFIG", None)  # each run is measured by itself
    return subprocess.Popen(
        [sys.executable, str(ROOT / "tests" / "warm.py")],
        env=variables,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # ends with its standard input, not by Ctrl-C
    )


def forked(
    command: Sequence[str], cwd: Path, env: Mapping[str, str], seconds: int = TIMEOUT_SECONDS
) -> subprocess.CompletedProcess[str]:
    """Run an application in a fork of a process that has the libraries.

    Args:
        command: the path of its `run.py`, and arguments.
        cwd: working directory.
        env: all variables.
        seconds: after which SIGALRM ends it.
    """
    warm = _warm()
    assert warm.stdin is not None
    assert warm.stdout is not None
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, name) for name in ("stdin", "stdout", "stderr")]
        for path in files:
            path.touch()
        entry, *arguments = command
        request: dict[str, Any] = {
            "entry": entry,
            "arguments": arguments,
            "cwd": str(cwd),
            "env": env,
        }
        request |= {"files": [*map(str, files)], "seconds": seconds}
        warm.stdin.write(json.dumps(request) + "\n")
        warm.stdin.flush()
        code = int(warm.stdout.readline())
        output, errors = (path.read_text(encoding="utf-8") for path in files[1:])
    return subprocess.CompletedProcess([*command], code, output, errors)


def tracked_runs(app: App) -> list[Run]:
    """Return the runs in the experiment of an application."""
    from mlflow import MlflowClient  # late, as above

    client = MlflowClient(f"sqlite:///{app.stores}/mlflow.db")
    experiment = client.get_experiment_by_name("tagifai")
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id], max_results=1000))


def wait_until(happened: Callable[[], bool], seconds: float = 90) -> None:
    """Wait for something that another process does."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def end_group(process: subprocess.Popen[Any]) -> None:
    """Kill a process that began a group, and what it has begun."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def children(process: int) -> list[int]:
    """Return the processes that a process has begun and that have not ended."""
    listed = Path(f"/proc/{process}/task/{process}/children")
    return [int(number) for number in listed.read_text().split()] if listed.exists() else []


def session_of(process: int) -> list[int]:
    """Return the processes of a session that have not ended."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if fields[3] == str(process) and fields[0] not in "ZX":
                found.append(int(folder.name))
    return found


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    # The last one would have every process compile everything again.
    unwanted = (
        *("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID"),
        *("HYDRA_FULL_ERROR", "PYTHONDONTWRITEBYTECODE"),
    )
    kept = {key: value for key, value in os.environ.items() if key not in unwanted}
    return kept | dict(more or {})
