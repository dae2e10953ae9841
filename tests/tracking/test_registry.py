from __future__ import annotations

from pathlib import Path

import pytest

from tagifai.exceptions import DataError, TrackingError
from tagifai.serving import saving
from tagifai.tracking import session, store
from tagifai.tracking.registry import ModelRegistry, ModelVersion
from tagifai.tracking.store import Experiment


@pytest.fixture
def uri(tracked_stores: Path) -> str:
    return f"sqlite:///{tracked_stores}/mlflow.db"


def a_run(uri: str, stores: Path) -> tuple[str, str]:
    """A run with a model that is one file; ids of both."""
    run = session.create_run(Experiment(uri, "tagifai", stores))
    run.log_model(stores, "sgd · C=0.5")
    model_id = run.get_model_id()
    assert model_id is not None
    run.end("FINISHED")
    return run.id, model_id


@pytest.fixture(autouse=True)
def _small_models(monkeypatch: pytest.MonkeyPatch) -> None:
    def save(folder: Path, model_id: str, *, bundle: Path, run_id: str) -> None:
        folder.mkdir()
        (folder / "MLmodel").write_text(f"model_id: {model_id}\n")

    monkeypatch.setattr(saving, "save", save)


def test_without_a_registered_model_there_is_no_champion_and_no_version(uri: str) -> None:
    models = ModelRegistry(uri, 'it\'s "new"')
    assert models.get_champion() is None
    assert models.list_versions() == []
    assert models.find_by_run("abc") is None


def test_versions_count_up_and_one_of_them_is_the_champion(uri: str, tracked_stores: Path) -> None:
    models = ModelRegistry(uri, "tagifai")
    made = [models.register(*a_run(uri, tracked_stores)) for _ in range(2)]
    assert [version.number for version in made] == [1, 2]
    assert models.get_champion() is None
    for version in made:
        models.set_champion(version)
        assert models.get_champion() == version
    assert models.list_versions() == made[::-1]
    assert (models.get_version(1), models.get_version(3)) == (made[0], None)
    assert models.find_by_run(made[0].run_id) == made[0]


def test_a_version_says_which_run_it_is_and_the_model_what_it_is_for(
    uri: str, tracked_stores: Path
) -> None:
    run = session.create_run(Experiment(uri, "tagifai", tracked_stores), "sgd · C=0.5")
    run.log_params({"data.name": "sample"})
    run.log_metrics({"objective": 0.51236, "test_f1": 0.5})
    run.log_model(tracked_stores, "sgd · C=0.5")
    made = ModelRegistry(uri, "tagifai").register(run.id, str(run.get_model_id()))
    client = store.connect(uri)
    about = client.get_model_version("tagifai", str(made.number)).description
    assert about == (f"Run sgd · C=0.5 ({run.id[:8]}) on sample: objective 0.5124, test_f1 0.5.")
    assert "task=promote" in client.get_registered_model("tagifai").description
    assert client.get_logged_model(str(run.get_model_id())).name == "sgd · C=0_5"


def test_tags_are_set_and_those_that_are_none_are_taken_away(
    uri: str, tracked_stores: Path
) -> None:
    models = ModelRegistry(uri, "tagifai")
    made = models.register(*a_run(uri, tracked_stores))
    models.set_tags(made, {"test_f1": 0.5, "forced": None})
    found = models.get_version(1)
    assert found == ModelVersion(1, made.run_id, {"test_f1": "0.5"})
    assert found is not None
    models.set_tags(found, {"test_f1": None})
    assert models.find_by_run(made.run_id) == made


def test_a_run_says_which_model_it_keeps(uri: str, tracked_stores: Path) -> None:
    run_id, model_id = a_run(uri, tracked_stores)
    run = session.reopen_run(run_id, uri)
    assert (run.get_model_id(), run.get_status()) == (model_id, "FINISHED")
    kept = tracked_stores / "artifacts" / "models" / model_id / "artifacts" / "MLmodel"
    assert kept.read_text() == f"model_id: {model_id}\n"
    assert session.reopen_run("0" * 32, uri).get_status() is None


def test_a_run_without_a_model_keeps_none(uri: str, tracked_stores: Path) -> None:
    assert session.create_run(Experiment(uri, "tagifai", tracked_stores)).get_model_id() is None
    untracked = session.TrackedRun("abc")
    untracked.log_model(tracked_stores, "x")
    assert (untracked.get_model_id(), untracked.get_status()) == (None, None)


def test_a_model_that_cannot_be_written_is_failed_and_not_the_run_s(
    uri: str, tracked_stores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(folder: Path, model_id: str, **_: object) -> None:
        raise OSError("no space left")

    run = session.reopen_run(session.create_run(Experiment(uri, "tagifai", tracked_stores)).id, uri)
    monkeypatch.setattr(saving, "save", broken)
    with pytest.raises(TrackingError, match="no space left"):
        run.log_model(tracked_stores, "x")
    assert run.get_model_id() is None


def test_a_store_that_is_not_there_is_an_error(tmp_path: Path, nobody: str) -> None:
    with pytest.raises(DataError, match="no tracked runs yet"):
        ModelRegistry(f"sqlite:///{tmp_path}/none.db", "tagifai")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(TrackingError, match="does not answer"):
        ModelRegistry(nobody, "tagifai")
