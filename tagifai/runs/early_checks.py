"""What a command is refused for before its libraries are loaded, by the checks of each part."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

from tagifai.config import instantiate
from tagifai.config.schema import Config
from tagifai.data import sources
from tagifai.exceptions import DataError
from tagifai.preprocessing import stopwords
from tagifai.preprocessing.encoders.files import find_encoder
from tagifai.training import objectives
from tagifai.utils import files
from tagifai.utils.urls import is_url, locate_file

TRAINING = ("train", "curve", "nested")
"""Tasks that train with the present configuration."""


def check(config: Config) -> None:
    """Refuse files that are missing, and names that nothing has.

    Args:
        config: checked, with absolute paths.

    Raises:
        ConfigError: with the setting that is wrong.
        DataError: with the file that is missing, or cannot be written.
        BundleError: no run has such an id.
    """
    task = config.task
    source = getattr(task, "input", None) or getattr(task, "data", None)
    files.check_output(getattr(task, "output", None), source)
    if task.name in (*TRAINING, "elt"):
        for file in sources.list_sources(config.data).values():
            if not is_url(file.location):
                sources.locate(file)
    for key in ("input", "data", "token_file"):
        _refuse_missing(key, getattr(task, key, None))
    _refuse_unknown_run(config)
    if task.name not in TRAINING:
        return
    for group in instantiate.ROLES:
        instantiate.check(group, getattr(config, group))
    if config.preprocessing.language is not None:
        stopwords.get_for_language(config.preprocessing.language)
    if (encoder := getattr(config.vectorizer, "encoder", None)) is not None:
        find_encoder(encoder)
    objectives.check_metrics(config.objective)
    objectives.check_shown_metrics(config.metrics)


def _refuse_missing(key: str, path: str | None) -> None:
    """Refuse a file that a task reads and that is not there; - is standard input."""
    if path not in (None, "-") and not is_url(str(path)) and not locate_file(str(path)).exists():
        raise DataError(f"task.{key}: {path} cannot be read: {os.strerror(errno.ENOENT)}.")


def _refuse_unknown_run(config: Config) -> None:
    """Refuse what is neither a name nor an id nor the beginning of one that a run may have.

    Others may be in the tracking store, which is asked later.
    """
    given = getattr(config.task, "run_id", None)
    if given in (None, "latest", "best", "champion"):
        return
    may_be_tracked = config.tracking.enabled and re.fullmatch(r"[0-9a-f]{8,32}", given)
    if not may_be_tracked:
        from tagifai.runs import resolve  # late: most commands name no run

        resolve.find(Path(config.paths.stores), given, None)
