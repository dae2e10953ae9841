"""Allowed names: what `_target_` may name in a configuration from wherever, and its arguments.

`allowed.json` has classifiers, vectorizers, transformers and samplers of scikit-learn and
imbalanced-learn by their public names, and what this package makes. `python -m tests.allowed_names`
writes it. Whoever starts a command may add packages: see `extensions`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from tagifai.config import extensions
from tagifai.config.schema import EXPERIMENT_GROUPS
from tagifai.exceptions import ConfigError, suggest_closest

FILE = Path(__file__).with_name("allowed.json")

TARGET = "_target_"

HYDRA_TARGETS = (
    *("tagifai.tracking.MultirunCallback", "tagifai.tracking.multirun.MultirunCallback"),
    *("tagifai.console.logs.LineFormatter", "tagifai.console.logs.RunLog"),
)
"""What Hydra may make of this project beside its own plugins, by the name and where it is."""

RESERVED = re.compile("_[a-z][a-z_]*_")
"""Names like Hydra's `_partial_` and `_args_`, which are nothing here."""

MOST_DEPTH = 20
"""Of lists and mappings inside one another."""

Find = Callable[[str, object], Collection[str] | None]
"""Takes where a target stands, and the target; returns what it takes, None if that is not known."""


@cache
def read_names() -> dict[str, list[str]]:
    """Return the parameters of what may be named, by name."""
    names: dict[str, list[str]] = json.loads(FILE.read_text(encoding="utf-8"))
    return names


def list_hydra_targets() -> tuple[str, ...]:
    """Return what Hydra may make: what this project needs of it, and a person's own packages."""
    return (*HYDRA_TARGETS, *extensions.list_patterns())


def is_own(name: str) -> bool:
    """Return whether a name is of a package or an extension that a person has allowed."""
    prefixes = tuple(pattern.removesuffix("*") for pattern in extensions.list_patterns())
    return bool(re.fullmatch(r"[A-Za-z_]\w*(\.\w+)+", name, re.ASCII)) and name.startswith(prefixes)


def find_parameters(where: str, target: object) -> Collection[str] | None:
    """Return what a target takes; None for code of a person's own, which is not imported for it.

    Args:
        where: the target stands, for errors.
        target: that is named.

    Raises:
        ConfigError: it is not allowed.
    """
    if not isinstance(target, str) or not target.strip():
        raise ConfigError(
            f"{where}.{TARGET} is not set. Give the full name of a class, such as"
            " sklearn.linear_model.LogisticRegression."
        )
    names = read_names()
    if target in names:
        return names[target]
    if is_own(target):
        return None
    raise ConfigError(
        f"{where}.{TARGET} = {target!r:.200} is not allowed: it is not the public name of a"
        " classifier, vectorizer, transformer or sampler of scikit-learn or imbalanced-learn, nor"
        f" one of this package's.{suggest_closest(target[:200], names)} {explain_how_to_allow()}"
    )


def check_name(where: str, target: object) -> None:
    """Refuse a target that is not allowed, and leave open what it takes: see `find_parameters`."""
    find_parameters(where, target)


def explain_how_to_allow() -> str:
    """Return how a person allows code of their own, for errors."""
    return (
        "Allow a package of your own in conf/config.yaml (whitelist: [package.*]), name a file of"
        " your own there (extensions: [file.py]), or allow a package by the environment:"
        f" {extensions.WHITELIST_VARIABLE}='package.*'."
    )


def check(where: str, value: Any, find: Find = find_parameters, depth: int = 0) -> None:
    """Refuse a value that is not plain, or names what is not allowed; nothing is imported.

    Args:
        where: it stands, for errors, such as "model".
        value: texts, numbers, and lists and mappings of such; a mapping with a target is an object.
        find: tells what a target takes.
        depth: of the value in others.

    Raises:
        ConfigError: with the place, and what may stand there.
    """
    if depth > MOST_DEPTH:
        raise ConfigError(f"{where[:100]}…: lists and mappings are at most {MOST_DEPTH} deep.")
    if isinstance(value, Mapping):
        known = find(where, value[TARGET]) if TARGET in value else None
        for name, item in value.items():
            if name == TARGET:
                continue
            if RESERVED.fullmatch(str(name)) or (TARGET in value and str(name).startswith("_")):
                raise ConfigError(
                    f"{where}.{name!s:.100} is not taken: beside {TARGET} there are arguments only,"
                    " under their names."
                )
            if known is not None:
                check_argument(where, str(value[TARGET]), str(name), known)
            check(f"{where}.{name!s:.100}", item, find, depth + 1)
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            check(f"{where}.{number}", item, find, depth + 1)
    elif value is not None and type(value) not in (bool, int, float, str):
        raise ConfigError(f"{where} = {value!r:.80} is not a number, a text, or a list of such.")


def check_argument(where: str, target: str, name: str, known: Collection[str]) -> None:
    """Refuse an argument that a target does not take.

    Args:
        where: the target stands, for errors.
        target: that is named.
        name: of the argument.
        known: what it takes.

    Raises:
        ConfigError: with what it takes.
    """
    if name in known:
        return
    custom = f" For another class than the option's own, start from {where}=custom."
    custom = custom if where in ("model", "vectorizer") else ""
    raise ConfigError(
        f"{where}.{name:.100}: {target} takes no such argument.{suggest_closest(name[:100], known)}"
        f" It takes: {', '.join(known)}.{custom}"
    )


# --- presets of the stores ----------------------------------------------------------------------

PRESET_KEYS = (*EXPERIMENT_GROUPS, "seed", "training", "objective", "metrics")
"""What they set: whoever hands on stores hands on these files."""


def check_preset(header: Mapping[str, str | None], content: Any) -> None:
    """Refuse a preset of the stores that is more than values of an experiment.

    Args:
        header: of the file, as Hydra takes it.
        content: as it was loaded.

    Raises:
        ConfigError: with the reason.
    """
    if {**header} != {"package": "_global_"}:
        raise ConfigError("it does not begin with '# @package _global_'.")
    if not isinstance(content, dict):
        raise ConfigError("it is not a mapping.")
    if not content:
        raise ConfigError("it sets nothing.")
    for key, value in content.items():
        if key == "defaults":
            _check_defaults(value)
            continue
        if key not in PRESET_KEYS:
            raise ConfigError(f"it sets {key!s:.100}.")
        _refuse_lookups(str(key), value)
        check(str(key), value, check_name)


def _check_defaults(defaults: Any) -> None:
    if not isinstance(defaults, list):
        raise ConfigError("its defaults have no list.")
    groups = {f"override /{group}" for group in EXPERIMENT_GROUPS}
    for item in defaults:
        right = isinstance(item, dict) and len(item) == 1 and item.keys() <= groups
        option = str(*item.values()) if right else ""
        if not re.fullmatch(r"\w[\w.-]*(/\w[\w.-]*)*", option, re.ASCII):
            raise ConfigError(f"its defaults have {item!s:.100}, which is not 'override /<group>'.")


def _refuse_lookups(where: str, value: Any) -> None:
    """Refuse a text that OmegaConf would look something up for."""
    if isinstance(value, dict):
        for name, item in value.items():
            _refuse_lookups(f"{where}.{name!s:.100}", item)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            _refuse_lookups(f"{where}.{number}", item)
    elif isinstance(value, str) and re.search(r"(?<!\\)(\\\\)*\$\{", value):
        raise ConfigError(f"{where} = {value!r:.100} refers to something else.")
