"""Runs the application as a person does, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

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
        stdin: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run it in a fork of a process that has the libraries, or in a process of its own.

        The latter where a variable is set that the interpreter reads at its start.
        """
        command, variables = self.command(*arguments), environment(env)
        if not any(name.startswith("PYTHON") for name in env or {}):
            return forked(command[1:], self.cwd, variables, stdin)
        return subprocess.run(
            command, cwd=self.cwd, env=variables, timeout=TIMEOUT_SECONDS, check=False,
            input=stdin or "", capture_output=True, text=True, encoding="utf-8",
        )  # fmt: skip

    def cold(self, *arguments: str) -> str:
        """Run what must succeed in a process of its own, and return its output."""
        process = self.start(*arguments)
        output, errors = process.communicate(timeout=TIMEOUT_SECONDS)
        assert (process.returncode, errors) == (0, ""), output + errors
        return output

    def ok(self, *arguments: str, stdin: str | None = None) -> str:
        """Run what must succeed with nothing on standard error, and return its output."""
        done = self.run(*arguments, stdin=stdin)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
        return done.stdout

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
    command: Sequence[str], cwd: Path, env: Mapping[str, str], stdin: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run an application in a fork of a process that has the libraries.

    Args:
        command: the path of its `run.py`, and arguments.
        cwd: working directory.
        env: all variables.
        stdin: what it reads.
    """
    warm = _warm()
    assert warm.stdin is not None
    assert warm.stdout is not None
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, name) for name in ("stdin", "stdout", "stderr")]
        for path in files:
            path.write_text(stdin or "" if path.name == "stdin" else "", encoding="utf-8")
        entry, *arguments = command
        request = {"entry": entry, "arguments": arguments, "cwd": str(cwd), "env": env}
        request["files"] = [*map(str, files)]
        warm.stdin.write(json.dumps(request) + "\n")
        warm.stdin.flush()
        code = int(warm.stdout.readline())
        output, errors = (path.read_text(encoding="utf-8") for path in files[1:])
    return subprocess.CompletedProcess([*command], code, output, errors)


def children(process: int) -> list[int]:
    """Return the processes that a process has begun and that have not ended."""
    return [int(n) for n in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    # The last one would have every process compile everything again.
    unwanted = ("MLFLOW_TRACKING_URI", "HYDRA_FULL_ERROR", "PYTHONDONTWRITEBYTECODE")
    kept = {key: value for key, value in os.environ.items() if key not in unwanted}
    return kept | dict(more or {})
