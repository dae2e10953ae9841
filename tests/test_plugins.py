from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path

import pytest
from hydra.core.object_type import ObjectType
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigSource
from omegaconf import OmegaConf

from tagifai.plugins import SchemaSource
from tagifai.schema import NODES

CONF = Path(__file__).parent.parent / "conf"


@pytest.fixture
def source() -> SchemaSource:
    return SchemaSource("test", "tagifai://schemas")


def test_hydra_finds_the_source_by_its_entry_point() -> None:
    (entry,) = entry_points(group="hydra.plugins", name="tagifai-schemas")
    assert entry.load() is SchemaSource
    assert SchemaSource in Plugins.instance().discover(ConfigSource)


def test_another_scheme_is_not_served() -> None:
    with pytest.raises(ValueError, match="Invalid path"):
        SchemaSource("test", "file://schemas")


@pytest.mark.parametrize("name", sorted(NODES))
@pytest.mark.parametrize("suffix", ["", ".yaml"])
def test_every_schema_is_served_as_a_structured_configuration(
    source: SchemaSource, name: str, suffix: str
) -> None:
    path = f"schema/{name}{suffix}"
    assert source.is_config(path)
    assert source.exists(path)
    result = source.load_config(path)
    assert OmegaConf.get_type(result.config) is NODES[name]
    assert (result.provider, result.path) == ("test", "tagifai://schemas")
    assert result.header == {"package": None}


@pytest.mark.parametrize(
    "path", ["model/sgd", "schema", "schema/", "schema/model", "schema/model/nope", "sgd", ""]
)
def test_nothing_else_is_served(source: SchemaSource, path: str) -> None:
    assert not source.is_config(path)
    assert not source.exists(path)


@pytest.mark.parametrize("path", ["", "schema", "schema/model", "model"])
@pytest.mark.parametrize("kind", [None, ObjectType.CONFIG, ObjectType.GROUP])
def test_no_schema_is_listed(source: SchemaSource, path: str, kind: ObjectType | None) -> None:
    assert source.available()
    assert not source.is_group(path)
    assert source.list(path, kind) == []


def test_every_schema_is_asked_for_by_an_option_and_every_one_asked_for_is_there() -> None:
    asked = {
        line.strip().removeprefix("- ").removeprefix("/").removeprefix("schema/")
        for file in CONF.rglob("*.yaml")
        for line in file.read_text(encoding="utf-8").splitlines()
        if "schema/" in line and line.strip().endswith("@_here_")
    }
    assert asked == {f"{name}@_here_" for name in NODES}
