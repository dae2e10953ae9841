"""task=export: write a run's model to one file, to share it."""

from __future__ import annotations

from pathlib import Path

from tagifai.config.schema import Config
from tagifai.console.display import Display
from tagifai.runs import resolve
from tagifai.serving import archives
from tagifai.utils import program
from tagifai.utils.excerpts import format_size


def run(config: Config) -> None:
    """Check the bundle of a run, write it to a new file, and show how to import it."""
    display, path = Display.from_config(config.console), Path(config.task.path)
    run_id, bundle = resolve.choose_run(config)
    archives.export_run(bundle, run_id, path)
    size = format_size(path.stat().st_size)
    display.show_fact("Run", f"{run_id}, {size}", result=True)
    display.show_copyable("Exported to", path, result=True)
    command = program.format_call("task=import", f"task.path={path.name}")
    display.show_copyable("Import it", command)
