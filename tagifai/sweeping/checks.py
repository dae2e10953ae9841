"""Checks: what is refused before a search's first trial, and before there is a study."""

from __future__ import annotations

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException
from optuna.pruners import BasePruner, NopPruner

from tagifai.config.schema import STANDARD_METRICS, Config
from tagifai.data import datasets
from tagifai.exceptions import ConfigError
from tagifai.sweeping import studies
from tagifai.sweeping.composition import Compose
from tagifai.sweeping.settings import SearchSettings
from tagifai.sweeping.space import SearchSpace


def check_objective(config: Config, settings: SearchSettings, pruner: BasePruner) -> None:
    """Refuse directions that differ, and a pruner that cannot do its work.

    Raises:
        ConfigError: with the reason.
    """
    objective = config.objective
    if settings.directions != objective.directions:
        raise ConfigError(
            f"hydra.sweeper.direction = {', '.join(settings.directions)}, and objective.direction ="
            f" {', '.join(objective.directions)}. Set objective.direction alone; the sweeper"
            " follows it."
        )
    if isinstance(pruner, NopPruner):
        return
    name = type(pruner).__name__
    if len(objective.metrics) > 1:
        raise ConfigError(
            f"{name} cannot judge {len(objective.metrics)} objectives"
            f" ({', '.join(objective.metrics)}). Use hydra/sweeper/pruner=none, or one metric."
        )
    if "model_bytes" in objective.metrics:
        raise ConfigError(
            f"{name} needs a metric that changes during training, and model_bytes does not. Use"
            " hydra/sweeper/pruner=none."
        )
    if not studies.is_shared(settings.storage):
        raise ConfigError(
            f"{name} needs a storage that jobs can reach, and hydra.sweeper.storage ="
            f" {settings.storage or 'null'} is in the memory of this process. Leave storage out, or"
            " use hydra/sweeper/pruner=none."
        )


def check_metrics(config: Config, dataset: datasets.Dataset) -> None:
    """Refuse metrics that there are not: of classes and slices, or of one's own.

    Raises:
        ConfigError: with the metrics that there are.
    """
    named = [metric for metric in config.objective.metrics if metric not in STANDARD_METRICS]
    if not named:
        return
    # Late: the others are in every run, and need no scikit-learn here.
    from numpy.random import RandomState

    from tagifai.training import objectives, streaming

    objectives.check_metrics(config.objective)
    rows = streaming.prepare(dataset, config, RandomState(config.seed))
    for metric in named:
        rows.check_objective(metric)


def check_space(space: SearchSpace, compose: Compose) -> None:
    """Refuse parameters that are not there, or none of whose values may be.

    Args:
        space: of the search.
        compose: the configuration of overrides.

    Raises:
        ConfigError: with the parameter and the reason.
    """
    refused: dict[str, list[str]] = {}
    tried: dict[str, int] = {}
    for parameter, overrides in space.iterate_boundaries():
        tried[parameter.name] = tried.get(parameter.name, 0) + 1
        try:
            compose(overrides)
        except ConfigError as error:
            # Maybe only beside the present values of the others.
            refused.setdefault(parameter.name, []).append(str(error))
        except (HydraException, OmegaConfBaseException) as error:
            text = str(error.__cause__ or error).splitlines()[0].rstrip(".")
            raise ConfigError(
                f"The parameter {parameter.name} cannot be set by {overrides[-1]}: {text}."
            ) from error
    never = [name for name, reasons in refused.items() if len(reasons) == tried[name]]
    # Some are allowed only beside other values of others, as in a corner of the space.
    if never and not any(_composes(compose, overrides) for overrides in space.list_corners()):
        raise ConfigError(
            f"The parameter {never[0]} has no value that is allowed: {refused[never[0]][0]}"
        )


def _composes(compose: Compose, overrides: list[str]) -> bool:
    try:
        compose(overrides)
    except (ConfigError, HydraException, OmegaConfBaseException):
        return False
    return True
