"""Compose a configuration from the files of `conf/`, where no command has composed it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import flag_override
from omegaconf.errors import OmegaConfBaseException

from tagifai.config import paths
from tagifai.config.schema import Config, check
from tagifai.exceptions import UserError

if TYPE_CHECKING:
    from omegaconf import DictConfig


def compose_defaults() -> Config:
    """Return the configuration without any overrides."""
    return paths.resolve(check(_compose([])))


def try_compose(overrides: Sequence[str]) -> Config | None:
    """Return the configuration that overrides make, or None if they make none.

    Args:
        overrides: in Hydra's grammar.
    """
    with suppress(HydraException, OmegaConfBaseException, UserError):
        return check(_compose([*overrides]))
    return None


def _compose(overrides: list[str]) -> DictConfig:
    if not GlobalHydra.instance().is_initialized():  # the process of a launcher
        with initialize_config_dir(str(paths.get_conf_folder()), job_name="defaults"):
            return compose("config", overrides)
    loader = GlobalHydra.instance().config_loader()
    cfg = loader.load_configuration("config", overrides, run_mode=RunMode.RUN)
    with flag_override(cfg, ["struct", "readonly"], [False, False]):
        del cfg["hydra"]
    return cfg
