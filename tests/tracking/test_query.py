from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from tagifai.exceptions import ConfigError, DataError, TrackingError, TrackingSettingError
from tagifai.tracking import query, session, store
from tagifai.tracking.store import Experiment


def uri(stores: Path) -> str:
    return f"sqlite:///{stores}/mlflow.db"


def made(stores: Path, name: str, parent: str | None = None) -> session.TrackedRun:
    tags = {} if parent is None else {"mlflow.parentRunId": parent}
    return session.create_run(Experiment(uri(stores), "mine", stores), name, tags)


def test_a_run_is_a_row_with_its_parameters_tags_and_metrics(tracked_stores: Path) -> None:
    run = made(tracked_stores, "one", parent="p")
    run.log_params({"model.alpha": 0.1})
    run.log_metrics({"test_f1": 0.5})
    run.log_dataset("sample", "a" * 64, "t.csv", {})
    run.end("FINISHED")
    made(tracked_stores, "running")

    found = query.load_runs(uri(tracked_stores), "mine").set_index("name")
    assert list(found.loc[["one", "running"], "status"]) == ["FINISHED", "RUNNING"]
    row = found.loc["one"]
    assert (row["run_id"], row["parent"], row["digest"]) == (run.id, "p", "a" * 36)
    assert (row["params.model.alpha"], row["metrics.test_f1"]) == ("0.1", 0.5)
    assert row["tags.mlflow.parentRunId"] == "p"
    assert 0 <= row["seconds"] < 60
    empty = ["seconds", "parent", "digest", "params.model.alpha", "metrics.test_f1"]
    assert pd.isna(found.loc["running", empty]).all()


def test_runs_beyond_one_page_are_found(
    tracked_stores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(query, "RUNS_PER_PAGE", 2)
    ids = {made(tracked_stores, str(number)).id for number in range(5)}
    found = query.load_runs(uri(tracked_stores), "mine")
    assert len(found) == 5
    assert set(found["run_id"]) == ids


def test_parent_and_filter_narrow_the_runs_together(tracked_stores: Path) -> None:
    for name, parent in (("a", "p"), ("b", "p"), ("a", None)):
        made(tracked_stores, name, parent).log_params({"name": name})
    address = uri(tracked_stores)
    found = {
        (parent, wanted): len(query.load_runs(address, "mine", parent=parent, filter=wanted))
        for parent in (None, "p", "q")
        for wanted in (None, "params.name = 'a'")
    }
    assert list(found.values()) == [3, 2, 2, 1, 0, 0]


def test_no_runs_are_a_table_without_rows(tracked_stores: Path) -> None:
    found = query.load_runs(uri(tracked_stores), "Default")
    assert (len(found), tuple(found)) == (0, query.COLUMNS)


def test_a_filter_that_mlflow_does_not_accept_is_named_with_its_reason(
    tracked_stores: Path,
) -> None:
    with pytest.raises(ConfigError, match=r"metrics.f1 > .*Invalid clause"):
        query.load_runs(uri(tracked_stores), "Default", filter="metrics.f1 >")


def test_an_experiment_that_is_not_there_is_refused_with_the_nearest(tracked_stores: Path) -> None:
    with pytest.raises(ConfigError, match=r"'Defualt': .*Did you mean 'Default'\? There are"):
        query.load_runs(uri(tracked_stores), "Defualt")


def test_an_experiment_that_was_deleted_is_refused(tracked_stores: Path) -> None:
    client = store.connect(uri(tracked_stores))
    client.delete_experiment(client.create_experiment("gone"))
    with pytest.raises(TrackingSettingError, match=r"task\.experiment = 'gone' was deleted in"):
        query.load_runs(uri(tracked_stores), "gone")


def test_a_store_that_is_not_there_yet_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no tracked runs yet"):
        query.load_runs(uri(tmp_path), "mine")
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_does_not_answer_is_said_at_once(nobody: str) -> None:
    with pytest.raises(TrackingError, match="does not answer"):
        query.load_runs(nobody, "mine")


def test_another_failure_of_the_store_is_a_tracking_error(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("no database" * 100)
    with pytest.raises(TrackingError, match="is no SQLite database"):
        query.load_runs(uri(tmp_path), "mine")
