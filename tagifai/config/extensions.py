"""Extensions: files of a person's own that add metrics, slices, cleaning steps and classes.

Which ones, and which other packages are allowed, is read from the text of config.yaml in the
project's `conf/` and in the folder that `--config-dir` names, before anything is composed: no
override, preset or recorded run can name code that is run.
"""

from __future__ import annotations

import importlib
import importlib.util
import keyword
import os
import re
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from tagifai.config import paths
from tagifai.config.schema import Config
from tagifai.config.texts import parse_yaml
from tagifai.exceptions import ConfigError
from tagifai.utils import own_modules
from tagifai.utils.program import CONFIG_DIR_VARIABLE

WHITELIST_VARIABLE = "TAGIFAI_WHITELIST"
"""The environment variable that allows more packages."""

FILE = "config.yaml"

_given = {name: os.environ.get(name, "") for name in (WHITELIST_VARIABLE, CONFIG_DIR_VARIABLE)}
"""What the environment said in the beginning; a job may change it later (hydra.job.env_set)."""


@dataclass(frozen=True)
class OwnCode:
    """What a config.yaml says of code of a person's own.

    Args:
        file: the config.yaml.
        whitelist: patterns of packages.
        extensions: paths, as they stand there.
    """

    file: Path
    whitelist: tuple[str, ...] = ()
    extensions: tuple[str, ...] = ()

    def list_files(self) -> list[Path]:
        """Return the paths of the extensions; relative ones start at the file's folder."""
        folder = self.file.parent
        return [Path(os.path.normpath(folder / Path(e).expanduser())) for e in self.extensions]


# --- what the files say ------------------------------------------------------------------------


def export_config_dir(arguments: Sequence[str]) -> None:
    """Keep the folder that is given by `--config-dir`, for this process and those of a sweep.

    Args:
        arguments: of the command line.

    Raises:
        ConfigError: there is no such folder, or its config.yaml has what nobody would read.
    """
    found = None
    for argument, following in pairwise([*arguments, ""]):
        option = re.fullmatch(r"(?:--config-di?r?|-cd)(?:=(.*))?", argument, re.DOTALL)
        if option is not None:
            found = following if option[1] is None else option[1]
    os.environ.pop(CONFIG_DIR_VARIABLE, None)
    if found:
        if not (folder := Path(found).absolute()).is_dir():
            raise ConfigError(f"--config-dir {found}: there is no such folder.")
        os.environ[CONFIG_DIR_VARIABLE] = str(folder)
        _refuse_other_keys(folder)
    read_environment()


def read_environment() -> None:
    """Read what the environment allows, once, before anything is composed."""
    _given.update((name, os.environ.get(name, "")) for name in _given)


def _refuse_other_keys(folder: Path) -> None:
    """Refuse what Hydra does not read: the primary configuration is the project's."""
    if folder.resolve() == paths.get_conf_folder().resolve():
        return
    others = [key for key in _read_content(folder / FILE) if key not in ("whitelist", "extensions")]
    if others:
        raise ConfigError(
            f"{folder / FILE}: {', '.join(map(str, others))} would have no effect. Of a folder that"
            " is given by --config-dir, only whitelist and extensions are read from config.yaml;"
            " what else is to change goes into options and presets there, such as"
            " experiment/mine.yaml."
        )


def read_own_code() -> list[OwnCode]:
    """Return what the project's config.yaml says, and then that of the folder of `--config-dir`."""
    given = _given[CONFIG_DIR_VARIABLE]
    folders = [paths.get_conf_folder(), *([Path(given)] if given else [])]
    return [_read(folder / FILE) for folder in dict.fromkeys(folders)]


def _read(file: Path) -> OwnCode:
    content = _read_content(file)
    lists: dict[str, tuple[str, ...]] = {}
    for key in ("whitelist", "extensions"):
        value = content.get(key) or []
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            example = "[mypackage.*]" if key == "whitelist" else "[my_steps.py]"
            raise ConfigError(f"{file}: {key} = {value!r} is no list of names, such as {example}.")
        lists[key] = tuple(value)
    return OwnCode(file, **lists)


def _read_content(file: Path) -> dict[Any, Any]:
    try:
        stat = file.stat()
        return _parse(file, stat.st_mtime_ns, stat.st_size)
    except OSError:
        return {}  # Hydra says it better of the project's, and a folder of options needs none


@lru_cache(maxsize=8)
def _parse(file: Path, _mtime: int, _size: int) -> dict[Any, Any]:
    try:
        return parse_yaml(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{file} cannot be read as YAML: {reason}") from None


def list_patterns() -> list[str]:
    """Return the patterns of packages and extensions whose classes may be named.

    Raises:
        ConfigError: a pattern is none.
    """
    files = [file for own in read_own_code() for file in own.list_files()]
    return [*_list_packages(), *(f"{file.stem}.*" for file in files)]


def _list_packages() -> list[str]:
    given = [pattern for own in read_own_code() for pattern in own.whitelist]
    given += filter(None, map(str.strip, _given[WHITELIST_VARIABLE].split(",")))
    for pattern in given:
        if not re.fullmatch(r"[A-Za-z_]\w*(\.\w+)*\.\*", pattern):
            raise ConfigError(
                f"The whitelist has {pattern!r}; a pattern is a package's name and '.*', such as"
                f" mypackage.* (conf/config.yaml, or the variable {WHITELIST_VARIABLE})."
            )
    return given


def find_file(module: str) -> Path | None:
    """Return the file of an extension, whether this process has loaded it or not."""
    files = (file for own in read_own_code() for file in own.list_files())
    return next((f for f in files if f.stem == module), None) or own_modules.find_file(module)


# --- loading -----------------------------------------------------------------------------------


def load(config: Config) -> None:
    """Load the extensions into this process, and let packages be used that are allowed.

    Args:
        config: composed and checked, which can add nothing.

    Raises:
        ConfigError: the configuration names others, or one cannot be loaded.
    """
    _refuse_changes(config)
    load_files()


def load_files() -> None:
    """As `load`, where no configuration was composed.

    Raises:
        ConfigError: one cannot be loaded; says which and why.
    """
    own_modules.allow_packages(_list_packages())
    for own in read_own_code():
        for file in own.list_files():
            _load_file(file, own.file)


def _refuse_changes(config: Config) -> None:
    """Refuse lists that were changed after the file: they would have no effect."""
    project = read_own_code()[0]
    if tuple(config.whitelist) != project.whitelist:
        raise ConfigError(
            f"whitelist = {config.whitelist} has no effect: no override, preset or recorded run may"
            " allow more. Add the package to whitelist in conf/config.yaml, or by the environment:"
            f" {WHITELIST_VARIABLE}='package.*'."
        )
    if tuple(config.extensions) != project.extensions:
        raise ConfigError(
            f"extensions = {config.extensions} has no effect: no override, preset or recorded run"
            " may name code. Add the file to extensions in conf/config.yaml, or in the config.yaml"
            " of a folder that is given by --config-dir."
        )


def _load_file(file: Path, named_in: Path) -> None:
    name = file.stem
    if own_modules.find_file(name) == file:
        return
    if not file.is_file():
        raise ConfigError(
            f"extensions: there is no file {file}. Relative paths start at the folder of"
            f" {named_in}."
        )
    if file.suffix != ".py" or not name.isidentifier() or keyword.iskeyword(name):
        raise ConfigError(
            f"extensions: {file} cannot be imported. Its name is to be letters, digits and _, and"
            " .py at the end, such as my_steps.py."
        )
    origin = _find_origin(name)
    if origin is not None and Path(origin).resolve() != file.resolve():
        raise ConfigError(
            f"extensions: {file} has the name of another module ({origin}); give it one of its own."
        )
    if str(file.parent) not in sys.path:
        # Last, so that nothing there takes the place of a library. Other processes have it too.
        sys.path.append(str(file.parent))
    importlib.invalidate_caches()
    try:
        importlib.import_module(name)
    except (Exception, SystemExit) as error:
        raise ConfigError(
            f"extensions: {file} cannot be loaded: {_explain(error, file)}"
        ) from error
    own_modules.register(name, file)


def _find_origin(name: str) -> str | None:
    """Return where a module of this name comes from, if there is one already."""
    if name in sys.modules:
        return getattr(sys.modules[name], "__file__", None) or name
    spec = importlib.util.find_spec(name)
    return None if spec is None else spec.origin or name


def _explain(error: BaseException, file: Path) -> str:
    """Return an error in one line, with the line of the file where it came up."""
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(file)]
    where = f" (line {lines[-1]})" if lines else ""
    return f"{type(error).__name__}: {' '.join(str(error).split())}{where}"
