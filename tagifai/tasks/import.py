"""task=import: import a model that task=export wrote, after every part of it has been checked."""

from __future__ import annotations

from pathlib import Path

from tagifai.config.job import get_job, select_places
from tagifai.config.schema import Config
from tagifai.console.display import Display
from tagifai.serving import archives
from tagifai.utils import program


def run(config: Config) -> None:
    """Copy the run of a file into the stores, and show how to predict with it."""
    display, task = Display.from_config(config.console), config.task
    path = Path(task.path)
    imported = archives.import_run(
        path,
        Path(config.paths.stores),
        trusted=task.trusted,
        seconds=task.seconds,
        megabytes=task.megabytes,
    )
    done = "Imported from" if imported.fresh else "Same as in"
    display.show_fact("Run", imported.run_id, result=True)
    display.show_copyable(done, path, result=True)
    places = select_places(get_job().overrides)
    command = program.format_call("task=predict", f"task.run_id={imported.run_id}", *places)
    display.show_copyable("Predict", f'{command} task.text="..."')
