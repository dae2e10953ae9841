"""Error messages: what Hydra, OmegaConf and the system refuse, in one sentence and an exit code."""

from __future__ import annotations

import errno
import sys
import traceback
from pathlib import Path

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from tagifai.config.paths import explain_unwritable
from tagifai.exceptions import UserError, suggest_closest
from tagifai.utils.excerpts import shorten
from tagifai.utils.files import is_writable
from tagifai.utils.system import errors

NO_LIST = " is not a ListConfig, TupleConfig, list"
"""What OmegaConf says where a list should be."""

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
        user_can_help = (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError)
        odd = error.errno in (errno.ENAMETOOLONG, errno.ELOOP)
        return errors.describe(error), 2 if odd or isinstance(error, user_can_help) else 1
    if _is_group_override(error):
        return f"A group takes the name of an option, as in sampling=none. ({error})", 2
    return _explain_other(error)


def _explain_other(error: Exception) -> tuple[str, int]:
    """Return a message for an error of a kind that tells nothing by itself, and the exit code."""
    if _is_of_hydra(error):
        given = [word for word in sys.argv[1:] if word.lstrip("+~").startswith("hydra.")]
        reason = shorten(" ".join(f"{type(error).__name__} {error}".split()), MOST_SHOWN)
        return f"Hydra cannot work with {', '.join(given) or 'these arguments'} ({reason}).", 2
    message = (
        f"{type(error).__name__}: {error}\nThis was not foreseen. The run's log has the traceback;"
        " HYDRA_FULL_ERROR=1 shows it here."
    )
    return message, 1


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
    """Return whether an error comes from Hydra's own work, before it has called any of ours."""
    frames = traceback.extract_tb(error.__traceback__)
    folders = [name for at in frames for name in Path(at.filename).parent.parts]
    packages = [name for name in folders if name in ("hydra", "tagifai")]
    return packages[-1:] == ["hydra"]


def _is_group_override(error: Exception) -> bool:
    """Return whether Hydra has found something else where the name of an option should be."""
    if isinstance(error, ValueError):
        return "Config group override" in str(error)
    frames = traceback.extract_tb(error.__traceback__)[-1:]
    return isinstance(error, TypeError) and any("defaults_list" in at.filename for at in frames)


def _explain_grammar(error: OverrideParseException) -> str:
    """Return what is wrong with an argument, which may have any characters, lines too."""
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
    if isinstance(cause, OmegaConfBaseException):
        return _explain_omegaconf_error(cause)
    inner = error.__context__  # a preset's value: the message alone says in which file
    if isinstance(inner, OmegaConfBaseException) and NO_LIST in str(inner):
        place = str(error).partition(": ")[0]
        return f"{place}: {_explain_omegaconf_error(inner)}"
    return " ".join(str(error).split())


def _explain_omegaconf_error(error: OmegaConfBaseException) -> str:
    """Return OmegaConf's message in one line, with the key and what may stand there."""
    text = str(error.msg or error).splitlines()[0].rstrip(".")
    key = error.full_key or ""
    parent = error.parent_node
    if isinstance(error, ConfigKeyError | ConfigAttributeError) and isinstance(parent, DictConfig):
        known = [str(name) for name in parent]
        if OmegaConf.get_type(parent) is dict:
            return f"'{key}' is not there yet; to add it, write +{key}=..."
        close = suggest_closest(str(error.key), known)
        takes = ", ".join(known) or "nothing"
        return f"'{key}' is not a key of the configuration.{close} It takes: {takes}."
    if key and NO_LIST in text:
        return f"{key} takes a list, in brackets: {key}=[...]."
    return f"{key}: {text}." if key else f"{text}."
