"""Make Optuna's samplers and pruners from the configuration, seeded for a whole search."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from itertools import count
from typing import Any

import numpy as np
import optuna
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler, GridSampler, QMCSampler
from optuna.study import Study as OptunaStudy
from optuna.trial import FrozenTrial, TrialState

from tagifai.config.instantiate import build_listed
from tagifai.exceptions import ConfigError
from tagifai.sweeping._optuna import get_storage, get_trial_id
from tagifai.sweeping.studies import has_died

SEED_INDEX = "turn"
"""Attribute of a trial: its index in the sequence of seeds."""

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


class ReseededSampler(BaseSampler):
    """A sampler that is made anew for every trial, with a seed of its own.

    So a serial search has the same trials each time, and a resumed search goes on with the trials
    that it would have had; with one seed for each start it would repeat the first trials.

    Args:
        make: returns a sampler for a seed.
        seed: of the search.
    """

    def __init__(self, make: Callable[[int], BaseSampler], seed: int) -> None:
        self._make = make
        self._seed = seed
        self._local = threading.local()
        self._local.sampler = make(seed)

    def before_trial(self, study: OptunaStudy, trial: FrozenTrial) -> None:
        """Make the sampler of this trial; a trial that replaces a dead one gets its seed."""
        entropy = np.random.SeedSequence([self._seed, _reserve_seed_index(study, trial)])
        self._local.sampler = self._make(int(entropy.generate_state(1)[0]))
        self._sampler.before_trial(study, trial)

    @property
    def _sampler(self) -> BaseSampler:
        if not hasattr(self._local, "sampler"):
            self._local.sampler = self._make(self._seed)
        found: BaseSampler = self._local.sampler
        return found

    def infer_relative_search_space(self, study: OptunaStudy, trial: FrozenTrial) -> Any:
        """Return the search space of the trial's sampler."""
        return self._sampler.infer_relative_search_space(study, trial)

    def sample_relative(self, study: OptunaStudy, trial: FrozenTrial, search_space: Any) -> Any:
        """Return the values that the trial's sampler chooses together."""
        return self._sampler.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: OptunaStudy, trial: FrozenTrial, param_name: str, param_distribution: Any
    ) -> Any:
        """Return the value that the trial's sampler chooses for one parameter."""
        return self._sampler.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(
        self,
        study: OptunaStudy,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Pass the end of the trial on to its sampler."""
        self._sampler.after_trial(study, trial, state, values)


def _reserve_seed_index(study: OptunaStudy, trial: FrozenTrial) -> int:
    """Give a trial the first seed index that no live or successful trial has, and return it."""
    storage, trial_id = get_storage(study), get_trial_id(trial)
    while True:
        trials = study.get_trials(deepcopy=False)
        others = [t for t in reversed(trials) if t.number != trial.number and not has_died(t)]
        held = {t.user_attrs.get(SEED_INDEX): t.number for t in others}
        mine = storage.get_trial(trial_id).user_attrs.get(SEED_INDEX)
        # If two processes took the same index at once, the earlier trial keeps it.
        if mine is not None and held.get(mine, trial.number) >= trial.number:
            return int(mine)
        free = next(turn for turn in count() if turn not in held)
        storage.set_trial_user_attr(trial_id, SEED_INDEX, free)


def make_sampler(
    settings: Mapping[str, Any], seed: int, grid: Callable[[], Mapping[str, list[Any]]]
) -> BaseSampler:
    """Return the sampler that the configuration describes.

    Args:
        settings: of the `hydra/sweeper/sampler` group.
        seed: used if the settings have none.
        grid: returns the choices of each parameter, for a grid.

    Raises:
        ConfigError: the sampler cannot be made, or needs packages that are not installed.
    """
    name = str(settings.get("_target_", "")).rpartition(".")[2]
    for package in REQUIRED_PACKAGES.get(name, ()):
        if find_spec(package) is None:
            raise ConfigError(
                f"hydra/sweeper/sampler: {name} needs a package that is not installed. Install"
                f" it: pip install {package}"
            )
    given = settings.get("seed")
    seed = int(seed if given is None else given)
    arguments = dict(settings)
    if name == GridSampler.__name__:
        # The option of Hydra's own leaves the points to its sweeper.
        arguments = {k: v for k, v in settings.items() if k != "_partial_"}
        arguments["search_space"] = grid()

    def make(seed: int) -> Any:
        return _build("sampler", {**arguments, "seed": seed}, SAMPLERS)

    made = make(seed)
    if not isinstance(made, BaseSampler):
        raise ConfigError(f"hydra.sweeper.sampler: {name} is not a sampler.")
    # These two find the next point in the study, in an order that depends on the seed.
    return made if isinstance(made, GridSampler | QMCSampler) else ReseededSampler(make, seed)


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
