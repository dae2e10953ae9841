"""Objects made from a configuration by its `_target_`; the only module that makes any.

Loaded before every command, for the whitelist; what makes objects is imported when one is made.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from hydra.core.plugins import Plugins
from hydra.utils import instantiate

from tagifai.config import extensions
from tagifai.config._sklearn import check_parameters
from tagifai.exceptions import ConfigError, suggest_closest

if TYPE_CHECKING:
    from hydra.plugins.launcher import Launcher
    from hydra.types import HydraContext, TaskFunction
    from numpy.random import RandomState
    from omegaconf import DictConfig

ALLOWED_PACKAGES = ("sklearn.*", "imblearn.*", "tagifai.*")
"""What `_target_` may name, in a configuration from wherever."""


def get_whitelist() -> tuple[str, ...]:
    """Return all patterns of what `_target_` may name, such as "sklearn.*".

    Raises:
        ConfigError: a pattern is none.
    """
    return (*ALLOWED_PACKAGES, *extensions.list_patterns())


ALLOWED_FUNCTIONS = (
    *("tagifai.preprocessing.counts", "tagifai.preprocessing.hashing"),
    *("tagifai.preprocessing.tfidf", "tagifai.preprocessing.union"),
    "tagifai.preprocessing.tfidf_embedding",
)
"""What `_target_` may name beside classes: a function is run before its result can be judged."""

ROLES = {
    "vectorizer": ("fit_transform", "transform"),
    "sampling": ("fit_resample",),
    "model": ("fit", "predict"),
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
    if settings is None:
        return None
    arguments = dict(settings) if isinstance(settings, dict) else _collect_arguments(settings)
    if not arguments:
        return None
    target = _check_all(group, arguments)
    try:
        made = instantiate(
            arguments, _execution_whitelist_=get_whitelist(), _convert_="all", _partial_=True
        )(**_convert_lists(_locate(group, target), arguments))
        # scikit-learn's own ranges, which it would look at only when fitting.
        check_parameters(made)
    except Exception as error:
        reason = " ".join(str(error.__cause__ or error).split())
        raise ConfigError(f"{group}: {target} cannot be made: {reason}") from None
    # Again: some methods depend on the arguments, as probabilities do on a loss.
    _check_role(group, target, made)
    _seed(made, random_state)
    return made


def build_allowed(where: str, settings: Mapping[str, Any], allowed: Sequence[str]) -> Any:
    """Return the object of a library that settings of Hydra's own describe, such as a sampler.

    Args:
        where: the key of the settings, for errors.
        settings: with `_target_`, and its arguments.
        allowed: patterns of what may be named, such as "optuna.samplers.*".

    Raises:
        ConfigError: it is not allowed, or cannot be made.
    """
    try:
        return instantiate(dict(settings), _execution_whitelist_=tuple(allowed), _convert_="all")
    except Exception as error:
        reason = " ".join(str(error.__cause__ or error).split())
        raise ConfigError(f"{where}: {settings.get('_target_')} cannot be made: {reason}") from None


def build_launcher(cfg: DictConfig, context: HydraContext, function: TaskFunction) -> Launcher:
    """Return the launcher that `hydra.launcher` describes, set up; Hydra makes its own plugins.

    Args:
        cfg: what jobs are composed from.
        context: Hydra's own.
        function: called for each job.
    """
    return Plugins.instance().instantiate_launcher(context, function, cfg)


def locate_function(key: str, name: str) -> Callable[..., Any]:
    """Return the function of a name, of the packages that are allowed.

    Args:
        key: where the name stands, for errors.
        name: such as "package.module.function".

    Raises:
        ConfigError: it is not allowed, or not there.
    """
    _check_allowed(key, name)
    found: Callable[..., Any] | None = _locate(key, name)
    if not callable(found):
        raise ConfigError(f"{key} = {name!r} cannot be found.")
    return found


def _seed(made: Any, random_state: RandomState) -> None:
    """Hand the run's randomness to the object, and to those inside it, where none was given."""
    if not hasattr(made, "get_params"):
        return
    for name, value in made.get_params(deep=True).items():
        if value is None and name.rpartition("__")[2] == "random_state":
            made.set_params(**{name: random_state})


def _collect_arguments(settings: Any) -> dict[str, Any]:
    """Return the arguments of a schema, without those that it leaves to the library or us."""
    taken = [f for f in fields(settings) if f.metadata.get("argument", True)]
    given = asdict(settings)
    return {f.name: given[f.name] for f in taken if (given[f.name], f.default) != (None, None)}


def _check_all(group: str, arguments: dict[str, Any]) -> str:
    """Return the target, having refused what may not be made, here and in the arguments.

    Args:
        group: where the arguments are, for errors.
        arguments: with `_target_`.
    """
    target = arguments.get("_target_")
    _check_target(group, target)
    callee = _locate_target(group, str(target))
    _check_arguments(group, str(target), callee, arguments)
    if inspect.isclass(callee):
        _check_role(group, str(target), callee)
    for name, value in arguments.items():
        _check_inside(f"{group}.{name}", value)
    return str(target)


def _check_inside(where: str, value: Any) -> None:
    """Refuse what may not be made anywhere inside an argument."""
    if isinstance(value, dict) and "_target_" in value:
        _check_all(where, value)
    elif isinstance(value, dict):
        for name, item in value.items():
            _check_inside(f"{where}.{name}", item)
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            _check_inside(f"{where}.{number}", item)


def _check_target(group: str, target: object) -> None:
    if not isinstance(target, str) or not target.strip():
        raise ConfigError(
            f"{group}._target_ is not set. Give the full name of a class of:"
            f" {', '.join(get_whitelist())}."
        )
    _check_allowed(f"{group}._target_", target)


def _check_allowed(key: str, name: str) -> None:
    patterns = get_whitelist()
    if not any(name.startswith(pattern.removesuffix("*")) for pattern in patterns):
        raise ConfigError(
            f"{key} = {name!r} is not allowed: only {', '.join(patterns)} are. Allow a package of"
            f" your own in conf/config.yaml (whitelist: [package.*]), name a file of your own there"
            f" (extensions: [file.py]), or allow a package by the environment:"
            f" {extensions.WHITELIST_VARIABLE}='package.*'."
        )


def _check_role(group: str, target: str, callee: Any) -> None:
    for method in ROLES.get(group, ()):
        if not hasattr(callee, method):
            raise ConfigError(
                f"{group}._target_ = {target!r} cannot be used as the {group}: it has no"
                f" {method}(), or not with these arguments."
            )


def _locate(key: str, name: str) -> Any:
    """Return what a full name stands for, or None."""
    from pydoc import ErrorDuringImport, locate

    try:
        # Not Hydra's look-up, which writes a line of its own about what it does not find.
        return locate(name)
    except ErrorDuringImport as error:
        raise ConfigError(f"{key} = {name!r} cannot be imported: {error}") from None


def _locate_target(group: str, target: str) -> Any:
    """Return the class, or the function on our list, that a target names."""
    callee = _locate(f"{group}._target_", target)
    if callee is None:
        module, _, name = target.rpartition(".")
        found = _locate(f"{group}._target_", module)
        close = "" if found is None else suggest_closest(name, dir(found))
        raise ConfigError(f"{group}._target_ = {target!r} cannot be found.{close}")
    if not inspect.isclass(callee) and target not in ALLOWED_FUNCTIONS:
        raise ConfigError(f"{group}._target_ = {target!r} is not a class.")
    return callee


def _check_arguments(group: str, target: str, callee: Any, arguments: dict[str, Any]) -> None:
    """Refuse arguments that the target does not take."""
    try:
        parameters = inspect.signature(callee).parameters
    except ValueError:
        raise ConfigError(f"{group}._target_ = {target!r} does not say what it takes.") from None
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return
    custom = f" For another class than the option's own, start from {group}=custom."
    custom = custom if group in ("model", "vectorizer") else ""
    for name in arguments:
        if name not in parameters and not name.startswith("_"):
            raise ConfigError(
                f"{group}.{name}: {target} takes no such argument."
                f"{suggest_closest(name, parameters)} It takes: {', '.join(parameters)}.{custom}"
            )


def _convert_lists(callee: Any, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the lists that the callee wants as tuples, which YAML does not have."""
    parameters = inspect.signature(callee).parameters
    return {
        name: tuple(value)
        for name, value in arguments.items()
        if isinstance(value, list)
        and name in parameters
        and isinstance(parameters[name].default, tuple)
    }
