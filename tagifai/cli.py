"""The command line around Hydra: literal arguments, relative paths, signals and errors."""

from __future__ import annotations

import importlib
import logging
import os
import re
import shlex
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from tagifai.config.job import SEARCH_TARGET, Job, get_job
from tagifai.config.paths import FOLDERS, PATHS
from tagifai.config.schema import Config
from tagifai.console import error_box
from tagifai.exceptions import (
    ConfigError,
    StaleTrialError,
    TrackingError,
    UserError,
    suggest_closest,
)
from tagifai.tracking import multirun, recorder

LITERAL = "task.text"
"""The argument that is taken as it stands, not by Hydra's grammar."""

QUOTED = (*PATHS, *FOLDERS, "task.filter", "task.baseline")
"""Arguments that are quoted where they need it: paths, and phrases that have spaces and commas."""

FAST_TASKS = ("train", "predict")
"""Tasks that import little before they show something."""

READ_BY_HYDRA = re.compile(
    r"""(?=.*[./])([A-Za-z/]|\.\.?/)[A-Za-z0-9_./:@%+-]*|-|null|(['"]).*\2|.*\$\{.*""", re.DOTALL
)
"""Paths that Hydra's grammar takes as they are: plain ones, quoted ones, interpolations, none."""

log = logging.getLogger(__name__)


class Terminated(KeyboardInterrupt):
    """SIGTERM, raised so that `with` and `finally` are honoured; nobody handles it as an error."""


def quote(argument: str) -> str:
    """Return a command-line argument, quoted for Hydra where it is not to be read by its grammar.

    That is `task.text`, whatever it is, and what is `QUOTED` if it has spaces, commas and the like.

    Args:
        argument: one argument, such as "task.text=a (b), c".

    Raises:
        ConfigError: a folder that is blank, which would become the root of the file system.
    """
    key, equals, value = argument.partition("=")
    name = key.lstrip("+")
    if equals and name in (*FOLDERS, "hydra.run.dir", "hydra.sweep.dir"):
        if not value.strip():
            raise ConfigError(f"{name} is blank; give a folder.")
        # The shell does so at the start of a word only.
        value = str(Path(value).expanduser()) if value.startswith("~") else value
    if equals and name == LITERAL:
        # What OmegaConf would take for an interpolation or for a missing value is escaped.
        value = re.sub(r"(\\*)\$\{", lambda match: 2 * match[1] + r"\${", value)
        value = "\\" + value if re.fullmatch(r"\\*\?\?\?", value) else value
    elif not equals or name not in QUOTED or READ_BY_HYDRA.fullmatch(value):
        return f"{key}{equals}{value}"
    return f"{key}={QuotedString(value, Quote.double).with_quotes()}"


class JobFailed(BaseException):
    """Carries the error of a single run past Hydra, which would print it in its own form."""


@contextmanager
def guard_job() -> Iterator[None]:
    """Keep the traceback of a failing job in its log, and nothing of a job that was refused."""
    _handle_worker_signals()
    try:
        _refuse_search_of_one()
        yield
    except KeyboardInterrupt:
        if not _in_worker():
            raise
        # Hydra ties what escapes a job to the job's return, in a circle that takes for ever to
        # send home.
        raise StaleTrialError("Interrupted.") from None
    except Exception as error:
        if isinstance(error, ConfigError):
            _remove_refused_output(get_job())
        elif not isinstance(error, UserError):
            log.info("The job failed.", exc_info=error)
        if not get_job().is_multirun:
            raise JobFailed(error) from error
        raise
    finally:
        _restore_worker_signals()
        _end_orphan()


def import_task(config: Config) -> Any:
    """Return the module of the configured task; that its imports take a while is seen."""
    name = f"tagifai.tasks.{config.task.name}"
    if config.task.name in FAST_TASKS:
        return importlib.import_module(name)
    from tagifai.console.display import Display  # late: what is refused needs none

    with Display.from_config(config.console).show_spinner("Loading libraries"):
        return importlib.import_module(name)


def _in_worker() -> bool:
    """Return whether this process was begun by a launcher, to run jobs."""
    import multiprocessing  # late, as below: only jobs ask

    return multiprocessing.parent_process() is not None or "SUBMITIT_EXECUTOR" in os.environ


def _end_orphan() -> None:
    """End the process of a launcher that is gone: it would wait for its next job for minutes."""
    import multiprocessing

    parent = multiprocessing.parent_process()
    if parent is not None and os.getppid() != parent.pid:
        os._exit(0)


def _refuse_search_of_one() -> None:
    job = get_job()
    preset = job.options.get("sweep")
    if not job.is_multirun and (preset or job.sweeper == SEARCH_TARGET):
        chosen = f"sweep={preset}" if preset else "hydra/sweeper=tagifai"
        raise ConfigError(f"{chosen} is a search, which needs -m: run.py -m {chosen}")


def _handle_worker_signals() -> None:
    """Make the process of a launcher end a job when it is told to, as the first process does."""
    if not _in_worker():
        return
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _terminate)
        # Ctrl-C reaches all processes of a terminal; it is the first one that ends the others.
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _restore_worker_signals() -> None:
    """Let a worker that waits for its next job end at once when it is told to, without a word."""
    if _in_worker() and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _remove_refused_output(job: Job) -> None:
    """Remove the folder of a refused job, which has nothing in it but Hydra's record of it.

    Only a folder that was named for this run: one that the user chose may have been there before.
    """
    output_dir, chosen = job.output_dir, any(i.startswith("hydra.") for i in job.hydra_overrides)
    if not chosen and [entry.name for entry in output_dir.iterdir()] == [".hydra"]:
        shutil.rmtree(output_dir)
        if not any(output_dir.parent.iterdir()):
            output_dir.parent.rmdir()


def run_main(main: Callable[[], Any]) -> int:
    """Run Hydra's main function on the command line and return the exit code.

    An error is one message on standard error: 2 for what the user can put right, 1 for the rest,
    130 and 143 after Ctrl-C and SIGTERM. HYDRA_FULL_ERROR=1 shows the traceback.
    """
    _open_missing_streams()
    traceback_wanted = os.environ.get("HYDRA_FULL_ERROR") == "1"
    # Hydra would print its errors in a form of its own; with this it raises them.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    signal.signal(signal.SIGTERM, _terminate)
    try:
        _export_environment()
        sys.argv[1:] = [quote(argument) for argument in sys.argv[1:]]
        with recorder.allow_start(), _close_parent_run():
            main()
        sys.stdout.flush()
    except Terminated:
        return _print_error("Terminated.", 143)
    except KeyboardInterrupt:
        return _print_error("Interrupted.", 130)
    except BrokenPipeError:
        return _handle_broken_pipe()
    except (Exception, JobFailed) as error:
        cause = error.args[0] if isinstance(error, JobFailed) else error
        if isinstance(cause, BrokenPipeError):
            return _handle_broken_pipe()
        if traceback_wanted:
            raise cause from None
        return _print_error(*explain(cause))
    return 0


def _export_environment() -> None:
    """Set what the processes of a sweep cannot see: how this one was called, where stores are."""
    os.environ[multirun.COMMAND_VARIABLE] = shlex.join(["run.py", *sys.argv[1:]])
    for argument in sys.argv[1:]:
        key, _, value = argument.partition("=")
        if key == "paths.stores" and value.strip() and "${" not in value:
            # The search path is read before overrides are.
            os.environ["TAGIFAI_STORES"] = str(Path(value.strip("'\"")).expanduser().absolute())


@contextmanager
def _close_parent_run() -> Iterator[None]:
    """Close the parent run that the jobs of a multirun have made."""
    try:
        yield
    except BaseException as error:
        killed = isinstance(error, KeyboardInterrupt)
        cause = error.args[0] if isinstance(error, JobFailed) else error
        reason = explain(cause)[0] if isinstance(cause, Exception) else "Interrupted."
        # What went wrong with the sweep is the error to tell.
        with suppress(TrackingError):
            multirun.close_parent_run("KILLED" if killed else "FAILED", reason)
        raise
    multirun.close_parent_run("FINISHED")


def _terminate(_number: int, _frame: FrameType | None) -> None:
    raise Terminated


def _handle_broken_pipe() -> int:
    # Python would complain once more when it flushes at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


def _open_missing_streams() -> None:
    """Give output somewhere to go where the shell closed it (`>&-`)."""
    if sys.stdout is None:
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115


def _print_error(message: str, code: int) -> int:
    sys.stdout.flush()
    if code in (1, 2):
        error_box.write(message)
    else:
        sys.stderr.write(f"{message}\n")
    return code


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
    return f"{key}: {text}." if key else f"{text}."
