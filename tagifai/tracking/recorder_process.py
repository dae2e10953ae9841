"""The other side of `recorder`: the process that executes its calls."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, suppress
from multiprocessing.connection import Connection
from typing import Any

from tagifai.exceptions import TrackingError
from tagifai.tracking import session, store
from tagifai.tracking.messages import serve_requests
from tagifai.tracking.session import TrackedRun
from tagifai.utils.urls import get_sqlite_path


class RecorderProcess:
    """The runs that are open in this process, by number.

    The results of its methods are sent to the recorder's client.
    """

    def __init__(self) -> None:
        self._runs: dict[int, TrackedRun] = {}
        self._open: dict[int, AbstractContextManager[TrackedRun]] = {}

    def dispatch(self, run: int, name: str, *args: Any, **kwargs: Any) -> Any:
        """Call a method of a run, or of this object, which is number 0.

        Raises:
            TrackingError: the call failed.
        """
        with store.translate_errors():
            return getattr(self._runs[run] if run else self, name)(*args, **kwargs)

    def warm_up(self, uri: str) -> None:
        """Import MLflow, and open the database if it exists."""
        path = get_sqlite_path(uri)
        with suppress(Exception):  # opening a run raises it again
            client = store.connect(uri)
            if path is not None and path.exists():
                client.search_experiments(max_results=1)

    def preload(self) -> None:
        """Import what writing a model needs."""
        from tagifai.serving import pyfunc

        pyfunc.build_signature(("text",))

    def open(self, number: int, *settings: Any) -> str:
        """Open a run and mark it."""
        opening = session.open_run(*settings)
        self._runs[number] = opening.__enter__()
        self._open[number] = opening
        return self._runs[number].id

    def release(self, number: int) -> None:
        """Forget a run that was closed, or could not be closed."""
        opening = self._open.pop(number, None)
        if opening is not None:
            opening.__exit__(None, None, None)

    def create(self, number: int, *settings: Any) -> str:
        """Create a run that another process closes."""
        self._runs[number] = session.create_run(*settings)
        return self._runs[number].id

    def reopen(self, number: int, run_id: str, uri: str) -> str:
        """Open a run that is in a store already."""
        self._runs[number] = session.reopen_run(run_id, uri)
        return run_id

    def close_remaining(self) -> None:
        """Close the runs that are still open."""
        for number in list(self._open):
            # A run that cannot be closed keeps its mark, and a later command closes it.
            with suppress(TrackingError):
                self._runs[number].close("FAILED", session.ABANDONED_REASON)
            self.release(number)


def main(descriptor: int) -> None:
    """Execute the calls of a connection until its other end is closed.

    Args:
        descriptor: file descriptor of the connection.
    """
    recorder = RecorderProcess()
    serve_requests(recorder.dispatch, Connection(descriptor))
    recorder.close_remaining()
    os._exit(0)  # the command waits for it, and nothing is left to clean up
