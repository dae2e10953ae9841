"""Search spaces: parameters with Optuna's distributions, fixed values, and branches."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from random import Random
from typing import Any

from optuna.distributions import CategoricalDistribution
from optuna.trial import BaseTrial

from tagifai.config.schema import EXPERIMENT_GROUPS
from tagifai.exceptions import ConfigError
from tagifai.sweeping.spaces.values import (
    MOST_VALUES,
    Distribution,
    describe_distribution,
    format_value,
    get_middle,
    identify_value,
    iterate_choices,
    list_values,
    suggest_value,
)

MIXED_PROBES = 14
"""Trials of a mix of values, one of which has to be allowed."""


@dataclass(frozen=True)
class Parameter:
    """One parameter of a space.

    Args:
        key: of the override, such as "model.alpha" or, for a group, "vectorizer".
        name: in the study; that of a branch's parameter carries the branch, because Optuna
            refuses one name with two sets of choices.
        distribution: its values; those of a categorical one are texts of Hydra's grammar, or
            numbers and truth values.
    """

    key: str
    name: str
    distribution: Distribution

    def get_extremes(self) -> list[Any]:
        """Return its choices, or its lowest and its highest value."""
        if isinstance(self.distribution, CategoricalDistribution):
            return list(self.distribution.choices)
        return [self.distribution.low, self.distribution.high]


@dataclass(frozen=True)
class Branch:
    """Parameters and fixed values for trials in which another parameter has certain values."""

    key: str
    values: frozenset[str]
    parameters: tuple[Parameter, ...]
    fixed: Mapping[str, str]

    def is_active(self, chosen: Mapping[str, str]) -> bool:
        """Return whether a trial is in this branch.

        Args:
            chosen: the trial's values so far, as texts by key.
        """
        return chosen.get(self.key) in self.values


@dataclass(frozen=True)
class SearchSpace:
    """The parameters that a search chooses, and the values that all trials share.

    Args:
        parameters: of every trial.
        branches: in the order of the configuration; one may depend on an earlier one's parameter.
        fixed: overrides by key.
        deletions: overrides that delete a key.
    """

    parameters: tuple[Parameter, ...]
    branches: tuple[Branch, ...]
    fixed: Mapping[str, str]
    deletions: tuple[str, ...] = ()

    def list_all_parameters(self) -> list[Parameter]:
        """Return all parameters, with those of the branches."""
        return [*self.parameters, *(p for branch in self.branches for p in branch.parameters)]

    def choose_overrides(self, choose: Callable[[Parameter], Any]) -> list[str]:
        """Return the overrides of a trial.

        Args:
            choose: returns the value of a parameter; called for the parameters of the trial.
        """
        chosen = {p.key: choose(p) for p in self.parameters}
        texts = {**self.fixed, **{key: format_value(value) for key, value in chosen.items()}}
        for branch in self.branches:
            if branch.is_active({**texts, **{key: str(value) for key, value in chosen.items()}}):
                own = {p.key: choose(p) for p in branch.parameters}
                chosen = {k: v for k, v in chosen.items() if k not in branch.fixed} | own
                texts |= branch.fixed
                texts |= {key: format_value(value) for key, value in own.items()}
        return [*(f"{key}={value}" for key, value in texts.items()), *self.deletions]

    def suggest_overrides(self, trial: BaseTrial) -> list[str]:
        """Return the overrides of a trial with values from the study's sampler."""
        return self.choose_overrides(lambda p: suggest_value(trial, p.name, p.distribution))

    def make_overrides(self, values: Mapping[str, Any]) -> list[str]:
        """Return the overrides of a trial with known values.

        Args:
            values: by name in the study; those of a function that extends the space are added.

        Raises:
            ConfigError: the study, which may be somebody else's, sets more than an experiment.
        """
        known = {p.name: p for p in self.list_all_parameters()}
        for name, value in values.items():
            _refuse_foreign(name, value, known.get(name))
        more = [
            f"{name}={format_value(value)}" for name, value in values.items() if name not in known
        ]
        return [*self.choose_overrides(lambda parameter: values[parameter.name]), *more]

    def index_by_key(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return a trial's values by key instead of by name in the study."""
        keys = {p.name: p.key for p in self.list_all_parameters()}
        return {keys.get(name, name): value for name, value in values.items()}

    def describe(self) -> dict[str, str]:
        """Return distributions and fixed values of branches as texts, by name in the study."""
        texts = {p.name: describe_distribution(p.distribution) for p in self.list_all_parameters()}
        for branch in self.branches:
            texts |= {
                make_parameter_name(branch, key): value for key, value in branch.fixed.items()
            }
        return texts

    def make_grid(self) -> dict[str, list[Any]]:
        """Return the choices of each parameter, for a grid.

        Raises:
            ConfigError: there are branches, or infinitely many values.
        """
        if self.branches:
            raise ConfigError(
                "hydra/sweeper/sampler=grid takes no branches (hydra.sweeper.when): a grid has"
                " every parameter in every trial. Use hydra/sweeper/sampler=brute."
            )
        self.require_lists("grid")
        return {p.name: list_values(p.distribution) or [] for p in self.parameters}

    def require_lists(self, sampler: str) -> None:
        """Refuse a space with infinitely many values.

        Args:
            sampler: that tries them all.

        Raises:
            ConfigError: with the parameter.
        """
        for parameter in self.list_all_parameters():
            if list_values(parameter.distribution) is None:
                raise ConfigError(
                    f"hydra/sweeper/sampler={sampler} cannot count the values of {parameter.key}."
                    " Use choice(a,b) or range(start,stop,step)."
                )

    @staticmethod
    def identify(overrides: Sequence[str]) -> str:
        """Return the name of a trial's configuration; equal ones have one name.

        Args:
            overrides: of the trial, without what its conditions leave out.
        """
        parts = [word.lstrip("+").partition("=") for word in overrides]
        named = {key: identify_value(text) if equals else "" for key, equals, text in parts}
        return json.dumps(named, sort_keys=True)

    def count_configurations(self) -> int | None:
        """Return how many configurations differ; None for infinitely many, or too many to count."""
        return self._size

    @cached_property
    def _size(self) -> int | None:
        listed = {p.name: list_values(p.distribution) for p in self.list_all_parameters()}
        names: set[str] = set()
        made = iterate_choices(lambda take: self.choose_overrides(lambda p: take(listed[p.name])))
        for count, overrides in enumerate(made):
            if overrides is None or count == MOST_VALUES:
                return None
            names.add(self.identify(overrides))
        return len(names)

    def iterate_boundaries(self) -> Iterator[tuple[Parameter, list[str]]]:
        """Yield each parameter with the overrides of trials that have its extreme values."""
        for parameter in self.parameters:
            for value in parameter.get_extremes():
                own = f"{parameter.key}={format_value(value)}"
                yield parameter, [*self.list_fixed_overrides({parameter.key}), own]
        for branch in self.branches:
            for parameter in branch.parameters:
                for value in parameter.get_extremes():
                    chosen = {**self._get_conditions(branch), parameter.key: format_value(value)}
                    texts = [f"{key}={text}" for key, text in chosen.items()]
                    yield parameter, [*self.list_fixed_overrides(chosen), *texts]

    def _get_conditions(self, branch: Branch) -> dict[str, str]:
        """Return the values that lead into a branch, and into the branches around it."""
        way: dict[str, str] = {}
        if branch.key not in {p.key for p in self.parameters}:
            for outer in self.branches:
                keys = {*(p.key for p in outer.parameters), *outer.fixed}
                if outer is not branch and branch.key in keys:
                    way = self._get_conditions(outer)
                    break
        return {**way, branch.key: min(branch.values), **branch.fixed}

    def iterate_probes(self) -> Iterator[list[str]]:
        """Yield the overrides of trials all over the space, those at two of its corners first."""
        yield self.choose_overrides(lambda parameter: parameter.get_extremes()[0])
        yield self.choose_overrides(lambda parameter: parameter.get_extremes()[-1])
        mix = Random(0)  # noqa: S311 - no secret depends on it # nosec B311
        for _ in range(MIXED_PROBES):
            yield self.choose_overrides(
                lambda p: mix.choice([*p.get_extremes(), get_middle(p.distribution)])
            )

    def list_fixed_overrides(self, without: Container[str] = ()) -> list[str]:
        """Return the overrides that all trials share, but those of some keys."""
        kept = [f"{key}={value}" for key, value in self.fixed.items() if key not in without]
        return [*kept, *self.deletions]


def _refuse_foreign(name: str, value: Any, parameter: Parameter | None) -> None:
    """Refuse what a kept trial may not set: Hydra's own keys, or a text that refers to others."""
    own = "|".join((*EXPERIMENT_GROUPS, "seed", "training", "objective"))
    key = parameter is not None or re.fullmatch(rf"[+]{{0,2}}({own})([.]\w+)*", name)
    choices = getattr(parameter and parameter.distribution, "choices", ())
    if not key or ("${" in str(value) and value not in choices):
        raise ConfigError(
            f"The study has a trial with {name!r:.100} = {value!r:.100}, which no search over"
            " experiments has. Name another study: hydra.sweeper.study_name=..."
        )


def make_parameter_name(branch: Branch, key: str) -> str:
    """Return the name in the study of a branch's parameter."""
    return f"{key} [{branch.key}={','.join(sorted(branch.values))}]"
