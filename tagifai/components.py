"""Components: scikit-learn and other objects made from a group by its `_target_`."""

from __future__ import annotations

import inspect
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from hydra.errors import InstantiationException
from hydra.utils import get_object, instantiate

from tagifai.errors import ConfigError, nearest

if TYPE_CHECKING:
    from numpy.random import RandomState

WHITELIST = ("sklearn.*", "imblearn.*", "tagifai.*")
"""What `_target_` may name, in a configuration from wherever."""

ROLES = {
    "vectorizer": ("fit_transform", "transform"),
    "sampling": ("fit_resample",),
    "model": ("fit", "predict_proba"),
    "threshold": ("fit",),
}
"""Methods that a group's object must have to do its part."""


def build(group: str, settings: Any, random_state: RandomState) -> Any:
    """Return the object that a group describes, or None where the group is switched off.

    Args:
        group: the group's name, for errors.
        settings: the group's dataclass, whose None leave the library's defaults, or a plain dict.
        random_state: handed to what takes one and is given none.

    Raises:
        ConfigError: the target is not allowed, does not exist, does not take the arguments, or
            makes something of another kind.
    """
    arguments = dict(settings) if isinstance(settings, dict) else _given(settings)
    target = arguments.get("_target_")
    if not arguments:
        return None
    _check_target(group, target)
    takes = _check_arguments(group, str(target), arguments)
    seeded = "random_state" in takes and "random_state" not in arguments
    handed: dict[str, Any] = {"random_state": random_state} if seeded else {}
    try:
        made = instantiate(arguments, _execution_whitelist_=WHITELIST, _convert_="all", **handed)
    except InstantiationException as error:
        reason = error.__cause__ or error
        raise ConfigError(f"{group}: {target} cannot be made: {reason}") from None
    _check_role(group, target, made)
    return made


def _given(settings: Any) -> dict[str, Any]:
    return {key: value for key, value in asdict(settings).items() if value is not None}


def _check_target(group: str, target: object) -> None:
    allowed = ", ".join(WHITELIST)
    if not isinstance(target, str) or not target.strip():
        raise ConfigError(
            f"{group}._target_ is not set. Give the full name of a class of: {allowed}."
        )
    if not any(target.startswith(pattern.removesuffix("*")) for pattern in WHITELIST):
        raise ConfigError(f"{group}._target_ = {target!r} is not allowed: only {allowed} are.")


def _check_arguments(group: str, target: str, arguments: dict[str, Any]) -> list[str]:
    """Refuse arguments that the target does not take; return the names of those that it does."""
    try:
        callee = get_object(target)
    except Exception as error:
        raise ConfigError(f"{group}._target_ = {target!r} cannot be found: {error}") from None
    if not callable(callee):
        raise ConfigError(f"{group}._target_ = {target!r} is not a class or a function.")
    parameters = inspect.signature(callee).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return list(parameters)
    for name in arguments:
        if name not in parameters and not name.startswith("_"):
            raise ConfigError(
                f"{group}.{name}: {target} takes no such argument.{nearest(name, parameters)}"
                f" It takes: {', '.join(parameters)}. For another class than the option's own,"
                f" start from {group}=custom."
            )
    return list(parameters)


def _check_role(group: str, target: object, made: object) -> None:
    for method in ROLES[group]:
        if not callable(getattr(made, method, None)):
            raise ConfigError(
                f"{group}._target_ = {target!r} cannot be used as the {group}: it makes a"
                f" {type(made).__name__}, which has no {method}()."
            )
