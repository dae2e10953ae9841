"""task=export: write a run's model to one file, to share it."""

from __future__ import annotations

import logging
from pathlib import Path

from tagifai.config.schema import Config
from tagifai.console.display import Display
from tagifai.runs import resolve
from tagifai.serving import archives
from tagifai.utils import program
from tagifai.utils.secrets import mask

log = logging.getLogger(__name__)


def run(config: Config) -> None:
    """Check the bundle of a run, write it to a new file, and show how to import it."""
    display, path = Display.from_config(config.console), Path(config.task.path)
    run_id, bundle = resolve.choose_run(config)
    archives.export_run(bundle, run_id, path)
    settings = (bundle / "config.yaml").read_text(encoding="utf-8")
    if any(mask(word) != word for word in settings.split()):
        log.warning("The run's configuration inside %s has a password in a URL.", path)
    size = f"{path.stat().st_size / 1e6:.1f} MB"
    display.show_fact("Run", f"{run_id}, {size}", result=True)
    display.show_copyable("Exported to", path, result=True)
    command = program.format_call("task=import", f"task.path={path.name}")
    display.show_copyable("Import it", command)
