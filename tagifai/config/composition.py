"""Compose a configuration from the files of `conf/`, where no command has composed it."""

from __future__ import annotations

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import flag_override

from tagifai.config import paths
from tagifai.config.schema import Config, check


def compose_defaults() -> Config:
    """Return the configuration without any overrides."""
    if not GlobalHydra.instance().is_initialized():  # the process of a launcher
        with initialize_config_dir(str(paths.get_conf_folder()), job_name="defaults"):
            return paths.resolve(check(compose("config")))
    loader = GlobalHydra.instance().config_loader()
    cfg = loader.load_configuration("config", [], run_mode=RunMode.RUN)
    with flag_override(cfg, ["struct", "readonly"], [False, False]):
        del cfg["hydra"]
    return paths.resolve(check(cfg))
