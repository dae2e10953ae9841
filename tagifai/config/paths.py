"""Paths of the configuration: which settings are paths, and where relative ones start."""

from __future__ import annotations

import os
from pathlib import Path

from tagifai.config.job import get_job
from tagifai.config.schema import Config
from tagifai.utils.urls import is_url

PATHS = (
    *("task.input", "task.output", "task.data", "task.path"),
    *("data.projects", "data.tags", "data.path", "data.val_path", "data.test_path"),
)
"""Paths: relative to the working directory on the command line, to the root in YAML."""

FOLDERS = ("paths.root", "paths.outputs", "paths.stores")


def resolve(config: Config) -> Config:
    """Make relative paths absolute, in place: see `PATHS`.

    Args:
        config: the checked configuration of the present job, or of the sweep that launches jobs.
    """
    given = get_job().chosen_keys
    for name in PATHS:
        group, _, key = name.partition(".")
        settings = getattr(config, group)
        value = getattr(settings, key, None)
        if isinstance(value, str) and value != "-" and not is_url(value):
            base = Path.cwd() if name in given else Path(config.paths.root)
            setattr(settings, key, os.path.normpath(base / Path(value).expanduser()))
    for key in ("root", "outputs", "stores"):
        setattr(config.paths, key, str(Path(getattr(config.paths, key)).absolute()))
    return config
