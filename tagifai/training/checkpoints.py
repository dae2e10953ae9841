"""Checkpoints: what a training that was interrupted goes on from.

After every epoch one file takes the place of the one before, in a single step, so that at any
moment a whole one is there. It is read without unpickling, and only if its sum is right.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import platform
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from numpy.random import RandomState

import tagifai
from tagifai.config.schema import Config
from tagifai.exceptions import BundleError, ConfigError
from tagifai.models import skops_files
from tagifai.models.sampling import FeatureRows
from tagifai.training.loop import History, TrainingState
from tagifai.utils import locks
from tagifai.utils.environment import ALL_LIBRARIES, get_versions
from tagifai.utils.files import compute_sha256, replace_atomically

AROUND = ("task", "sweep", "tracking", "console", "cache", "plots", "paths", "metrics")
"""Groups and settings that decide no result."""

WAIT_SECONDS = 3.0
"""As long as the worker processes of a process that was killed may still be there."""

SUM_BYTES = 65
"""Of the first line."""

Show = Callable[[str], None]
"""Takes a sentence for the person who waits."""


def compute_key(config: Config, digest: str) -> str:
    """Return a digest of everything that decides a training's result.

    Args:
        config: of the run.
        digest: of its data set.
    """
    settings = {name: made for name, made in asdict(config).items() if name not in AROUND}
    settings["training"].pop("resume")
    schemas = {name: type(getattr(config, name)).__name__ for name in settings}
    folder = Path(tagifai.__file__).parent
    code = {
        path.relative_to(folder).as_posix(): compute_sha256(path) for path in folder.rglob("*.py")
    }
    machine = (platform.system(), platform.machine())
    whole = [settings, schemas, digest, code, get_versions(ALL_LIBRARIES), machine]
    return hashlib.sha256(json.dumps(whole, sort_keys=True, default=str).encode()).hexdigest()


@contextmanager
def hold(config: Config, digest: str, show: Show) -> Iterator[Checkpoints]:
    """Give the checkpoints of a run for a block, which no other process uses meanwhile.

    Args:
        config: of the run.
        digest: of its data set.
        show: called with what a person wants to know.
    """
    if not config.training.resume:
        yield Checkpoints(None, show)
        return
    stores, key = Path(config.paths.stores), compute_key(config, digest)
    with locks.hold(stores / "running", f"checkpoints-{key}", WAIT_SECONDS) as ours:
        folder = stores / "cache" / "checkpoints" / key
        if not ours:
            show("Another process trains the same now, so this training keeps no checkpoints.")
        yield Checkpoints(folder if ours else None, show)


class Checkpoints:
    """The checkpoints of the trainings of a run.

    Args:
        folder: of their files; None keeps none.
        show: called with what a person wants to know.
    """

    def __init__(self, folder: Path | None, show: Show) -> None:
        self._folder = folder
        self._show = show

    def open(self, name: str) -> CheckpointFile | None:
        """Return the checkpoint of one training, or None if none is to be kept."""
        if self._folder is None:
            return None
        return CheckpointFile(self._folder / f"{name}.skops", self._show)

    def remove(self) -> None:
        """Remove all checkpoints of the run, whose result is safe."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


class CheckpointFile:
    """The file that has the state of a training after its last finished epoch.

    Args:
        path: of the file, whose folder is made with it.
        show: called with what a person wants to know.
    """

    def __init__(self, path: Path, show: Show) -> None:
        self._path = path
        self._show = show
        self._inputs = ""
        self._written = False
        self._failed = False

    def restore(self, state: TrainingState, inputs: Sequence[Any]) -> None:
        """Set the state to the one that was kept of a training with the same inputs, if any.

        Args:
            state: before the first epoch.
            inputs: the unfitted model, and the rows.
        """
        self._inputs = _compute_digest(state.model, inputs)
        try:
            found = _read(self._path)
            if found["inputs"] != self._inputs:
                raise ValueError("it is of other rows or of another model")
            _set_state(state, found)
        except FileNotFoundError:
            return
        except Exception as error:  # of whatever kind: what is read may be anything
            reason = f"{error!s:.200}".rstrip(".") or type(error).__name__
            self._show(f"{self._path} is passed over: {reason}. The training begins anew.")
            return
        self._show(f"Resumed after epoch {state.history.epoch} of a training that was interrupted.")

    def save(self, state: TrainingState) -> None:
        """Keep the state in place of the one before; where that fails, say so once and go on.

        Args:
            state: after an epoch.

        Raises:
            ConfigError: the model is of a kind that cannot be kept.
        """
        history = state.history
        is_best = state.best is None or history.best_epoch == history.epoch
        content = {
            "inputs": self._inputs,
            "history": asdict(history),
            "model": state.model,
            # The model itself is the best one, and need not be kept twice.
            "best": None if is_best else state.best,
            "stream": state.stream,
        }
        try:
            with replace_atomically(self._path, "wb") as file:
                _write(file, content)
            if not self._written:
                skops_files.refuse_untrusted(self._path)
            self._written = True
        except OSError as error:
            if not self._failed:
                self._show(
                    f"No checkpoint can be kept in {self._path.parent} ({error.strerror or error});"
                    " the training goes on, and after an interruption begins with what is there."
                )
            self._failed = True
        except (BundleError, TypeError, ValueError) as error:
            self._path.unlink(missing_ok=True)
            reason = f"{error!s:.400}".replace(str(self._path), "it").rstrip(".")
            raise ConfigError(
                f"training.resume = true: a checkpoint cannot hold {type(state.model).__name__}"
                f" ({reason}). Use training.resume=false, or a model of scikit-learn's."
            ) from None


def _compute_digest(model: Any, inputs: Sequence[Any]) -> str:
    """Return a digest of what a training begins with, the code of the model's class included."""
    import joblib  # late: it brings multiprocessing

    parts = [*map(_take_apart, inputs)]
    with suppress(OSError, TypeError):  # there is none of a class of a notebook
        parts.append(compute_sha256(Path(inspect.getfile(type(model)))))
    return str(joblib.hash(parts, hash_name="sha1"))


def _take_apart(value: Any) -> Any:
    """Return the numbers of rows without what a matrix notes of itself, such as that it is sorted.

    Features from the cache are the same numbers with other notes.
    """
    if not isinstance(value, FeatureRows):
        return value
    X = value.X.tocsr() if hasattr(value.X, "tocsr") else value.X
    numbers = [X.shape, X.data, X.indices, X.indptr] if hasattr(X, "indptr") else [X]
    return [*numbers, value.y, value.groups]


class _SummedFile:
    """A file that has a sum of what is written to it; the model is not copied for it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.sum = hashlib.sha256()

    def write(self, content: Any) -> int:
        self.sum.update(content)
        return self._file.write(content)


def _write(file: IO[bytes], content: Any) -> None:
    """Write a line with the sum of all bytes that follow, and these."""
    file.write(b" " * SUM_BYTES)
    summed = _SummedFile(file)
    skops_files.write_state(summed, content)
    file.seek(0)
    file.write(f"{summed.sum.hexdigest()}\n".encode())


def _read(path: Path) -> Any:
    with path.open("rb") as file:
        expected = file.read(SUM_BYTES)
        if f"{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode() != expected:
            raise ValueError("it is damaged")
    return skops_files.load(path)


def _set_state(state: TrainingState, found: Any) -> None:
    """Set a state to one that was read; sources of randomness stay those that others use, too."""
    history, best, kept = History(**found["history"]), found["best"], vars(found["model"])
    for shared, now in (
        (vars(state.model).get("random_state"), kept.get("random_state")),
        (state.stream, found["stream"]),
    ):
        if isinstance(shared, RandomState):
            shared.set_state(now.get_state())
    if isinstance(kept.get("random_state"), RandomState):
        kept["random_state"] = state.model.random_state
    vars(state.model).clear()
    vars(state.model).update(kept)
    state.history, state.best = history, best
