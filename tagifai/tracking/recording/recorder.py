"""The recorder of an open run: the tracking store has what it records, or a record on disk."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

from tagifai.exceptions import StoreUnavailableError, TrackingError
from tagifai.tracking.recording import outcome
from tagifai.tracking.recording.operations import Operation, RunSender
from tagifai.tracking.recording.records import PendingRecord, get_folder
from tagifai.utils.secrets import mask

PATIENCE_SECONDS = 4.0
"""For so long a request that failed is sent again; then the run is recorded later."""

log = logging.getLogger(__name__)


class NotAskedError(StoreUnavailableError):
    """The store was not asked: it would not have answered, or has something else to get first."""


class RunRecorder:
    """Sends what a run records while the store answers; from its first failure on all is kept.

    Args:
        stores: the folder of stores.
        uri: of the tracking store.
        create: the operation that makes the run.
        sender: to the run in the store, or None if the store is away.

    Attributes:
        on_kept: called when the run begins to be kept.
    """

    def __init__(
        self, stores: Path, uri: str, create: Operation, sender: RunSender | None = None
    ) -> None:
        self.run_id: str = create["id"] if sender is None else sender.run_id
        self.on_kept: Callable[[], None] = lambda: None
        self._stores = stores
        self._uri = uri
        self._noted = [create if sender is None else {**create, "run_id": sender.run_id}]
        self._sender = sender
        self._record: PendingRecord | None = None
        outcome.note_run(stores, uri, self.run_id)

    @property
    def client(self) -> object | None:
        """The client of the store, or None if what is recorded is kept."""
        return None if self._sender is None or self._record is not None else self._sender.client

    @property
    def is_kept(self) -> bool:
        """Whether the run is recorded later."""
        return self._record is not None

    def send(self, operation: Operation) -> None:
        """Record an operation in the store or, if it fails, on disk.

        Raises:
            TrackingError: neither is possible.
        """
        self._noted.append(operation)
        try:
            if self._record is not None:
                self._record.append(operation, self._noted)
            elif self._sender is not None:
                _send_patiently(self._sender, operation)
        except OSError as error:
            raise self._make_error(error) from error
        except TrackingError as error:
            self.keep(error)

    def keep(self, reason: TrackingError) -> None:
        """Keep all that is noted, and what comes.

        Args:
            reason: why the store did not take it.

        Raises:
            TrackingError: it cannot be written.
        """
        record = PendingRecord(self._stores, self.run_id)
        try:
            record.write(self._noted)
        except OSError as error:
            raise self._make_error(error) from error
        self._record = record
        asked = not isinstance(reason, NotAskedError)
        if asked and isinstance(reason, StoreUnavailableError):
            outcome.note_away(self._uri)
        # What to do about it is to wait.
        what = str(reason).partition(" Check ")[0]
        level = logging.WARNING if outcome.note_kept(what) and asked else logging.INFO
        log.log(level, "%s The run is kept in %s and recorded later.", what, record.folder)
        self.on_kept()

    def _make_error(self, error: OSError) -> TrackingError:
        return TrackingError(
            f"The tracking store {mask(self._uri)} does not answer, and what is to be recorded"
            f" later cannot be written to {get_folder(self._stores)}: {error.strerror or error}."
        )


def _send_patiently(sender: RunSender, operation: Operation) -> None:
    """Send an operation, and after a short failure once more; it may be sent again."""
    until, wait = time.monotonic() + PATIENCE_SECONDS, 0.25
    while True:
        try:
            sender.send(operation)
            return
        except StoreUnavailableError:
            if time.monotonic() + wait > until:
                raise
        sender.again = True
        time.sleep(wait)
        wait *= 2
