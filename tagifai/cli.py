"""The command line: what is around Hydra, from the arguments to signals, errors and exit codes."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import hydra
from omegaconf import DictConfig

from tagifai.config import allowed, arguments, extensions, paths, words
from tagifai.config.error_messages import LOG, explain
from tagifai.config.job import SEARCH_TARGET, get_job, is_multirun, remove_refused_output
from tagifai.config.schema import Config, check
from tagifai.console import error_box, logs, outlets
from tagifai.exceptions import ConfigError, StaleTrialError, TrackingError, UserError
from tagifai.runs import early_checks
from tagifai.runs.recording import syncing
from tagifai.runs.upkeep import used_folders
from tagifai.tracking import multirun
from tagifai.utils import program, secrets, signals, terminal
from tagifai.utils.system import errors

FAST_TASKS = ("train", "predict")
"""Tasks that import little before they show something."""

log = logging.getLogger(__name__)


class JobFailed(BaseException):
    """Carries the error of a single run past Hydra, which would print it in its own form."""


def main() -> int:
    """Do what the command line says, and return the exit code."""
    return run_main(_run_hydra)


def _run_hydra() -> None:
    """Have Hydra compose the configuration and run the jobs, or show what it is asked for."""
    if words.is_help(sys.argv[1:]):
        from tagifai.help import page  # late: no other command needs it

        sys.stdout.write(page.make_page())
        return
    hydra.main(
        config_path=str(paths.get_conf_folder()),
        config_name="config",
        execution_whitelist=allowed.list_hydra_targets(),
    )(run_job)()


def run_job(cfg: DictConfig) -> Any:
    """Run one task and return its objective, if it has one; in the processes of a sweep too."""
    with guard_job():
        return run_task(cfg)


def run_task(cfg: DictConfig) -> Any:
    """Check a composed configuration and run the task that it names."""
    config = load_config(cfg)
    if config.sweep.preview and not is_multirun():
        raise ConfigError(
            "sweep.preview=true shows the jobs of a multirun or the trials of a search, which needs"
            " -m. What a single run would do: --cfg job"
        )
    paths.check_stores(config)
    early_checks.check(config)
    used_folders.begin_log()
    if config.task.name not in ("train", "rerun"):  # which do so when data are loaded
        used_folders.remove_earlier(config.task.name)
    return import_task(config).run(config)


def load_config(cfg: DictConfig) -> Config:
    """Return a composed configuration, checked, with absolute paths."""
    from tagifai.tracking import opening  # late: what is refused needs none

    config = paths.resolve(check(cfg))
    opening.limit_opening(config.tracking.timeout)
    extensions.load(config)
    return config


@contextmanager
def guard_job() -> Iterator[None]:
    """Run a job so that it ends well in whatever process: see `record_failure` too."""
    mask = outlets.mask_output() if signals.is_worker() else nullcontext()
    try:
        with signals.guard_job(), mask, use_command_folder(), record_failure():
            multirun.require_record()
            _refuse_search_of_one()
            yield
    except KeyboardInterrupt:
        if not signals.is_worker():
            raise
        # What escapes a job is tied to its return, in a circle that takes for ever to send home.
        raise StaleTrialError("Interrupted.") from None
    except Exception as error:
        if not is_multirun():
            raise JobFailed(error) from error
        raise


@contextmanager
def use_command_folder() -> Iterator[None]:
    """Be in the working directory of the command for a block, whatever hydra.job.chdir says.

    Paths are relative to it wherever they stand, and launchers may begin processes in another.
    """
    folder = program.get_folder()
    if folder is None or not Path(folder).is_dir() or Path(folder) == (before := Path.cwd()):
        yield
        return
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@contextmanager
def record_failure() -> Iterator[None]:
    """Keep the traceback of a failing job in its log; of one that was refused, a line at most."""
    try:
        yield
    except Exception as error:
        # Some launchers write it to a file as it is.
        secrets.mask_error(error)
        if isinstance(error, ConfigError):
            remove_refused_output(get_job())
            if is_multirun() and get_job().output_dir.is_dir():
                log.info("The job was refused: %s", error)
        elif not isinstance(error, UserError):
            log.info("The job failed.", exc_info=error)
            if (path := logs.find_log()) is not None:
                vars(error)[LOG] = str(path)
        raise


def import_task(config: Config) -> Any:
    """Return the module of the configured task; that its imports take a while is seen."""
    errors.check_memory()
    name = f"tagifai.tasks.{config.task.name}"
    if config.task.name == "predict" and config.console.verbosity == "normal":
        terminal.mention("Loading libraries")  # standard output is for predictions
    if config.task.name in FAST_TASKS or name in sys.modules:
        return importlib.import_module(name)
    from tagifai.console.display import Display  # late: what is refused needs none

    with Display.from_config(config.console).show_spinner("Loading libraries", at_once=True):
        return importlib.import_module(name)


def _refuse_search_of_one() -> None:
    job = get_job()
    preset = job.options.get("sweep")
    if not job.is_multirun and (preset or job.sweeper == SEARCH_TARGET):
        chosen = f"sweep={preset}" if preset else "hydra/sweeper=tagifai"
        command = program.format_call("-m", chosen)
        raise ConfigError(f"{chosen} is a search, which needs -m: {command}")


def run_main(main: Callable[[], Any]) -> int:
    """Run Hydra's main function on the command line and return the exit code.

    An error is one message on standard error: 2 for what the user can put right, 3 for a run that
    is not recorded yet, 1 for the rest, 130, 143 and 129 after Ctrl-C, SIGTERM and SIGHUP.
    """
    terminal.open_missing_streams()
    logs.secure_hooks()
    with outlets.mask_output():
        return _run_masked(main)


def _run_masked(main: Callable[[], Any]) -> int:
    traceback_wanted = os.environ.get("HYDRA_FULL_ERROR") == "1"
    # Hydra would print its errors in a form of its own; with this it raises them.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        signals.guard_command()
        export_environment(sys.argv)
        arguments.prepare(sys.argv)
        with close_parent_run():
            main()
        syncing.settle()
        sys.stdout.flush()
        logs.warn_of_lost_logs()
    except KeyboardInterrupt as error:
        return _print_error(*signals.describe(error))
    except BrokenPipeError:
        terminal.discard_output()
        return 1
    except (Exception, JobFailed) as error:
        cause = error.args[0] if isinstance(error, JobFailed) else error
        interrupt = signals.find_interrupt()
        if interrupt is not None:  # what was cut short may have failed in a way of its own
            return _print_error(*signals.describe(interrupt))
        if isinstance(cause, BrokenPipeError):
            terminal.discard_output()
            return 1
        if traceback_wanted:
            cause.__cause__, cause.__suppress_context__ = None, True
            sys.excepthook(type(cause), cause, cause.__traceback__)
            return 1
        return _print_error(*explain(cause))
    return 0


def export_environment(argv: Sequence[str]) -> None:
    """Set what is read before the configuration, and what the processes of a sweep cannot see.

    Args:
        argv: the path of what was called, and the arguments.
    """
    program.export_command(argv)
    extensions.export_config_dir(argv[1:])
    os.environ["TAGIFAI_ROOT"] = str(paths.get_root())
    stores = os.environ.get("TAGIFAI_STORES", "")
    for argument in argv[1:]:
        key, _, value = argument.partition("=")
        if key == "paths.stores" and value.strip() and "${" not in value:
            stores = value.strip("'\"")
    if stores.strip():
        os.environ["TAGIFAI_STORES"] = str(Path(stores.strip()).expanduser().absolute())


@contextmanager
def close_parent_run() -> Iterator[None]:
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


def _print_error(message: str, code: int) -> int:
    try:
        sys.stdout.flush()
    except OSError:
        terminal.discard_output()
    with suppress(OSError):  # whoever sends it to a full disk has the exit code
        if code in (1, 2, 3):
            error_box.write(message)
        else:
            sys.stderr.write(f"{message}\n")
    return code
