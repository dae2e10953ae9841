"""Heartbeats, by which other processes know that a trial is alive.

Optuna sends them only from its own loop, which is not used here.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from optuna.storages import BaseStorage

from tagifai.sweeping.storage import HEARTBEAT_SECONDS, beat, has_heartbeat

log = logging.getLogger(__name__)


class TrialHeartbeat:
    """Sends the heartbeats of the trial that a worker works on, from a thread.

    Args:
        storage: of the trial; without heartbeats, nothing is sent.

    Attributes:
        has_ended: whether the trial is known to have ended, by another process.
    """

    def __init__(self, storage: BaseStorage) -> None:
        self._storage = storage
        self._trial_id: int | None = None
        self._stop = threading.Event()
        self.has_ended = False

    @contextmanager
    def open(self) -> Iterator[TrialHeartbeat]:
        """Send heartbeats in a block, as long as there is a trial."""
        thread = threading.Thread(target=self._beat_until_stopped, daemon=True, name="beats")
        if has_heartbeat(self._storage):
            thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            if thread.is_alive():
                thread.join()

    @contextmanager
    def watch(self, trial_id: int) -> Iterator[None]:
        """Send the heartbeats of a trial in a block."""
        self._trial_id, self.has_ended = trial_id, False
        try:
            yield
        finally:
            self._trial_id = None

    def _beat_until_stopped(self) -> None:
        while not self._stop.wait(HEARTBEAT_SECONDS):
            trial_id = self._trial_id
            if trial_id is None:
                continue
            try:
                if self._storage.get_trial(trial_id).state.is_finished():
                    self.has_ended = self._trial_id == trial_id
                else:
                    beat(self._storage, trial_id)
            except Exception as error:
                # The next one may succeed; without any, the trial counts as dead.
                with suppress(ValueError):  # the log may be closed
                    log.warning("No heartbeat for trial %s: %s", trial_id, error)
