"""The Hydra plugins that find configuration; loaded before every command, so they import little."""

from __future__ import annotations

import builtins
import re
import stat
from pathlib import Path, PurePosixPath
from typing import Any

from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigResult, ConfigSource
from omegaconf import DictConfig, OmegaConf
from yaml import YAMLError

from tagifai.config import _hydra, allowed
from tagifai.config.schema import CUSTOM_OPTIONS, EXPERIMENT_GROUPS, SCHEMA_CLASSES
from tagifai.config.texts import check_plain_yaml, read_typed
from tagifai.exceptions import ConfigError


class SchemaSource(ConfigSource):
    """Serves `schema/<group>/<name>` to defaults lists, and `custom` options; lists none of it.

    In Hydra's own ConfigStore a schema beside its options would be offered by `--help` and
    completion, and `glob(*)` would run it as one of them.
    """

    @staticmethod
    def scheme() -> str:
        """Return the scheme of this source on the search path."""
        return "tagifai"

    def load_config(self, config_path: str) -> ConfigResult:
        """Return the schema at this path as a structured configuration."""
        return ConfigResult(
            config=_content(config_path),
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


class FileConfigSource(_hydra.FileConfigSource):
    """Hydra's source of files, with texts as they are typed: `true` and `01` are names of labels.

    It has the name of Hydra's own, in place of which it is registered.
    """

    def load_config(self, config_path: str) -> ConfigResult:
        """Return a file's content, and what YAML took for more than a text as a text.

        Raises:
            ConfigError: it cannot be read, or is empty.
        """
        file = self._get_file(config_path)
        try:
            result = self._load(config_path)
        except (YAMLError, UnicodeDecodeError, OSError) as error:
            reason = " ".join(f"{error!s:.300}".split())
            raise ConfigError(
                f"{file} cannot be read as YAML: {reason}. Put it right, or remove it."
            ) from None
        if not file.read_text(encoding="utf-8").strip():
            raise ConfigError(f"{file} is empty. Write it again, or remove it.")
        return result

    def _get_file(self, config_path: str) -> Path:
        return Path(self.path, f"{config_path.removesuffix('.yaml')}.yaml")

    def _load(self, config_path: str) -> ConfigResult:
        result = super().load_config(config_path)
        group = str(PurePosixPath(config_path).parent).replace("/", ".").strip(".")
        package = result.header.get("package") or "_group_"
        package = {"_global_": "", "_group_": group}.get(package, package)
        if package in ("", "data", "task"):
            text = self._get_file(config_path).read_text(encoding="utf-8")
            content: Any = OmegaConf.to_container(result.config, resolve=False)
            for key, value in read_typed(content, package, text).items():
                OmegaConf.update(result.config, key, value, merge=False)
        return result


_hydra.SourcesRegistry.instance().types["file"] = FileConfigSource


PRESET_GROUP = "experiment"
"""The one group of presets that searches write."""

PRESET_KEYS = (*EXPERIMENT_GROUPS, "seed", "training", "objective", "metrics")
"""What they set."""

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
            result = self._load(config_path)
            _check_preset(result)
        except (ConfigError, YAMLError, ValueError, OSError) as error:
            reason = " ".join(f"{error!s:.200}".split())
            raise ConfigError(
                f"{file} is not taken as a preset: {reason} task=repair puts it aside. A preset"
                f" of the stores sets {', '.join(PRESET_KEYS)} to plain values, and"
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
        """Return whether there is a preset of this name."""
        known = re.fullmatch(rf"{PRESET_GROUP}/\w[\w.-]*", config_path) is not None
        return known and super().is_config(config_path)

    def list(self, config_path: str, results_filter: ObjectType | None) -> builtins.list[str]:
        """Return the presets, or nothing before the first search."""
        return super().list(config_path, results_filter) if self.is_group(config_path) else []


def _check_preset(result: ConfigResult) -> None:
    """Refuse what is not a value of an experiment, in the form in which Hydra takes it."""
    if {**result.header} != {"package": "_global_"}:
        raise ConfigError("it does not begin with '# @package _global_'.")
    content = OmegaConf.to_container(result.config, resolve=False)
    if not isinstance(content, dict):
        raise ConfigError("it is not a mapping.")
    if not content:
        raise ConfigError("it sets nothing.")
    for key, value in content.items():
        if key == "defaults":
            _check_defaults(value)
            continue
        if key not in PRESET_KEYS:
            raise ConfigError(f"it sets {key!s:.100}.")
        _refuse_lookups(str(key), value)
        allowed.check(str(key), value, allowed.check_name)


def _check_defaults(defaults: Any) -> None:
    if not isinstance(defaults, builtins.list):
        raise ConfigError("its defaults have no list.")
    groups = {f"override /{group}" for group in EXPERIMENT_GROUPS}
    for item in defaults:
        right = isinstance(item, dict) and len(item) == 1 and item.keys() <= groups
        option = str(*item.values()) if right else ""
        if not re.fullmatch(r"\w[\w.-]*(/\w[\w.-]*)*", option, re.ASCII):
            raise ConfigError(f"its defaults have {item!s:.100}, which is not 'override /<group>'.")


def _refuse_lookups(where: str, value: Any) -> None:
    """Refuse a text that OmegaConf would look something up for."""
    if isinstance(value, dict):
        for name, item in value.items():
            _refuse_lookups(f"{where}.{name!s:.100}", item)
    elif isinstance(value, builtins.list):
        for number, item in enumerate(value):
            _refuse_lookups(f"{where}.{number}", item)
    elif isinstance(value, str) and re.search(r"(?<!\\)(\\\\)*\$\{", value):
        raise ConfigError(f"{where} = {value!r:.100} refers to something else.")


def _content(config_path: str) -> DictConfig:
    name = _name(config_path)
    if not config_path.startswith("schema/"):
        return OmegaConf.create(CUSTOM_OPTIONS[name])
    structured: DictConfig = OmegaConf.structured(SCHEMA_CLASSES[name])
    return structured


def _name(config_path: str) -> str:
    return config_path.removeprefix("schema/").removesuffix(".yaml")
