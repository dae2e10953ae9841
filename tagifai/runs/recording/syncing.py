"""Runs that were recorded on disk because the tracking store was away: they are sent to it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tagifai.config import paths
from tagifai.exceptions import DamagedFileError, NotRecordedError
from tagifai.tracking.recording import outcome
from tagifai.utils import program

if TYPE_CHECKING:
    from tagifai.tracking.recording.outcome import CommandOutcome
    from tagifai.tracking.recording.sync import SyncResult

log = logging.getLogger(__name__)


def send_records(
    stores: Path, uri: str, on_record: Callable[[str], None] = lambda run_id: None
) -> SyncResult:
    """Send the records of all runs that are kept, and name their models by their new ids.

    Args:
        stores: the folder of stores.
        uri: of the configured tracking store.
        on_record: told the id of each run before its record is sent.
    """
    # Late, as below: every command asks this module at its end.
    from tagifai.runs import latest
    from tagifai.tracking.recording.sync import RecordSync

    return RecordSync(stores, uri, partial(latest.rename_run, stores)).send_all(on_record)


def settle() -> None:
    """Send what is kept to the stores that this command has reached; end its outcome.

    Raises:
        NotRecordedError: a run of this command is kept still.
    """
    with outcome.take_present() as found:
        left: list[Path] = []
        reason = found.reason
        for stores, uri in found.stores:
            if not outcome.is_away(uri):
                result = send_records(stores, uri, _SaidOnce())
                reason = next(iter(result.left.values()), reason)
            left += _list_own(stores, found)
        if left:
            runs = "The run is" if len(left) == 1 else f"{len(left)} runs are"
            where = left[0] if len(left) == 1 else left[0].parent
            raise NotRecordedError(
                f"{runs} trained and kept, and not recorded yet: {reason} What is to be recorded is"
                f" in {where}. The next run that reaches the tracking store records it; so does:"
                f" {_make_command(where)}"
            )


def _make_command(record: Path) -> str:
    """Return the command that records what is kept."""
    stores = next(folder.parent for folder in (record, *record.parents) if folder.name == "pending")
    is_default = stores == paths.get_root() / "stores"
    return program.format_call("task=sync", *([] if is_default else [f"paths.stores={stores}"]))


class _SaidOnce:
    """Says that records are sent, which may take a while, before the first one."""

    said = False

    def __call__(self, run_id: str) -> None:
        if not self.said:
            log.warning("The tracking store answers: runs that were kept are recorded now.")
        self.said = True


def _list_own(stores: Path, found: CommandOutcome) -> list[Path]:
    """Return the records of runs of this command, and of their children."""
    from tagifai.tracking.recording import operations, records

    own = []
    for record in records.list_records(stores):
        try:
            parent = record.read()[0]["tags"].get(operations.PARENT_ID)
        except DamagedFileError:
            parent = None
        if not found.runs.isdisjoint((record.run_id, parent)):
            own.append(record.folder)
    return own
