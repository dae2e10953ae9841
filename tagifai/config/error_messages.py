"""Error messages: what Hydra, OmegaConf and the system refuse, in one sentence and an exit code."""

from __future__ import annotations

import errno
from pathlib import Path

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from tagifai.config.paths import explain_unwritable
from tagifai.exceptions import UserError, suggest_closest
from tagifai.utils.files import is_writable

NO_LIST = " is not a ListConfig, TupleConfig, list"
"""What OmegaConf says where a list should be."""

UNWRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS)


def explain(error: Exception) -> tuple[str, int]:
    """Return one message for an error, and the exit code."""
    if isinstance(error, UserError):
        return str(error), error.exit_code
    if isinstance(error, OverrideParseException):
        reason = str(error).splitlines()[1:2]
        message = (
            f"'{error.override}' does not follow Hydra's grammar ({''.join(reason)}). Put values"
            " with special characters in quotes, which the shell needs quoted again:"
            " key='\"a, b\"'."
        )
        return message, 2
    if isinstance(error, MissingConfigException):
        group, _, option = str(error.missing_cfg_file).rpartition("/")
        extras = {"submitit_local": "slurm", "submitit_slurm": "slurm", "ray": "ray"}
        if group == "hydra/launcher" and option in extras:
            install = f"pip install 'tagifai[{extras[option]}]'"
            return f"The launcher {option} is not installed. To install it: {install}", 2
        if error.options is not None:
            known = ", ".join(error.options)
            close = suggest_closest(option, error.options)
            takes = f"{group} takes: {known}" if known else f"{group} has no options yet"
            return f"{group}={option}: there is no such option.{close} {takes}.", 2
    if isinstance(error, HydraException):
        return _explain_hydra_error(error), 2
    if isinstance(error, OmegaConfBaseException):
        return _explain_omegaconf_error(error), 2
    if isinstance(error, OSError):
        if error.errno in UNWRITABLE and error.filename and not is_writable(Path(error.filename)):
            return explain_unwritable(error.filename, "paths.outputs=... or paths.stores=..."), 2
        user_can_help = (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError)
        return str(error), 2 if isinstance(error, user_can_help) else 1
    if isinstance(error, ValueError) and "Config group override" in str(error):
        return f"A group takes the name of an option, as in sampling=none. ({error})", 2
    message = (
        f"{type(error).__name__}: {error}\nThis was not foreseen. The run's log has the traceback;"
        " HYDRA_FULL_ERROR=1 shows it here."
    )
    return message, 1


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
