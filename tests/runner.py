"""Runs the application within the process of the tests, by its own entry.

Hydra composes, the task runs, errors become messages and exit codes as on the command line; only
the start of a process and the import of the large libraries are left out.
"""

from __future__ import annotations

import gc
import importlib
import io
import logging
import os
import runpy
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobRuntime

import tagifai
from tagifai.config import extensions
from tagifai.config.composition import compose_defaults
from tagifai.console import progress
from tagifai.evaluation import metrics, slices
from tagifai.preprocessing import cleaning
from tagifai.reporting import run_report
from tagifai.tracking import provenance
from tagifai.tracking.recording import outcome
from tagifai.utils import own_modules, process_pool, signals

COMMIT = {"mlflow.source.git.commit": "0" * 40, "mlflow.source.git.dirty": "false"}
"""What is recorded of the checkout; asking Git would begin a process."""


def call_here(function: Any, *arguments: Any, seconds: float, megabytes: int) -> Any:
    """Return what `process_pool.call_limited` does, without a process."""
    return function(*arguments)


class Terminal(io.StringIO):
    """Keeps what is written to a terminal."""

    def isatty(self) -> bool:
        return True


@cache
def _load_tasks() -> None:
    """Import all tasks: which ones are announced as being loaded would depend on earlier tests."""
    for file in sorted((Path(tagifai.__file__).parent / "tasks").glob("[a-z]*.py")):
        importlib.import_module(f"tagifai.tasks.{file.stem}")
    # What a busy machine takes is no part of what is tested.
    progress.SECONDS_OF_SILENCE = progress.SECONDS_BETWEEN_LINES = 1e6


def run_in_process(
    command: Sequence[str],
    cwd: Path,
    env: Mapping[str, str],
    stdin: str = "",
    terminal: Terminal | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run the entry of the application here, and leave this process as it was.

    Args:
        command: the path of `run.py`, and arguments.
        cwd: working directory.
        env: all variables.
        stdin: what it reads.
        terminal: that it writes all to, in place of two files.
    """
    _load_tasks()
    output, errors = (terminal or io.StringIO() for _ in range(2))
    with _keep_process(), redirect_stdout(output), redirect_stderr(errors):
        os.chdir(cwd)
        os.environ.clear()
        os.environ.update(env)
        sys.argv = [*command]
        sys.stdin = io.TextIOWrapper(
            io.BufferedReader(io.BytesIO(stdin.encode())), encoding="utf-8"
        )
        code = _run_entry(command[0])
    return subprocess.CompletedProcess([*command], code, output.getvalue(), errors.getvalue())


def _run_entry(path: str) -> int:
    try:
        runpy.run_path(path, run_name="__main__")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


# Python's stack grows by pieces of 16 kB, and a loop at the edge of one maps and unmaps memory with
# each call. A frame that is too large for such a piece gets one of twice its size, and the other
# half is there for what it calls.
_run_entry.__code__ = _run_entry.__code__.replace(co_stacksize=2**16)


_compose_defaults = cache(compose_defaults)


@contextmanager
def _keep_process() -> Iterator[None]:
    """Put back what a command changes of its process, and let it have one processor."""
    folder, variables, threshold = Path.cwd(), dict(os.environ), gc.get_threshold()
    arguments, stdin = sys.argv, sys.stdin
    hydra, job = HydraConfig.instance().cfg, dict(JobRuntime.instance().conf)
    with (
        warnings.catch_warnings(),
        keep_signals(),
        _keep_logging(),
        keep_own_code(),
        # On several it would begin processes.
        mock.patch.object(process_pool, "count_processors", return_value=1),
        mock.patch.object(process_pool, "call_limited", call_here),
        mock.patch.object(provenance, "_get_git_state", return_value=COMMIT),
        # Each run's report says what differs from them, and they take as long as the rest of it.
        mock.patch.object(run_report, "compose_defaults", _compose_defaults),
    ):
        try:
            yield
        finally:
            GlobalHydra.instance().clear()
            outcome._away.clear()
            with outcome.take_present():
                pass
            HydraConfig.instance().cfg = hydra
            JobRuntime.instance().conf.update(job)
            sys.argv, sys.stdin = arguments, stdin
            gc.set_threshold(*threshold)
            os.environ.clear()
            os.environ.update(variables)
            os.chdir(folder)


@contextmanager
def keep_signals() -> Iterator[None]:
    """Put back the handlers of signals and errors, and stop what counts signals."""
    handlers = {number: signal.getsignal(number) for number in signals.NUMBERS}
    hooks = sys.excepthook, sys.unraisablehook
    try:
        yield
    finally:
        signals._guard.forget()
        sys.excepthook, sys.unraisablehook = hooks
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextmanager
def keep_own_code() -> Iterator[None]:
    """Forget the extensions that are loaded in a block, and what they registered."""
    registered = (cleaning._REGISTERED, metrics._REGISTERED, slices._REGISTERED)
    given = extensions._given
    tables: list[dict[str, Any]] = [own_modules._files, *registered, given]
    before = [dict(table) for table in tables]
    allowed, paths = set(own_modules._packages), [*sys.path]
    try:
        yield
    finally:
        for name in own_modules._files.keys() - before[0].keys():
            sys.modules.pop(name, None)
        for table, content in zip(tables, before, strict=True):
            table.clear()
            table.update(content)
        own_modules._packages.clear()
        own_modules._packages.update(allowed)
        sys.path[:] = paths


@contextmanager
def _keep_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = [*root.handlers], root.level
    try:
        yield
    finally:
        for handler in root.handlers:
            if handler not in handlers:
                handler.close()
        root.handlers[:] = handlers
        root.setLevel(level)
