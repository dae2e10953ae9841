"""Isolation: Hydra in somebody else's process, one thing at a time, with nothing left behind.

A notebook or a script has its own environment, log handlers, signals and perhaps its own Hydra.
"""

from __future__ import annotations

import logging
import re
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hydra
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.utils import JobRuntime
from omegaconf import OmegaConf

from tagifai import cli
from tagifai.config import allowed, paths
from tagifai.config.arguments import quote
from tagifai.config.error_messages import explain
from tagifai.console import outlets
from tagifai.console.logs import LineFormatter, RunLog
from tagifai.exceptions import ConfigError, NotRecordedError, UserError
from tagifai.runs.recording import syncing
from tagifai.utils import program, secrets, signals
from tagifai.utils.environment import keep_variables

PRIMARY_CONFIG = "config"
"""Name of the file that all configurations begin with."""

VARIABLES = (
    *("TAGIFAI_ROOT", "TAGIFAI_STORES", program.FOLDER_VARIABLE),
    *(program.PROGRAM_VARIABLE, program.COMMAND_VARIABLE, program.SCRIPT_VARIABLE),
    *(program.CONFIG_DIR_VARIABLE, signals.LAUNCHER_VARIABLE, *signals.THREAD_VARIABLES),
)
"""Variables of the environment that are set for as long as something is done."""

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s | %(message)s"

log = logging.getLogger(__name__)

_busy = threading.Lock()


def call_hydra(
    overrides: Sequence[str], call: Callable[[Any, list[str]], Any], flags: Sequence[str] = ()
) -> Any:
    """Return what a function returns that has Hydra compose with the project's configuration.

    Args:
        overrides: as on the command line.
        call: takes Hydra and the overrides, made ready for its grammar.
        flags: of the command line that does the same, for the records.

    Raises:
        UserError: what is wrong with the overrides, or with what is done with them; or something
            is being done in this process already.
    """
    with (
        _claim_process(),
        _translate_errors(),
        keep_variables(VARIABLES),
        _keep_hydra(),
        warnings.catch_warnings(),
    ):
        # Of tqdm, which libraries import: bars that need ipywidgets, and none of them is shown.
        warnings.filterwarnings("ignore", "IProgress not found")
        checked = list(map(_check_override, overrides))
        sweep = not {"-m", "hydra.mode=MULTIRUN"}.isdisjoint([*flags, *checked])
        arguments = [quote(item, sweep=sweep) for item in checked]
        cli.export_environment(["tagifai", *flags, *arguments])
        with initialize_config_dir(str(paths.get_conf_folder()), job_name="tagifai"):
            own: Any = GlobalHydra.instance().hydra
            # Of the command line's decorator only what it allows to be made from a configuration.
            allow = hydra.main(execution_whitelist=allowed.list_hydra_targets())
            result = allow(lambda _: call(own, arguments))(OmegaConf.create())
            try:
                syncing.settle()
            except NotRecordedError as error:
                log.warning("%s", error)  # what was asked for is there
            return result


def _check_override(item: object) -> str:
    if not isinstance(item, str):
        raise ConfigError(
            f"{item!r} is not an override; those are texts, each one an argument: 'model=sgd',"
            " 'seed=1'."
        )
    if item.startswith("-"):
        raise ConfigError(f"{item!r} is a flag of the command line, not an override.")
    if "\0" in item or re.search("[\ud800-\udfff]", item):
        raise ConfigError(f"{item!r} has a character that no argument of a command can have.")
    return item


@contextmanager
def _claim_process() -> Iterator[None]:
    """Refuse to do two things at a time: Hydra's state is one for the whole process."""
    if not _busy.acquire(blocking=False):
        raise UserError(
            "tagifai is at work in this process and does one thing at a time: wait until it is"
            " done, or use another process."
        )
    try:
        yield
    finally:
        _busy.release()


@contextmanager
def _translate_errors() -> Iterator[None]:
    """Turn what the command line takes for the user's into an error of ours, with its sentence."""
    try:
        yield
    except Exception as error:
        secrets.mask_error(error)
        if isinstance(error, UserError):
            raise
        message, code = explain(error)
        if code != UserError.exit_code:
            raise
        raise ConfigError(message) from None


@contextmanager
def _keep_hydra() -> Iterator[None]:
    """Let Hydra begin anew, and put back what there was: an application of Hydra may call us."""
    theirs = GlobalHydra.instance()
    loaded, name = theirs.hydra, JobRuntime.instance().get("name")
    theirs.clear()
    try:
        yield
    finally:
        theirs.hydra = loaded
        GlobalHydra.set_instance(theirs)
        JobRuntime.instance().set("name", name)


class _Forwarder(logging.Handler):
    """Gives records to the root logger's handlers, as if they came from there."""

    def emit(self, record: logging.LogRecord) -> None:
        root = logging.getLogger()
        if root.isEnabledFor(record.levelno):
            root.callHandlers(record)


@contextmanager
def keep_log(path: Path) -> Iterator[None]:
    """Write what the package logs to a file; other handlers get of it what they got before.

    Args:
        path: made when there is something to write.
    """
    logger = logging.getLogger("tagifai")
    level, propagate = logger.level, logger.propagate
    file = RunLog(str(path))
    file.setFormatter(LineFormatter(LOG_FORMAT))
    forwarder = _Forwarder()
    # The first of the two masks a record for both.
    file.addFilter(outlets.mask_record)
    logger.addHandler(file)
    logger.addHandler(forwarder)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.propagate = propagate
        logger.removeHandler(forwarder)
        logger.removeHandler(file)
        file.close()
