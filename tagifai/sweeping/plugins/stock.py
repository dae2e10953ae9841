"""The sweeper of Hydra's plugin for Optuna, with the objective's direction and no secrets on disk.

Hydra loads this module before every command, so it imports late.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.types import HydraContext, TaskFunction
from hydra_plugins.hydra_optuna_sweeper.config import OptunaSweeperConf
from hydra_plugins.hydra_optuna_sweeper.optuna_sweeper import OptunaSweeper
from omegaconf import DictConfig


class StockSweeper(OptunaSweeper):
    """Hydra's own sweeper with Optuna: no pruner, no conditions, nothing to resume.

    Its settings are those of `StockSweeperConfig`.
    """

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Give the sweeper the objective's direction, and refuse what it would not heed.

        Raises:
            ConfigError: a setting contradicts the objective, is not this sweeper's, or has a
                secret that a launcher would write to a file.
        """
        from tagifai.config.job import strip_hydra_node
        from tagifai.config.schema import check
        from tagifai.exceptions import ConfigError
        from tagifai.sweeping.checks import check_directions
        from tagifai.sweeping.settings import read_directions, refuse_secrets

        refuse_secrets(config)
        shared = check(strip_hydra_node(config))
        objective, sweep = shared.objective, shared.sweep
        check_directions(objective, read_directions(self.sweeper.direction))
        unknown = {
            **{
                f"sweep.{key}": getattr(sweep, key)
                for key in ("preview", "stop", "budget", "restart", "trials_per_worker")
            },
            "objective.constraints": objective.constraints,
        }
        for key, value in unknown.items():
            if value:
                raise ConfigError(
                    f"{key} = {value}: hydra/sweeper=optuna does not heed it. Use"
                    " hydra/sweeper=tagifai."
                )
        self.sweeper.direction = list(objective.directions)
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)


@dataclass
class StockSweeperConfig(OptunaSweeperConf):
    """The settings of Hydra's own sweeper with Optuna.

    Args:
        direction: follows the objective.
    """

    _target_: str = "tagifai.sweeping.plugins.stock.StockSweeper"
    direction: Any = "${objective.direction}"


ConfigStore.instance().store(
    group="hydra/sweeper", name="optuna", node=StockSweeperConfig, provider="tagifai", replace=True
)
