"""Compose the configurations of a search's jobs, and choose their folders."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Quote, QuotedString
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, flag_override

from tagifai.config import paths
from tagifai.config.schema import EXPERIMENT_GROUPS, Config, check
from tagifai.sweeping._hydra import ConfigLoaderImpl, apply_overrides
from tagifai.sweeping.settings import SweeperPlugin
from tagifai.sweeping.studies import Study

FOLDER = "folder"
"""Attribute of a study: its folder below the outputs."""

Compose = Callable[[Sequence[str]], tuple[Config, dict[str, str]]]
"""Takes a trial's overrides and returns its configuration and its chosen options."""


def strip_hydra_node(cfg: DictConfig) -> DictConfig:
    """Return a composed configuration without Hydra's own node."""
    alone = copy.deepcopy(cfg)
    with flag_override(alone, ["struct", "readonly"], [False, False]):
        del alone["hydra"]
    return alone


def make_loader(sweeper: SweeperPlugin) -> ConfigLoader:
    """Return the loader that composes the configurations of jobs in any process."""
    return CachingLoader(cast(ConfigLoaderImpl, sweeper.context.config_loader))


def make_composer(sweeper: SweeperPlugin) -> Compose:
    """Return the function that composes a job's configuration."""
    quick, master = make_loader(sweeper), sweeper.master

    def compose(overrides: Sequence[str]) -> tuple[Config, dict[str, str]]:
        cfg = quick.load_sweep_config(master, list(overrides))
        choices = {group: str(cfg.hydra.runtime.choices[group]) for group in EXPERIMENT_GROUPS}
        return paths.resolve(check(strip_hydra_node(cfg))), choices

    return compose


def make_run_composer(sweeper: SweeperPlugin) -> Callable[[Sequence[str]], Config]:
    """Return the function that composes a single run's configuration from overrides alone."""
    own, name = sweeper.context.config_loader, sweeper.master.hydra.job.config_name

    def compose(overrides: Sequence[str]) -> Config:
        cfg = own.load_configuration(name, list(overrides), run_mode=RunMode.RUN)
        return paths.resolve(check(strip_hydra_node(cfg)))

    return compose


def make_job_config(sweeper: SweeperPlugin, study: Study, outputs: Path, n_jobs: int) -> DictConfig:
    """Return the configuration that a launcher composes the jobs of a study from.

    Args:
        sweeper: the plugin, with what Hydra gave it.
        study: that jobs report to.
        outputs: the folder of outputs.
        n_jobs: jobs at a time.
    """
    cfg = copy.deepcopy(sweeper.master)
    OmegaConf.set_readonly(cfg.hydra, False)
    OmegaConf.set_struct(cfg.hydra, False)
    _choose_folder(cfg, study, outputs)
    set_hydra_value(cfg, "hydra.sweeper.study_name", study.name)
    if "JoblibLauncher" in cfg.hydra.launcher._target_:
        set_hydra_value(cfg, "hydra.launcher.n_jobs", n_jobs)
    if cfg.hydra.hydra_logging.root is not None:
        # Lines of every job would be mixed with those of the search.
        OmegaConf.update(cfg, "hydra.hydra_logging.root.level", "WARNING")
    return cfg


def _choose_folder(cfg: DictConfig, study: Study, outputs: Path) -> None:
    """Set the folder of the study, or a new one, unless the command line sets one."""
    if any(item.startswith("hydra.sweep.dir=") for item in cfg.hydra.overrides.hydra):
        return
    known = study.get_attribute(FOLDER)
    # The study may be somebody else's.
    if known is not None and (outputs / known).is_relative_to(outputs) and _is_plain(known):
        folder = outputs / known
    else:
        new = Path(cfg.hydra.sweep.dir).absolute()
        folder = new.with_name(f"{new.name.removesuffix('-multirun')}-{study.name}")
        if folder.is_relative_to(outputs):
            study.set_attribute(FOLDER, folder.relative_to(outputs).as_posix())
    set_hydra_value(cfg, "hydra.sweep.dir", str(folder))


def _is_plain(path: str) -> bool:
    return ".." not in Path(path).parts and "${" not in path


def set_hydra_value(cfg: DictConfig, key: str, value: str | int) -> None:
    """Set a value of Hydra's own, here and in what jobs are composed from.

    Args:
        cfg: from `make_job_config`.
        key: such as "hydra.sweep.dir"; a missing key is added.
        value: its value.
    """
    shown = QuotedString(value, Quote.double).with_quotes() if isinstance(value, str) else value
    plus = "+" if OmegaConf.select(cfg, key) is None and "env_set" in key else ""
    OmegaConf.update(cfg, key, value)
    kept = [i for i in cfg.hydra.overrides.hydra if i.lstrip("+").partition("=")[0] != key]
    cfg.hydra.overrides.hydra = [*kept, f"{plus}{key}={shown}"]


def get_path_overrides(cfg: DictConfig) -> list[str]:
    """Return the overrides of folders, which suggested commands need, too."""
    return [item for item in map(str, cfg.hydra.overrides.task) if item.startswith("paths.")]


def is_serial(cfg: DictConfig) -> bool:
    """Return whether the launcher runs jobs in this process, one after another."""
    return str(cfg.hydra.launcher._target_).endswith(".BasicLauncher")


def load_space_extension(name: str | None) -> Callable[[DictConfig, Any], None] | None:
    """Return the user's function that adds parameters to a trial, or None.

    Args:
        name: of a function that takes the configuration and the trial.

    Raises:
        ConfigError: there is no such function, or it is not allowed.
    """
    if name is None:
        return None
    from tagifai.config.instantiate import locate_function

    return locate_function("hydra.sweeper.custom_search_space", name)


_composed_configs: dict[tuple[object, ...], DictConfig] = {}
"""Configurations that this process has composed, by everything that decides them."""


class CachingLoader(ConfigLoaderImpl):
    """Hydra's loader, but faster from the second job of a process on.

    It does not see edits of YAML files during a search.

    Args:
        loader: Hydra's own.
    """

    def __init__(self, loader: ConfigLoaderImpl) -> None:
        self.__dict__.update(vars(loader))

    def load_sweep_config(
        self, master_config: DictConfig, sweep_overrides: list[str]
    ) -> DictConfig:
        """Return a job's configuration.

        Args:
            master_config: of the multirun.
            sweep_overrides: of the job.
        """
        parsed = OverridesParser.create().parse_overrides(list(sweep_overrides))
        options = [str(o.input_line) for o in parsed if not _is_value(o)]
        given = OmegaConf.to_container(master_config.hydra.overrides.hydra)
        name = master_config.hydra.job.config_name
        where = tuple(source.path for source in self.config_search_path.get_path())
        key = (name, where, tuple(given or ()), tuple(options))
        if key not in _composed_configs:
            _composed_configs[key] = super().load_sweep_config(master_config, options)
        cfg = copy.deepcopy(_composed_configs[key])
        with flag_override(cfg, "readonly", False):
            apply_overrides(filter(_is_value, parsed), cfg)
        with flag_override(cfg.hydra, "readonly", False):
            cfg.hydra.overrides.task = [str(o.input_line) for o in parsed]
        OmegaConf.copy_cache(from_config=master_config, to_config=cfg)
        return cfg


def _is_value(override: Override) -> bool:
    """Return whether an override is applied after composition, and cannot choose an option."""
    name = override.key_or_group
    return "." in name and "/" not in name and override.package is None
