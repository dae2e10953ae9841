"""task=sync: record the runs that were kept because the tracking store was away."""

from __future__ import annotations

from pathlib import Path

from tagifai.config.schema import Config
from tagifai.console.display import Display
from tagifai.exceptions import ConfigError, NotRecordedError
from tagifai.runs.recording import syncing
from tagifai.tracking import store
from tagifai.tracking.recording import records
from tagifai.utils.excerpts import shorten_id

SHOWN = 20
"""Most runs of each kind that are shown."""


def run(config: Config) -> None:
    """Send the records of all runs that are kept, and show what became of each.

    Raises:
        NotRecordedError: some are still kept; the others are recorded.
    """
    if not config.tracking.enabled:
        raise ConfigError("task=sync records runs in a tracking store, and tracking=none has none.")
    display, stores = Display.from_config(config.console), Path(config.paths.stores)
    count = len(records.list_records(stores))
    if not count:
        display.show_result("There is nothing to record.")
        return
    done = 0
    with display.show_step_progress("Run", count) as show:

        def count_up(run_id: str) -> None:
            nonlocal done
            show(done, run_id)
            done += 1

        uri = store.get_tracking_uri(config.tracking.uri)
        result = syncing.send_records(stores, uri, count_up)
    rows = [[*map(shorten_id, pair)] for pair in result.sent.items()]
    if rows:
        columns = ["run", "its id from now on"]
        display.show_table("Recorded", columns, rows[:SHOWN], texts=(0, 1))
    if len(rows) > SHOWN:
        display.show_line(f"... and {len(rows) - SHOWN} more")
    for known, reason in [*result.left.items()][:SHOWN]:
        display.show_fact("Not recorded", f"{known}: {reason}", result=True)
    if result.left:
        raise NotRecordedError(
            f"{len(result.left)} of {count} runs could not be recorded, the first:"
            f" {next(iter(result.left.values()))} The same command tries again; they are kept in"
            f" {records.get_folder(stores)}."
        )
    display.show_result(f"All {count} runs are recorded." if count > 1 else "The run is recorded.")
