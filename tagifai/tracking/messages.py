"""Calls of methods in another process over a connection, and their results.

Calls are numbered from 1 on. Each carries how many failures its sender knew of: the other side
skips calls that were sent before a failure was known, because one process would not have made them.
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
    "The process that records in MLflow ended before its work was done (was it killed?). Any"
    " later command closes the run as failed."
)


class RPCClient:
    """Sends calls to the other end of a connection.

    Args:
        connection: to the process that executes the calls.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._made = self._failures = 0
        self._results: dict[int, Any] = {}
        self._failed: dict[int, TrackingError] = {}
        self._unraised: TrackingError | None = None

    def send(self, run: int, name: str, *args: Any, **kwargs: Any) -> int:
        """Send a call without waiting for its result, and return the call's number.

        Args:
            run: number of the run to call a method of; 0 is the process itself.
            name: of the method.
            args: of the method.
            kwargs: of the method.

        Raises:
            TrackingError: an earlier call has failed, or the process is gone.
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
        """Send a call and return its result; arguments and errors as in `send`."""
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
        """Return whether the result of a call has arrived."""
        return call in self._results

    def has_failed(self, call: int) -> bool:
        """Return whether a call is known to have failed."""
        with suppress(TrackingError):  # the process is gone; the next call raises the error
            while self._poll(0):
                self._receive()
        return call in self._failed

    def close(self) -> None:
        """Close the connection, which tells the other side that there are no more calls."""
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
    """Execute calls until the other end is closed, and send the result of each.

    Args:
        dispatch: called with a run's number, a method's name and arguments; raises `TrackingError`.
        connection: to the client.
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
        with suppress(OSError):  # the client is gone; its remaining calls are still executed
            connection.send((call, failures, result, error))
