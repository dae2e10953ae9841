"""Error messages: what Hydra, OmegaConf and the system refuse, in one sentence and an exit code."""

from __future__ import annotations

import errno
import os
import re
import sys
import traceback
from pathlib import Path

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from tagifai.config import words
from tagifai.config.paths import LONGEST_NAME, explain_unwritable
from tagifai.exceptions import UserError, suggest_closest
from tagifai.utils.excerpts import shorten
from tagifai.utils.files import is_writable
from tagifai.utils.system import errors

NO_LIST = " is not a ListConfig, TupleConfig, list"
"""What OmegaConf says where a list should be."""

OWNERS = ("hydra", "hydra_plugins", "tagifai")
"""Packages in whose work an error may come up."""

AMBIGUOUS = re.compile(
    r"(?:Ambiguous value for argument|Sweep parameters) '(.*?)'(?:\n| requires)", re.S
)
"""What Hydra says of several values where there is one job."""

LONGEST_PATH = 4095
"""Most bytes of a path."""

LOG = "tagifai_log"
"""Attribute of an error with the path of the log that has its traceback."""

MOST_SHOWN = 300
"""Characters of an argument that are shown."""


def explain(error: Exception) -> tuple[str, int]:
    """Return one message for an error, with the notes that it was given, and the exit code."""
    message, code = _explain(error)
    return " ".join([message, *getattr(error, "__notes__", ())]), code


def _explain(error: Exception) -> tuple[str, int]:
    limit = errors.describe_limit(error)
    if isinstance(error, UserError):
        # Whoever asked for what was written has said so already, with the reason.
        told = limit is None or limit in str(error)
        return (str(error) if told else str(limit)), error.exit_code if limit is None else 1
    if limit is not None:
        return limit, 1
    if isinstance(error, HydraException | OmegaConfBaseException):
        return _explain_composition(error), 2
    if isinstance(error, OSError):
        path = error.filename2 or error.filename
        if error.errno in errors.CLOSED and path and not is_writable(Path(path)):
            return explain_unwritable(path, "paths.outputs=... or paths.stores=..."), 2
        if error.errno == errno.ENAMETOOLONG and path:
            return _explain_long_name(os.fsdecode(path)), 2
        user_can_help = (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError)
        odd = error.errno == errno.ELOOP
        return errors.describe(error), 2 if odd or isinstance(error, user_can_help) else 1
    if _is_group_override(error):
        return f"A group takes the name of an option, as in sampling=none. ({error})", 2
    return _explain_other(error)


def _explain_other(error: Exception) -> tuple[str, int]:
    """Return a message for an error of a kind that tells nothing by itself, and the exit code."""
    if _is_of_hydra(error):
        return explain_plugin(error), 2
    message = (
        f"{type(error).__name__}: {error}\nThis was not foreseen. HYDRA_FULL_ERROR=1 shows the"
        " traceback here."
    )
    path = vars(error).get(LOG)
    return message if path is None else f"{message} The log has it, too: {path}", 1


def explain_plugin(error: Exception) -> str:
    """Return a sentence for an error of Hydra, or of a plugin that was given settings like these.

    Args:
        error: that it raised.
    """
    given = [word for word in sys.argv[1:] if re.match(r"[+~]*hydra[./]", word)]
    reason = shorten(" ".join(f"{type(error).__name__} {error}".split()), MOST_SHOWN)
    return f"Hydra cannot work with {', '.join(given) or 'these arguments'} ({reason})."


def _explain_long_name(path: str) -> str:
    """Return which setting gives a file a name that the system does not take."""
    name = max(Path(path).parts, key=lambda part: len(os.fsencode(part)))
    size = len(os.fsencode(name))
    what, most = "name", LONGEST_NAME
    if size <= LONGEST_NAME:
        name, size, what, most = path, len(os.fsencode(path)), "path", LONGEST_PATH
    pairs = [item.partition("=")[::2] for item in sys.argv[1:] if "=" in item]
    made = [
        key.lstrip("+")
        for key, value in pairs
        if "${" in value and key.lstrip("+").startswith(("hydra.run", "hydra.sweep"))
    ]
    said = [
        key.lstrip("+")
        for key, value in pairs
        if len(value) > LONGEST_NAME // 4 and (value.strip("'\"") in path or name in value)
    ]
    keys = ", ".join(dict.fromkeys(made or said)) or "The folder of a run"
    way = (
        "Choose another, as in hydra.sweep.subdir='${hydra.job.num}', or leave out keys with"
        " hydra.job.config.override_dirname.exclude_keys=[...]."
        if made
        else "Give a shorter one."
    )
    return (
        f"{keys}: the {what} {shorten(name, 60)} has {size} bytes, and the system takes {most}."
        f" {way}"
    )


def _explain_composition(error: HydraException | OmegaConfBaseException) -> str:
    if isinstance(error, OverrideParseException):
        return _explain_grammar(error)
    if isinstance(error, MissingConfigException):
        group, _, option = str(error.missing_cfg_file).rpartition("/")
        extras = {"submitit_local": "slurm", "submitit_slurm": "slurm", "ray": "ray"}
        if group == "hydra/launcher" and option in extras:
            install = f"pip install 'tagifai[{extras[option]}]'"
            return f"The launcher {option} is not installed. To install it: {install}"
        if error.options is not None:
            known = ", ".join(error.options)
            close = suggest_closest(option, error.options)
            takes = f"{group} takes: {known}" if known else f"{group} has no options yet"
            return f"{group}={option}: there is no such option.{close} {takes}."
    if isinstance(error, HydraException):
        return _explain_hydra_error(error)
    return _explain_omegaconf_error(error)


def _is_of_hydra(error: Exception) -> bool:
    """Return whether an error comes from the work of Hydra or a plugin of it, and not of ours.

    One of a job in another process has lost where it came from, and is raised where Hydra is asked
    for the job's result.
    """
    for at in reversed(traceback.extract_tb(error.__traceback__)):
        folders = [name for name in Path(at.filename).parent.parts if name in OWNERS]
        if folders:
            return folders[-1] != "tagifai" and at.name != "return_value"
    return False


def _is_group_override(error: Exception) -> bool:
    """Return whether Hydra has found something else where the name of an option should be."""
    if isinstance(error, ValueError):
        return "Config group override" in str(error)
    frames = traceback.extract_tb(error.__traceback__)[-1:]
    return isinstance(error, TypeError) and any("defaults_list" in at.filename for at in frames)


def _explain_grammar(error: OverrideParseException) -> str:
    """Return what is wrong with an argument, which may have any characters, lines too."""
    if error.override and "=" not in error.override and not error.override.startswith("~"):
        return words.explain_word(error.override, sys.argv[1:])
    shown, whole = shorten(error.override, MOST_SHOWN), str(error)
    if error.override:
        whole = whole.replace(error.override, shown)
    reason = shorten("".join(whole.split("\n")[1:2]), MOST_SHOWN)
    return (
        f"'{shown}' does not follow Hydra's grammar ({reason}). Put values with special characters"
        " in quotes, which the shell needs quoted again: key='\"a, b\"'."
    )


def _explain_hydra_error(error: HydraException) -> str:
    cause = error.__cause__
    if several := AMBIGUOUS.match(str(error)):
        return _explain_several(several[1])
    if isinstance(cause, OmegaConfBaseException):
        return _explain_omegaconf_error(cause)
    inner = error.__context__  # a preset's value: the message alone says in which file
    if isinstance(inner, OmegaConfBaseException) and NO_LIST in str(inner):
        place = str(error).partition(": ")[0]
        return f"{place}: {_explain_omegaconf_error(inner)}"
    return " ".join(str(error).split())


def _explain_several(argument: str) -> str:
    """Return what is said of an argument with several values, where there is one configuration."""
    shown = shorten(argument, MOST_SHOWN)
    key = argument.partition("=")[0]
    if any(re.match(r"(-c|--cfg|-i|--info)", word) for word in sys.argv[1:]):
        return (
            f"{shown} has several values, and one configuration is shown: give one of them. To list"
            " the jobs: -m sweep.preview=true"
        )
    return (
        f"{shown} has several values, which are jobs of a multirun, and that needs -m. A list is in"
        f" brackets ({key}=[a,b]), and a text with commas in quotes, which the shell needs quoted"
        f" again: {key}='\"a,b\"'."
    )


def _explain_omegaconf_error(error: OmegaConfBaseException) -> str:
    """Return OmegaConf's message in one line, with the key and what may stand there."""
    text = str(error.msg or error).splitlines()[0].rstrip(".")
    key = error.full_key or ""
    parent = error.parent_node
    if isinstance(error, ConfigKeyError | ConfigAttributeError) and isinstance(parent, DictConfig):
        known = [str(name) for name in parent]
        if OmegaConf.get_type(parent) is dict:
            return f"'{key}' is not there yet; to add it, write +{key}=..."
        takes = ", ".join(known) or "nothing"
        meant = words.suggest_key(key, sys.argv[1:])
        if meant:
            return f"'{key}' is not a key of the configuration.{meant}"
        close = suggest_closest(str(error.key), known)
        return f"'{key}' is not a key of the configuration.{close} It takes: {takes}."
    if key and NO_LIST in text:
        return f"{key} takes a list, in brackets: {key}=[...]."
    return f"{key}: {text}." if key else f"{text}."
