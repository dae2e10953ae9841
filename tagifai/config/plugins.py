"""The Hydra plugins that find configuration; loaded before every command, so they import little."""

from __future__ import annotations

import builtins
import copy
import os
import re
import stat
from collections import deque
from dataclasses import replace
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigResult, ConfigSource
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import OmegaConf
from yaml import YAMLError

from tagifai.config import _hydra, allowed, paths
from tagifai.config.schema import CUSTOM_OPTIONS, SCHEMA_CLASSES
from tagifai.config.texts import check_plain_yaml, read_typed
from tagifai.exceptions import ConfigError


def _keep(source: Any, memo: Any) -> Any:
    """Return a source itself, which never changes; Hydra copies all for each of its questions."""
    return source


class SchemaSource(ConfigSource):
    """Serves `schema/<group>/<name>` to defaults lists, and `custom` options; lists none of it.

    In Hydra's own ConfigStore a schema beside its options would be offered by `--help` and
    completion, and `glob(*)` would run it as one of them.
    """

    __deepcopy__ = _keep

    @staticmethod
    def scheme() -> str:
        """Return the scheme of this source on the search path."""
        return "tagifai"

    def load_config(self, config_path: str) -> ConfigResult:
        """Return the schema at this path as a structured configuration."""
        nodes: Any = SCHEMA_CLASSES if config_path.startswith("schema/") else CUSTOM_OPTIONS
        return ConfigResult(
            config=OmegaConf.create(nodes[_name(config_path)]),
            path=f"{self.scheme()}://{self.path}",
            provider=self.provider,
            header={"package": None},
        )

    def available(self) -> bool:
        """Return True: the schemas are part of the package."""
        return True

    def is_group(self, config_path: str) -> bool:
        """Return False: the groups of schemas are not to be found."""
        return False

    def is_config(self, config_path: str) -> bool:
        """Return whether there is a schema at this path."""
        schema = config_path.startswith("schema/") and _name(config_path) in SCHEMA_CLASSES
        return schema or _name(config_path) in CUSTOM_OPTIONS

    def list(self, config_path: str, results_filter: ObjectType | None) -> builtins.list[str]:
        """Return nothing."""
        return []


class OwnSearchPath(SearchPathPlugin):
    """Has the schemas, and the presets of the stores, on the search path whatever else is there.

    Entries of `hydra.searchpath` would be replaced by one on the command line. Another application
    of Hydra has nothing of them: it has not our folder, and the variable is set by our command.
    """

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Add them, behind the project's own folder."""
        _named.clear()
        folders = [str(item.path).removeprefix("file://") for item in search_path.get_path()]
        if "TAGIFAI_ROOT" in os.environ or str(paths.get_conf_folder()) in folders:
            search_path.append("tagifai", f"{SchemaSource.scheme()}://schemas")
            stores = f"{PresetSource.scheme()}://{paths.get_stores()}/presets"
            search_path.append("tagifai", stores)


class FileConfigSource(_hydra.FileConfigSource):
    """Hydra's source of files, with texts as they are typed: `true` and `01` are names of labels.

    It has the name of Hydra's own, in place of which it is registered.
    """

    def __init__(self, provider: str, path: str) -> None:
        super().__init__(provider, path)
        if self.scheme() == "file":
            _named[self.path] = self

    __deepcopy__ = _keep

    def load_config(self, config_path: str) -> ConfigResult:
        """Return a file's content, and what YAML took for more than a text as a text.

        Raises:
            ConfigError: it cannot be read, or is empty.
        """
        file = self._get_file(config_path)
        try:
            text = file.read_text(encoding="utf-8")
            result = self._load(config_path, text)
        except (YAMLError, UnicodeDecodeError, OSError) as error:
            reason = " ".join(f"{error!s:.300}".split())
            raise ConfigError(
                f"{file} cannot be read as YAML: {reason}. Put it right, or remove it."
            ) from None
        if not text.strip():
            raise ConfigError(f"{file} is empty. Write it again, or remove it.")
        return result

    def is_group(self, config_path: str) -> bool:
        """Return whether there is a folder at this path."""
        return os.path.isdir(Path(self.path, config_path))  # noqa: PTH112 - no name is too long

    def is_config(self, config_path: str) -> bool:
        """Return whether there is a file at this path."""
        return os.path.isfile(self._get_file(config_path))  # noqa: PTH113 - no name is too long

    def list(self, config_path: str, results_filter: ObjectType | None) -> builtins.list[str]:
        """Return the folders and files at this path; Hydra's own looks four times at each."""
        with os.scandir(Path(self.path, config_path)) as entries:
            found = {entry.name: entry.is_dir() for entry in entries}
        groups = {name for name, folder in found.items() if folder and name != "__pycache__"}
        files = {name[:-5] for name in found.keys() - groups if name.endswith(".yaml")}
        one = {ObjectType.GROUP: groups, ObjectType.CONFIG: files}
        return sorted(groups | files if results_filter is None else one[results_filter])

    def _get_file(self, config_path: str) -> Path:
        return Path(self.path, f"{config_path.removesuffix('.yaml')}.yaml")

    def _load(self, config_path: str, text: str) -> ConfigResult:
        key = (self.path, config_path, text)
        if key not in _asked:
            _asked.append(key)
            read = _read.__wrapped__(*key)  # most are asked for once, and a copy takes time
        else:
            read = copy.deepcopy(_read(*key))
        return replace(read, path=self.full_path(), provider=self.provider)


_named: dict[str, FileConfigSource] = {}
"""The folders on the search path; what is in them wins over presets of the stores."""

_asked: deque[tuple[str, str, str]] = deque(maxlen=64)
"""Files that have been read, as `_read` takes them."""


@lru_cache(maxsize=64)
def _read(folder: str, config_path: str, text: str) -> ConfigResult:
    """Return a file's content: Hydra asks for the primary one up to nine times before a command.

    Args:
        folder: on the search path.
        config_path: of the file, in the folder.
        text: of the file, which is read again when it changes.
    """
    result = _hydra.FileConfigSource("", folder).load_config(config_path)
    group = str(PurePosixPath(config_path).parent).replace("/", ".").strip(".")
    package = result.header.get("package") or "_group_"
    package = {"_global_": "", "_group_": group}.get(package, package)
    if package in ("", "data", "task"):
        content: Any = OmegaConf.to_container(result.config, resolve=False)
        for key, value in read_typed(content, package, text).items():
            OmegaConf.update(result.config, key, value, merge=False)
    return result


_hydra.SourcesRegistry.instance().types["file"] = FileConfigSource


PRESET_GROUP = "experiment"
"""The one group of presets that searches write."""

WRITTEN, PRESET_END = "# Written by the search. ", "# The preset ends here.\n"
"""What a search's preset has in its head, and its last line, without which it is cut off."""

MOST_CHARACTERS = 2**20
"""Of a preset; a search's has some hundred, or those of a list of words."""


class PresetSource(FileConfigSource):
    """The presets that searches have written: a folder that need not be there.

    Hydra warns before every command of a folder on its search path that does not exist. Whoever
    hands on stores hands on these files, so they may hold values of an experiment and nothing else.
    """

    @staticmethod
    def scheme() -> str:
        """Return the scheme of this source on the search path."""
        return "presets"

    def load_config(self, config_path: str) -> ConfigResult:
        """Return a preset's content, which has been checked.

        Raises:
            ConfigError: it holds more than values of an experiment.
        """
        file = self._get_file(config_path)
        try:
            if not self.is_config(config_path) or not stat.S_ISREG(file.lstat().st_mode):
                raise ConfigError("it is not a plain file.")
            if file.stat().st_size > 4 * MOST_CHARACTERS:
                raise ConfigError(f"it has more than {MOST_CHARACTERS:,} characters.")
            text = file.read_text(encoding="utf-8")
            if not text.strip():
                raise ConfigError("it is empty.")
            if WRITTEN in text and not text.endswith(PRESET_END):
                raise ConfigError(f"it is cut off: its last line is not {PRESET_END.strip()!r}.")
            check_plain_yaml(text, MOST_CHARACTERS)
            result = self._load(config_path, text)
            content = OmegaConf.to_container(result.config, resolve=False)
            allowed.check_preset(result.header, content)
        except (ConfigError, YAMLError, ValueError, OSError) as error:
            reason = " ".join(f"{error!s:.200}".split())
            raise ConfigError(
                f"{file} is not taken as a preset: {reason} task=repair puts it aside. A preset"
                f" of the stores sets {', '.join(allowed.PRESET_KEYS)} to plain values, and"
                " nothing else. If the file is yours, move it into conf/experiment, or into a"
                " folder that --config-dir names."
            ) from None
        return result

    def available(self) -> bool:
        """Return True: without its folder it is empty."""
        return True

    def is_group(self, config_path: str) -> bool:
        """Return whether it is the group of presets; no other is looked for in the stores."""
        return config_path in ("", PRESET_GROUP) and super().is_group(config_path)

    def is_config(self, config_path: str) -> bool:
        """Return whether there is a preset of this name, and none in a folder that was named."""
        known = re.fullmatch(rf"{PRESET_GROUP}/\w[\w.-]*", config_path) is not None
        if not known or not super().is_config(config_path):
            return False
        return not any(source.is_config(config_path) for source in _named.values())

    def list(self, config_path: str, results_filter: ObjectType | None) -> builtins.list[str]:
        """Return the presets, or nothing before the first search."""
        found = super().list(config_path, results_filter) if self.is_group(config_path) else []
        return [name for name in found if self.exists(f"{config_path}/{name}".lstrip("/"))]


def _name(config_path: str) -> str:
    return config_path.removeprefix("schema/").removesuffix(".yaml")
