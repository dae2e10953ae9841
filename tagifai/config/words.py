"""Words: what was typed and is no setting of Hydra's grammar, with what was probably meant."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import fields
from difflib import get_close_matches
from typing import Any

from hydra import initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType
from hydra.core.utils import JobRuntime
from hydra.types import RunMode
from omegaconf import OmegaConf

from tagifai.config import paths
from tagifai.config.schema import SCHEMA_CLASSES
from tagifai.exceptions import ConfigError
from tagifai.utils.excerpts import shorten

FLAGS = (
    *("--help", "--hydra-help", "--version", "--cfg", "--resolve", "--package", "--run"),
    *("--multirun", "--shell-completion", "--config-path", "--config-name", "--config-dir"),
    *("--experimental-rerun", "--info"),
)
"""Hydra's flags, of which any beginning is taken."""

WITHOUT_VALUE = re.compile(
    r"(-[hrm]+|-sc?|--(he\w*|hydra.*|v\w*|resolve|ru?n?|m\w*|shell.*))=", re.DOTALL
)
"""Those that take no value, with one."""

SHORT_FLAGS = re.compile(r"-([hrm]*([cpi].*)?|sc?)")
"""Their short forms, of which some have a value behind them."""

MULTIRUN = "hydra.mode=MULTIRUN"
"""What -m does, in words that flags which only show something take, too."""

SHOWING = re.compile(r"(--cfg|-c|--info|-i)(=.*)?")
"""Flags that show the configuration."""

INFO = ("all", "aliases", "config", "defaults", "defaults-tree", "plugins", "searchpath")
"""What --info shows."""

MOST = 3
"""Suggestions of one word."""

MOST_SHOWN = 60
"""Characters of a value that are shown."""


def is_help(arguments: Sequence[str]) -> bool:
    """Return whether the page of help is asked for: --help, a beginning of it, or -h.

    Args:
        arguments: of the command line.
    """
    flags = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return any(re.fullmatch(r"--he|--hel|--help|-[rm]*h[hrm]*", word) for word in flags)


def refuse_unknown_flags(arguments: Sequence[str]) -> None:
    """Refuse flags that Hydra does not have, before it prints the usage of all, and blanks.

    Args:
        arguments: of the command line.

    Raises:
        ConfigError: with what was probably meant.
    """
    if arguments and {*arguments} <= {"-m", "--multirun"}:
        raise ConfigError(
            "-m makes a run of each of several values, and there are none: -m seed=1,2,3. A search"
            " has its own: -m sweep=auto sweep.budget=60"
        )
    for number, word in enumerate(arguments):
        if word == "--":  # what is behind it is not read as flags
            return
        behind = arguments[number + 1] if number + 1 < len(arguments) else None
        if _is_unknown_flag(word):
            raise ConfigError(_explain_flag(word, behind, arguments))
        if WITHOUT_VALUE.match(word):
            flag = word.partition("=")[0]
            raise ConfigError(f"{flag} takes no value: leave out what follows it.")
        _refuse_blanks(word, arguments[number + 1 : number + 3])


def _refuse_blanks(word: str, behind: Sequence[str]) -> None:
    """Refuse `key = value`, which a shell gives as three words, and `key =value` in quotes."""
    if word.startswith("="):
        raise ConfigError(f"'{shorten(word, MOST_SHOWN)}' has no key: settings are key=value.")
    inside = re.match(r"[+~]*([\w./@-]+)\s+=\s*(.*)", word, re.DOTALL)
    typed = "\0".join([word, *behind])
    apart = re.match(r"([\w./]+)(?:\0=|=\0(?!-|[^\0]*=))\0?([^\0]*)", typed)
    if found := inside or apart:
        said = f"{found[1]}={shorten(found[2] or '...', MOST_SHOWN)}"
        raise ConfigError(f"A setting has no blanks around its =. Did you mean {said}?")


def prepare_flags(arguments: Sequence[str]) -> list[str]:
    """Return arguments whose flags Hydra takes together: it has none beside -m, nor a bare --info.

    Args:
        arguments: of the command line, such as ["-m", "--info", "seed=1"].
    """
    if not any(SHOWING.fullmatch(word) for word in arguments):
        return [*arguments]
    settled = [word for word in arguments if word not in ("-m", "--multirun")]
    more = [MULTIRUN] if len(settled) < len(arguments) else []
    for number, word in enumerate(settled):
        if word in ("-i", "--info") and settled[number + 1 : number + 2] not in ([i] for i in INFO):
            settled[number] = "--info=all"
    return [*settled, *more]


def _is_unknown_flag(word: str) -> bool:
    """Return whether an argument looks like a flag and is none of Hydra's."""
    name = word.partition("=")[0]
    if name.startswith("--"):
        return name != "--" and not any(flag.startswith(name) for flag in FLAGS)
    return bool(re.match(r"-[A-Za-z]", name)) and not SHORT_FLAGS.fullmatch(name)


def _explain_flag(word: str, behind: str | None, arguments: Sequence[str]) -> str:
    """Return what is said of a flag that there is not, such as `--epochs 5`.

    Args:
        word: the flag, with its value if it has one.
        behind: the next argument, which is taken as the value unless it is a setting; or None.
        arguments: all of the command line.
    """
    name, equals, value = word.lstrip("-").partition("=")
    taken = behind is not None and not equals and not re.match(r"-|[\w./+~]+=", behind)
    given = behind if taken else value if equals else None
    meant = _suggest(name.replace("-", "_"), given, arguments)
    flag = word.partition("=")[0]
    return f"{flag} is no flag: settings are given as key=value.{_ask(meant)}"


def explain_word(word: str, arguments: Sequence[str]) -> str:
    """Return what is said of a word without a value, such as `train`.

    Args:
        word: the argument.
        arguments: all of the command line.
    """
    shown = shorten(word, MOST_SHOWN)
    key, colon, value = word.partition(":")
    meant = _suggest(key, value if colon else None, arguments)
    return f"'{shown}' is no setting: settings are given as key=value.{_ask(meant)}"


def suggest_key(key: str, arguments: Sequence[str]) -> str:
    """Return " Did you mean task.text=hello?" for a key without its group, or nothing.

    Args:
        key: that the configuration does not have, such as "text".
        arguments: all of the command line; one of them may give the key its value.
    """
    values = [i.partition("=")[2] for i in arguments if i.lstrip("+").startswith(f"{key}=")]
    group, _, last = key.rpartition(".")
    meant = _find_keys(last, values[0] if values else "...", arguments)
    meant = [text for text in meant if group != "task" or not text.startswith("task=")]
    return _ask(meant) if meant else ""


def _ask(meant: Sequence[str]) -> str:
    asked = f" Did you mean {' or '.join(meant[:MOST])}?"
    return asked if meant else " --help lists the settings, and --hydra-help the flags."


def _suggest(name: str, value: str | None, arguments: Sequence[str]) -> list[str]:
    """Return what was probably meant by a name and its value, as it would be typed."""
    options = _read_options()
    chosen = [_choose(group, name) for group, known in options.items() if name in known]
    if value is None and chosen:
        return chosen
    if name in options:
        return [f"{name}={_quote(value if _is_option(name, value, options) else None)}"]
    if re.search(r"\s", name) and value is None:
        return [f"task.text={_quote(name)}"] if "task.text" in _list_keys(arguments) else []
    found = _find_keys(name, "..." if value is None else value, arguments)
    if found or chosen:
        return found or chosen
    names = {option: group for group, known in options.items() for option in known}
    keys = {key.rpartition(".")[2]: key for key in _list_keys(arguments)}
    for close in get_close_matches(name, [*names, *keys, *options], n=1):
        return _suggest(close, value, arguments)
    return []


def _find_keys(name: str, value: str, arguments: Sequence[str]) -> list[str]:
    """Return settings whose key, or its last part, is a name; those of the task come first."""
    keys, options = _list_keys(arguments), _read_options()
    found = [key for key in keys if name in (key, key.rpartition(".")[2])]
    if found := [key for key in found if _is_option(key, value, options)]:
        found.sort(key=lambda key: not key.startswith("task."))
        return [f"{key}={_quote(value)}" for key in found]
    # The keys of tasks, models and data that were not chosen.
    others = {
        (group, option): f"{group}.{name}={_quote(value)}"
        for group, _, option in (schema.partition("/") for schema in SCHEMA_CLASSES)
        if group == "task" and name in {f.name for f in fields(SCHEMA_CLASSES[f"{group}/{option}"])}
    }
    return [f"{group}={option} {setting}" for (group, option), setting in others.items()]


def _is_option(key: str, value: str | None, options: Mapping[str, Sequence[str]]) -> bool:
    """Return whether a key may have a value as far as is known: of groups, options are known."""
    return key not in options or value in (None, "...") or {*value.split(",")} <= {*options[key]}


def _choose(group: str, option: str) -> str:
    return f"-m sweep={option}" if group == "sweep" else f"{group}={option}"


def _quote(value: str | None) -> str:
    return "..." if value in (None, "...") else shlex.quote(shorten(str(value), MOST_SHOWN))


@contextmanager
def _open_loader() -> Iterator[ConfigLoader]:
    if GlobalHydra.instance().is_initialized():
        yield GlobalHydra.instance().config_loader()
        return
    name = str(JobRuntime.instance().get("name"))  # it stays as it is
    with initialize_config_dir(str(paths.get_conf_folder()), job_name=name):
        yield GlobalHydra.instance().config_loader()


def _read_options() -> dict[str, list[str]]:
    """Return the options of each group; the task comes first."""
    with _open_loader() as loader:
        names = set(loader.list_groups("")) - {"hydra"}
        groups = sorted(names, key=lambda name: (name != "task", name))
        return {name: loader.get_group_options(name, ObjectType.CONFIG) for name in groups}


def _list_keys(arguments: Sequence[str]) -> list[str]:
    """Return the keys of the configuration that the options among the arguments make."""
    options = _read_options()
    pairs = [item.partition("=")[::2] for item in arguments]
    chosen = [f"{group}={option}" for group, option in pairs if option in options.get(group, ())]
    content: Any = {}
    with _open_loader() as loader, suppress(Exception):  # what is wrong is told in another place
        cfg = loader.load_configuration("config", chosen, run_mode=RunMode.RUN)
        content = OmegaConf.to_container(cfg, resolve=False)
    return list(_walk({key: item for key, item in content.items() if key != "hydra"}, ""))


def _walk(content: Mapping[str, Any], prefix: str) -> Iterator[str]:
    for key, value in content.items():
        yield f"{prefix}{key}"
        if isinstance(value, dict):
            yield from _walk(value, f"{prefix}{key}.")
