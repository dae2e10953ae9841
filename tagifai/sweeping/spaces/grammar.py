"""Parse a search space from Hydra's overrides."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Glob, IntervalSweep, Override, Sweep
from hydra.errors import HydraException
from optuna.distributions import CategoricalDistribution, FloatDistribution

from tagifai.config.arguments import write_choices
from tagifai.exceptions import ConfigError
from tagifai.sweeping._optuna import read_distribution
from tagifai.sweeping.spaces.space import Branch, Parameter, SearchSpace, make_parameter_name
from tagifai.sweeping.spaces.values import Distribution, has_value

IRRELEVANT = ("tracking", "cache", "plots", "console", "paths")

NOT_SEARCHED = {
    "data": "other data make other scores, which cannot be compared",
    "split": "other validation rows make other scores, which cannot be compared",
    "seed": "the best seed is the luckiest one; objective.repeats takes the mean over several",
    "objective": "it is what the search optimizes",
    "experiment": "experiments may differ in their data",
    "task": "all trials of a search train",
    "sweep": "it is a setting of the search as a whole",
    "hydra": "it is a setting of the search as a whole",
    **dict.fromkeys(
        [*IRRELEVANT, "metrics", "training.refit", "training.resume"],
        "it has no influence on the objective",
    ),
    **dict.fromkeys(("whitelist", "extensions"), "it is read from the project's config.yaml alone"),
}
"""Keys that cannot be parameters of a search, with the reason."""


def parse_space(
    params: Mapping[str, Any] | None,
    when: Mapping[str, Any] | None,
    arguments: Sequence[str],
    loader: ConfigLoader | None = None,
) -> SearchSpace:
    """Return the space of a search.

    Args:
        params: values of Hydra's grammar by key, from the preset.
        when: further ones by condition, such as "vectorizer=tfidf_char".
        arguments: overrides of the command line, which replace those of both.
        loader: knows the options that glob(...) stands for.

    Raises:
        ConfigError: a value is not of the grammar or empty, or a key cannot be searched over.
    """
    parser = OverridesParser.create(loader)
    free, fixed, _ = _classify_overrides(parser, _format_all(params or {}))
    free_now, fixed_now, deletions = _classify_overrides(parser, arguments)
    given = free_now.keys() | fixed_now.keys()

    def kept(values: Mapping[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in values.items() if key not in given}

    branches = [_parse_branch(parser, key, content, given) for key, content in (when or {}).items()]
    _check_conditions(branches, [free, free_now], fixed | fixed_now)
    space = SearchSpace(
        tuple(Parameter(key, key, found) for key, found in (kept(free) | free_now).items()),
        tuple(branches),
        kept(fixed) | fixed_now,
        tuple(deletions),
    )
    _check_keys(space, kept(fixed))
    return space


def _format_all(values: Mapping[str, Any]) -> list[str]:
    return [f"{key}={'null' if value is None else value}" for key, value in values.items()]


def _check_keys(space: SearchSpace, preset: Mapping[str, str]) -> None:
    if not space.list_all_parameters():
        raise ConfigError(
            "The search has no parameters. Name some in hydra.sweeper.params of a preset, or on"
            " the command line: 'model.alpha=tag(log,interval(1e-6,1e-2))'."
        )
    inside = [key for branch in space.branches for key in branch.fixed]
    for key in [*(p.key for p in space.list_all_parameters()), *preset, *inside]:
        name = re.split(r"[/@]", key.lstrip("+"))[0]
        reason = NOT_SEARCHED.get(name) or NOT_SEARCHED.get(name.partition(".")[0])
        if reason is not None:
            raise ConfigError(f"'{key}' cannot be searched over: {reason}.")


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
    return has_value(way, value)


def _parse_branch(
    parser: OverridesParser, condition: str, content: Any, overridden: set[str]
) -> Branch:
    if not isinstance(content, Mapping):
        raise ConfigError(
            f"hydra.sweeper.when: {condition} takes parameters and their values, got {content!r}."
        )
    (override,) = _parse_overrides(parser, [condition])
    distribution = _make_distribution(override)
    is_choice = isinstance(distribution, CategoricalDistribution)
    values = frozenset(map(str, distribution.choices if is_choice else [distribution]))
    free, fixed, _ = _classify_overrides(parser, _format_all(content))
    kept = {name: value for name, value in fixed.items() if name not in overridden}
    bare = Branch(override.get_key_element(), values, (), kept)
    parameters = [
        Parameter(name, make_parameter_name(bare, name), found)
        for name, found in free.items()
        if name not in overridden
    ]
    return replace(bare, parameters=tuple(parameters))


def _parse_overrides(parser: OverridesParser, texts: Sequence[str]) -> list[Override]:
    split = [text.partition("=") for text in texts]
    return parser.parse_overrides(
        [f"{key}{is_set}{write_choices(value)}" for key, is_set, value in split]
    )


def _classify_overrides(
    parser: OverridesParser, texts: Sequence[str]
) -> tuple[dict[str, Distribution], dict[str, str], list[str]]:
    """Return distributions by key, fixed values by key, and deletions."""
    free: dict[str, Distribution] = {}
    fixed: dict[str, str] = {}
    deletions = []
    for override in _parse_overrides(parser, texts):
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
        value: Any = override.value()
        if isinstance(value, Glob):
            return _make_choice_of_options(override, value)
        if isinstance(value, ChoiceSweep) and any(isinstance(v, Sweep) for v in value.list):
            raise ValueError("a choice is of single values")
        known = {"log"} if isinstance(value, IntervalSweep) else set()
        if isinstance(value, Sweep) and value.tags - known:
            raise ValueError("tag(log,...) is for an interval, and there is no other tag")
        found = read_distribution(override)
        if isinstance(found, FloatDistribution) and not math.isfinite(found.high - found.low):
            raise ValueError("it has no end")
        return found
    except HydraException:
        raise
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise ConfigError(
            f"{override.input_line}: cannot be searched over ({reason}). Use"
            " choice(a,b), range(1,10), interval(0.1,1.0) or tag(log,interval(1e-6,1e-2))."
        ) from None


def _make_choice_of_options(override: Override, value: Glob) -> CategoricalDistribution:
    if override.config_loader is None:
        raise ValueError("there are no options to choose from")
    options = list(map(str, override.sweep_iterator()))
    if not options:
        known = override.config_loader.get_group_options(override.key_or_group)
        what = f"the options are {', '.join(known)}" if known else "it has no options"
        raise ValueError(f"{override.key_or_group} has none of {', '.join(value.include)}: {what}")
    return CategoricalDistribution(options)
