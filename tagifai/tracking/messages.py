"""Calls: what is told to another process over a connection, and what comes back.

Calls have numbers from 1 on. Each carries how many failures were known when it was made: what was
told in ignorance of a failure is passed over by the other side, as it would not have been done in
one process.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tagifai.exceptions import TrackingError
from tagifai.utils.signals import block_signals

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

PROCESS_GONE = (
    "The process that records in MLflow has ended before its work was done (was it killed?). Any"
    " later command closes the run as failed."
)


class RPCClient:
    """Calls to the other end of a connection.

    Args:
        connection: to it.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._made = self._failures = 0
        self._results: dict[int, Any] = {}
        self._failed: dict[int, TrackingError] = {}
        self._unraised: TrackingError | None = None

    def send(self, run: int, name: str, *args: Any, **kwargs: Any) -> int:
        """Have something done, without waiting for it, and return the call's number.

        Args:
            run: number of the run to call a method of; 0 is the other side itself.
            name: of the method.
            args: for it.
            kwargs: for it.

        Raises:
            TrackingError: something has gone wrong before.
        """
        while self._poll(0):
            self._receive()
        self._raise_pending()
        self._made += 1
        try:
            with block_signals():
                self._connection.send((self._made, self._failures, run, name, args, kwargs))
        except OSError:
            raise TrackingError(PROCESS_GONE) from None
        return self._made

    def call(self, run: int, name: str, *args: Any, **kwargs: Any) -> Any:
        """Have something done and return its result; arguments and errors as in `tell`."""
        return self.wait_for_result(self.send(run, name, *args, **kwargs))

    def wait_for_result(self, call: int) -> Any:
        """Wait for the result of a call.

        Raises:
            TrackingError: this or another call has failed.
        """
        while call not in self._results:
            self._unraised = self._failed.get(call, self._unraised)
            self._raise_pending()
            self._poll(None)
            self._receive()
        return self._results[call]

    def has_result(self, call: int) -> bool:
        """Return whether the result of a call is here."""
        return call in self._results

    def has_failed(self, call: int) -> bool:
        """Return whether it is known by now that a call has failed."""
        with suppress(TrackingError):  # the other side is gone, which the next call finds out
            while self._poll(0):
                self._receive()
        return call in self._failed

    def close(self) -> None:
        """Let the other side know that there is no more to do."""
        self._connection.close()

    def _raise_pending(self) -> None:
        if self._unraised is not None:
            failure, self._unraised = self._unraised, None
            raise failure

    def _poll(self, timeout: float | None) -> bool:
        try:
            return self._connection.poll(timeout)
        except OSError:
            raise TrackingError(PROCESS_GONE) from None

    def _receive(self) -> None:
        try:
            with block_signals():
                call, failures, result, failure = self._connection.recv()
        except (EOFError, OSError):
            raise TrackingError(PROCESS_GONE) from None
        if failure is None:
            self._results[call] = result
            return
        self._failed[call] = TrackingError(failure)
        if failures > self._failures:
            self._failures, self._unraised = failures, self._failed[call]


def serve_requests(dispatch: Callable[..., Any], connection: Connection) -> None:
    """Do one call after the other until the other end is closed, and send each one's result.

    Args:
        dispatch: called with a run's number, a method's name and arguments; raises `TrackingError`.
        connection: to those who call.
    """
    failures, failure = 0, ""
    while True:
        try:
            call, known, run, name, args, kwargs = connection.recv()
        except (EOFError, OSError):
            return
        result, error = None, None if known == failures else failure
        if error is None:
            try:
                result = dispatch(run, name, *args, **kwargs)
            except TrackingError as raised:
                error = failure = str(raised)
                failures += 1
        with suppress(OSError):  # whoever is gone is not there to be told; the rest is done still
            connection.send((call, failures, result, error))
