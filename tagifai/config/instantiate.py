"""Objects made from a configuration by its `_target_`; the only module that makes any.

A configuration is resolved once, when it is checked. What is made here is made of these plain
values: nothing is looked up for a text again, whatever it looks like.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from hydra.core.plugins import Plugins

from tagifai.config import allowed
from tagifai.config._sklearn import check_parameters
from tagifai.config.allowed import TARGET
from tagifai.exceptions import ConfigError, suggest_closest

if TYPE_CHECKING:
    from hydra.plugins.launcher import Launcher
    from hydra.types import HydraContext, TaskFunction
    from numpy.random import RandomState
    from omegaconf import DictConfig

ROLES = {
    "vectorizer": ("fit_transform", "transform"),
    "sampling": ("fit_resample",),
    "model": ("fit", "predict"),
    "threshold": ("fit",),
}
"""Methods that a group's object must have to do its part."""


def check(group: str, settings: Any) -> dict[str, Any]:
    """Return the arguments of the object that a group describes; empty if it is switched off.

    Nothing is imported for it.

    Args:
        group: the group's name, for errors.
        settings: the group's dataclass, whose None leave the library's defaults, or a plain dict.

    Raises:
        ConfigError: they name what is not allowed, or what it does not take.
    """
    if settings is None:
        return {}
    arguments = dict(settings) if isinstance(settings, dict) else _collect_arguments(settings)
    if arguments:
        allowed.check(group, {TARGET: None, **arguments})
    return arguments


def build(group: str, settings: Any, random_state: RandomState) -> Any:
    """Return the object that a group describes, or None where the group is switched off.

    Args:
        group: the group's name, for errors.
        settings: as of `check`.
        random_state: handed to what takes one and is given none.

    Raises:
        ConfigError: the target is not allowed, does not exist, does not take the arguments, or
            makes something of another kind.
    """
    arguments = check(group, settings)
    if not arguments:
        return None
    made = _make(group, arguments)
    # Again: some methods depend on the arguments, as probabilities do on a loss.
    _check_role(group, arguments[TARGET], made)
    _seed(made, random_state)
    return made


def build_listed(where: str, settings: Mapping[str, Any], names: Collection[str]) -> Any:
    """Return the object of a library that settings of Hydra's own describe, such as a sampler.

    Args:
        where: the key of the settings, for errors.
        settings: with `_target_`, and its arguments; plain values.
        names: the full names of what may be made.

    Raises:
        ConfigError: it is not allowed, or cannot be made.
    """

    def find(where: str, target: object) -> None:
        if target not in names:
            raise ConfigError(
                f"{where}: {target} cannot be made: it is not one of {', '.join(sorted(names))}."
            )

    arguments = {TARGET: None, **settings}
    allowed.check(where, arguments, find)
    return _make(where, arguments)


def build_launcher(cfg: DictConfig, context: HydraContext, function: TaskFunction) -> Launcher:
    """Return the launcher that `hydra.launcher` describes, set up; Hydra makes its own plugins.

    Args:
        cfg: what jobs are composed from.
        context: Hydra's own.
        function: called for each job.
    """
    return Plugins.instance().instantiate_launcher(context, function, cfg)


def locate_function(key: str, name: str) -> Callable[..., Any]:
    """Return the function of a name, of the packages that a person has allowed.

    Args:
        key: where the name stands, for errors.
        name: such as "package.module.function".

    Raises:
        ConfigError: it is not allowed, or not there.
    """
    if not allowed.is_own(name):
        raise ConfigError(
            f"{key} = {name!r} is not allowed: it is not of a package of your own."
            f" {allowed.explain_how_to_allow()}"
        )
    found: Callable[..., Any] | None = _locate(key, name)
    if not callable(found):
        raise ConfigError(f"{key} = {name!r} cannot be found.")
    _refuse_foreign(key, name, found)
    return found


def _make(where: str, arguments: Mapping[str, Any]) -> Any:
    """Return the object that checked arguments describe, those inside of it made first."""
    target = str(arguments[TARGET])
    callee = _locate_target(where, target)
    _check_role(where, target, callee)
    parameters = _read_parameters(where, target, callee)
    given = {}
    for name, value in arguments.items():
        if name == TARGET:
            continue
        if all(parameter.kind is not parameter.VAR_KEYWORD for parameter in parameters.values()):
            allowed.check_argument(where, target, name, parameters)
        made = _make_inside(f"{where}.{name}", value)
        default = parameters[name].default if name in parameters else None
        # YAML has no tuples.
        is_tuple = isinstance(made, list) and isinstance(default, tuple)
        given[name] = tuple(made) if is_tuple else made
    try:
        found = callee(**given)
        # scikit-learn's own ranges, which it would look at only when fitting.
        check_parameters(found)
    except Exception as error:
        reason = " ".join(str(error.__cause__ or error).split())
        raise ConfigError(f"{where}: {target} cannot be made: {reason}") from None
    return found


def _make_inside(where: str, value: Any) -> Any:
    """Return an argument, with the objects that are described anywhere inside of it."""
    if isinstance(value, Mapping):
        if TARGET in value:
            return _make(where, value)
        return {name: _make_inside(f"{where}.{name}", item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_make_inside(f"{where}.{number}", item) for number, item in enumerate(value)]
    return value


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


def _check_role(group: str, target: str, callee: Any) -> None:
    """Refuse a class, or an object, that cannot do its part; a function makes its object first."""
    for method in ROLES.get(group, ()):
        if not (hasattr(callee, method) or inspect.isfunction(callee)):
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


def _locate_target(where: str, target: str) -> Any:
    """Return what an allowed name stands for: of a person's own code, a class and no other."""
    key = f"{where}.{TARGET}"
    module, _, name = target.rpartition(".")
    if target in allowed.read_names() or not allowed.is_own(target):
        callee = getattr(importlib.import_module(module), name, None)
        if callee is None:
            raise ConfigError(f"{key} = {target!r} is not in the version that is installed.")
        return callee
    callee = _locate(key, target)
    if callee is None:
        found = _locate(key, module)
        close = "" if found is None else suggest_closest(name, dir(found))
        raise ConfigError(f"{key} = {target!r} cannot be found.{close}")
    if not inspect.isclass(callee):
        raise ConfigError(f"{key} = {target!r} is not a class.")
    _refuse_foreign(key, target, callee)
    return callee


def _refuse_foreign(key: str, name: str, found: Any) -> None:
    """Refuse what a person's own code has from elsewhere, such as `mine.subprocess.Popen`."""
    home = getattr(found, "__module__", None)
    if not allowed.is_own(f"{home}.{getattr(found, '__name__', '')}"):
        raise ConfigError(f"{key} = {name!r} is not allowed: it is of {home}, not of your own.")


def _read_parameters(where: str, target: str, callee: Any) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(callee).parameters
    except ValueError:
        raise ConfigError(f"{where}.{TARGET} = {target!r} does not say what it takes.") from None
