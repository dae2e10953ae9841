"""The settings of the sweeper, with their checks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from tagifai.exceptions import ConfigError
from tagifai.utils import secrets

SERIAL, JOBLIB, LOCAL = "BasicLauncher", "JoblibLauncher", "LocalLauncher"
SLURM, RAY = "SlurmLauncher", "RayLauncher"


def get_launcher_kind(cfg: DictConfig) -> str:
    """Return the name of the launcher's class, which options of any name may choose.

    Args:
        cfg: composed, with Hydra's own node.
    """
    return str(OmegaConf.select(cfg, "hydra.launcher._target_")).rpartition(".")[2]


class SweeperPlugin(Protocol):
    """The sweeper plugin after Hydra has set it up."""

    settings: Mapping[str, Any]
    context: HydraContext
    function: TaskFunction
    master: DictConfig


@dataclass(frozen=True)
class SearchSettings:
    """The fields of the sweeper's configuration, checked.

    Args:
        sampler: configuration of the sampler.
        pruner: configuration of the pruner, or None.
        directions: of each objective; None are those that the metrics have by themselves.
        storage: URL of the database of studies; None keeps the study in memory.
        study_name: None is the default name.
        n_trials: of the study as a whole.
        n_jobs: number of workers.
        max_failure_rate: share of the trials that may fail.
        timeout: seconds, or None.
        params: of the space.
        when: branches of the space.
        custom_search_space: name of a function of configuration and trial.
    """

    sampler: dict[str, Any]
    pruner: dict[str, Any] | None
    directions: list[str] | None
    storage: str | None
    study_name: str | None
    n_trials: int
    n_jobs: int
    max_failure_rate: float
    timeout: float | None
    params: dict[str, Any] | None
    when: dict[str, Any] | None
    custom_search_space: str | None

    @classmethod
    def from_hydra(cls, values: Mapping[str, Any]) -> SearchSettings:
        """Return the settings from Hydra's arguments of the plugin.

        Raises:
            ConfigError: a setting is out of range.
        """
        plain: dict[str, Any] = {
            key: OmegaConf.to_container(value, resolve=True)
            if OmegaConf.is_config(value)
            else value
            for key, value in values.items()
        }
        return cls(directions=read_directions(plain.pop("direction")), **plain)

    def __post_init__(self) -> None:
        rules = {
            "n_trials": (self.n_trials >= 1, "a whole number of at least 1"),
            "n_jobs": (self.n_jobs >= 1, "a whole number of at least 1"),
            "max_failure_rate": (0 <= self.max_failure_rate <= 1, "a share from 0 to 1"),
            "timeout": (self.timeout is None or self.timeout > 0, "seconds above 0, or null"),
            "study_name": (
                self.study_name is None or re.fullmatch(r"\w[\w.-]*", self.study_name) is not None,
                "letters, digits, '.', '_' and '-'",
            ),
            "storage": (
                self.storage is None or isinstance(self.storage, str),
                "the URL of a database, or null",
            ),
        }
        for key, (holds, allowed) in rules.items():
            if not holds:
                value = getattr(self, key)
                raise ConfigError(f"hydra.sweeper.{key} = {value!r} is not allowed: {allowed}")


def read_directions(direction: Any) -> list[str] | None:
    """Return the directions of a sweeper's setting: a text, one of the plugin's, or a list."""
    if direction is None:
        return None
    several = isinstance(direction, Sequence) and not isinstance(direction, str)
    return [getattr(d, "name", d) for d in (direction if several else [direction])]


def refuse_secrets(cfg: DictConfig) -> None:
    """Refuse settings with a secret where the launcher writes its jobs to files.

    Args:
        cfg: composed, with Hydra's own node.

    Raises:
        ConfigError: with the settings, and where their secrets belong.
    """
    if "submitit" not in str(OmegaConf.select(cfg, "hydra.launcher._target_")):
        return
    content: Any = OmegaConf.to_container(cfg, resolve=False)
    content["hydra"] = {
        **content["hydra"],
        "overrides": None,
        "job": content["hydra"]["job"]["env_set"],
    }
    found = secrets.list_masked(content)
    if found:
        raise ConfigError(
            f"{', '.join(found)}: there is a secret in it, and this launcher writes its jobs to"
            " files. Give it by the environment: '${oc.env:NAME}' in its place; for tracking.uri"
            " MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD; for hydra.sweeper.storage"
            " PGPASSWORD or ~/.pgpass; for files ~/.netrc."
        )
