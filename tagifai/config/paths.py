"""Paths: where the configuration and the project are, and where relative paths start."""

from __future__ import annotations

import atexit
import logging
import os
import re
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from tagifai.config.job import get_job
from tagifai.config.schema import Config
from tagifai.exceptions import ConfigError, DataError
from tagifai.utils import files
from tagifai.utils.files import is_writable
from tagifai.utils.program import CONFIG_DIR_VARIABLE
from tagifai.utils.secrets import mask_all
from tagifai.utils.system import errors
from tagifai.utils.system.space import has_room
from tagifai.utils.urls import get_sqlite_path, is_packaged, is_url, locate_file

PATHS = (
    *("task.input", "task.output", "task.data", "task.path"),
    *("data.projects", "data.tags", "data.path", "data.val_path", "data.test_path"),
    *("data.text_path", "data.val_text_path", "data.test_text_path"),
    *("data.label_path", "data.val_label_path", "data.test_label_path", "data.label_names"),
)
"""Paths: relative to the working directory on the command line, to the root in YAML."""

FOLDERS = ("paths.root", "paths.outputs", "paths.stores")

READ_ONLY_TASKS = (
    *("compare", "errors", "evaluate", "export", "info", "init", "predict", "runs", "serve"),
)
"""Tasks that put nothing into the stores."""

LONGEST, LONGEST_NAME = 450, 255
"""Most bytes of the path of the stores, whose databases SQLite opens up to 512, and of a name."""
STORE_FOLDERS = ("artifacts", "cache", "data", "pending", "presets", "running")
"""Folders in the folder of stores."""

CHOICES = "choices.yaml"
"""File of a whole configuration, as task=init copies it; a folder of further options has none."""

PACKAGE = Path(__file__).parent.parent

log = logging.getLogger(__name__)


def get_conf_folder() -> Path:
    """Return the folder of the configuration: that of --config-dir if it holds a whole one."""
    given = os.environ.get(CONFIG_DIR_VARIABLE)
    if given and (Path(given) / CHOICES).is_file():
        return Path(given)
    return get_own_conf_folder()


def get_own_conf_folder() -> Path:
    """Return the folder of the configuration that the package, or its checkout, came with."""
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
    if given:
        return Path(given).expanduser().absolute()
    return Path(os.environ.get("TAGIFAI_ROOT") or get_root()) / "stores"


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
        _refuse_odd_folder(f"paths.{key}", getattr(config.paths, key))
    errors.note_folders({key: Path(getattr(config.paths, key[6:])) for key in FOLDERS[1:]})
    return config


def _refuse_odd_folder(key: str, path: str) -> None:
    """Refuse a folder in which files could not be made, or not be found again.

    Raises:
        ConfigError: with the reason.
    """
    if re.search(r"[\x00-\x1f\x7f\ud800-\udfff]", path):
        raise ConfigError(f"{key} = {path!r} has a control character; give a plain path.")
    if key == "paths.stores" and get_sqlite_path(f"sqlite:///{path}") != Path(path):
        raise ConfigError(
            f"{key} = {path!r}: ? and %.. have a meaning in the URIs of the databases there, which"
            f" would not be found. Choose another folder: {key}=..."
        )
    refuse_long_path(key, path)


def refuse_long_path(key: str, path: str) -> None:
    """Refuse a folder whose path, or a name in it, is longer than systems take.

    Args:
        key: of the setting.
        path: of the folder, which may refer to other settings.

    Raises:
        ConfigError: with the sizes.
    """
    if "${" in path:
        return
    size, most = len(os.fsencode(path)), LONGEST if key == "paths.stores" else 4 * LONGEST
    part = max(len(os.fsencode(part)) for part in (*Path(path).parts, ""))
    if size > most or part > LONGEST_NAME:
        raise ConfigError(
            f"{key} = {path[:100]}… is too long: {size} bytes, of which the longest name has"
            f" {part}. It may have {most}, and a name {LONGEST_NAME}."
        )


def _make_absolute(source: str, base: Path) -> str:
    if source == "-" or is_url(source) or is_packaged(source):
        return source
    path = locate_file(source)
    # "~$reviews.xlsx" is the name of a file, not of a person.
    home = path.parts[:1] == ("~",) or (path.parts[:1] and path.parts[0][1:].isalnum())
    return os.path.normpath(base / (path.expanduser() if home else path))


_temporary: list[str] = []
"""The folder of a job that may do without one, and that nobody keeps."""


def make_output_folder(folder: Path, task: str) -> Path:
    """Make the folder of a job, and return it: a temporary one where a reading task can do without.

    Args:
        folder: as it is configured.
        task: its name.
    """
    _temporary.clear()
    if task not in READ_ONLY_TASKS:
        return folder
    with suppress(OSError):
        if has_room(folder):
            folder.mkdir(parents=True, exist_ok=True)
            if is_writable(folder):
                return folder
    with suppress(OSError):
        _temporary[:] = [tempfile.mkdtemp(prefix="tagifai-")]
        atexit.register(shutil.rmtree, _temporary[0], ignore_errors=True)
        return Path(_temporary[0])
    return folder


def write_results(content: Any, output: str | None, name: str) -> Path | None:
    """Write what a reading task shows as JSON, too, and return the file.

    Args:
        content: of JSON's types.
        output: the file that was asked for.
        name: of a file in the job's folder where none was; there it need not be.

    Returns:
        The file, or None for one that nobody asked for and that cannot be written.

    Raises:
        DataError: the file that was asked for cannot be written.
    """
    if output is None and _temporary:
        return None
    path = get_job().output_dir / name if output is None else Path(output)
    try:
        with files.open_output(path) as file:
            file.write(files.format_json(mask_all(content)))
    except DataError as error:
        if output is not None:
            raise
        log.warning("%s", error)
        return None
    return path


def check_stores(config: Config) -> None:
    """Refuse a folder of stores that cannot be written, where the task would write to it.

    Args:
        config: with absolute paths.

    Raises:
        ConfigError: with the way to another folder.
    """
    if config.task.name in (*READ_ONLY_TASKS, "repair"):
        return
    stores = Path(config.paths.stores)
    for path in (stores / name for name in STORE_FOLDERS):
        if os.path.lexists(path) and not path.is_dir():
            raise ConfigError(
                f"{path} is not a folder. To put aside what is there: task=repair task.apply=true"
            )
    if not is_writable(stores / "running"):
        raise ConfigError(explain_unwritable(stores, "paths.stores=..."))


def explain_unwritable(folder: Path | str, ways: str) -> str:
    """Return what is said of a folder that cannot be written.

    Args:
        folder: that cannot.
        ways: arguments that choose another.
    """
    return f"{folder} cannot be written. Choose another folder: {ways}"
