"""task=import: take in a model that somebody has exported, after all of it has been checked."""

from __future__ import annotations

import shlex
from pathlib import Path

from tagifai import archives
from tagifai.console import Display
from tagifai.schema import Config


def run(config: Config) -> None:
    """Put the run of a file to where runs are loaded from, and say how to use it."""
    display, path = Display.of(config.console), Path(config.task.path)
    imported = archives.take_in(path, Path(config.paths.stores))
    done = "Taken from" if imported.fresh else "Same as in"
    display.fact("Run", imported.run_id, result=True)
    display.whole(done, path, result=True)
    command = shlex.join([*display.program, "task=predict", f"task.run_id={imported.run_id}"])
    display.whole("Predict", f'{command} task.text="..."')
