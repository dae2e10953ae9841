"""Search spaces: parameters with Optuna's distributions, fixed values, and branches."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import BaseTrial

from tagifai.config.schema import EXPERIMENT_GROUPS
from tagifai.exceptions import ConfigError
from tagifai.sweeping._optuna import list_grid_choices

Distribution = CategoricalDistribution | FloatDistribution | IntDistribution


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
        return self.choose_overrides(lambda parameter: _suggest(trial, parameter))

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
        texts = {p.name: _describe_distribution(p.distribution) for p in self.list_all_parameters()}
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
                " every parameter in every trial."
            )
        return {p.name: _list_choices(p) for p in self.parameters}

    def iterate_boundaries(self) -> Iterator[tuple[Parameter, list[str]]]:
        """Yield each parameter with the overrides of trials that have its extreme values."""
        for parameter in self.parameters:
            for value in parameter.get_extremes():
                own = f"{parameter.key}={format_value(value)}"
                yield parameter, [*self._make_fixed_overrides({parameter.key}), own]
        for branch in self.branches:
            for parameter in branch.parameters:
                for value in parameter.get_extremes():
                    chosen = {**self._get_conditions(branch), parameter.key: format_value(value)}
                    texts = [f"{key}={text}" for key, text in chosen.items()]
                    yield parameter, [*self._make_fixed_overrides(chosen), *texts]

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

    def list_corners(self) -> list[list[str]]:
        """Return the overrides of two trials, with all first and with all last values."""
        return [self.choose_overrides(lambda p, at=at: p.get_extremes()[at]) for at in (0, -1)]  # type: ignore[misc]

    def _make_fixed_overrides(self, without: Container[str]) -> list[str]:
        kept = [f"{key}={value}" for key, value in self.fixed.items() if key not in without]
        return [*kept, *self.deletions]


# Typed, because 1, 1.0 and True are equal but are written in three ways.
@lru_cache(maxsize=1024, typed=True)
def format_value(value: Any) -> str:
    """Return a value in Hydra's grammar, with quotes where a text needs them.

    Texts of lists, mappings and null are in the grammar already.
    """
    if not isinstance(value, str):
        return str(value)
    try:
        read = OverridesParser.create().parse_override(f"a={value}").value()
    except HydraException:
        read = ""
    if read == value or read is None or isinstance(read, list | dict):
        return value
    escaped = re.sub(r"(\\*)'", r"\1\1\'", value)
    return f"'{escaped}'"


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


def _suggest(trial: BaseTrial, parameter: Parameter) -> Any:
    found = parameter.distribution
    if isinstance(found, CategoricalDistribution):
        return trial.suggest_categorical(parameter.name, found.choices)
    if isinstance(found, IntDistribution):
        return trial.suggest_int(
            parameter.name, found.low, found.high, step=found.step, log=found.log
        )
    return trial.suggest_float(
        parameter.name, found.low, found.high, step=found.step, log=found.log
    )


def _describe_distribution(distribution: Distribution) -> str:
    if isinstance(distribution, CategoricalDistribution):
        return f"choice({','.join(map(str, distribution.choices))})"
    text = f"from {distribution.low} to {distribution.high}"
    if distribution.step not in (None, 1):
        text += f" by {distribution.step}"
    return f"{text}, log" if distribution.log else text


def _list_choices(parameter: Parameter) -> list[Any]:
    try:
        return list_grid_choices(parameter.distribution)
    except ValueError:
        raise ConfigError(
            f"hydra/sweeper/sampler=grid cannot count the values of {parameter.key}. Use"
            " choice(a,b) or range(start,stop,step)."
        ) from None
