"""The parent run of a multirun: its first job creates it, and its end closes it; records of jobs.

Hydra loads this module before every command, so it imports late what only a multirun needs.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from tagifai.config.job import get_job
from tagifai.utils import program
from tagifai.utils.files import is_writable
from tagifai.utils.secrets import mask, mask_all

if TYPE_CHECKING:
    from tagifai.config.schema import Config

PARENT_RUN_VARIABLE = "TAGIFAI_PARENT_RUN"
"""Variable by which a search tells its jobs the id of their parent run."""


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
    from filelock import FileLock

    from tagifai.tracking import session, store
    from tagifai.utils import locks
    from tagifai.utils.files import write_json

    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".parent.lock"):
        known = _read_parent(folder)
        experiment = store.Experiment.from_config(config)
        if known is not None and known["uri"] == mask(experiment.uri):
            return str(known["run_id"])
        made = session.create_run(
            experiment,
            folder.name,
            {
                "sweep.dir": str(folder),
                "command": program.get_command(),
                **config.tracking.tags,
            },
        )
        write_json(folder / "parent_run.json", {"run_id": made.id, "uri": experiment.uri})
        running = experiment.stores / "running"
        locks.write_mark(running, make_lock_key(folder), made.id, experiment.uri)
        return made.id


def _read_parent(folder: Path) -> dict[str, str] | None:
    try:
        found = json.loads((folder / "parent_run.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return dict(found)


def make_lock_key(folder: Path) -> str:
    """Return the name of the mark, and of its lock, of a multirun with a folder."""
    return "sweep-" + hashlib.sha256(str(folder).encode()).hexdigest()[:16]


_watched = ExitStack()
_folders: list[tuple[Path, Path, str]] = []
"""Folders of this process's multiruns, each with its stores and the URI of its tracking store."""


RECORD = ".hydra"
"""Folder of Hydra's record of a job, in the job's own."""


class MultirunCallback(Callback):
    """Notes the folder of a multirun, and holds a lock while its process lives; records jobs.

    It neither creates nor ends a run, because Hydra only warns of errors in a callback.
    """

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Note the folder."""
        from tagifai.tracking import store
        from tagifai.utils import locks

        folder = Path(config.hydra.sweep.dir).absolute()
        stores = Path(config.paths.stores).absolute()
        if not is_writable(stores):
            return  # the jobs, or the search, raise the error
        if _watched.enter_context(locks.hold(stores / "running", make_lock_key(folder))):
            # An existing file belongs to an earlier multirun with the same folder.
            (folder / "parent_run.json").unlink(missing_ok=True)
            _folders.append(
                (
                    folder,
                    stores,
                    store.get_tracking_uri(str(OmegaConf.select(config, "tracking.uri") or "")),
                )
            )

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Write the record of a job as Hydra does, but without secrets."""
        folder = Path(config.hydra.runtime.output_dir, RECORD)
        folder.mkdir(exist_ok=True)
        content: Any = OmegaConf.to_container(config, resolve=False, enum_to_str=True)
        masked = mask_all(content)
        # Making a configuration anew takes longer than writing it.
        shown = config if masked == content else OmegaConf.create(masked)
        parts = {
            "config": OmegaConf.masked_copy(shown, [str(key) for key in shown if key != "hydra"]),
            "hydra": OmegaConf.masked_copy(shown, ["hydra"]),
            "overrides": shown.hydra.overrides.task,
        }
        for name, part in parts.items():
            (folder / f"{name}.yaml").write_text(OmegaConf.to_yaml(part), encoding="utf-8")


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
            session.reopen_run(known["run_id"], whole).end(status, reason)
            locks.remove_mark(stores / "running", make_lock_key(folder))
    _watched.close()
