"""Folders that a run is given again: what an earlier run has written into them is removed."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from tagifai.config.job import get_job
from tagifai.console import logs
from tagifai.utils.system import errors

OF_TRAINING = (
    *("config.yaml", "profile.json", "performance.json", "run_id.txt", "report.html"),
    *("class_scores.json", "intervals.json", "repeats.json", "validation.npz", "figures", "bundle"),
)
WRITTEN = {
    "train": OF_TRAINING,
    "rerun": (*OF_TRAINING, "rerun.json"),
    "curve": ("curve.json", "report.html", "figures"),
    "compare": ("report.html", "figures"),
    "evaluate": ("performance.json",),
    "errors": ("errors.json",),
    "nested": ("nested.json",),
    "elt": ("profile.json",),
}
"""What tasks write into their folder, by name."""

FIGURE = re.compile(
    r"(class_balance|text_lengths|losses|confusion|classes|precision_recall|reliability|threshold"
    r"|terms|curve|(means|differences)\d*)\.(png|svg)"
)
"""Files of the figures, which may have others of a person beside them."""


def begin_log() -> None:
    """Begin the present job's log anew, if an earlier run has left one."""
    if get_job().trial is None:
        logs.begin_logs()


def remove_earlier(task: str) -> None:
    """Remove what an earlier run has left in the present job's folder.

    What this task writes by name is removed, and nothing else: the folder may have been there
    before, and have files of a person's own. Trials of a search have folders of their own.

    Args:
        task: that is about to run.
    """
    if get_job().trial is not None:
        return
    for path in _list(get_job().output_dir, task):
        with errors.name_file(path):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def _list(folder: Path, task: str) -> Iterator[Path]:
    for name in WRITTEN.get(task, ()):
        path = folder / name
        if name == "figures":
            yield from (file for file in path.glob("*.*") if FIGURE.fullmatch(file.name))
        elif name == "bundle":
            yield from (path for file in [path / "manifest.json"] if file.is_file())
        elif path.is_file():
            yield path
