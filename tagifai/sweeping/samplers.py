"""Make Optuna's samplers and pruners from the configuration, seeded for a whole search."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any

import numpy as np
import optuna
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler, BruteForceSampler, GridSampler, QMCSampler

from tagifai.config.instantiate import build_listed
from tagifai.exceptions import ConfigError
from tagifai.sweeping.spaces.space import SearchSpace

SEED_INDEX = "turn"
"""Attribute of a trial: its index in the sequence of seeds."""

RANDOM = {"_target_": "optuna.samplers.RandomSampler"}

SEQUENCES = ("GridSampler", "QMCSampler")
"""Samplers that find the next point in the study, in an order that depends on the seed."""

SAMPLERS = (
    *(f"optuna.samplers.{name}" for name in optuna.samplers.__all__ if name[0].isupper()),
    *(f"optuna.samplers.nsgaii.{name}" for name in optuna.samplers.nsgaii.__all__),
    *("hydra_plugins.hydra_optuna_sweeper._impl.create_nsgaii_sampler",),
    *("hydra_plugins.hydra_optuna_sweeper._impl.create_nsgaiii_sampler",),
    *("hydra_plugins.hydra_optuna_sweeper.config.raise_motpe_removed",),
)
"""What a configuration may name as a sampler, or inside of one."""

PRUNERS = tuple(f"optuna.pruners.{name}" for name in optuna.pruners.__all__)
"""What it may name as a pruner, or inside of one."""

REQUIRED_PACKAGES = {"CmaEsSampler": ("cmaes",), "GPSampler": ("scipy", "torch")}
"""Packages that a sampler needs beside Optuna's own dependencies."""


def make_sampler(
    settings: Mapping[str, Any], seed: int, space: SearchSpace
) -> Callable[[int], BaseSampler]:
    """Return what makes the sampler of a trial from its index in the sequence of seeds.

    So a serial search has the same trials each time, and a resumed search goes on with the trials
    that it would have had.

    Args:
        settings: of the `hydra/sweeper/sampler` group.
        seed: used if the settings have none.
        space: of the search.

    Raises:
        ConfigError: the sampler cannot be made, needs packages that are not installed, or tries
            every configuration of a space that has too many.
    """
    name = str(settings.get("_target_", "")).rpartition(".")[2]
    _require_packages(name)
    given = settings.get("seed")
    seed = int(seed if given is None else given)
    arguments = dict(settings)
    if name == GridSampler.__name__:
        # The option of Hydra's own leaves the points to its sweeper.
        arguments = {k: v for k, v in settings.items() if k != "_partial_"}
        arguments["search_space"] = space.make_grid()
    elif name == BruteForceSampler.__name__:
        space.require_lists("brute")

    def make(turn: int) -> Any:
        own = int(np.random.SeedSequence([seed, turn]).generate_state(1)[0])
        more: dict[str, Any] = {"seed": seed if name in SEQUENCES else own}
        if name == QMCSampler.__name__ and not arguments.get("independent_sampler"):
            more["independent_sampler"] = {**RANDOM, "seed": own}
        return _build("sampler", {**arguments, **more}, SAMPLERS)

    made = make(0)
    if not isinstance(made, BaseSampler):
        raise ConfigError(f"hydra.sweeper.sampler: {name} is not a sampler.")
    # The points of a grid may be many.
    return (lambda turn: made) if isinstance(made, GridSampler) else make


def _require_packages(name: str) -> None:
    for package in REQUIRED_PACKAGES.get(name, ()):
        if find_spec(package) is None:
            raise ConfigError(
                f"hydra/sweeper/sampler: {name} needs a package that is not installed. Install"
                f" it: pip install {package}"
            )


def make_pruner(settings: Mapping[str, Any] | None) -> BasePruner:
    """Return the pruner that the configuration describes; for None, one that never prunes."""
    if not settings:
        return optuna.pruners.NopPruner()
    made = _build("pruner", settings, PRUNERS)
    if not isinstance(made, BasePruner):
        raise ConfigError(f"hydra.sweeper.pruner: {settings.get('_target_')} is not a pruner.")
    return made


def _build(what: str, settings: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    with warnings.catch_warnings(action="ignore", category=optuna.exceptions.ExperimentalWarning):
        return build_listed(f"hydra.sweeper.{what}", settings, names)
