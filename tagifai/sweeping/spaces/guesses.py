"""Configurations that a search tries first: the present one, and guesses of the user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tagifai.config.schema import Config, flatten_config
from tagifai.exceptions import ConfigError
from tagifai.sweeping.spaces.space import Parameter, SearchSpace
from tagifai.sweeping.spaces.values import find_value
from tagifai.sweeping.studies import FIRST

CURRENT = "current"
"""The present configuration, as `sweep.first` and a trial's attribute name it."""


def read_present(config: Config, choices: Mapping[str, str]) -> dict[str, Any]:
    """Return the values of a configuration by key, with its options by group.

    Args:
        config: composed without any value of the search.
        choices: its options by group.
    """
    return {**flatten_config(config, without=()), **choices}


def list_first_trials(
    first: str | Sequence[Mapping[str, Any]] | None, space: SearchSpace, present: Mapping[str, Any]
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the trials that a study is given first, and notes on what was left out.

    A parameter that an entry leaves out has its present value; where the space does not have that
    value, the sampler chooses.

    Args:
        first: `sweep.first`.
        space: of the search.
        present: values by key, from `read_present`.

    Returns:
        Arguments of Optuna's `enqueue_trial`: the values by name in the study, and the attribute
        `FIRST`. Of equal ones there is the first alone.

    Raises:
        ConfigError: an entry has a value that the space does not have, or names no parameter.
    """
    if first is None:
        return [], []
    if isinstance(first, str):
        outside: list[str] = []
        values = _take(space, present, {}, outside)
        if outside:
            return [], [f"The present configuration is not tried first: {outside[0]}."]
        return [_make_trial(values, CURRENT)], []
    found: dict[str, dict[str, Any]] = {}
    for index, entry in enumerate(first):
        values = _take(space, present, entry, [])
        _check_entry(space, entry, values, index)
        found.setdefault(repr(sorted(values.items())), _make_trial(values, index))
    return list(found.values()), []


def _make_trial(values: Mapping[str, Any], first: str | int) -> dict[str, Any]:
    return {"params": dict(values), "user_attrs": {FIRST: first}}


def _take(
    space: SearchSpace, present: Mapping[str, Any], entry: Mapping[str, Any], outside: list[str]
) -> dict[str, Any]:
    """Return the values of a trial, and note those that the space does not have."""
    found: dict[str, Any] = {}

    def choose(parameter: Parameter) -> Any:
        key = parameter.key.lstrip("+")
        if key not in entry and key not in present:
            outside.append(f"{key} is not in it")
            return None
        wanted = entry.get(key, present.get(key))
        value = find_value(parameter.distribution, wanted)
        if value is None:
            shown = "null" if wanted is None else wanted
            outside.append(f"{key} = {shown} is outside of the space")
        else:
            found[parameter.name] = value
        return value

    space.choose_overrides(choose)
    return found


def _check_entry(
    space: SearchSpace, entry: Mapping[str, Any], values: Mapping[str, Any], index: int
) -> None:
    taken = {p.key.lstrip("+") for p in space.list_all_parameters() if p.name in values}
    for key, value in entry.items():
        of_key = [p for p in space.list_all_parameters() if p.key.lstrip("+") == key]
        if not of_key:
            known = ", ".join(dict.fromkeys(p.key for p in space.list_all_parameters()))
            reason = f"is of no parameter of the search, which has {known}"
        elif not (fitting := [p for p in of_key if find_value(p.distribution, value) is not None]):
            reason = f"is not in the space: {'; '.join(space.describe()[p.name] for p in of_key)}"
        elif key not in taken:
            reason = f"belongs to other trials: {', '.join(p.name for p in fitting)}"
        else:
            continue
        shown = "null" if value is None else value
        raise ConfigError(f"sweep.first, entry {index + 1}: {key} = {shown} {reason}.")
