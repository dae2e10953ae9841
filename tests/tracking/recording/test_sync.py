from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from tagifai.exceptions import StoreUnavailableError, TrackingError
from tagifai.models import bundles
from tagifai.runs import resolve
from tagifai.tracking import session, store
from tagifai.tracking.recording import beginning, operations, outcome, records
from tagifai.tracking.recording.operations import RunSender
from tagifai.tracking.recording.records import PendingRecord
from tagifai.tracking.recording.sync import RecordSync
from tagifai.tracking.store import Experiment
from tagifai.utils import locks
from tests.servers import FAULTS, fail_at, fail_from
from tests.tracking.recording.conftest import Place, check_whole, trained

REQUESTS = 24
"""More than a run of these tests sends."""

MEAN = [(number, "lost") for number in range(REQUESTS)]
"""Every answer is lost once, though the server has done what it was asked to."""

QUICK = [fault for fault in FAULTS if fault not in ("lost", "mute", "slow", "lie")]
OTHERS = [(number, fault) for n, fault in enumerate(QUICK) for number in range(n, REQUESTS, 3)]
# What answers with a page before a run is made is no tracking store, and is refused.
OTHERS += [(number, "lie") for number in range(7, REQUESTS, 4)]


def away(place: Place, **given: Any) -> str:
    """Train while the server is away, and have it come back."""
    place.proxy.stop()
    run_id = trained(place, **given)
    place.proxy.start()
    place.heal()
    return run_id


# --- runs that the store does not take ---------------------------------------------------------


def test_a_run_that_nothing_happens_to_is_whole_and_nothing_is_kept(place: Place) -> None:
    run_id = trained(place)
    assert place.run().info.run_id == run_id
    check_whole(place, place.run())
    assert place.kept() == []
    assert len(place.proxy.asked) <= REQUESTS


def test_a_run_whose_server_is_away_is_kept_and_sent_once(place: Place) -> None:
    run_id = away(place)
    assert place.kept() == [run_id]
    assert place.runs() == []
    result = place.sync()
    (sent,) = result.sent.values()
    assert (result.left, place.kept()) == ({}, [])
    assert place.run().info.run_id == sent
    assert place.run().data.tags["tagifai.id"] == run_id
    check_whole(place, place.run())
    assert place.sync().sent == {}


@pytest.mark.parametrize(("number", "fault"), MEAN + OTHERS)
def test_a_run_whose_server_fails_from_any_request_on_is_sent_later_and_is_whole(
    place: Place, number: int, fault: str
) -> None:
    place.proxy.plan = fail_from(number, fault)
    trained(place)
    kept = place.kept()
    place.heal()
    assert list(place.sync().sent) == kept
    check_whole(place, place.run())


@pytest.mark.parametrize(("number", "fault"), [(1, "mute"), (5, "mute"), (2, "slow")])
def test_a_server_that_does_not_answer_or_is_slow_is_no_end_of_a_run(
    place: Place, number: int, fault: str
) -> None:
    place.proxy.plan, place.proxy.delay = fail_from(number, fault), 0.2
    trained(place)
    assert len(place.kept()) == (fault == "mute")
    place.heal()
    place.sync()
    check_whole(place, place.run())


@pytest.mark.parametrize("number", range(1, REQUESTS, 3))
def test_one_answer_that_is_lost_is_asked_for_again_and_nothing_is_kept(
    place: Place, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tagifai.tracking.recording.recorder.PATIENCE_SECONDS", 4.0)
    place.proxy.plan = fail_at(number, "lost")
    trained(place)
    kept = place.kept()
    # Of what comes before the run there is no second try: it is kept without one.
    assert kept == [] if number > 2 else len(kept) <= 1
    place.heal()
    place.sync()
    check_whole(place, place.run())


# --- a sync that is cut short ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "fault"), [(n, ("lost", "refuse")[n % 2]) for n in range(REQUESTS + 4)]
)
def test_a_sync_that_the_server_cuts_short_is_finished_by_the_next(
    place: Place, number: int, fault: str
) -> None:
    run_id = away(place)
    place.proxy.plan = fail_from(len(place.proxy.asked) + number, fault)
    first = place.sync()
    assert list(first.left or first.sent) == [run_id]
    place.heal()
    place.sync()
    check_whole(place, place.run())
    assert place.kept() == []


class Killed(BaseException):
    """What a kill would be."""


STEPS: dict[str, tuple[Any, str]] = {
    "created": (operations, "create_run"),
    "moved": (RunSender, "__init__"),
    "logged": (MlflowClient, "log_batch"),
    "data": (MlflowClient, "log_inputs"),
    "model made": (MlflowClient, "create_logged_model"),
    "model sent": (MlflowClient, "log_model_artifacts"),
    "model ready": (MlflowClient, "finalize_logged_model"),
    "output": (MlflowClient, "log_outputs"),
    "file": (MlflowClient, "log_artifact"),
    "folder": (MlflowClient, "log_artifacts"),
    "end": (MlflowClient, "set_terminated"),
    "removed": (PendingRecord, "remove"),
}


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("step", STEPS)
def test_a_sync_that_is_killed_at_any_step_is_finished_by_the_next(
    place: Place, step: str, before: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*arguments: Any, **more: Any) -> None:
        if not before:
            original(*arguments, **more)
        raise Killed

    run_id = away(place)
    owner, name = STEPS[step]
    original = getattr(owner, name)
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, killed)
        with pytest.raises(Killed):
            place.sync()
    place.sync()
    check_whole(place, place.run())
    assert place.kept() == []
    sent = place.run().info.run_id
    assert resolve.find(place.stores, None, place.proxy.url)[0] == sent
    assert resolve.find(place.stores, run_id, place.proxy.url)[0] == sent


def test_a_server_that_was_slow_to_make_a_run_and_made_two_has_one_in_the_end(
    place: Place,
) -> None:
    run_id = away(place)
    create = PendingRecord(place.stores, run_id).read()[0]
    client = store.connect(place.proxy.url)
    experiment_id = place.experiment.ensure(client)
    for _ in range(2):
        operations.create_run(client, experiment_id, create)
    place.sync()
    (run,) = [run for run in place.runs() if run.info.lifecycle_stage == "active"]
    check_whole(place, run)


# --- ids ---------------------------------------------------------------------------------------


def test_the_model_of_a_run_that_was_sent_is_found_by_either_id(place: Place) -> None:
    run_id = away(place)
    assert resolve.find(place.stores, None, None)[0] == run_id
    assert resolve.find(place.stores, run_id, None)[1].is_dir()
    place.sync()
    sent = place.run().info.run_id
    assert resolve.get_latest(place.stores) == sent
    for known in (run_id, sent, None):
        found, bundle = resolve.find(place.stores, known, place.proxy.url)
        assert (found, bundle) == (sent, bundles.get_path(place.stores, sent))
        assert (bundle / "part").read_text() == "weights"
    assert not (place.stores / "artifacts" / run_id).exists()


def test_a_later_run_stays_the_latest_when_an_earlier_one_is_sent(place: Place) -> None:
    away(place)
    later = trained(place)
    place.sync()
    assert resolve.get_latest(place.stores) == later


def test_a_run_that_had_begun_keeps_its_id(place: Place) -> None:
    place.proxy.plan = fail_from(8, "error")
    run_id = trained(place)
    place.heal()
    assert place.sync().sent == {run_id: run_id}
    assert place.run().info.run_id == run_id


# --- parents and children ----------------------------------------------------------------------


def searched(place: Place, resumed: str | None = None) -> tuple[str, str]:
    """Search with one trial, and return the ids of the search's run and of its trial's."""
    with session.start_run(place.experiment, "search", {"study": "s"}, resumed=resumed) as parent:
        tags = {"mlflow.parentRunId": parent.id, "trial.number": "0"}
        with session.start_run(place.experiment, "trial", tags) as child:
            child.log_metrics({"val_f1": 0.5})
    return parent.id, child.id


def test_children_belong_to_their_parent_after_both_are_sent(place: Place) -> None:
    place.proxy.stop()
    parent, child = searched(place)
    assert sorted(place.kept()) == sorted([parent, child])
    place.proxy.start()
    place.heal()
    sent = place.sync().sent
    assert set(sent) == {parent, child}
    assert place.client.get_run(sent[child]).data.tags["mlflow.parentRunId"] == sent[parent]


def test_a_child_whose_parent_is_not_sent_yet_waits_for_it(place: Place) -> None:
    place.proxy.stop()
    parent, child = searched(place)
    place.proxy.start()
    place.heal()
    with locks.hold(place.stores / "running", parent):
        result = place.sync()
    assert (result.sent, set(result.left)) == ({}, {parent, child})
    assert place.runs() == []
    assert set(place.sync().sent) == {parent, child}


def test_a_child_that_is_sent_after_its_parent_was_finds_it(place: Place) -> None:
    place.proxy.stop()
    _, child = searched(place)
    place.proxy.start()
    place.heal()
    with locks.hold(place.stores / "running", child):
        (sent,) = place.sync().sent.values()
    (later,) = place.sync().sent.values()
    assert place.client.get_run(later).data.tags["mlflow.parentRunId"] == sent


def test_a_trial_of_a_search_that_is_kept_does_not_ask_the_store(place: Place) -> None:
    place.proxy.stop()
    with session.start_run(place.experiment, "search") as parent:
        place.proxy.start()
        place.heal()
        with session.start_run(place.experiment, None, {"mlflow.parentRunId": parent.id}) as run:
            assert run.is_kept
    assert place.proxy.asked == []


def test_a_trial_of_a_search_whose_run_is_in_the_store_is_recorded_at_once(place: Place) -> None:
    with session.start_run(place.experiment, "search") as parent:
        place.proxy.stop()
        parent.log_tags({"a": 1})
        assert parent.is_kept
        place.proxy.start()
        place.heal()
        with session.start_run(place.experiment, None, {"mlflow.parentRunId": parent.id}) as run:
            assert not run.is_kept


def test_a_search_goes_on_with_its_run_while_it_is_kept_and_after_it_was_sent(
    place: Place,
) -> None:
    place.proxy.stop()
    parent, _ = searched(place)
    assert searched(place, parent)[0] == parent
    place.proxy.start()
    place.heal()
    assert searched(place, parent)[0] == parent  # its record comes first
    sent = place.sync().sent[parent]
    assert searched(place, parent)[0] == sent
    runs = {run.info.run_id: run for run in place.runs()}
    assert runs.pop(sent).info.status == "FINISHED"
    assert [run.data.tags["mlflow.parentRunId"] for run in runs.values()] == [sent] * 4


def test_a_search_whose_run_is_in_the_store_goes_on_with_it_while_the_store_is_away(
    place: Place,
) -> None:
    parent, _ = searched(place)
    place.proxy.stop()
    assert searched(place, parent)[0] == parent
    place.proxy.start()
    place.heal()
    place.sync()
    children = [run for run in place.runs() if "mlflow.parentRunId" in run.data.tags]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent}
    assert len(place.runs()) == 3


# --- how runs end ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "status"), [(ValueError("no"), "FAILED"), (KeyboardInterrupt(), "KILLED")]
)
def test_a_run_that_is_kept_ends_as_it_ended(
    place: Place, error: BaseException, status: str
) -> None:
    place.proxy.stop()
    with pytest.raises(type(error)), session.start_run(place.experiment):
        raise error
    place.proxy.start()
    place.heal()
    place.sync()
    run = place.run()
    assert run.info.status == status
    assert run.data.tags["error"] == ("ValueError: no" if status == "FAILED" else "Interrupted.")


def test_times_are_those_of_the_run_and_not_of_its_sending(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        clock = iter(range(1000, 2000))
        patch.setattr(operations, "get_time", lambda: next(clock))
        away(place)
    place.sync()
    run = place.run()
    assert run.info.start_time == 1000
    assert 1000 < int(run.info.end_time or 0) < 2000
    (point,) = place.client.get_metric_history(run.info.run_id, "test_f1")
    assert 1000 < point.timestamp < 2000


def abandon(place: Place) -> str:
    """Leave a run as a process does that is killed while the server is away."""
    place.proxy.stop()
    with session.start_run(place.experiment, "first") as run:
        run.log_metrics({"m": 0.5})
        record = PendingRecord(place.stores, run.id).folder / "record.jsonl"
        kept = record.read_text()
    record.write_text(kept)
    place.proxy.start()
    place.heal()
    return run.id


def test_a_kept_run_whose_process_is_gone_is_failed_with_what_it_had(place: Place) -> None:
    run_id = abandon(place)
    path = PendingRecord(place.stores, run_id).folder / "record.jsonl"
    path.write_text(path.read_text() + '{"do": "log", "met')  # it was killed while it wrote
    place.sync()
    run = place.run()
    assert (run.info.status, run.data.metrics) == ("FAILED", {"m": 0.5})
    assert run.data.tags["error"].startswith("The process ended unexpectedly")


def test_a_run_that_is_under_way_is_left_alone(place: Place) -> None:
    place.proxy.stop()
    with session.start_run(place.experiment) as run:
        place.proxy.start()
        place.heal()
        assert place.sync().left == {run.id: "It is under way."}
        assert not session.close_abandoned_runs(place.stores)
    assert list(place.sync().sent) == [run.id]


def test_what_is_recorded_after_a_record_was_sent_is_sent_too(place: Place) -> None:
    run_id = abandon(place)
    recorder = beginning.make_recorder(place.experiment, resumed=run_id)
    assert recorder.is_kept
    place.sync()
    recorder.send({"do": "log", "tags": {"later": "1"}})
    assert place.kept() == [run_id]
    place.sync()
    assert place.run().data.tags["later"] == "1"


DAMAGED = [
    *(b"", b"\xff\xfe\x00", b"[]\n", b"{}\n", b'{"do": "create"}\n'),
    b'{"do": "create", "format": 1, "id": "../x", "time": 1, "tags": {}, "uri": "u"}\n',
]


# --- what is not sent --------------------------------------------------------------------------


def test_a_run_that_was_deleted_in_the_store_is_not_made_again(place: Place) -> None:
    place.proxy.plan = fail_from(8, "error")
    run_id = trained(place)
    place.client.delete_run(run_id)
    place.heal()
    place.sync()
    assert place.kept() == []
    assert place.run().info.lifecycle_stage == "deleted"


@pytest.mark.parametrize("content", DAMAGED)
def test_a_record_that_is_damaged_is_named_and_the_others_are_sent(
    place: Place, content: bytes
) -> None:
    run_id = away(place)
    folder = place.stores / "pending" / "damaged"
    folder.mkdir()
    (folder / "record.jsonl").write_bytes(content)
    result = place.sync()
    assert list(result.sent) == [run_id]
    assert result.left["damaged"].startswith(f"{folder}/record.jsonl cannot be read: ")


@pytest.mark.parametrize(
    "line", ['{"do": "file"}', '{"do": "nothing"}', '{"do": "log", "metrics": 1}', '{"do": "end"}']
)
def test_a_record_with_an_operation_that_is_none_is_named_and_stays(
    place: Place, line: str
) -> None:
    run_id = away(place)
    other = away(place)
    path = PendingRecord(place.stores, run_id).folder / "record.jsonl"
    path.write_text(path.read_text() + line + "\n")
    result = place.sync()
    assert (list(result.left), list(result.sent)) == ([run_id], [other])
    assert place.kept() == [run_id]


def test_a_run_begins_although_the_record_of_its_search_is_damaged(place: Place) -> None:
    place.proxy.stop()
    parent, _ = searched(place)
    (PendingRecord(place.stores, parent).folder / "record.jsonl").write_bytes(b"\0")
    with session.start_run(place.experiment, None, {"mlflow.parentRunId": parent}) as run:
        assert run.is_kept


def test_a_trial_that_died_while_the_store_was_away_says_so_when_it_is_recorded(
    place: Place,
) -> None:
    place.proxy.stop()
    with session.start_run(place.experiment, "search") as parent:
        numbers = ("0", "1", "2")
        ids = {}
        for number in numbers:
            tags = {"mlflow.parentRunId": parent.id, "trial.number": number}
            with session.start_run(place.experiment, f"trial-{number}", tags) as run:
                ids[number] = run.id
                path = PendingRecord(place.stores, run.id).folder / "record.jsonl"
                unfinished = path.read_text()
            if number != "2":
                path.write_text(unfinished)
        with locks.hold(place.stores / "running", ids["1"]):
            reasons = dict.fromkeys(numbers, "killed")
            records.close_dead_trials(place.stores, parent.id, reasons)
    place.proxy.start()
    place.heal()
    place.sync()
    found = {run.info.run_name: run for run in place.runs()}
    died = found["trial-0"]
    assert (died.info.status, died.data.tags["trial.state"]) == ("KILLED", "DIED")
    assert died.data.tags["error"] == "killed"
    assert found["trial-1"].info.status == "FAILED"  # it lived then, and was gone later
    assert found["trial-2"].info.status == "FINISHED"


def test_the_record_of_another_store_is_sent_there(place: Place) -> None:
    other = Experiment(f"sqlite:///{place.stores}/mlflow.db", "mine", place.stores)
    create = beginning._describe_run(other, "elsewhere")
    PendingRecord(place.stores, create["id"]).write([create])
    place.sync()
    client = MlflowClient(other.uri)
    found = client.get_experiment_by_name("mine")
    assert found is not None
    (run,) = client.search_runs([found.experiment_id])
    assert (run.info.run_name, place.runs()) == ("elsewhere", [])


def test_a_record_whose_store_needs_a_secret_waits_for_who_has_it(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_secret = place.proxy.url.replace("://", "://me:secret123@")
    place.proxy.stop()
    with session.start_run(Experiment(with_secret, "e", place.stores)) as run:
        pass
    place.proxy.start()
    place.heal()
    record = PendingRecord(place.stores, run.id)
    assert "secret123" not in (record.folder / "record.jsonl").read_text()
    assert "whose secret is not recorded" in place.sync().left[run.id]
    asked: list[str] = []

    def connect(uri: str) -> MlflowClient:
        asked.append(uri)
        raise StoreUnavailableError("away")

    monkeypatch.setattr(store, "connect", connect)
    RecordSync(place.stores, with_secret, lambda known, run_id: None).send_all()
    assert asked == [with_secret]


def test_no_secret_gets_into_a_record(place: Place) -> None:
    place.proxy.stop()
    with session.start_run(place.experiment, tags={"made": "postgresql://me:pw@host/db"}) as run:
        run.log_params({"url": "postgresql://me:pw@host/db"})
        run.log_dataset("mine", "ab", "https://me:pw@host/a.csv", {})
    text = (PendingRecord(place.stores, run.id).folder / "record.jsonl").read_text()
    assert "pw" not in text
    assert "me:***@host" in text


# --- a store that is away ----------------------------------------------------------------------


def test_a_store_that_was_away_is_not_asked_again_for_a_minute(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.proxy.plan = fail_from(0, "error")
    trained(place)
    asked = len(place.proxy.asked)
    trained(place)
    assert len(place.proxy.asked) == asked
    monkeypatch.setattr(outcome, "AWAY_SECONDS", 0.0)
    trained(place)
    assert len(place.proxy.asked) > asked


def test_a_store_that_refuses_is_told_before_anything_is_trained(
    place: Place, tmp_path: Path
) -> None:
    trained(place)
    experiment = place.client.get_experiment_by_name("e")
    assert experiment is not None
    place.client.delete_experiment(experiment.experiment_id)
    with pytest.raises(TrackingError, match="was deleted"):
        trained(place)
    assert place.kept() == []


def test_files_are_kept_as_they_were_last(place: Place, tmp_path: Path) -> None:
    place.proxy.stop()
    with session.start_run(place.experiment) as run:
        for text in ("first", "second"):
            (tmp_path / "report.html").write_text(text)
            run.log_file(tmp_path / "report.html")
    (tmp_path / "report.html").unlink()
    place.proxy.start()
    place.heal()
    place.sync()
    (kept,) = place.artifacts.rglob("report.html")
    assert kept.read_text() == "second"


def test_values_that_json_has_no_numbers_for_are_sent_as_they_are(place: Place) -> None:
    place.proxy.stop()
    with session.start_run(place.experiment) as run:
        run.log_epochs({"loss": [float("nan"), float("inf")]})
    place.proxy.start()
    place.heal()
    place.sync()
    values = [p.value for p in place.client.get_metric_history(place.run().info.run_id, "loss")]
    assert str(sorted(values, key=str)) in ("[1.7976931348623157e+308, nan]", "[inf, nan]")
