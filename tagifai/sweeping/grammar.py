"""Parse a search space from Hydra's overrides."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import create_trial

from tagifai.exceptions import ConfigError
from tagifai.sweeping._optuna import read_distribution
from tagifai.sweeping.space import Branch, Distribution, Parameter, SearchSpace, make_parameter_name

NOT_SEARCHED = {
    "data": "other data make other scores, which cannot be compared",
    "split": "other validation rows make other scores, which cannot be compared",
    "seed": "the best seed is the luckiest one; objective.repeats takes the mean over several",
    "objective": "it is what the search optimizes",
    "experiment": "experiments may differ in their data",
    "task": "all trials of a search train",
    "sweep": "it is a setting of the search as a whole",
    "hydra": "it is a setting of the search as a whole",
    "tracking": "it has no influence on the objective",
    "cache": "it has no influence on the objective",
    "plots": "it has no influence on the objective",
    "console": "it has no influence on the objective",
    "paths": "it has no influence on the objective",
}
"""Keys that cannot be parameters of a search, with the reason."""


def parse_space(
    params: Mapping[str, Any] | None, when: Mapping[str, Any] | None, arguments: Sequence[str]
) -> SearchSpace:
    """Return the space of a search.

    Args:
        params: values of Hydra's grammar by key, from the preset.
        when: further ones by condition, such as "vectorizer=tfidf_char".
        arguments: overrides of the command line, which replace those of both.

    Raises:
        ConfigError: a value is not of the grammar or empty, or a key cannot be searched over.
    """
    free, fixed, _ = _classify_overrides(
        [f"{key}={_format_value(value)}" for key, value in (params or {}).items()]
    )
    free_now, fixed_now, deletions = _classify_overrides(arguments)
    given = free_now.keys() | fixed_now.keys()

    def kept(values: Mapping[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in values.items() if key not in given}

    branches = [_parse_branch(key, content, given) for key, content in (when or {}).items()]
    _check_conditions(branches, [free, free_now], fixed | fixed_now)
    space = SearchSpace(
        tuple(Parameter(key, key, found) for key, found in (kept(free) | free_now).items()),
        tuple(branches),
        kept(fixed) | fixed_now,
        tuple(deletions),
    )
    _check_keys(space, kept(fixed))
    return space


def _format_value(value: Any) -> str:
    return "null" if value is None else str(value)


def _check_keys(space: SearchSpace, preset: Mapping[str, str]) -> None:
    if not space.list_all_parameters():
        raise ConfigError(
            "The search has no parameters. Name some in hydra.sweeper.params of a preset, or on"
            " the command line: 'model.alpha=tag(log,interval(1e-6,1e-2))'."
        )
    inside = [key for branch in space.branches for key in branch.fixed]
    for key in [*(p.key for p in space.list_all_parameters()), *preset, *inside]:
        first = re.split(r"[./@]", key.lstrip("+"))[0]
        if first in NOT_SEARCHED:
            raise ConfigError(f"'{key}' cannot be searched over: {NOT_SEARCHED[first]}.")


def _check_conditions(
    branches: Sequence[Branch],
    spaces: Sequence[Mapping[str, Distribution]],
    fixed: Mapping[str, str],
) -> None:
    """Refuse a branch that no trial can take, because its condition is misspelt.

    Args:
        branches: in their order.
        spaces: the preset's parameters, and those of the command line.
        fixed: values by key, which are the same in all trials.
    """
    reachable: dict[str, list[Distribution | str]] = {}
    for space in spaces:
        for key, distribution in space.items():
            reachable.setdefault(key, []).append(distribution)
    for branch in branches:
        ways = reachable.get(branch.key, [])
        never = [v for v in sorted(branch.values) if not any(_can_equal(way, v) for way in ways)]
        if branch.key not in fixed and never:
            raise ConfigError(
                f"hydra.sweeper.when: {branch.key}={never[0]} is never true, because {branch.key}"
                " is no parameter with such a choice."
            )
        for parameter in branch.parameters:
            reachable.setdefault(parameter.key, []).append(parameter.distribution)
        for key, value in branch.fixed.items():
            reachable.setdefault(key, []).append(value)


def _can_equal(way: Distribution | str, value: str) -> bool:
    if isinstance(way, str):
        return way == value
    if isinstance(way, CategoricalDistribution):
        return value in map(str, way.choices)
    try:
        # Which refuses a value that is not of the distribution.
        create_trial(value=0.0, params={"": float(value)}, distributions={"": way})
    except ValueError:
        return False
    return True


def _parse_branch(condition: str, content: Any, overridden: set[str]) -> Branch:
    if not isinstance(content, Mapping):
        raise ConfigError(
            f"hydra.sweeper.when: {condition} takes parameters and their values, got {content!r}."
        )
    override = _parse_overrides([condition])[0]
    key = override.get_key_element()
    distribution = _make_distribution(override)
    if isinstance(distribution, CategoricalDistribution):
        values = frozenset(map(str, distribution.choices))
    else:
        values = frozenset([str(distribution)])
    free, fixed, _ = _classify_overrides(
        [f"{name}={_format_value(value)}" for name, value in content.items()]
    )
    bare = Branch(key, values, (), {name: v for name, v in fixed.items() if name not in overridden})
    parameters = [
        Parameter(name, make_parameter_name(bare, name), found)
        for name, found in free.items()
        if name not in overridden
    ]
    return Branch(key, values, tuple(parameters), bare.fixed)


def _parse_overrides(texts: Sequence[str]) -> list[Override]:
    return OverridesParser.create().parse_overrides(list(texts))


def _classify_overrides(
    texts: Sequence[str],
) -> tuple[dict[str, Distribution], dict[str, str], list[str]]:
    """Return distributions by key, fixed values by key, and deletions."""
    free: dict[str, Distribution] = {}
    fixed: dict[str, str] = {}
    deletions = []
    for override in _parse_overrides(texts):
        if override.is_delete():
            deletions.append(str(override.input_line))
            continue
        value = _make_distribution(override)
        key = override.get_key_element()
        # Of two overrides with one key the later one counts.
        free.pop(key, None)
        fixed.pop(key, None)
        if isinstance(value, Distribution):
            free[key] = value
        else:
            fixed[key] = value
    return free, fixed, deletions


def _make_distribution(override: Override) -> Any:
    """Return a distribution, or the text of a value that is not searched over."""
    try:
        found = read_distribution(override)
        if isinstance(found, FloatDistribution) and not math.isfinite(found.high - found.low):
            raise ValueError("it has no end")
        return found
    except HydraException:
        raise
    except Exception as error:
        raise ConfigError(
            f"{override.input_line}: cannot be searched over ({str(error).rstrip('.')}). Use"
            " choice(a,b), range(1,10), interval(0.1,1.0) or tag(log,interval(1e-6,1e-2))."
        ) from None
