"""What Hydra keeps to itself and a search needs; nothing else.

Read in Hydra 1.4.0rc3; `tests/sweeping/test_private_hydra.py` fails when it changes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

# The loader that Hydra hands to plugins; its public base class says only what it can be asked.
from hydra._internal.config_loader_impl import ConfigLoaderImpl

# The sweeper of all combinations, which writes its configuration as it is.
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper, BasicSweeperConf
from hydra.core.override_parser.types import Override
from hydra.core.utils import JobReturn
from omegaconf import DictConfig

__all__ = [
    "BasicSweeper",
    "BasicSweeperConf",
    "ConfigLoaderImpl",
    "apply_overrides",
    "get_return_value",
]


def apply_overrides(overrides: Iterable[Override], cfg: DictConfig) -> None:
    """Apply overrides of values to a configuration that is composed already.

    In public, overrides are applied only while one is composed, which is what takes the time.
    """
    ConfigLoaderImpl._apply_overrides_to_config(list(overrides), cfg)


def get_return_value(job: JobReturn) -> Any:
    """Return what a job returned, or the error that it failed with.

    The public `return_value` raises the error, and writes to standard error before.
    """
    return job._return_value
