from __future__ import annotations

from dataclasses import replace

import pytest

from tagifai.runs import retention
from tagifai.runs.retention import DiskEntry, RemovalCandidate
from tagifai.tracking.inventory import RunInfo

DAY = 86_400.0
NOW = 1000 * DAY


def run(id: str, status: str = "FINISHED", **more: object) -> RunInfo:
    return replace(RunInfo(id, "1", status), **more)  # type: ignore[arg-type]


def item(name: str, days: float, bytes: int = 10) -> DiskEntry:
    return DiskEntry(name, bytes, NOW - days * DAY)


def ids(found: list[RunInfo]) -> list[str]:
    return [run.id for run in found]


def names(found: list[RemovalCandidate]) -> list[str]:
    return [leftover.name for leftover in found]


# --- runs --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "state", "why"),
    [
        ("FAILED", None, "FAILED"),
        ("KILLED", None, "KILLED"),
        ("KILLED", "PRUNED", "PRUNED"),
        ("KILLED", "DIED", "KILLED"),
        ("FAILED", "FAIL", "FAIL"),
        ("FINISHED", "PRUNED", "PRUNED"),
        ("FINISHED", "COMPLETE", None),
        ("FINISHED", None, None),
        ("RUNNING", "RUNNING", None),
        ("RUNNING", "PRUNED", None),
        ("SCHEDULED", None, None),
    ],
)
def test_a_run_is_useless_when_it_ended_without_a_result(
    status: str, state: str | None, why: str | None
) -> None:
    assert retention.get_failure(run("a", status, state=state)) == why


def test_a_deleted_run_is_nothing_to_delete() -> None:
    assert retention.get_failure(run("a", "FAILED", active=False)) is None


def test_what_is_kept_stays_and_the_order_is_that_of_the_runs() -> None:
    found = [run("c", "FAILED"), run("a", "KILLED"), run("b", "FAILED"), run("d")]
    assert ids(retention.select_failed_runs(found, {"b"})) == ["c", "a"]
    assert retention.select_failed_runs([], set()) == []


def test_trials_of_a_search_under_way_are_left_to_it() -> None:
    trial = run("t", "KILLED", state="PRUNED", parent="p")
    assert retention.select_failed_runs([trial, run("p", "RUNNING")], set()) == []
    assert ids(retention.select_failed_runs([trial, run("p")], set())) == ["t"]


@pytest.mark.parametrize("status", ["FINISHED", "RUNNING"])
def test_a_failed_parent_stays_as_long_as_a_child_does(status: str) -> None:
    grown, failed = run("c", status, parent="p"), run("d", "FAILED", parent="p")
    parent = run("p", "KILLED", parent="g")
    family = [run("g", "FAILED"), parent, grown, failed]
    assert ids(retention.select_failed_runs(family, set())) == ["d"]
    without = [member for member in family if member is not grown]
    assert ids(retention.select_failed_runs(without, set())) == ["g", "p", "d"]


# --- models ------------------------------------------------------------------------------------


def test_a_model_is_spare_when_its_run_ended_before_the_latest_was_named() -> None:
    assert retention.is_model_unused(run("a", ended=9.0), set(), 10.0)
    assert retention.is_model_unused(run("a", "FAILED", ended=9.0), set(), 10.0)


@pytest.mark.parametrize(
    ("found", "since"),
    [
        (run("kept", ended=9.0), 10.0),
        (run("a", "RUNNING", ended=9.0), 10.0),
        (run("a", ended=10.0), 10.0),  # about to be named
        (run("a", ended=None), 10.0),
        (run("a", ended=9.0), None),  # none has been named yet
    ],
)
def test_a_model_that_may_be_needed_is_not_spare(found: RunInfo, since: float | None) -> None:
    assert not retention.is_model_unused(found, {"kept"}, since)


# --- output folders ----------------------------------------------------------------------------


def test_folders_are_old_after_so_many_days_and_go_the_oldest_first() -> None:
    found = [item("new", 1), item("older", 50), item("old", 30.5), item("month", 30)]
    going = retention.select_output_folders(found, (), NOW, days=30, max_bytes=None)
    assert names(going) == ["older", "old"]
    assert going[0] == RemovalCandidate("output folders", "older", 10, "50 days", NOW - 50 * DAY)
    assert retention.select_output_folders([], (), NOW, days=0, max_bytes=0) == []


def test_beyond_the_limit_the_oldest_go_until_the_rest_is_below_it() -> None:
    found = [item("a", 3), item("b", 2, bytes=50), item("c", 1)]
    limits = {70: [], 69: ["a"], 60: ["a"], 59: ["a", "b"], 10: ["a", "b"], 0: ["a", "b", "c"]}
    for limit, expected in limits.items():
        assert names(retention.select_output_folders(found, (), NOW, 30, limit)) == expected
    assert retention.select_output_folders(found, (), NOW, 30, 69)[0].why == "beyond task.max_gb"


def test_what_is_old_counts_no_more_towards_the_limit() -> None:
    found = [item("old", 40, bytes=100), item("b", 2), item("c", 1)]
    assert names(retention.select_output_folders(found, (), NOW, 30, 20)) == ["old"]


def test_a_folder_with_a_run_or_changed_within_the_hour_stays_whatever_the_limits() -> None:
    found = [item("busy", 40, bytes=100), item("quiet", 0.05), item("fresh", 0.04)]
    assert names(retention.select_output_folders(found, {"busy"}, NOW, days=0, max_bytes=0)) == [
        "quiet"
    ]


# --- caches and unfinished writes --------------------------------------------------------------


def test_a_cache_goes_after_days_and_an_unfinished_write_after_one() -> None:
    found = [item("a", 0.9), item("b", 1.5), item("c", 31)]
    assert [(x.name, x.kind, x.why) for x in retention.select_caches(found, NOW, 30)] == [
        ("c", "caches", "31 days")
    ]
    assert [(x.name, x.kind, x.why) for x in retention.select_unfinished_writes(found, NOW)] == [
        ("b", "unfinished writes", "36 hours"),
        ("c", "unfinished writes", "31 days"),
    ]


def test_all_caches_go_if_that_is_asked_for() -> None:
    found = retention.select_caches([item("a", 0.9), item("c", 31)], NOW, 30, all_of_them=True)
    assert [(x.name, x.why) for x in found] == [("a", "all caches"), ("c", "all caches")]
