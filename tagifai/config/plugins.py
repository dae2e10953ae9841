"""The Hydra plugins that find configuration; loaded before every command, so they import little."""

from __future__ import annotations

import builtins
from pathlib import Path, PurePosixPath
from typing import Any

from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigResult, ConfigSource
from omegaconf import DictConfig, OmegaConf

from tagifai.config import _hydra
from tagifai.config.schema import CUSTOM_OPTIONS, SCHEMA_CLASSES
from tagifai.config.texts import read_typed


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
        """Return a file's content, and what YAML took for more than a text as a text."""
        result = super().load_config(config_path)
        group = str(PurePosixPath(config_path).parent).replace("/", ".").strip(".")
        package = result.header.get("package") or "_group_"
        package = {"_global_": "", "_group_": group}.get(package, package)
        if package in ("", "data", "task"):
            file = Path(self.path, f"{config_path.removesuffix('.yaml')}.yaml")
            content: Any = OmegaConf.to_container(result.config, resolve=False)
            typed = read_typed(content, package, file.read_text(encoding="utf-8"))
            for key, value in typed.items():
                OmegaConf.update(result.config, key, value, merge=False)
        return result


_hydra.SourcesRegistry.instance().types["file"] = FileConfigSource


class PresetSource(FileConfigSource):
    """The presets that searches have written: a folder that need not be there.

    Hydra warns before every command of a folder on its search path that does not exist.
    """

    @staticmethod
    def scheme() -> str:
        """Return the scheme of this source on the search path."""
        return "presets"

    def available(self) -> bool:
        """Return True: without its folder it is empty."""
        return True

    def list(self, config_path: str, results_filter: ObjectType | None) -> builtins.list[str]:
        """Return the presets, or nothing before the first search."""
        return super().list(config_path, results_filter) if self.is_group(config_path) else []


def _content(config_path: str) -> DictConfig:
    name = _name(config_path)
    if not config_path.startswith("schema/"):
        return OmegaConf.create(CUSTOM_OPTIONS[name])
    structured: DictConfig = OmegaConf.structured(SCHEMA_CLASSES[name])
    return structured


def _name(config_path: str) -> str:
    return config_path.removeprefix("schema/").removesuffix(".yaml")
