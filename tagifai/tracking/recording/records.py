"""Records of runs that the tracking store could not take: a folder each, to be sent later.

record.jsonl    an operation a line, without secrets; the first one makes the run
files/          copies of the files that belong to it, but for the bundle
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tagifai.exceptions import DamagedFileError
from tagifai.tracking.recording.operations import (
    BUNDLE,
    CREATE,
    END,
    FILE,
    FOLDER,
    LOG,
    MODEL,
    PARENT_ID,
    Operation,
    get_time,
)
from tagifai.utils import locks
from tagifai.utils.files import replace_folder_atomically
from tagifai.utils.secrets import mask_all
from tagifai.utils.state import drafts, reading

FORMAT, RECORD, FILES = 1, "record.jsonl", "files"


def get_folder(stores: Path) -> Path:
    """Return where the records are."""
    return stores / "pending"


def list_records(stores: Path) -> list[PendingRecord]:
    """Return the records of runs that are still to be sent, in no order."""
    folder = get_folder(stores)
    if not folder.is_dir():
        return []
    names = [path.name for path in folder.iterdir() if path.is_dir() and path.name[0] != "."]
    return [PendingRecord(stores, name) for name in sorted(names)]


class PendingRecord:
    """The record of a run.

    Args:
        stores: the folder of stores.
        run_id: that the run has until it is sent, and its folder for good.
    """

    def __init__(self, stores: Path, run_id: str) -> None:
        self.run_id = run_id
        self.folder = get_folder(stores) / run_id
        self._stores = stores

    def exists(self) -> bool:
        """Return whether there is such a record."""
        return self.folder.is_dir()

    def write(self, operations: Sequence[Operation]) -> None:
        """Write a new record, whole or not at all, or add to the one that is there."""
        if self.exists():
            # A line that a killed process has left unfinished is not to swallow the next one.
            self._append([{}, *operations], self.folder)
            return
        with replace_folder_atomically(self.folder) as draft:
            (draft / RECORD).touch()
            self._append(operations, draft)

    def append(self, operation: Operation, noted: Sequence[Operation]) -> None:
        """Add an operation.

        Args:
            operation: that comes next.
            noted: all of them, in case another process has sent and removed the record.
        """
        try:
            self._append([operation], self.folder)
        except FileNotFoundError:
            if self.exists():
                raise
            self.write(noted)

    def _append(self, operations: Sequence[Operation], folder: Path) -> None:
        descriptor = os.open(folder / RECORD, os.O_WRONLY | os.O_APPEND)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            for operation in operations:
                kept = self._keep_file(operation, folder)
                file.write(json.dumps(mask_all(kept)) + "\n" if kept else "\n")
                file.flush()
            if any(operation.get("do") == END for operation in operations):
                os.fsync(file.fileno())

    def _keep_file(self, operation: Operation, folder: Path) -> Operation:
        """Copy what an operation refers to, and return it with the name of the copy."""
        if operation.get("do") not in (FILE, FOLDER):
            return operation
        source = Path(operation["path"])
        copy = folder / FILES / source.name
        copy.parent.mkdir(exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, copy, dirs_exist_ok=True)
        elif source.is_file():
            shutil.copyfile(source, copy)
        return {**operation, "path": source.name}

    def read(self) -> list[Operation]:
        """Return the operations; what a killed process has not finished to write is left out.

        Raises:
            DamagedFileError: it cannot be read, or has no beginning.
        """
        path = self.folder / RECORD
        try:
            text = reading.read_text(path)
        except FileNotFoundError:
            raise DamagedFileError(path, "it is not there") from None
        found = [parsed for line in text.splitlines() if (parsed := _parse(line)) is not None]
        if not found or not _is_beginning(found[0]):
            raise DamagedFileError(path, "it does not begin as a run of this version does")
        return found

    def is_begun(self) -> bool:
        """Return whether the run is in the store already, as far as its record can be read."""
        with suppress(DamagedFileError):
            return self.read()[0]["run_id"] is not None
        return False

    def locate(self, operation: Operation, run_id: str) -> Operation:
        """Return an operation with the path of what it refers to.

        Args:
            operation: as it was read.
            run_id: under which the bundle is now.
        """
        from tagifai.models import bundles  # late: only who sends records needs them

        if operation["do"] in (BUNDLE, MODEL):
            return {**operation, "path": str(bundles.get_path(self._stores, run_id))}
        if operation["do"] in (FILE, FOLDER):
            return {**operation, "path": str(self.folder / FILES / Path(operation["path"]).name)}
        return operation

    def remove(self) -> None:
        """Remove the record; a part of one is never taken for a whole one."""
        with drafts.open_folder(self.folder) as gone:
            self.folder.rename(gone / FILES)


def _is_beginning(operation: Operation) -> bool:
    """Return whether an operation is a whole one that makes a run."""
    texts = [operation.get(key) for key in ("id", "uri", "experiment")]
    or_none = [operation.get(key) for key in ("run_id", "name", "lock")]
    tags = operation.get("tags")
    names = [operation.get("id"), operation.get("lock") or "-"]
    return (
        (operation["do"], operation.get("format")) == (CREATE, FORMAT)
        and type(operation.get("time")) is int
        and all(isinstance(text, str) for text in texts)
        and all(text is None or isinstance(text, str) for text in or_none)
        and isinstance(tags, dict)
        and all(isinstance(text, str) for text in tags.values())
        and all(reading.RUN_ID.fullmatch(str(name)) for name in names)
    )


def _parse(line: str) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and isinstance(found.get("do"), str) else None


def close_dead_trials(stores: Path, parent: str, reasons: Mapping[str, str]) -> None:
    """Have the records of trials that died say so, as far as their jobs could not.

    Args:
        stores: the folder of stores.
        parent: id of the search's run.
        reasons: by the trial's number, why it died.
    """
    for record in list_records(stores):
        with suppress(DamagedFileError), locks.hold(stores / "running", record.run_id) as is_dead:
            read = record.read()
            tags: dict[str, str] = {}
            for operation in read:
                tags |= operation.get("tags", {})
            reason = reasons.get(tags.get("trial.number", ""))
            ended = any(operation["do"] == END for operation in read)
            if is_dead and not ended and reason and tags.get(PARENT_ID) == parent:
                state, time = tags.get("trial.state", "RUNNING"), get_time()
                more = [{"do": LOG, "tags": {"trial.state": "DIED"}}] if state == "RUNNING" else []
                end = {"do": END, "status": "KILLED", "reason": reason, "time": time}
                record.write([*more, end])
