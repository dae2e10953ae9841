from __future__ import annotations

import errno
import hashlib
import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow import MlflowClient
from mlflow.utils.validation import MAX_ENTITY_KEY_LENGTH, _validate_metric_name

from tagifai.config.schema import check
from tagifai.exceptions import TrackingError
from tagifai.tracking import downloads, limits, session, store
from tagifai.tracking.opening import pages
from tagifai.tracking.store import Experiment
from tests.conftest import Compose


@pytest.fixture
def stores(tracked_stores: Path) -> Path:
    return tracked_stores


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that takes no further connection and refuses none."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for client in waiting:
            client.setblocking(False)
            client.connect_ex(server.getsockname())
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        for client in waiting:
            client.close()


def uri(stores: Path) -> str:
    return f"sqlite:///{stores}/mlflow.db"


def experiment_id(stores: Path, name: str = "e") -> str:
    return Experiment(uri(stores), name, stores).ensure(store.connect(uri(stores)))


# --- where it is -------------------------------------------------------------------------------


def test_the_environment_s_address_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://there")
    assert store.get_tracking_uri("sqlite:///here") == "http://there"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    assert store.get_tracking_uri("sqlite:///here") == "sqlite:///here"
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert store.get_tracking_uri("sqlite:///here") == "sqlite:///here"


# --- how it is reached -------------------------------------------------------------------------


def test_telemetry_is_off_unless_the_user_turns_it_on(
    stores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_DISABLE_TELEMETRY", raising=False)
    store.connect(uri(stores))
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "false")
    store.connect(uri(stores))
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "false"


def test_whether_a_store_answers_is_asked_for_seconds(nobody: str, silent: str) -> None:
    for away in (nobody, silent):
        begun = time.monotonic()
        assert not store.is_reachable(away, 1)
        assert time.monotonic() - begun < 3


@pytest.mark.parametrize("address", ["sqlite:////nowhere/mlflow.db", "x", ""])
def test_what_is_no_server_needs_no_answer(address: str) -> None:
    assert store.is_reachable(address)


@pytest.mark.parametrize("address", ["http://127.0.0.1:99999", "http://127.0.0.1:port"])
def test_a_port_that_is_none_is_a_tracking_error(tmp_path: Path, address: str) -> None:
    with pytest.raises(TrackingError):
        downloads.download_bundle(address, "abc", tmp_path)


def test_errors_are_told_in_one_line_with_what_to_check() -> None:
    with pytest.raises(TrackingError) as caught, store.translate_errors():
        raise ValueError("first\n  second.")
    assert str(caught.value) == (
        "Tracking failed: ValueError: first second. Check tracking.uri and MLFLOW_TRACKING_URI,"
        " or run with tracking=none."
    )
    assert isinstance(caught.value.__cause__, ValueError)


def test_long_errors_are_cut_and_tracking_errors_passed_on() -> None:
    with pytest.raises(TrackingError, match=f"ValueError: {'x' * 300}…"), store.translate_errors():
        raise ValueError("x" * 301)
    with pytest.raises(TrackingError, match=r"^as it is$"), store.translate_errors():
        raise TrackingError("as it is")


def test_errors_of_the_system_are_told_without_their_numbers() -> None:
    with pytest.raises(TrackingError) as caught, store.translate_errors():
        raise OSError(errno.EIO, "Input/output error", "conda.yaml")
    assert "Input/output error: 'conda.yaml'" in str(caught.value)
    assert "Errno" not in str(caught.value)


def test_an_interrupt_is_not_an_error_of_the_store() -> None:
    with pytest.raises(KeyboardInterrupt), store.translate_errors():
        raise KeyboardInterrupt


# --- experiments -------------------------------------------------------------------------------


def test_an_experiment_is_made_once_and_keeps_its_artifacts_in_the_stores(stores: Path) -> None:
    made = experiment_id(stores)
    assert experiment_id(stores) == made
    assert experiment_id(stores, "other") != made
    found = MlflowClient(uri(stores)).get_experiment(made)
    assert found.artifact_location == str(stores / "artifacts")


def test_a_deleted_experiment_is_refused_with_how_to_restore_it(stores: Path) -> None:
    made = experiment_id(stores)
    MlflowClient(uri(stores)).delete_experiment(made)
    with pytest.raises(TrackingError, match=r"tracking\.experiment = 'e' was deleted") as caught:
        experiment_id(stores)
    assert f"mlflow experiments restore -x {made}" in str(caught.value)
    assert caught.value.exit_code == 2


def named(composed: Compose, stores: Path, *overrides: str) -> str:
    """Return the experiment of a run, by the configuration and the environment."""
    cfg = composed(f"tracking.uri={uri(stores)}", *overrides)
    return store.get_experiment_name(check(cfg))


def test_a_run_is_recorded_in_the_experiment_that_mlflow_s_variables_name(
    stores: Path, composed: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = experiment_id(stores, "by number")
    assert named(composed, stores) == "tagifai"
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", " ")
    assert named(composed, stores, "tracking.experiment=mine") == "mine"
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", made)
    assert named(composed, stores, "tracking.experiment=mine") == "by number"
    assert named(composed, stores, "tracking=none") == "tagifai"
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "by number")
    assert named(composed, stores) == "by number"
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "other")
    with pytest.raises(TrackingError, match=f"_ID = {made} is the experiment 'by number'") as both:
        named(composed, stores)
    monkeypatch.delenv("MLFLOW_EXPERIMENT_ID")
    assert named(composed, stores, "tracking.experiment=mine") == "other"
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "x" * 501)
    with pytest.raises(TrackingError, match="more than 500 characters") as long:
        named(composed, stores)
    assert (both.value.exit_code, long.value.exit_code) == (2, 2)


@pytest.mark.parametrize("number", ["987654321", "none"])
def test_an_experiment_of_an_id_that_there_is_not_is_refused(
    stores: Path, composed: Compose, monkeypatch: pytest.MonkeyPatch, number: str
) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", number)
    with pytest.raises(TrackingError, match=f"MLFLOW_EXPERIMENT_ID = {number}: there is") as caught:
        named(composed, stores)
    assert caught.value.exit_code == 2


def test_a_folder_of_files_is_refused_with_the_database_and_how_to_move(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mlruns").mkdir()
    database = f"sqlite:///{tmp_path}/mlflow.db"
    move = f"mlflow migrate-filestore --source {tmp_path}/mlruns --target {database}"
    for address in ("./mlruns", "mlruns", f"file://{tmp_path}/mlruns", f"file:{tmp_path}/mlruns"):
        with pytest.raises(TrackingError, match="a folder of files, which MLflow") as caught:
            store.connect(address)
        assert str(caught.value).startswith(f"tracking.uri = '{address}'")
        assert f"(tracking.uri={database}). What is in it comes along by: {move}" in str(
            caught.value
        )
        assert caught.value.exit_code == 2
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "other")
    with pytest.raises(TrackingError) as caught:
        store.connect("other")
    assert str(caught.value).endswith(f"Give a database (MLFLOW_TRACKING_URI={database}).")


def test_an_experiment_whose_folder_of_artifacts_is_gone_is_refused_and_not_made_again(
    stores: Path, tmp_path: Path
) -> None:
    made = experiment_id(stores)
    moved = stores.rename(tmp_path / "moved")
    with pytest.raises(TrackingError) as caught:
        experiment_id(moved)
    assert f"'e' has its artifacts in {stores}/artifacts, which does not exist" in str(caught.value)
    assert experiment_id(moved, "other") != made
    assert not stores.exists()


def test_an_experiment_with_artifacts_elsewhere_is_taken_while_they_are_there(
    stores: Path, tmp_path: Path
) -> None:
    made = experiment_id(stores)
    (stores / "artifacts").mkdir()
    elsewhere = Experiment(uri(stores), "e", tmp_path / "other")
    found = elsewhere.ensure(store.connect(uri(stores)))
    assert found == made
    away = MlflowClient(uri(stores)).create_experiment("away", "s3://bucket/path")
    assert experiment_id(stores, "away") == away


# --- bundles -----------------------------------------------------------------------------------


def test_a_bundle_is_fetched_from_the_store(stores: Path, tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "part").write_text("a")
    (tmp_path / "scratch").mkdir()
    with session.start_run(
        Experiment(uri(stores), "e", stores), log_file=tmp_path / "run.log"
    ) as run:
        run.log_bundle(tmp_path / "bundle")
    fetched = downloads.download_bundle(uri(stores), run.id, tmp_path / "scratch")
    assert fetched == stores / "artifacts" / run.id / "artifacts" / "bundle"
    assert (fetched / "part").read_text() == "a"


def test_a_store_sends_nobody_to_a_server_that_answers_without_an_end(
    stores: Path, tmp_path: Path, silent: str
) -> None:
    for scheme in ("ftp", "sftp", "ldap"):
        away = silent.replace("http", scheme)
        client = store.connect(uri(stores))
        made = client.create_run(client.create_experiment(scheme, f"{away}/x"))
        begun = time.monotonic()
        assert downloads.download_bundle(uri(stores), made.info.run_id, tmp_path) is None
        assert time.monotonic() - begun < 3


def test_an_unknown_run_and_one_without_a_bundle_have_none(stores: Path, tmp_path: Path) -> None:
    made = MlflowClient(uri(stores)).create_run(experiment_id(stores))
    for run_id in (made.info.run_id, "f" * 32):
        assert downloads.download_bundle(uri(stores), run_id, tmp_path) is None


def test_a_bundle_of_a_server_that_is_gone_is_not_waited_for(tmp_path: Path, nobody: str) -> None:
    address = nobody.replace("http://", "http://me:secret@")
    begun = time.monotonic()
    with pytest.raises(TrackingError) as caught:
        downloads.download_bundle(address, "abc", tmp_path)
    assert time.monotonic() - begun < 3
    shown = address.replace("secret", "***")
    assert f"Run abc has no model on this machine. The tracking store {shown} does not" in str(
        caught.value
    )
    assert "secret" not in str(caught.value)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), unique=True, max_size=5))
def test_any_names_of_classes_make_as_many_metrics_that_mlflow_takes(names: list[str]) -> None:
    metrics = [f"val_class/{name}/f1" for name in names]
    accepted = limits.sanitize_names(metrics)
    assert list(accepted) == metrics
    assert len(set(accepted.values())) == len(names)
    for name in accepted.values():
        _validate_metric_name(name)  # type: ignore[no-untyped-call]
        assert len(name) <= MAX_ENTITY_KEY_LENGTH


def test_names_that_mlflow_takes_are_kept_and_others_get_a_digest() -> None:
    def digest(name: str) -> str:
        return hashlib.sha256(name.encode()).hexdigest()[:8]

    long = "x" * 300
    expected = {
        "a/日本語 é/f1": "a/日本語 é/f1",
        "a/C#/f1": "a/C_/f1",
        "a/C+/f1": f"a_C__f1-{digest('a/C+/f1')}",
        "a/../f1": f"a____f1-{digest('a/../f1')}",
        "a///f1": f"a___f1-{digest('a///f1')}",
        "../f1": f"___f1-{digest('../f1')}",
        "x" * 250: "x" * 250,
        long: f"{'x' * 241}-{digest(long)}",
    }
    assert limits.sanitize_names(expected) == expected


def test_items_are_given_in_lists_of_at_most_so_many() -> None:
    assert list(limits.split([1, 2, 3], 2)) == [[1, 2], [3]]
    assert list(limits.split([], 2)) == []


# --- MLflow's pages ----------------------------------------------------------------------------


def test_an_experiment_is_one_of_trainings_unless_somebody_has_said_otherwise(
    tracked_stores: Path,
) -> None:
    client = store.connect(uri(tracked_stores))
    place = str(tracked_stores / "artifacts")
    client.create_experiment("old", place)
    client.create_experiment("agents", place, tags={pages.KIND_TAG: "genai_development"})
    for name, kind in (("new", pages.KIND), ("old", pages.KIND), ("agents", "genai_development")):
        Experiment(uri(tracked_stores), name, tracked_stores).ensure(client)
        (found,) = client.search_experiments(filter_string=f"name = '{name}'")
        assert found.tags[pages.KIND_TAG] == kind


def test_the_pages_are_served_by_a_command_and_lead_to_the_runs(
    composed: Compose, tracked_stores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("UV", "MLFLOW_PORT", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    beside = Path(sys.executable).parent
    monkeypatch.setenv("PATH", str(beside))
    config = check(composed(f"paths.stores={tracked_stores}", "tracking.experiment=mine"))
    where = uri(tracked_stores)
    command = f"mlflow ui --backend-store-uri {where}"
    unknown = [("MLflow", command), ("Then open", "http://127.0.0.1:5000")]
    assert store.describe_ui(config) == unknown
    monkeypatch.setenv("PATH", "/nowhere")
    assert store.describe_ui(config)[0] == ("MLflow", f"{beside}/{command}")
    number = Experiment.from_config(config).ensure(store.connect(where))
    page = f"/#/experiments/{number}/runs?workflowType=machine_learning"
    assert store.describe_ui(config)[1] == ("Then open", f"http://127.0.0.1:5000{page}")
    monkeypatch.setenv("UV", "uv")
    monkeypatch.setenv("MLFLOW_PORT", "5050")
    assert store.describe_ui(config) == [
        ("MLflow", f"uv run {command}"),
        ("Then open", f"http://127.0.0.1:5050{page}"),
    ]
    assert pages.list_ways("https://host/", "7") == [
        ("MLflow", "https://host/#/experiments/7/runs?workflowType=machine_learning")
    ]


def test_without_an_answer_there_is_still_a_way_to_the_server(
    composed: Compose, nobody: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", nobody)
    assert store.describe_ui(check(composed())) == [("MLflow", nobody)]
