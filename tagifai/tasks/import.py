"""task=import: take in a model that somebody has exported, after all of it has been checked."""

from __future__ import annotations

from pathlib import Path

from tagifai.config.schema import Config
from tagifai.console.display import Display
from tagifai.serving import archives
from tagifai.utils import program


def run(config: Config) -> None:
    """Put the run of a file to where runs are loaded from, and say how to use it."""
    display, path = Display.from_config(config.console), Path(config.task.path)
    imported = archives.import_run(path, Path(config.paths.stores))
    done = "Taken from" if imported.fresh else "Same as in"
    display.show_fact("Run", imported.run_id, result=True)
    display.show_copyable(done, path, result=True)
    command = program.format_call("task=predict", f"task.run_id={imported.run_id}")
    display.show_copyable("Predict", f'{command} task.text="..."')
