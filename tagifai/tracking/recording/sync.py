"""Send the records of runs that the tracking store could not take, each exactly once."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tagifai.exceptions import StoreUnavailableError, TrackingError, UserError
from tagifai.models import bundles
from tagifai.tracking import store
from tagifai.tracking.recording import operations, records
from tagifai.tracking.recording.operations import (
    ABANDONED_REASON,
    CREATE,
    END,
    PARENT_ID,
    Operation,
    RunSender,
)
from tagifai.tracking.recording.records import PendingRecord
from tagifai.utils import locks
from tagifai.utils.secrets import HIDDEN

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as MlflowRun

SENDING = ".sending"
"""Key of the lock of who sends records."""

LOCK_SECONDS = 5.0
"""For so long another process that sends records is waited for."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SyncResult:
    """What was sent, and what was not.

    Args:
        sent: id in the store by the id that the run had.
        left: why it was not sent, by the run's id.
    """

    sent: dict[str, str] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)


class RecordSync:
    """Sends the records of a folder of stores.

    Args:
        stores: the folder of stores.
        present: URI of the configured store, for records that are without its secret.
        follow: told the id that a run had and the one that it has in the store, as often as it is
            sent; what names the run has to name it by the new one.
    """

    def __init__(self, stores: Path, present: str, follow: Callable[[str, str], None]) -> None:
        self._stores = stores
        self._present = present
        self._follow = follow
        self._result = SyncResult()
        self._clients: dict[str, MlflowClient] = {}
        self._away: dict[str, StoreUnavailableError] = {}

    def send_all(self, on_record: Callable[[str], None] = lambda run_id: None) -> SyncResult:
        """Send all records, parents first; each is removed when its end is in the store.

        Args:
            on_record: told the id of each run before its record is sent.
        """
        if not records.list_records(self._stores):
            return self._result
        folder = records.get_folder(self._stores)
        with locks.hold(folder, SENDING, LOCK_SECONDS) as ours:
            for record in self._order() if ours else ():
                on_record(record.run_id)
                self._try_record(record)
        if not ours:
            for record in records.list_records(self._stores):
                self._result.left[record.run_id] = "Another process is sending it."
        return self._result

    def _order(self) -> list[PendingRecord]:
        """Return the records that can be read: parents first, then by their beginnings."""
        found: list[tuple[bool, int, PendingRecord]] = []
        present = {record.run_id: record for record in records.list_records(self._stores)}
        for record in present.values():
            with self._note_error(record):
                create = record.read()[0]
                is_child = create["tags"].get(PARENT_ID) in present
                found.append((is_child, create["time"], record))
        return [record for *_, record in sorted(found, key=lambda item: item[:2])]

    def _try_record(self, record: PendingRecord) -> None:
        with self._note_error(record):
            lock = record.read()[0]["lock"] or record.run_id
            with locks.hold(self._stores / "running", lock) as ours:
                if not ours:
                    raise TrackingError("It is under way.")
                # Read again: its process may have added to it in the meantime.
                self._result.sent[record.run_id] = self._send(record, record.read())

    @contextmanager
    def _note_error(self, record: PendingRecord) -> Iterator[None]:
        try:
            yield
        except (UserError, OSError, KeyError, TypeError) as error:
            log.info("The record of run %s was not sent: %s", record.run_id, error)
            foreseen = isinstance(error, UserError | OSError)
            self._result.left[record.run_id] = (
                str(error) if foreseen else f"{record.folder} is damaged ({error!r})."
            )

    def _send(self, record: PendingRecord, read: Sequence[Operation]) -> str:
        """Send a record, remove it, and return the run's id in the store."""
        create = read[0]
        uri = store.complete_uri(create["uri"], self._present)
        try:
            client = self._connect(uri)
            run, again = self._find_or_create(client, uri, create)
            run_id = str(run.info.run_id)
            self._move_bundle(record.run_id, run_id)
            if run.info.lifecycle_stage == "active":
                sender = RunSender(client, run_id, run.info.artifact_uri, again=again)
                for operation in read:
                    if operation["do"] not in (CREATE, END):
                        sender.send(record.locate(operation, run_id))
                _send_end(sender, read, run)
            else:
                log.info("Run %s was deleted in the store; its record goes, too.", run_id)
        except StoreUnavailableError as error:
            self._away[uri] = error
            raise
        record.remove()
        return run_id

    def _connect(self, uri: str) -> MlflowClient:
        if HIDDEN in uri:
            raise TrackingError(
                f"It belongs to {uri}, whose secret is not recorded. Give the whole URI:"
                " MLFLOW_TRACKING_URI=..."
            )
        if uri in self._away:
            raise self._away[uri]
        if uri not in self._clients:
            self._clients[uri] = store.connect(uri)
        return self._clients[uri]

    def _find_or_create(
        self, client: MlflowClient, uri: str, create: Operation
    ) -> tuple[MlflowRun, bool]:
        """Return the run in the store, and whether it was there."""
        known = dict.fromkeys(filter(None, (create["run_id"], create["id"])))
        for run_id in known:
            found = operations.find_run(client, run_id)
            if found is not None:
                return found, True
        tags = dict(create["tags"])
        if PARENT_ID in tags:
            tags[PARENT_ID] = self._find_parent(client, tags[PARENT_ID])
        experiment = store.Experiment(uri, create["experiment"], self._stores)
        with operations.ask_once():
            experiment_id = experiment.ensure(client)
        return operations.create_run(client, experiment_id, {**create, "tags": tags}), False

    def _find_parent(self, client: MlflowClient, parent: str) -> str:
        """Return the id of a parent run in the store; its record goes before those of children."""
        if parent not in self._result.sent:
            record = PendingRecord(self._stores, parent)
            if record.exists() and not record.is_begun():
                raise TrackingError(f"Its parent run {parent} comes first, which is not sent yet.")
            found = operations.find_run(client, parent)
            return parent if found is None else str(found.info.run_id)
        return self._result.sent[parent]

    def _move_bundle(self, known: str, run_id: str) -> None:
        """Have the bundle stand where the one of a run with its id in the store does."""
        if known == run_id:
            return
        source, target = (bundles.get_path(self._stores, name) for name in (known, run_id))
        if source.is_dir() and target.is_dir():
            shutil.rmtree(source)
        elif source.is_dir():
            target.parent.mkdir(parents=True, exist_ok=True)
            source.rename(target)
        for folder in (source.parent, source.parent.parent):
            with suppress(OSError):
                folder.rmdir()
        self._follow(known, run_id)


def _send_end(sender: RunSender, read: Sequence[Operation], run: MlflowRun) -> None:
    """Close a run as its record says; without an end it was abandoned by a process that is gone."""
    kinds = [operation["do"] for operation in read]
    begun = len(kinds) - kinds[::-1].index(CREATE)
    ends = [operation for operation in read[begun:] if operation["do"] == END]
    if ends:
        if not ends[-1]["reason"] and "error" in run.data.tags:
            with operations.ask_once():
                sender.client.delete_tag(sender.run_id, "error")
        sender.send(ends[-1])
    elif run.info.status == "RUNNING":
        time = operations.get_time()
        sender.send({"do": END, "status": "FAILED", "reason": ABANDONED_REASON, "time": time})
