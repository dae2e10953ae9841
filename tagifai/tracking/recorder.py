"""The clerk: a process that records runs in MLflow while this one goes on computing.

Importing MLflow and opening its store takes as long as a training. The clerk does it on another
processor, and does what it is told in the order in which it is told. It is begun for single runs
only; where there is none, tracking does the same in this process.

What fails at the clerk's is raised here by what is done with the run next, and by its closing at
the latest. If this process dies, the clerk does what it was told, closes the run and ends.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from tagifai.exceptions import TrackingError
from tagifai.tracking.messages import RPCClient
from tagifai.tracking.run import TrackedRun
from tagifai.utils.signals import block_signals, ignore_signals

if TYPE_CHECKING:
    import subprocess

CHILD_CODE = (
    "import sys; sys.path.insert(0, sys.argv[1]);"
    " from tagifai.tracking import recorder_process; recorder_process.main(int(sys.argv[2]))"
)

P = ParamSpec("P")
T = TypeVar("T")


class Recorder:
    """The process, and the runs that it is told to open.

    Args:
        process: that was begun.
        rpc: to it.
    """

    def __init__(self, process: subprocess.Popen[bytes], rpc: RPCClient) -> None:
        self._process = process
        self._calls = rpc
        self._runs = 0

    @contextmanager
    def open_run(self, *settings: Any) -> Iterator[TrackedRun]:
        """Open a run for a block that closes it; arguments as of `session.open_run`."""
        run = self._delegate_run("open", *settings)
        self._calls.send(0, "preload")
        try:
            yield run
        finally:
            with suppress(TrackingError):
                self._calls.send(0, "release", run.number)

    def create_run(self, *settings: Any) -> TrackedRun:
        """Return a new run; arguments as of `session.create_run`."""
        return self._delegate_run("create", *settings)

    def reopen_run(self, run_id: str, uri: str) -> TrackedRun:
        """Return a run that is in a store already."""
        return self._delegate_run("reopen", run_id, uri)

    def _delegate_run(self, name: str, *settings: Any) -> RemoteRun:
        self._runs += 1
        opening = self._calls.send(0, name, self._runs, *settings)
        return RemoteRun(self._calls, self._runs, opening)

    def warm_up(self, uri: str) -> None:
        """Have it import what takes long, and open a store."""
        self._calls.send(0, "warm_up", uri)

    def stop(self) -> None:
        """Wait until all is done and the process has ended."""
        with ignore_signals():
            if self._runs == 0:
                self._process.kill()  # it may be importing, for nothing
            self._calls.close()
            self._process.wait()


def _send_only(method: Callable[Concatenate[Any, P], None]) -> Callable[Concatenate[Any, P], None]:
    def told(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> None:
        self._raise_if_failed()
        self.rpc.send(self.number, method.__name__, *args, **kwargs)

    return told


def _send_and_wait(method: Callable[Concatenate[Any, P], T]) -> Callable[Concatenate[Any, P], T]:
    def asked(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> T:
        self._raise_if_failed()
        found: T = self.rpc.call(self.number, method.__name__, *args, **kwargs)
        return found

    return asked


class RemoteRun(TrackedRun):
    """A run that the clerk has open.

    What returns nothing is told and not waited for, other than the run's end. Arguments have to be
    such that can be pickled.

    Args:
        rpc: to the clerk.
        number: of the run.
        opening_call: number of the call that opens it, whose answer is the run's id.
    """

    def __init__(self, rpc: RPCClient, number: int, opening_call: int) -> None:
        self.rpc = rpc
        self.number = number
        self.opening_call = opening_call
        self.status = "FINISHED"

    @property
    def id(self) -> str:  # type: ignore[override]
        """The run's id, which may have to be waited for."""
        return str(self.rpc.wait_for_result(self.opening_call))

    def __str__(self) -> str:
        is_open = not self.rpc.has_failed(self.opening_call) and self.rpc.has_result(
            self.opening_call
        )
        return self.id if is_open else "(not open yet)"

    log_params = _send_only(TrackedRun.log_params)
    log_tags = _send_only(TrackedRun.log_tags)
    log_metrics = _send_only(TrackedRun.log_metrics)
    log_epochs = _send_only(TrackedRun.log_epochs)
    log_dataset = _send_only(TrackedRun.log_dataset)
    log_file = _send_only(TrackedRun.log_file)
    log_bundle = _send_only(TrackedRun.log_bundle)
    log_folder = _send_only(TrackedRun.log_folder)
    log_model = _send_and_wait(TrackedRun.log_model)
    get_model_id = _send_and_wait(TrackedRun.get_model_id)
    get_status = _send_and_wait(TrackedRun.get_status)
    get_tag = _send_and_wait(TrackedRun.get_tag)
    end = _send_and_wait(TrackedRun.end)

    @contextmanager
    def batch_logging(self) -> Iterator[None]:
        """Do without: nobody waits for the calls of a block."""
        yield

    def wait_until_open(self) -> None:
        """Wait until the run is open."""
        self.rpc.wait_for_result(self.opening_call)

    def _raise_if_failed(self) -> None:
        """Raise if it is known by now that the run could not be opened."""
        if self.rpc.has_failed(self.opening_call):
            self.wait_until_open()

    def close(self, status: str, reason: str = "") -> None:
        """Close the run; with a reason, also where it could not even be opened."""
        if not (reason and self.rpc.has_failed(self.opening_call)):
            self.rpc.call(self.number, "close", status, reason)


# --- when there is one -------------------------------------------------------------------------


class _RecorderState:
    may_start = False
    recorder: Recorder | None = None


_state = _RecorderState()


@contextmanager
def allow_start() -> Iterator[None]:
    """Let a block begin a clerk, which has ended when the block has."""
    _state.may_start = True
    try:
        yield
    finally:
        _state.may_start = False
        if _state.recorder is not None:
            _state.recorder.stop()
            _state.recorder = None


def get_active() -> Recorder | None:
    """Return this process's clerk, if it has one."""
    return _state.recorder


def start_if_useful(uri: str) -> None:
    """Begin a clerk where that is of use, and have it look at a store.

    Args:
        uri: of the store.
    """
    if _state.recorder is None and _is_useful():
        _state.recorder = _start_process()
        if _state.recorder is not None:
            _state.recorder.warm_up(uri)


def _start_process() -> Recorder | None:
    import subprocess
    from multiprocessing.connection import Pipe

    here, there = Pipe()
    # Without -P, a module of this name in the working directory would be imported.
    command = [sys.executable, "-P", "-c", CHILD_CODE]
    command += [str(Path(__file__).parents[2]), str(there.fileno())]
    null = subprocess.DEVNULL
    with block_signals(), there:
        try:
            process = subprocess.Popen(  # noqa: S603
                command, stdin=null, stdout=null, stderr=null, pass_fds=[there.fileno()]
            )
        except OSError:
            return None  # as where there is one processor
    return Recorder(process, RPCClient(here))


def _is_useful() -> bool:
    """Return whether a second process saves time, and whether it would see the command's end."""
    from tagifai.utils import process_pool  # late: only a training asks

    return (
        _state.may_start
        and "mlflow" not in sys.modules
        and os.name == "posix"
        and threading.current_thread() is threading.main_thread()
        and process_pool.count_processors() > 1
    )
