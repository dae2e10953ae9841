from __future__ import annotations

import json
import logging
import math
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import DatasetInput
from mlflow.entities import Run as Recorded
from mlflow.exceptions import MlflowException

from tagifai.exceptions import TrackingError
from tagifai.runs.recording import syncing
from tagifai.tracking import session
from tagifai.tracking.recording import beginning, records
from tagifai.tracking.recording.operations import RunSender
from tagifai.tracking.recording.recorder import RunRecorder
from tagifai.tracking.session import TrackedRun
from tagifai.tracking.store import Experiment
from tagifai.utils import locks
from tagifai.utils.processes.interrupts import SECOND_SECONDS

ABANDONED = """
import sys
from pathlib import Path
from tagifai.tracking import session
from tagifai.tracking.store import Experiment

stores = Path(sys.argv[1])
experiment = Experiment(f"sqlite:///{stores}/mlflow.db", "e", stores)
with session.start_run(experiment, log_file=stores / "run.log") as run:
    print(run.id, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def stores(tracked_stores: Path) -> Path:
    return tracked_stores


def uri(stores: Path) -> str:
    return f"sqlite:///{stores}/mlflow.db"


def experiment(stores: Path, name: str = "e") -> Experiment:
    return Experiment(uri(stores), name, stores)


def started(stores: Path, **changed: Any) -> AbstractContextManager[TrackedRun]:
    settings = {"experiment": experiment(stores), "log_file": stores / "run.log"}
    return session.start_run(**{**settings, **changed})


def recorded(stores: Path, run_id: str) -> Recorded:
    return MlflowClient(uri(stores)).get_run(run_id)


def running(stores: Path) -> list[str]:
    return sorted(path.name for path in (stores / "running").iterdir())


def full_disk(*_: object, **__: object) -> None:
    raise OSError("disk full")


def fail(error: type[BaseException] | None) -> None:
    if error is not None:
        raise error


class Spy:
    """Passes calls on to a client and counts them."""

    def __init__(self, client: MlflowClient) -> None:
        self._client = client
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        self.calls.append(name)
        return getattr(self._client, name)


# --- how runs end ------------------------------------------------------------------------------


def test_a_run_is_open_while_its_block_is_and_ends_finished(stores: Path) -> None:
    with started(stores, name="first") as run:
        assert recorded(stores, run.id).info.status == "RUNNING"
        assert running(stores) == [f"{run.id}.lock", f"{run.id}.run"]
    ended = recorded(stores, run.id)
    assert ended.info.status == "FINISHED"
    assert ended.info.run_name == "first"
    assert "error" not in ended.data.tags
    assert running(stores) == []


def test_a_failing_block_ends_its_run_as_failed_with_the_error(stores: Path) -> None:
    with pytest.raises(ValueError, match="no such thing"), started(stores) as run:
        raise ValueError("no such thing")
    ended = recorded(stores, run.id)
    assert ended.info.status == "FAILED"
    assert ended.info.end_time is not None
    assert ended.data.tags["error"] == "ValueError: no such thing"
    assert running(stores) == []


def test_an_error_without_a_text_is_told_by_its_kind(stores: Path) -> None:
    with pytest.raises(MemoryError), started(stores) as run:
        raise MemoryError
    assert recorded(stores, run.id).data.tags["error"] == "MemoryError"


def test_an_interrupt_ends_its_run_as_killed(stores: Path) -> None:
    with pytest.raises(KeyboardInterrupt), started(stores) as run:
        raise KeyboardInterrupt
    ended = recorded(stores, run.id)
    assert ended.info.status == "KILLED"
    assert ended.data.tags["error"] == "Interrupted."
    assert running(stores) == []


@pytest.mark.parametrize("fails", [False, True])
def test_the_log_is_kept_with_the_run_however_it_ends(stores: Path, fails: bool) -> None:
    (stores / "run.log").write_text("a line\n")
    if fails:
        with pytest.raises(ValueError, match="no"), started(stores) as run:
            raise ValueError("no")
    else:
        with started(stores) as run:
            pass
    kept = stores / "artifacts" / run.id / "artifacts" / "run.log"
    assert kept.read_text() == "a line\n"


def test_a_store_that_fails_while_closing_does_not_hide_the_first_error(
    stores: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MlflowClient, "set_terminated", full_disk)
    with (
        caplog.at_level(logging.INFO, "tagifai"),
        pytest.raises(ValueError, match="first"),
        started(stores),
    ):
        raise ValueError("first")
    assert "The run failed: ValueError: first" in caplog.text
    assert "Tracking failed: OSError: disk full" in caplog.text


@pytest.mark.parametrize(
    ("error", "status"),
    [(ValueError, "FAILED"), (KeyboardInterrupt, "KILLED"), (None, "FINISHED")],
)
def test_a_run_that_could_not_be_closed_is_kept_and_is_closed_as_it_ended_when_it_is_sent(
    stores: Path, error: type[BaseException] | None, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(MlflowClient, "set_terminated", full_disk)
        with nullcontext() if error is None else pytest.raises(error), started(stores) as run:
            fail(error)
    assert recorded(stores, run.id).info.status == "RUNNING"
    assert running(stores) == []
    assert session.close_abandoned_runs(stores) == []
    assert [record.run_id for record in records.list_records(stores)] == [run.id]
    assert syncing.send_records(stores, uri(stores)).sent == {run.id: run.id}
    assert recorded(stores, run.id).info.status == status
    assert records.list_records(stores) == []


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_run_that_can_be_neither_closed_nor_kept_keeps_its_mark(
    stores: Path, error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    (stores / "pending").touch()
    with monkeypatch.context() as broken:
        broken.setattr(MlflowClient, "set_terminated", full_disk)
        with pytest.raises(error), started(stores) as run:
            fail(error)
    assert running(stores) == [f"{run.id}.run"]
    assert session.close_abandoned_runs(stores) == [run.id]
    assert recorded(stores, run.id).info.status == "FAILED"
    assert running(stores) == []


def test_a_run_that_can_be_neither_recorded_nor_kept_fails_and_says_so(
    stores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (stores / "pending").touch()
    monkeypatch.setattr(MlflowClient, "log_batch", full_disk)
    with (
        pytest.raises(TrackingError, match=r"cannot be written to .*/pending: "),
        started(stores) as run,
    ):
        run.log_tags({"a": 1})


def test_a_log_that_cannot_be_kept_does_not_keep_a_failed_run_open(
    stores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (stores / "run.log").write_text("a line\n")
    monkeypatch.setattr(MlflowClient, "log_artifact", full_disk)
    with pytest.raises(ValueError, match="first"), started(stores) as run:
        raise ValueError("first")
    ended = recorded(stores, run.id)
    assert ended.info.status == "FAILED"
    assert ended.data.tags["error"] == "ValueError: first"
    assert running(stores) == []


def test_a_log_that_the_store_does_not_take_is_kept_and_sent_later(
    stores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (stores / "run.log").write_text("a line\n")
    with monkeypatch.context() as broken:
        broken.setattr(MlflowClient, "log_artifact", full_disk)
        with started(stores) as run:
            pass
    assert running(stores) == []
    (stores / "run.log").unlink()
    syncing.send_records(stores, uri(stores))
    assert recorded(stores, run.id).info.status == "FINISHED"
    kept = stores / "artifacts" / run.id / "artifacts" / "run.log"
    assert kept.read_text() == "a line\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("step", ["log_batch", "set_terminated", "log_artifact"])
def test_a_second_signal_does_not_stop_an_interrupted_run_from_being_closed(
    stores: Path, step: str, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    def impatient(client: MlflowClient, *args: Any, **kwargs: Any) -> Any:
        sent.append(step)
        os.kill(os.getpid(), number)
        return original(client, *args, **kwargs)

    (stores / "run.log").write_text("a line\n")
    sent: list[str] = []
    original = getattr(MlflowClient, step)
    monkeypatch.setattr(MlflowClient, step, impatient)
    before = signal.signal(number, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), started(stores) as run:
            raise KeyboardInterrupt
        assert signal.getsignal(number) is signal.default_int_handler
    finally:
        signal.signal(number, before)
    assert sent == [step]
    ended = recorded(stores, run.id)
    assert ended.info.status == "KILLED"
    assert ended.data.tags["error"] == "Interrupted."
    assert (stores / "artifacts" / run.id / "artifacts" / "run.log").exists()
    assert running(stores) == []


def test_an_interrupt_while_a_finished_run_is_closed_ends_it_as_killed(
    stores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        monkeypatch.undo()
        os.kill(os.getpid(), signal.SIGINT)

    (stores / "run.log").write_text("a line\n")
    with pytest.raises(KeyboardInterrupt), started(stores) as run:
        monkeypatch.setattr(MlflowClient, "log_artifact", interrupted)
    assert recorded(stores, run.id).info.status == "KILLED"
    assert running(stores) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_a_run_is_made_ends_it_as_killed(
    stores: Path, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*args: Any, **kwargs: Any) -> RunRecorder:
        os.kill(os.getpid(), number)
        made.append(original(*args, **kwargs))
        return made[0]

    made: list[RunRecorder] = []
    original = beginning.make_recorder
    monkeypatch.setattr(beginning, "make_recorder", interrupted)
    before = signal.signal(number, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), started(stores):
            pytest.fail("The signal was lost.")
        assert signal.getsignal(number) is signal.default_int_handler
    finally:
        signal.signal(number, before)
    assert recorded(stores, made[0].run_id).info.status == "KILLED"
    assert running(stores) == []


def test_a_second_signal_does_not_wait_for_a_store_that_does_not_answer(
    stores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)  # a terminal's own repetition is no second one
        time.sleep(2 * SECOND_SECONDS)
        waited.append("for the first")
        os.kill(os.getpid(), signal.SIGINT)
        pytest.fail("It was waited for.")

    waited: list[str] = []
    monkeypatch.setattr(beginning, "make_recorder", silent)
    with pytest.raises(KeyboardInterrupt), started(stores):
        pytest.fail("There is no run.")
    assert waited == ["for the first"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_signals_of_a_run_in_another_thread_are_left_alone(stores: Path) -> None:
    def work() -> None:
        try:
            with started(stores) as run:
                found.append(run.id)
                raise ValueError("first")
        except ValueError as error:
            found.append(str(error))

    found: list[str] = []
    thread = threading.Thread(target=work)
    thread.start()
    thread.join(timeout=30)
    assert found[1:] == ["first"]
    assert recorded(stores, found[0]).info.status == "FAILED"


def test_runs_of_one_name_are_in_one_experiment(stores: Path) -> None:
    ids = []
    for name in ("a", "a", "b"):
        with started(stores, experiment=experiment(stores, name)) as run:
            ids.append(recorded(stores, run.id).info.experiment_id)
    assert ids[0] == ids[1] != ids[2]


def test_a_run_says_who_made_it_and_with_what(stores: Path) -> None:
    with started(stores) as run:
        pass
    tags = recorded(stores, run.id).data.tags
    assert tags["mlflow.source.name"] == "tagifai"
    assert tags["mlflow.source.type"] == "LOCAL"
    assert tags["mlflow.user"]


def test_a_first_run_makes_the_stores_and_the_experiment(stores: Path, tmp_path: Path) -> None:
    fresh = tmp_path / "made" / "here"
    with started(fresh, experiment=Experiment(uri(stores), "e", fresh)) as run:
        pass
    ended = recorded(stores, run.id)
    assert ended.info.status == "FINISHED"
    assert ended.info.artifact_uri == str(fresh / "artifacts" / run.id / "artifacts")


def test_a_run_ends_as_its_status_says_when_its_block_ends_well(stores: Path) -> None:
    with started(stores) as run:
        assert run.status == "FINISHED"
        run.status = "KILLED"
    ended = recorded(stores, run.id)
    assert ended.info.status == "KILLED"
    assert "error" not in ended.data.tags
    assert running(stores) == []


def test_a_run_may_have_no_log(stores: Path) -> None:
    with started(stores, log_file=None) as run:
        pass
    with pytest.raises(ValueError, match="no"), started(stores, log_file=None) as failed:
        raise ValueError("no")
    for run_id, status in ((run.id, "FINISHED"), (failed.id, "FAILED")):
        assert recorded(stores, run_id).info.status == status
        assert not (stores / "artifacts" / run_id).exists()


def test_a_new_run_has_the_tags_that_it_was_given_beside_those_of_its_source(stores: Path) -> None:
    given_tags = {"study": "quick", "mlflow.parentRunId": "abc", "mlflow.source.name": "mine"}
    with started(stores, tags=given_tags) as run:
        pass
    tags = recorded(stores, run.id).data.tags
    assert {name: tags[name] for name in given_tags} == given_tags
    assert tags["mlflow.source.type"] == "LOCAL"


# --- a run that is gone on with ----------------------------------------------------------------


def test_a_run_is_gone_on_with_and_ends_again(stores: Path) -> None:
    with started(stores, name="first", tags={"part": "1"}) as run:
        run.log_tags({"trials": "1 of 2"})
    with started(stores, resumed=run.id, name="second", tags={"part": "2"}) as again:
        assert again.id == run.id
        found = recorded(stores, run.id)
        assert found.info.status == "RUNNING"
        assert (found.info.run_name, found.data.tags["part"]) == ("first", "1")
        assert running(stores) == [f"{run.id}.lock", f"{run.id}.run"]
        again.log_tags({"trials": "2 of 2"})
    ended = recorded(stores, run.id)
    assert (ended.info.status, ended.data.tags["trials"]) == ("FINISHED", "2 of 2")
    assert running(stores) == []


def test_files_of_a_run_that_is_gone_on_with_go_where_its_others_are(
    stores: Path, tmp_path: Path
) -> None:
    with started(stores) as run:
        pass
    (tmp_path / "file").write_text("a")
    with started(stores, resumed=run.id) as again:
        again.log_file(tmp_path / "file")
    assert (stores / "artifacts" / run.id / "artifacts" / "file").read_text() == "a"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_the_error_of_a_run_is_forgotten_when_it_is_gone_on_with(
    stores: Path, error: type[BaseException]
) -> None:
    with pytest.raises(error), started(stores) as run:
        raise error
    assert recorded(stores, run.id).data.tags["error"]
    with started(stores, resumed=run.id):
        assert "error" not in recorded(stores, run.id).data.tags
    ended = recorded(stores, run.id)
    assert ended.info.status == "FINISHED"
    assert "error" not in ended.data.tags


@pytest.mark.parametrize("gone", ["never there", "deleted"])
def test_a_run_that_is_not_there_any_more_begins_anew(stores: Path, gone: str) -> None:
    run_id = "f" * 32
    if gone == "deleted":
        with started(stores) as run:
            run_id = run.id
        MlflowClient(uri(stores)).delete_run(run_id)
    with started(stores, resumed=run_id, name="anew") as run:
        assert run.id != run_id
    ended = recorded(stores, run.id)
    assert (ended.info.status, ended.info.run_name) == ("FINISHED", "anew")


def test_a_store_that_fails_is_not_taken_for_one_without_the_run(
    stores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise MlflowException("disk full")

    with started(stores) as run:
        pass
    monkeypatch.setattr(MlflowClient, "get_run", broken)
    with pytest.raises(TrackingError, match="disk full"):
        started(stores, resumed=run.id).__enter__()


def test_a_run_that_is_not_tracked_has_nothing_to_go_on_with(tmp_path: Path) -> None:
    with started(tmp_path, experiment=None, resumed="abc") as run:
        assert run.id != "abc"


def test_a_run_that_another_is_at_stays_marked_and_is_closed_by_the_other(stores: Path) -> None:
    with started(stores) as first:
        with pytest.raises(KeyboardInterrupt), started(stores, resumed=first.id):
            raise KeyboardInterrupt
        found = recorded(stores, first.id)
        assert found.info.status == "RUNNING"
        assert "error" not in found.data.tags
        assert running(stores) == [f"{first.id}.lock", f"{first.id}.run"]
    assert recorded(stores, first.id).info.status == "FINISHED"
    assert running(stores) == []


def test_a_run_that_another_is_at_stays_open_when_one_of_them_is_through(stores: Path) -> None:
    with started(stores) as first:
        with started(stores, resumed=first.id):
            pass
        assert recorded(stores, first.id).info.status == "RUNNING"
        assert running(stores) == [f"{first.id}.lock", f"{first.id}.run"]


# --- runs that somebody else closes ------------------------------------------------------------


def test_a_run_that_was_only_made_is_open_and_not_marked(stores: Path, tmp_path: Path) -> None:
    fresh = tmp_path / "made"
    run = session.create_run(Experiment(uri(stores), "e", fresh), "sweep", {"command": "run.py -m"})
    found = recorded(stores, run.id)
    assert (found.info.status, found.info.run_name) == ("RUNNING", "sweep")
    assert found.data.tags["command"] == "run.py -m"
    assert not (fresh / "running").exists()
    assert session.close_abandoned_runs(fresh) == []
    run.end("FAILED", "because")
    ended = recorded(stores, run.id)
    assert (ended.info.status, ended.data.tags["error"]) == ("FAILED", "because")


def test_runs_that_are_made_at_once_are_in_one_experiment(stores: Path) -> None:
    def make() -> None:
        made.append(session.create_run(experiment(stores)).id)

    made: list[str] = []
    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(set(made)) == 4
    assert len({recorded(stores, run_id).info.experiment_id for run_id in made}) == 1


def test_a_run_of_elsewhere_is_opened_again_and_closed(stores: Path) -> None:
    made = session.create_run(experiment(stores))
    again = session.reopen_run(made.id, uri(stores))
    again.log_metrics({"best": 0.5})
    again.end("KILLED", "Interrupted.")
    ended = recorded(stores, made.id)
    assert (ended.info.status, ended.data.metrics) == ("KILLED", {"best": 0.5})
    assert ended.data.tags["error"] == "Interrupted."


@pytest.mark.usefixtures("stores")
@pytest.mark.parametrize("address", ["nonsense://x", "server"])
def test_a_run_whose_store_is_gone_cannot_be_closed_and_that_is_a_tracking_error(
    nobody: str, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    with pytest.raises(TrackingError, match=r"does not answer|^Tracking failed: "):
        session.reopen_run("abc", nobody if address == "server" else address).end("FINISHED")


# --- what is logged ----------------------------------------------------------------------------


def test_epoch_losses_are_points_by_step_in_one_call(stores: Path) -> None:
    with started(stores) as opened:
        spy = Spy(MlflowClient(uri(stores)))
        run = TrackedRun(opened.id, RunSender(spy, opened.id))  # type: ignore[arg-type]
        run.log_epochs({"train_loss": [0.9, 0.5], "val_loss": [1.0, 0.75]})
        assert spy.calls == ["log_batch"]
    client = MlflowClient(uri(stores))
    for name, values in {"train_loss": [0.9, 0.5], "val_loss": [1.0, 0.75]}.items():
        history = client.get_metric_history(run.id, name)
        assert [(point.step, point.value) for point in history] == list(enumerate(values))


def test_values_of_some_epochs_are_points_at_these_epochs(stores: Path) -> None:
    with started(stores) as run:
        run.log_epochs({"train_loss": [0.9, 0.5], "reported": {0: 0.25, 5: 0.5}, "none": {}})
    client = MlflowClient(uri(stores))
    history = client.get_metric_history(run.id, "reported")
    assert [(point.step, point.value) for point in history] == [(0, 0.25), (5, 0.5)]
    assert set(recorded(stores, run.id).data.metrics) == {"train_loss", "reported"}


def test_a_value_that_is_not_a_number_is_recorded_as_that(stores: Path) -> None:
    with started(stores) as run:
        run.log_epochs({"reported": {0: math.nan}})
    assert math.isnan(recorded(stores, run.id).data.metrics["reported"])


def test_more_than_a_thousand_points_take_a_second_call(stores: Path) -> None:
    with started(stores) as opened:
        spy = Spy(MlflowClient(uri(stores)))
        run = TrackedRun(opened.id, RunSender(spy, opened.id))  # type: ignore[arg-type]
        run.log_epochs({"loss": [0.5] * 1001})
        assert spy.calls == ["log_batch"] * 2
        run.log_epochs({"loss": []})
        assert spy.calls == ["log_batch"] * 2
    assert len(MlflowClient(uri(stores)).get_metric_history(run.id, "loss")) == 1001


def test_long_parameters_are_cut_and_many_are_kept(
    stores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # MLflow would cut them too, unless it is told not to.
    monkeypatch.setenv("MLFLOW_TRUNCATE_LONG_VALUES", "false")
    with started(stores) as run:
        run.log_params({"long": "x" * 6001, "list": ["a", 1], "none": None})
        run.log_params({f"p{number}": number for number in range(150)})
    params = recorded(stores, run.id).data.params
    assert params["long"] == "x" * 6000
    assert (params["list"], params["none"]) == ("['a', 1]", "None")
    assert sum(name.startswith("p") for name in params) == 150


def test_parameters_are_recorded_under_names_with_odd_characters_replaced(stores: Path) -> None:
    with started(stores) as run:
        run.log_params({"space.vectorizer.ngram_max [vectorizer=tfidf_char]": 7, "model.alpha": 1})
    params = recorded(stores, run.id).data.params
    assert params == {
        "space.vectorizer.ngram_max _vectorizer_tfidf_char_": "7",
        "model.alpha": "1",
    }


def test_a_parameter_cannot_be_changed_and_that_is_a_tracking_error(stores: Path) -> None:
    with started(stores) as opened:
        run = session.reopen_run(opened.id, uri(stores))
        run.log_params({"a": 1})
        run.log_params({"a": 1})
        with pytest.raises(TrackingError, match="Tracking failed: MlflowException"):
            run.log_params({"a": 2})


def test_long_tags_are_cut_and_can_be_changed(stores: Path) -> None:
    with started(stores) as run:
        run.log_tags({"long": "x" * 5001, "a": 1})
        run.log_tags({"a": 2})
    tags = recorded(stores, run.id).data.tags
    assert tags["long"] == "x" * 5000
    assert tags["a"] == "2"


def test_metrics_are_recorded_under_names_with_odd_characters_replaced(stores: Path) -> None:
    with started(stores) as run:
        run.log_metrics({"val_class/c++ (old), 100%/f1": 0.5, "val_class/a-b.c d:e_f/f1": 0.25})
    found = recorded(stores, run.id).data.metrics
    assert found == {"val_class/c__ _old__ 100_/f1": 0.5, "val_class/a-b.c d:e_f/f1": 0.25}


def test_metrics_of_classes_with_odd_names_are_kept_apart(stores: Path) -> None:
    names = ["C#", "C+", "C_", "..", ".", "/", "//", "", "日本語", "y" * 300, "y" * 301]
    with started(stores) as run:
        run.log_metrics({f"val_class/{name}/f1": i for i, name in enumerate(names)})
    found = recorded(stores, run.id).data.metrics
    assert sorted(found.values()) == list(range(len(names)))
    assert found["val_class/日本語/f1"] == names.index("日本語")
    assert found["val_class/C_/f1"] == names.index("C#")


def data_set(stores: Path, run: TrackedRun) -> DatasetInput:
    inputs = recorded(stores, run.id).inputs
    assert inputs is not None
    (found,) = inputs.dataset_inputs
    assert isinstance(found, DatasetInput)
    return found


def test_the_data_set_is_an_input_of_the_run(stores: Path) -> None:
    with started(stores) as run:
        run.log_dataset("mine", "0123456789abcdef" * 4, "https://host/a.csv", {"rows": 3})
    found = data_set(stores, run)
    assert found.dataset.name == "mine"
    assert found.dataset.digest == "0123456789abcdef0123456789abcdef0123"
    assert found.dataset.source_type == "http"
    assert json.loads(found.dataset.source) == {"uri": "https://host/a.csv"}
    assert json.loads(str(found.dataset.profile)) == {"rows": 3}
    assert [tag.value for tag in found.tags] == ["training"]


def test_a_data_set_from_a_path_is_a_local_one(stores: Path) -> None:
    with started(stores) as run:
        run.log_dataset("mine", "ab", "/data/a.csv", {})
    assert data_set(stores, run).dataset.source_type == "local"


@pytest.mark.parametrize(
    ("source", "kind"), [("s3://bucket/a.csv", "http"), ("/odd/a://b.csv", "local")]
)
def test_a_data_set_is_from_a_url_if_its_source_begins_like_one(
    stores: Path, source: str, kind: str
) -> None:
    with started(stores) as run:
        run.log_dataset("mine", "ab", source, {})
    assert data_set(stores, run).dataset.source_type == kind


def test_files_and_bundles_are_kept_and_missing_files_passed_over(
    stores: Path, tmp_path: Path
) -> None:
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (bundle / "part").write_text("a")
    (tmp_path / "file").write_text("b")
    with started(stores) as run:
        run.log_file(tmp_path / "file")
        run.log_file(tmp_path / "nowhere")
        run.log_file(None)
        run.log_bundle(bundle)
    kept = stores / "artifacts" / run.id / "artifacts"
    found = sorted(str(path.relative_to(kept)) for path in kept.rglob("*") if path.is_file())
    assert found == ["bundle/part", "file"]


def test_a_bundle_that_is_where_the_store_keeps_it_is_not_copied_onto_itself(
    stores: Path,
) -> None:
    with started(stores) as opened:
        bundle = stores / "artifacts" / opened.id / "artifacts" / "bundle"
        bundle.mkdir(parents=True)
        spy = Spy(MlflowClient(uri(stores)))
        sender = RunSender(spy, opened.id, str(bundle.parent))  # type: ignore[arg-type]
        run = TrackedRun(opened.id, sender)
        run.log_bundle(bundle)
    assert spy.calls == []


def test_a_run_that_is_not_tracked_has_an_id_and_records_nothing(tmp_path: Path) -> None:
    with started(tmp_path, experiment=None) as run:
        run.log_params({"a": 1})
        run.log_tags({"a": 1})
        run.log_metrics({"a": 1})
        run.log_dataset("a", "b", "c", {})
        run.log_file(Path(__file__))
        run.log_file(None)
        run.log_epochs({"a": {0: 1.0}})
        run.end("FINISHED", "because")
        run.log_bundle(tmp_path)
    assert run.id.isalnum()
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_is_not_tracked_passes_errors_on(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no"), started(tmp_path, experiment=None):
        raise ValueError("no")
    assert list(tmp_path.iterdir()) == []


# --- stores that fail --------------------------------------------------------------------------


def test_a_deleted_experiment_is_refused_with_how_to_restore_it(stores: Path) -> None:
    with started(stores):
        pass
    client = MlflowClient(uri(stores))
    experiment = client.get_experiment_by_name("e")
    assert experiment is not None
    client.delete_experiment(experiment.experiment_id)
    with pytest.raises(TrackingError, match=r"tracking\.experiment = 'e' was deleted") as caught:
        started(stores).__enter__()
    assert f"mlflow experiments restore -x {experiment.experiment_id}" in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.usefixtures("stores")
@pytest.mark.parametrize("bad", ["nonsense://x", "sqlite:///{file}/mlflow.db"])
def test_an_address_that_is_none_is_a_tracking_error(tmp_path: Path, bad: str) -> None:
    (tmp_path / "file").touch()
    missing = Experiment(bad.format(file=tmp_path / "file"), "e", tmp_path / "other")
    with pytest.raises(TrackingError, match=r"(Check|Give) tracking\.uri"):
        started(tmp_path, experiment=missing).__enter__()


def test_an_experiment_whose_artifacts_have_moved_is_refused(stores: Path, tmp_path: Path) -> None:
    with started(stores):
        pass
    there = stores.rename(tmp_path / "moved")
    with pytest.raises(TrackingError, match="which does not exist any more"):
        started(there).__enter__()
    assert not stores.exists()
    assert running(there) == []


# --- abandoned runs ----------------------------------------------------------------------------


@pytest.mark.e2e
def test_an_abandoned_run_is_closed_as_failed_and_a_live_one_is_left_alone(stores: Path) -> None:
    command = [sys.executable, "-c", ABANDONED, str(stores)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            run_id = process.stdout.readline().strip()
            assert run_id
            assert session.close_abandoned_runs(stores) == []
            assert recorded(stores, run_id).info.status == "RUNNING"
        finally:
            process.kill()
            process.wait(timeout=30)
    assert recorded(stores, run_id).info.status == "RUNNING"
    assert session.close_abandoned_runs(stores) == [run_id]
    ended = recorded(stores, run_id)
    assert ended.info.status == "FAILED"
    assert ended.data.tags["error"].startswith("The process ended unexpectedly")
    assert session.close_abandoned_runs(stores) == []
    assert running(stores) == []


def test_an_abandoned_run_whose_store_is_out_of_reach_is_left_for_later(
    stores: Path, caplog: pytest.LogCaptureFixture
) -> None:
    locks.write_mark(stores / "running", "abc", "abc", "nonsense://x")
    with caplog.at_level(logging.INFO, "tagifai"):
        assert session.close_abandoned_runs(stores) == []
    assert "The abandoned run abc could not be closed" in caplog.text
    assert (stores / "running" / "abc.run").exists()


def test_an_abandoned_run_of_a_server_that_is_gone_is_left_for_later_at_once(
    stores: Path, nobody: str
) -> None:
    locks.write_mark(stores / "running", "abc", "abc", nobody)
    begun = time.monotonic()
    assert session.close_abandoned_runs(stores) == []
    assert time.monotonic() - begun < 3
    assert (stores / "running" / "abc.run").exists()


def test_an_abandoned_run_that_the_store_has_not_any_more_is_forgotten(stores: Path) -> None:
    locks.write_mark(stores / "running", "f" * 32, "f" * 32, uri(stores))
    session.close_abandoned_runs(stores)
    assert running(stores) == []


def test_an_abandoned_run_whose_database_is_gone_is_forgotten_and_none_is_made(
    stores: Path, tmp_path: Path
) -> None:
    locks.write_mark(stores / "running", "abc", "abc", uri(tmp_path / "nowhere"))
    session.close_abandoned_runs(stores)
    assert running(stores) == []
    assert not (tmp_path / "nowhere").exists()


def test_an_abandoned_run_that_was_deleted_is_forgotten(stores: Path) -> None:
    run_id = MlflowClient(uri(stores)).create_run("0").info.run_id
    MlflowClient(uri(stores)).delete_run(run_id)
    locks.write_mark(stores / "running", run_id, run_id, uri(stores))
    session.close_abandoned_runs(stores)
    assert running(stores) == []


def test_a_mark_under_another_key_closes_its_run(stores: Path) -> None:
    made = session.create_run(experiment(stores))
    locks.write_mark(stores / "running", "sweep-0", made.id, uri(stores))
    assert session.close_abandoned_runs(stores) == [made.id]
    assert recorded(stores, made.id).info.status == "FAILED"
    assert running(stores) == []


def test_an_abandoned_run_that_had_finished_stays_finished(stores: Path) -> None:
    with started(stores) as run:
        pass
    locks.write_mark(stores / "running", run.id, run.id, uri(stores))
    session.close_abandoned_runs(stores)
    assert running(stores) == []
    assert recorded(stores, run.id).info.status == "FINISHED"


# --- together ----------------------------------------------------------------------------------


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, int]]:
    """The calls of `log_batch`: how many entities of each kind."""
    found: list[dict[str, int]] = []
    original = MlflowClient.log_batch

    def counted(client: MlflowClient, run_id: str, **entities: Any) -> Any:
        found.append({kind: len(items) for kind, items in entities.items()})
        return original(client, run_id, **entities)

    monkeypatch.setattr(MlflowClient, "log_batch", counted)
    return found


def test_what_a_block_logs_is_sent_in_as_few_calls_as_can_be(
    stores: Path, batches: list[dict[str, int]]
) -> None:
    with started(stores) as run, run.batch_logging():
        run.log_params({f"p{n}": n for n in range(130)})
        run.log_tags({"a": 1})
        run.log_metrics({"m": 0.5})
        assert batches == []
    assert batches == [{"params": 100, "tags": 1, "metrics": 1}, {"params": 30}]
    data = recorded(stores, run.id).data
    assert (len(data.params), data.tags["a"], data.metrics) == (130, "1", {"m": 0.5})


def test_what_a_block_has_logged_is_sent_when_it_fails(
    stores: Path, batches: list[dict[str, int]]
) -> None:
    def failing(run: session.TrackedRun) -> None:
        with run.batch_logging():
            run.log_metrics({"m": 0.5})
            raise ValueError("first")

    with pytest.raises(ValueError, match="first"), started(stores) as run:
        failing(run)
    assert recorded(stores, run.id).data.metrics == {"m": 0.5}
    assert batches[1:] == [{"tags": 1}]  # the error, logged after the block


def test_a_store_that_fails_then_does_not_hide_the_first_error(
    stores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError("disk full")

    def failing(run: session.TrackedRun) -> None:
        monkeypatch.setattr(MlflowClient, "log_batch", full)
        with run.batch_logging():
            run.log_metrics({"m": 0.5})
            raise ValueError("first")

    with pytest.raises(ValueError, match="first"), started(stores) as run:
        failing(run)


# --- passwords ---------------------------------------------------------------------------------


def test_no_password_of_a_url_gets_into_a_run(stores: Path) -> None:
    url = "postgresql://me:secret@host/db"

    def failing(run: TrackedRun) -> None:
        run.log_params({"tracking.uri": url, "urls": [url]})
        run.log_tags({"command": f"run.py tracking.uri={url}"})
        raise ValueError(f"{url} does not answer")

    with pytest.raises(ValueError, match="secret"), started(stores, tags={"made": url}) as run:
        failing(run)
    data = recorded(stores, run.id).data
    assert "secret" not in str(data.to_dictionary())
    shown = "postgresql://me:***@host/db"
    assert data.params == {"tracking.uri": shown, "urls": f"['{shown}']"}
    assert data.tags["made"] == shown
    assert data.tags["error"] == f"ValueError: {shown} does not answer"


def test_a_mark_has_no_password_and_its_run_is_closed_by_who_has_it(
    stores: Path, nobody: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = nobody.replace("://", "://me:secret@")
    locks.write_mark(stores / "running", "abc", "abc", uri)
    asked: list[str] = []
    monkeypatch.setattr("tagifai.tracking.store.is_reachable", asked.append)
    session.close_abandoned_runs(stores)
    session.close_abandoned_runs(stores, nobody)
    assert asked == []
    session.close_abandoned_runs(stores, uri)
    assert asked == [uri]
    assert locks.list_marked(stores / "running") == ["abc"]
