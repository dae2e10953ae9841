"""What Hydra keeps to itself and the configuration needs; nothing else.

Read in Hydra 1.4.0rc3; `tests/config/test_private_hydra.py` fails when it changes.
"""

from __future__ import annotations

# Its source of files is not public, and the public base class reads no files: a source that is a
# folder, which `PresetSource` is, would have to repeat all of it.
from hydra._internal.core_plugins.file_config_source import FileConfigSource

# The registry has one source for each scheme, and no public way to replace that of files.
from hydra._internal.sources_registry import SourcesRegistry

__all__ = ["FileConfigSource", "SourcesRegistry"]
