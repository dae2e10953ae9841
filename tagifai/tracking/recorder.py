"""The recorder: a process that records runs in MLflow while this one goes on computing.

Importing MLflow and opening its store takes as long as a training. The recorder does it on another
processor, and executes calls in the order in which they are sent. It is started for single runs
only; without it, `session` does the same in this process.

What fails in the recorder is raised by the next call for the run, and when it is closed at the
latest. If this process dies, the recorder executes the calls that it has, closes the run and ends.
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
    """The recorder's process, and the runs that it opens.

    Args:
        process: that was started.
        rpc: sends calls to it.
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
        """Let the recorder import MLflow, and open a store."""
        self._calls.send(0, "warm_up", uri)

    def stop(self) -> None:
        """Wait until all calls are done and the process has ended."""
        with ignore_signals():
            if self._runs == 0:
                self._process.kill()  # it may still be importing, although it is not needed
            self._calls.close()
            self._process.wait()


def _send_only(method: Callable[Concatenate[Any, P], None]) -> Callable[Concatenate[Any, P], None]:
    def send(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> None:
        self._raise_if_failed()
        self.rpc.send(self.number, method.__name__, *args, **kwargs)

    return send


def _send_and_wait(method: Callable[Concatenate[Any, P], T]) -> Callable[Concatenate[Any, P], T]:
    def call(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> T:
        self._raise_if_failed()
        found: T = self.rpc.call(self.number, method.__name__, *args, **kwargs)
        return found

    return call


class RemoteRun(TrackedRun):
    """A run that is open in the recorder.

    Methods without a result do not wait for the recorder, except for the run's end. Arguments have
    to be picklable.

    Args:
        rpc: sends calls to the recorder.
        number: of the run.
        opening_call: number of the call that opens the run, whose result is the run's id.
    """

    def __init__(self, rpc: RPCClient, number: int, opening_call: int) -> None:
        self.rpc = rpc
        self.number = number
        self.opening_call = opening_call
        self.status = "FINISHED"

    @property
    def id(self) -> str:  # type: ignore[override]
        """The run's id; it waits until the run is open."""
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
        """Do nothing: calls are not waited for anyway."""
        yield

    def wait_until_open(self) -> None:
        """Wait until the run is open."""
        self.rpc.wait_for_result(self.opening_call)

    def _raise_if_failed(self) -> None:
        """Raise if the run is known not to be open."""
        if self.rpc.has_failed(self.opening_call):
            self.wait_until_open()

    def close(self, status: str, reason: str = "") -> None:
        """Close the run; with a reason, even if it could not be opened."""
        if not (reason and self.rpc.has_failed(self.opening_call)):
            self.rpc.call(self.number, "close", status, reason)


# --- start and stop ----------------------------------------------------------------------------


class _RecorderState:
    may_start = False
    recorder: Recorder | None = None


_state = _RecorderState()


@contextmanager
def allow_start() -> Iterator[None]:
    """Allow a block to start a recorder, which is stopped at the end of the block."""
    _state.may_start = True
    try:
        yield
    finally:
        _state.may_start = False
        if _state.recorder is not None:
            _state.recorder.stop()
            _state.recorder = None


def get_active() -> Recorder | None:
    """Return this process's recorder, or None."""
    return _state.recorder


def start_if_useful(uri: str) -> None:
    """Start a recorder where it saves time, and let it open a store.

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
            process = subprocess.Popen(  # noqa: S603 # nosec B603
                command, stdin=null, stdout=null, stderr=null, pass_fds=[there.fileno()]
            )
        except OSError:
            return None  # as with one processor
    return Recorder(process, RPCClient(here))


def _is_useful() -> bool:
    """Return whether a second process saves time, and would notice the end of this one."""
    from tagifai.utils import process_pool  # late: only a training asks

    return (
        _state.may_start
        and "mlflow" not in sys.modules
        and os.name == "posix"
        and threading.current_thread() is threading.main_thread()
        and process_pool.count_processors() > 1
    )
