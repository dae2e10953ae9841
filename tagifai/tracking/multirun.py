"""The parent run of a multirun: its first job creates it, and its end closes it; records of jobs.

Hydra loads this module before every command, so it imports late what only a multirun needs.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING, Any

from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, read_write

from tagifai.config import paths
from tagifai.config.formatting import format_yaml
from tagifai.config.job import GRID_TARGET, SEARCH_TARGET, get_job
from tagifai.exceptions import DamagedFileError
from tagifai.tracking.recording import children
from tagifai.utils import program, signals
from tagifai.utils.files import is_writable
from tagifai.utils.secrets import mask, mask_all
from tagifai.utils.state import aside, reading
from tagifai.utils.system import errors

if TYPE_CHECKING:
    from tagifai.config.schema import Config

log = logging.getLogger(__name__)

PARENT = "parent_run.json"
"""File in a multirun's folder that names its parent run."""

PARENT_RUN_VARIABLE = "TAGIFAI_PARENT_RUN"
"""Variable by which a search tells its jobs the id of their parent run."""

NAME_VARIABLE = "TAGIFAI_PARENT_NAME"
"""Variable by which a plain multirun tells its jobs the name of their parent run."""


def ensure_parent_run(config: Config) -> str | None:
    """Return the run that the present job's run is a child of, or None.

    The jobs of a search get its id from the search. The jobs of another multirun find it by the
    multirun's folder, and the first one creates it.
    """
    folder = get_job().multirun_dir
    if folder is None or not config.tracking.enabled:
        return None
    if PARENT_RUN_VARIABLE in os.environ:
        return os.environ[PARENT_RUN_VARIABLE]
    from tagifai.tracking import session, store
    from tagifai.utils import locks
    from tagifai.utils.files import write_json

    with signals.hold_back(), locks.wait_for(folder / ".parent.lock"):
        known = _read_parent(folder)
        experiment = store.Experiment.from_config(config)
        if known is not None and known["uri"] == mask(experiment.uri):
            return str(known["run_id"])
        made = session.create_run(
            experiment,
            os.environ.get(NAME_VARIABLE) or folder.name,
            {
                "sweep.dir": str(folder),
                "command": program.get_command(),
                **config.tracking.tags,
            },
            lock=make_lock_key(folder),
        )
        if (folder / PARENT).is_dir():
            aside.put_aside(folder, folder / PARENT)
        named = {"run_id": made.id, "uri": experiment.uri, "experiment": experiment.name}
        write_json(folder / PARENT, named)
        if not made.is_kept:
            running = experiment.stores / "running"
            locks.write_mark(running, make_lock_key(folder), made.id, experiment.uri)
        return made.id


def _read_parent(folder: Path) -> dict[str, str] | None:
    """Return the run that a multirun's file names, or None; a warning names a damaged file."""
    try:
        return read_parent(folder)
    except FileNotFoundError:
        return None
    except DamagedFileError as error:
        log.warning("%s", error)
        return None


def read_parent(folder: Path) -> dict[str, str]:
    """Return id, store and experiment of the parent run of the multirun with this folder.

    Raises:
        FileNotFoundError: it has none.
        DamagedFileError: the file cannot be read.
    """
    return reading.read_run(folder / PARENT, "uri", "experiment")


def make_lock_key(folder: Path) -> str:
    """Return the name of the mark, and of its lock, of a multirun with a folder."""
    return "sweep-" + hashlib.sha256(str(folder).encode()).hexdigest()[:16]


_watched = ExitStack()
_folders: list[tuple[Path, Path, str]] = []
"""Folders of this process's multiruns, each with its stores and the URI of its tracking store."""


RECORD = ".hydra"
"""Folder of Hydra's record of a job, in the job's own."""


def list_earlier_jobs(folder: Path) -> list[str]:
    """Return the names of the jobs that an earlier multirun has left in a folder."""
    if not (folder / "multirun.yaml").is_file():
        return []
    return sorted(path.parent.name for path in folder.glob(f"*/{RECORD}") if path.is_dir())


class MultirunCallback(Callback):
    """Notes the folder of a multirun, and holds a lock while its process lives; records jobs.

    It neither creates nor ends a run, because Hydra only warns of errors in a callback.
    """

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Note the folder."""
        from tagifai.tracking import store
        from tagifai.utils import locks

        _note_folders(config)
        folder = Path(config.hydra.sweep.dir).absolute()
        stores = Path(config.paths.stores).absolute()
        if not is_writable(stores) or OmegaConf.select(config, "sweep.preview"):
            return  # the jobs, or the search, raise the error; a preview has none
        if _watched.enter_context(locks.hold(stores / "running", make_lock_key(folder))):
            target = OmegaConf.select(config, "hydra.sweeper._target_")
            if target == GRID_TARGET and list_earlier_jobs(folder):
                return  # it is refused, and what is there belongs to the multirun that left it
            # An existing file belongs to an earlier multirun with the same folder.
            with suppress(IsADirectoryError, PermissionError):  # the first job puts it aside
                for name in (PARENT, children.SCORES):
                    (folder / name).unlink(missing_ok=True)
            _folders.append(
                (
                    folder,
                    stores,
                    store.get_tracking_uri(str(OmegaConf.select(config, "tracking.uri") or "")),
                )
            )

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Let a task that only reads do without a folder where there can be none."""
        configured = Path(config.hydra.run.dir)
        made = paths.make_output_folder(configured, str(config.task.name))
        if made != configured:
            with read_write(config):
                config.hydra.run.dir = str(made)

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Write the record of a job as Hydra does, but without secrets."""
        _unwritten.clear()
        try:
            with signals.prefer_interrupt():  # Hydra only warns of an error
                _note_folders(config)
                is_worker = config.hydra.sweeper.get("_target_") == SEARCH_TARGET
                if not is_worker or config.hydra.mode != RunMode.MULTIRUN:
                    write_record(config, get_content(config))
        except OSError as error:
            if config.task.name not in paths.READ_ONLY_TASKS:
                _unwritten.append(error)


def write_record(config: DictConfig, hydra: Mapping[str, Any]) -> None:
    """Write the record of a job into its folder as Hydra does, but without secrets.

    Args:
        config: of the job, with or without Hydra's own node.
        hydra: the content of Hydra's own node.
    """
    folder = Path(hydra["runtime"]["output_dir"], RECORD)
    folder.mkdir(exist_ok=True)
    content: Any = OmegaConf.to_container(config, resolve=False, enum_to_str=True)
    content.pop("hydra", None)
    overrides = [*mask_all(hydra["overrides"]["task"])]
    parts = {
        "config": format_yaml(content),
        "hydra": "hydra:\n" + indent(format_yaml(hydra), "  "),
        "overrides": OmegaConf.to_yaml(OmegaConf.create(overrides)),
    }
    for name, text in parts.items():
        path = folder / f"{name}.yaml"
        with errors.name_file(path):
            path.write_text(text, encoding="utf-8")


def get_content(config: DictConfig) -> dict[str, Any]:
    """Return the content of Hydra's own node of a composed configuration."""
    content: Any = OmegaConf.to_container(config.hydra, resolve=False, enum_to_str=True)
    return dict(content)


def _note_folders(config: DictConfig) -> None:
    keys = [key for key in ("outputs", "stores") if key in config.paths]
    errors.note_folders({f"paths.{key}": Path(config.paths[key]).absolute() for key in keys})


_unwritten: list[OSError] = []
"""Why the record of the present job could not be written; Hydra only warns of it."""


def require_record() -> None:
    """Raise the error with which the record of the present job could not be written, if any."""
    if _unwritten:
        raise _unwritten.pop()


def load_tracking() -> None:
    """Import what closing the parent run takes, so that an interrupt does not wait for it."""
    from mlflow import MlflowClient  # noqa: F401

    from tagifai.tracking import session  # noqa: F401


def close_parent_run(status: str, reason: str = "") -> None:
    """Close the parent run of this process's multirun, if its jobs have created one.

    Args:
        status: FINISHED, FAILED or KILLED.
        reason: recorded as a tag.

    Raises:
        TrackingError: the store does not answer.
    """
    while _folders:
        from tagifai.tracking import session, store
        from tagifai.utils import locks

        folder, stores, uri = _folders.pop()
        known = _read_parent(folder)
        if known is not None:
            whole = store.complete_uri(known["uri"], uri)
            experiment = store.Experiment(whole, known["experiment"], stores)
            values, best = children.find_best(folder)
            tags = {} if best is None else {"best.run_id": best}
            session.end_run(experiment, known["run_id"], status, reason, values, tags)
            locks.remove_mark(stores / "running", make_lock_key(folder))
    _watched.close()
