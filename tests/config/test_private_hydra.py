"""What `config/_hydra.py` takes of Hydra is still there."""

from __future__ import annotations

from pathlib import Path

from tests.private_names import require, require_import

FENCE = "tagifai/config/_hydra.py"


def test_hydra_has_its_source_of_files(tmp_path: Path) -> None:
    source = require_import(
        "hydra._internal.core_plugins.file_config_source.FileConfigSource", "hydra-core", FENCE
    )
    require(
        source, ["load_config", "available", "is_group", "is_config", "list"], "hydra-core", FENCE
    )
    (tmp_path / "one.yaml").write_text("a: 1\n")
    read = source("provider", str(tmp_path))
    assert read.is_config("one")
    assert read.load_config("one").config == {"a": 1}


def test_hydra_has_its_registry_of_sources() -> None:
    name = "hydra._internal.sources_registry.SourcesRegistry"
    registry = require_import(name, "hydra-core", FENCE)
    require(registry, ["instance", "resolve"], "hydra-core", FENCE)
    assert "file" in registry.instance().types
