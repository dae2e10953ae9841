"""Runs the application as a person does, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
TIMEOUT_SECONDS = 240

SMALL = ("vectorizer=tfidf_word", "training.epochs=3")
"""A training that takes no time."""


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
        return subprocess.run(
            self.command(*arguments),
            cwd=self.cwd,
            env=environment(env),
            input=stdin if stdin is not None else "",
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=TIMEOUT_SECONDS,
            check=False,
        )

    def ok(self, *arguments: str, stdin: str | None = None) -> str:
        """Run what must succeed with nothing on standard error, and return its output."""
        done = self.run(*arguments, stdin=stdin)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
        return done.stdout

    def run_id(self) -> str:
        return (self.stores / "run_id.txt").read_text().strip()

    def bundle(self) -> Path:
        return self.stores / "artifacts" / self.run_id() / "artifacts" / "bundle"


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    # The last one would have every process compile everything again.
    unwanted = ("MLFLOW_TRACKING_URI", "HYDRA_FULL_ERROR", "PYTHONDONTWRITEBYTECODE")
    kept = {key: value for key, value in os.environ.items() if key not in unwanted}
    return kept | dict(more or {})
