from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow import MlflowClient
from mlflow.entities import DatasetInput
from mlflow.entities import Run as Recorded
from mlflow.utils.validation import _validate_metric_name

from tagifai import store, tracking
from tagifai.errors import TrackingError
from tagifai.tracking import Run

ABANDONED = """
import sys
from pathlib import Path
from tagifai import store, tracking

stores = Path(sys.argv[1])
with tracking.start(
    enabled=True, uri=f"sqlite:///{stores}/mlflow.db", experiment="e", run_name=None,
    stores=stores, log_file=stores / "run.log",
) as run:
    print(run.id, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def stores(tracked_stores: Path) -> Path:
    return tracked_stores


@pytest.fixture
def nobody() -> Iterator[str]:
    """The address of a port that is taken and not listened on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


def uri(stores: Path) -> str:
    return f"sqlite:///{stores}/mlflow.db"


def started(stores: Path, **changed: Any) -> AbstractContextManager[Run]:
    settings: dict[str, Any] = {
        "enabled": True,
        "uri": uri(stores),
        "experiment": "e",
        "run_name": None,
        "stores": stores,
        "log_file": stores / "run.log",
    }
    return tracking.start(**{**settings, **changed})


def recorded(stores: Path, run_id: str) -> Recorded:
    return MlflowClient(uri(stores)).get_run(run_id)


def running(stores: Path) -> list[str]:
    return sorted(path.name for path in (stores / "running").iterdir())


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
    with started(stores, run_name="first") as run:
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
    assert ended.data.tags["error"] == "KeyboardInterrupt"
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
    def broken(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(MlflowClient, "set_terminated", broken)
    with pytest.raises(ValueError, match="first"), started(stores):
        raise ValueError("first")
    assert "could not be closed as FAILED: Tracking failed: OSError: disk full" in caplog.text


def test_runs_of_one_name_are_in_one_experiment(stores: Path) -> None:
    ids = []
    for name in ("a", "a", "b"):
        with started(stores, experiment=name) as run:
            ids.append(recorded(stores, run.id).info.experiment_id)
    assert ids[0] == ids[1] != ids[2]


def test_a_run_says_who_made_it_and_with_what(stores: Path) -> None:
    with started(stores) as run:
        pass
    tags = recorded(stores, run.id).data.tags
    assert tags["mlflow.source.name"] == "run.py"
    assert tags["mlflow.source.type"] == "LOCAL"
    assert tags["mlflow.user"]


def test_a_first_run_makes_the_stores_and_the_experiment(stores: Path, tmp_path: Path) -> None:
    fresh = tmp_path / "made" / "here"
    with started(fresh, uri=uri(stores)) as run:
        pass
    ended = recorded(stores, run.id)
    assert ended.info.status == "FINISHED"
    assert ended.info.artifact_uri == str(fresh / "artifacts" / run.id / "artifacts")


# --- what is logged ----------------------------------------------------------------------------


def test_epoch_losses_are_points_by_step_in_one_call(stores: Path) -> None:
    with started(stores) as opened:
        spy = Spy(MlflowClient(uri(stores)))
        run = Run(opened.id, spy)  # type: ignore[arg-type]
        run.log_epochs({"train_loss": [0.9, 0.5], "val_loss": [1.0, 0.75]})
        assert spy.calls == ["log_batch"]
    client = MlflowClient(uri(stores))
    for name, values in {"train_loss": [0.9, 0.5], "val_loss": [1.0, 0.75]}.items():
        history = client.get_metric_history(run.id, name)
        assert [(point.step, point.value) for point in history] == list(enumerate(values))


def test_more_than_a_thousand_points_take_a_second_call(stores: Path) -> None:
    with started(stores) as opened:
        spy = Spy(MlflowClient(uri(stores)))
        run = Run(opened.id, spy)  # type: ignore[arg-type]
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


def test_a_parameter_cannot_be_changed_and_that_is_a_tracking_error(stores: Path) -> None:
    with started(stores) as run:
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


@given(st.text(st.characters(exclude_characters="./"), min_size=1, max_size=200))
def test_any_name_of_a_class_without_dots_and_slashes_makes_a_metric_that_mlflow_takes(
    name: str,
) -> None:
    _validate_metric_name(  # type: ignore[no-untyped-call]
        tracking._metric_name(f"val_class/{name}/f1")
    )


def data_set(stores: Path, run: Run) -> DatasetInput:
    inputs = recorded(stores, run.id).inputs
    assert inputs is not None
    (found,) = inputs.dataset_inputs
    assert isinstance(found, DatasetInput)
    return found


def test_the_data_set_is_an_input_of_the_run(stores: Path) -> None:
    with started(stores) as run:
        run.log_data("mine", "0123456789abcdef" * 4, "https://host/a.csv", {"rows": 3})
    found = data_set(stores, run)
    assert found.dataset.name == "mine"
    assert found.dataset.digest == "0123456789abcdef0123456789abcdef0123"
    assert found.dataset.source_type == "http"
    assert json.loads(found.dataset.source) == {"uri": "https://host/a.csv"}
    assert json.loads(str(found.dataset.profile)) == {"rows": 3}
    assert [tag.value for tag in found.tags] == ["training"]


def test_a_data_set_from_a_path_is_a_local_one(stores: Path) -> None:
    with started(stores) as run:
        run.log_data("mine", "ab", "/data/a.csv", {})
    assert data_set(stores, run).dataset.source_type == "local"


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
        run = Run(opened.id, spy, str(bundle.parent))  # type: ignore[arg-type]
        run.log_bundle(bundle)
    assert spy.calls == []


def test_a_run_that_is_not_tracked_has_an_id_and_records_nothing(tmp_path: Path) -> None:
    with started(tmp_path, enabled=False) as run:
        run.log_params({"a": 1})
        run.log_tags({"a": 1})
        run.log_metrics({"a": 1})
        run.log_data("a", "b", "c", {})
        run.log_file(Path(__file__))
        run.log_bundle(tmp_path)
    assert run.id.isalnum()
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_is_not_tracked_passes_errors_on(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no"), started(tmp_path, enabled=False):
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
    assert caught.value.exit_code == 1


@pytest.mark.usefixtures("stores")
def test_a_server_out_of_reach_is_told_within_seconds(tmp_path: Path, nobody: str) -> None:
    begun = time.monotonic()
    with pytest.raises(TrackingError) as caught:
        started(tmp_path / "other", uri=nobody).__enter__()
    assert time.monotonic() - begun < 20
    for part in (nobody.removeprefix("http://127.0.0.1:"), "tracking.uri", "tracking=none"):
        assert part in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.usefixtures("stores")
@pytest.mark.parametrize("bad", ["nonsense://x", "sqlite:///{file}/mlflow.db"])
def test_an_address_that_is_none_is_a_tracking_error(
    tmp_path: Path, bad: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    with pytest.raises(TrackingError, match=r"Tracking failed: .*Check tracking\.uri"):
        started(tmp_path / "other", uri=bad.format(file=tmp_path / "file")).__enter__()


def test_the_environment_s_address_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://there")
    assert store.tracking_uri("sqlite:///here") == "http://there"
    for unset in ("", None):
        if unset is None:
            monkeypatch.delenv("MLFLOW_TRACKING_URI")
        else:
            monkeypatch.setenv("MLFLOW_TRACKING_URI", unset)
        assert store.tracking_uri("sqlite:///here") == "sqlite:///here"


def test_telemetry_is_off_unless_the_user_turns_it_on(
    stores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_DISABLE_TELEMETRY", raising=False)
    store.connect(uri(stores))
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "false")
    store.connect(uri(stores))
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "false"


# --- abandoned runs ----------------------------------------------------------------------------


def test_an_abandoned_run_is_closed_as_failed_and_a_live_one_is_left_alone(stores: Path) -> None:
    command = [sys.executable, "-c", ABANDONED, str(stores)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            run_id = process.stdout.readline().strip()
            assert run_id
            assert tracking.close_abandoned(stores) == []
            assert recorded(stores, run_id).info.status == "RUNNING"
        finally:
            process.kill()
            process.wait(timeout=30)
    assert recorded(stores, run_id).info.status == "RUNNING"
    assert tracking.close_abandoned(stores) == [run_id]
    ended = recorded(stores, run_id)
    assert ended.info.status == "FAILED"
    assert ended.data.tags["error"].startswith("The process ended without a word")
    assert tracking.close_abandoned(stores) == []
    assert running(stores) == []


def test_an_abandoned_run_whose_store_is_out_of_reach_is_left_for_later(
    stores: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (stores / "running").mkdir()
    (stores / "running" / "abc.run").write_text("nonsense://x")
    with caplog.at_level(logging.INFO, "tagifai"):
        assert tracking.close_abandoned(stores) == []
    assert "The abandoned run abc could not be closed" in caplog.text
    assert (stores / "running" / "abc.run").exists()


# --- bundles from the store --------------------------------------------------------------------


def test_a_bundle_is_fetched_from_the_store(stores: Path, tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "part").write_text("a")
    (tmp_path / "scratch").mkdir()
    with started(stores) as run:
        run.log_bundle(tmp_path / "bundle")
    fetched = store.download_bundle(uri(stores), run.id, tmp_path / "scratch")
    assert fetched == tmp_path / "scratch" / "bundle"
    assert (fetched / "part").read_text() == "a"


def test_an_unknown_run_and_one_without_a_bundle_have_none(stores: Path, tmp_path: Path) -> None:
    with started(stores) as run:
        pass
    for run_id in (run.id, "f" * 32):
        assert store.download_bundle(uri(stores), run_id, tmp_path) is None
