"""Paths: where the configuration and the project are, and where relative paths start."""

from __future__ import annotations

import os
from pathlib import Path

from tagifai.config.job import get_job
from tagifai.config.schema import Config
from tagifai.exceptions import ConfigError
from tagifai.utils.files import is_writable
from tagifai.utils.urls import is_packaged, is_url, locate_file

PATHS = (
    *("task.input", "task.output", "task.data", "task.path"),
    *("data.projects", "data.tags", "data.path", "data.val_path", "data.test_path"),
    *("data.text_path", "data.val_text_path", "data.test_text_path"),
    *("data.label_path", "data.val_label_path", "data.test_label_path", "data.label_names"),
)
"""Paths: relative to the working directory on the command line, to the root in YAML."""

FOLDERS = ("paths.root", "paths.outputs", "paths.stores")

READ_ONLY_TASKS = ("compare", "errors", "evaluate", "export", "info", "predict", "serve")
"""Tasks that put nothing into the stores."""

PACKAGE = Path(__file__).parent.parent


def get_conf_folder() -> Path:
    """Return the folder of the configuration: the package's own, or that of its checkout."""
    checkout = find_checkout()
    return PACKAGE / "conf" if checkout is None else checkout / "conf"


def find_checkout() -> Path | None:
    """Return the folder of the project that the package is run from, or None if it is installed."""
    return None if (PACKAGE / "conf").is_dir() else PACKAGE.parent


def get_root() -> Path:
    """Return where the stores and outputs are, unless something else is said: see `PathsConfig`."""
    return find_checkout() or Path.cwd()


def get_stores() -> Path:
    """Return the folder of stores where no configuration is composed."""
    given = os.environ.get("TAGIFAI_STORES", "").strip()
    return Path(given).expanduser().absolute() if given else get_root() / "stores"


def resolve(config: Config) -> Config:
    """Make relative paths absolute, in place: see `PATHS`.

    Args:
        config: the checked configuration of the present job, or of the sweep that launches jobs.
    """
    given = get_job().chosen_keys
    for name in PATHS:
        group, _, key = name.partition(".")
        settings = getattr(config, group)
        base = Path.cwd() if name in given else Path(config.paths.root)
        value = getattr(settings, key, None)
        if isinstance(value, str):
            setattr(settings, key, _make_absolute(value, base))
        # The names of labels may be a list, too, and are no paths then.
        elif isinstance(value, list) and key != "label_names":
            setattr(settings, key, [_make_absolute(item, base) for item in value])
    for key in ("root", "outputs", "stores"):
        setattr(config.paths, key, str(Path(getattr(config.paths, key)).absolute()))
    return config


def _make_absolute(source: str, base: Path) -> str:
    if source == "-" or is_url(source) or is_packaged(source):
        return source
    path = locate_file(source)
    # "~$reviews.xlsx" is the name of a file, not of a person.
    home = path.parts[:1] == ("~",) or (path.parts[:1] and path.parts[0][1:].isalnum())
    return os.path.normpath(base / (path.expanduser() if home else path))


def check_stores(config: Config) -> None:
    """Refuse a folder of stores that cannot be written, where the task would write to it.

    Args:
        config: with absolute paths.

    Raises:
        ConfigError: with the way to another folder.
    """
    if config.task.name in READ_ONLY_TASKS:
        return
    stores = Path(config.paths.stores)
    if not is_writable(stores / "running"):
        raise ConfigError(explain_unwritable(stores, "paths.stores=..."))


def explain_unwritable(folder: Path | str, ways: str) -> str:
    """Return what is said of a folder that cannot be written.

    Args:
        folder: that cannot.
        ways: arguments that choose another.
    """
    return f"{folder} cannot be written. Choose another folder: {ways}"
