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

from tagifai.calls import Calls
from tagifai.errors import TrackingError
from tagifai.signals import deferred, uninterrupted
from tagifai.tracked import Run

if TYPE_CHECKING:
    import subprocess

BEGIN = (
    "import sys; sys.path.insert(0, sys.argv[1]);"
    " from tagifai import desk; desk.main(int(sys.argv[2]))"
)

P = ParamSpec("P")
T = TypeVar("T")


class Clerk:
    """The process, and the runs that it is told to open.

    Args:
        process: that was begun.
        calls: to it.
    """

    def __init__(self, process: subprocess.Popen[bytes], calls: Calls) -> None:
        self._process = process
        self._calls = calls
        self._runs = 0

    @contextmanager
    def opened(self, *settings: Any) -> Iterator[Run]:
        """Open a run for a block that closes it; arguments as of `tracking.opened`."""
        run = self._run("open", *settings)
        self._calls.tell(0, "make_ready")
        try:
            yield run
        finally:
            with suppress(TrackingError):
                self._calls.tell(0, "leave", run.number)

    def create(self, *settings: Any) -> Run:
        """Return a new run; arguments as of `tracking.create`."""
        return self._run("create", *settings)

    def reopened(self, run_id: str, uri: str) -> Run:
        """Return a run that is in a store already."""
        return self._run("reopen", run_id, uri)

    def _run(self, name: str, *settings: Any) -> Delegated:
        self._runs += 1
        opening = self._calls.tell(0, name, self._runs, *settings)
        return Delegated(self._calls, self._runs, opening)

    def look_at(self, uri: str) -> None:
        """Have it import what takes long, and open a store."""
        self._calls.tell(0, "look_at", uri)

    def dismiss(self) -> None:
        """Wait until all is done and the process has ended."""
        with uninterrupted():
            if self._runs == 0:
                self._process.kill()  # it may be importing, for nothing
            self._calls.end()
            self._process.wait()


def _told(method: Callable[Concatenate[Any, P], None]) -> Callable[Concatenate[Any, P], None]:
    def told(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> None:
        self._refuse()
        self.calls.tell(self.number, method.__name__, *args, **kwargs)

    return told


def _asked(method: Callable[Concatenate[Any, P], T]) -> Callable[Concatenate[Any, P], T]:
    def asked(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> T:
        self._refuse()
        found: T = self.calls.ask(self.number, method.__name__, *args, **kwargs)
        return found

    return asked


class Delegated(Run):
    """A run that the clerk has open.

    What returns nothing is told and not waited for, other than the run's end. Arguments have to be
    such that can be pickled.

    Args:
        calls: to the clerk.
        number: of the run.
        opening: number of the call that opens it, whose answer is the run's id.
    """

    def __init__(self, calls: Calls, number: int, opening: int) -> None:
        self.calls = calls
        self.number = number
        self.opening = opening
        self.status = "FINISHED"

    @property
    def id(self) -> str:  # type: ignore[override]
        """The run's id, which may have to be waited for."""
        return str(self.calls.result(self.opening))

    def __str__(self) -> str:
        is_open = not self.calls.has_failed(self.opening) and self.calls.has_result(self.opening)
        return self.id if is_open else "(not open yet)"

    log_params = _told(Run.log_params)
    log_tags = _told(Run.log_tags)
    log_metrics = _told(Run.log_metrics)
    log_epochs = _told(Run.log_epochs)
    log_data = _told(Run.log_data)
    log_file = _told(Run.log_file)
    log_bundle = _told(Run.log_bundle)
    log_folder = _told(Run.log_folder)
    log_model = _asked(Run.log_model)
    model_id = _asked(Run.model_id)
    status_now = _asked(Run.status_now)
    tag = _asked(Run.tag)
    end = _asked(Run.end)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Do without: nobody waits for the calls of a block."""
        yield

    def check(self) -> None:
        """Wait until the run is open."""
        self.calls.result(self.opening)

    def _refuse(self) -> None:
        """Raise if it is known by now that the run could not be opened."""
        if self.calls.has_failed(self.opening):
            self.check()

    def close(self, status: str, reason: str = "") -> None:
        """Close the run; with a reason, also where it could not even be opened."""
        if not (reason and self.calls.has_failed(self.opening)):
            self.calls.ask(self.number, "close", status, reason)


# --- when there is one -------------------------------------------------------------------------


class _Office:
    may_begin = False
    clerk: Clerk | None = None


_office = _Office()


@contextmanager
def allowed() -> Iterator[None]:
    """Let a block begin a clerk, which has ended when the block has."""
    _office.may_begin = True
    try:
        yield
    finally:
        _office.may_begin = False
        if _office.clerk is not None:
            _office.clerk.dismiss()
            _office.clerk = None


def at_work() -> Clerk | None:
    """Return this process's clerk, if it has one."""
    return _office.clerk


def begin(uri: str) -> None:
    """Begin a clerk where that is of use, and have it look at a store.

    Args:
        uri: of the store.
    """
    if _office.clerk is None and _is_of_use():
        _office.clerk = _begun()
        if _office.clerk is not None:
            _office.clerk.look_at(uri)


def _begun() -> Clerk | None:
    import subprocess
    from multiprocessing.connection import Pipe

    here, there = Pipe()
    # Without -P, a module of this name in the working directory would be imported.
    command = [sys.executable, "-P", "-c", BEGIN]
    command += [str(Path(__file__).parent.parent), str(there.fileno())]
    null = subprocess.DEVNULL
    with deferred(), there:
        try:
            process = subprocess.Popen(  # noqa: S603
                command, stdin=null, stdout=null, stderr=null, pass_fds=[there.fileno()]
            )
        except OSError:
            return None  # as where there is one processor
    return Clerk(process, Calls(here))


def _is_of_use() -> bool:
    """Return whether a second process saves time, and whether it would see the command's end."""
    from tagifai import workers  # late: only a training asks

    return (
        _office.may_begin
        and "mlflow" not in sys.modules
        and os.name == "posix"
        and threading.current_thread() is threading.main_thread()
        and workers.processors() > 1
    )
