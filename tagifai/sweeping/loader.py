"""The loader: jobs composed from the options they choose once, and then from values alone.

Composing the whole configuration takes longer than the training of a small model, and the trials
of a search differ in values far more often than in options.
"""

from __future__ import annotations

import copy

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf, flag_override

_composed_configs: dict[tuple[object, ...], DictConfig] = {}
"""By what decides them, the configurations that this process has composed."""


class CachingLoader(ConfigLoaderImpl):
    """Gives what Hydra's loader gives, quicker from the second job of a process on.

    An edit of a YAML file while a search goes on is not seen by it.

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
            master_config: of the sweep.
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
            self._apply_overrides_to_config([o for o in parsed if _is_value(o)], cfg)
        with flag_override(cfg.hydra, "readonly", False):
            cfg.hydra.overrides.task = [str(o.input_line) for o in parsed]
        OmegaConf.copy_cache(from_config=master_config, to_config=cfg)
        return cfg


def _is_value(override: Override) -> bool:
    """Return whether an override is applied after composition, and cannot choose an option."""
    name = override.key_or_group
    return "." in name and "/" not in name and override.package is None
