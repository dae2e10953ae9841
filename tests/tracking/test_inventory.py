"""Which runs are failed, and which models are not used, by what the store says of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tagifai.tracking import inventory
from tagifai.tracking.inventory import RunInfo


def run(id: str, status: str = "FINISHED", **more: object) -> RunInfo:
    return replace(RunInfo(id, "1", status), **more)  # type: ignore[arg-type]


def ids(found: list[RunInfo]) -> list[str]:
    return [run.id for run in found]


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
    assert run("a", status, state=state).failure == why


def test_a_deleted_run_is_nothing_to_delete() -> None:
    assert run("a", "FAILED", active=False).failure is None


def test_what_is_kept_stays_and_the_order_is_that_of_the_runs() -> None:
    found = [run("c", "FAILED"), run("a", "KILLED"), run("b", "FAILED"), run("d")]
    assert ids(inventory.select_failed_runs(found, {"b"})) == ["c", "a"]
    assert inventory.select_failed_runs([], set()) == []


def test_trials_of_a_search_under_way_are_left_to_it() -> None:
    trial = run("t", "KILLED", state="PRUNED", parent="p")
    assert inventory.select_failed_runs([trial, run("p", "RUNNING")], set()) == []
    assert ids(inventory.select_failed_runs([trial, run("p")], set())) == ["t"]


@pytest.mark.parametrize("status", ["FINISHED", "RUNNING"])
def test_a_failed_parent_stays_as_long_as_a_child_does(status: str) -> None:
    grown, failed = run("c", status, parent="p"), run("d", "FAILED", parent="p")
    parent = run("p", "KILLED", parent="g")
    family = [run("g", "FAILED"), parent, grown, failed]
    assert ids(inventory.select_failed_runs(family, set())) == ["d"]
    without = [member for member in family if member is not grown]
    assert ids(inventory.select_failed_runs(without, set())) == ["g", "p", "d"]


# --- models ------------------------------------------------------------------------------------


def test_a_model_is_spare_when_its_run_ended_before_the_latest_was_named() -> None:
    assert inventory.is_model_unused(run("a", ended=9.0), set(), 10.0)
    assert inventory.is_model_unused(run("a", "FAILED", ended=9.0), set(), 10.0)


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
    assert not inventory.is_model_unused(found, {"kept"}, since)
