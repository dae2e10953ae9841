from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier

import tagifai
from tagifai.config.job import Job, use_job
from tagifai.config.schema import Config, check
from tagifai.data import datasets
from tagifai.data.dataset_store import Dataset
from tagifai.exceptions import BundleError, DataError, TrackingError
from tagifai.models import bundles
from tagifai.models.tagger import Tagger
from tagifai.runs import latest, resolve
from tagifai.tracking import session
from tagifai.tracking.store import Experiment
from tagifai.utils import process_pool
from tests.conftest import DOCUMENTS, TAGS, TEXTS, Compose
from tests.frames import a_run, frame
from tests.runner import call_here

TEXT = ["Images with convolutions"]


@pytest.fixture
def bundle(tmp_path: Path, tagger: Tagger) -> Path:
    bundles.save(tmp_path / "made" / "bundle", tagger, DOCUMENTS)
    return tmp_path / "made" / "bundle"


def test_a_run_is_found_by_its_id_and_the_latest_without_one(tmp_path: Path, bundle: Path) -> None:
    for run_id in ("a", "b"):
        bundles.publish(bundle, tmp_path, run_id)
    latest.set_run(tmp_path, "b", {})
    assert resolve.find(tmp_path, "a", None) == ("a", bundles.get_path(tmp_path, "a"))
    assert resolve.find(tmp_path, None, None) == ("b", bundles.get_path(tmp_path, "b"))


def test_before_the_first_training_the_error_says_how_to_train(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"No run has been trained into .* yet.*Train one: "):
        resolve.find(tmp_path, None, None)


def test_an_unknown_run_is_refused_with_the_latest_one(tmp_path: Path) -> None:
    with pytest.raises(BundleError) as caught:
        resolve.find(tmp_path, "x", None)
    assert str(caught.value) == f"There is no run 'x' with a model in {tmp_path}."
    latest.set_run(tmp_path, "a", {})
    with pytest.raises(BundleError, match=r"The latest run is a\.$"):
        resolve.find(tmp_path, "x", None)


def test_a_latest_run_whose_model_is_gone_is_not_offered_instead_of_itself(tmp_path: Path) -> None:
    latest.set_run(tmp_path, "a", {})
    with pytest.raises(BundleError) as caught:
        resolve.find(tmp_path, None, None)
    assert str(caught.value) == (
        f"There is no run 'a' with a model in {tmp_path}. It is the one which"
        f" {tmp_path}/run_id.txt names as the latest. Train again, or choose another:"
        " task.run_id=..."
    )


def test_what_is_no_run_id_is_refused_before_any_path_is_looked_at(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"'\.\./\.\./x' is not a run id"):
        resolve.find(tmp_path, "../../x", None)


def test_a_loaded_run_predicts_as_it_did_when_it_was_saved(
    tmp_path: Path, bundle: Path, tagger: Tagger
) -> None:
    path = bundles.publish(bundle, tmp_path, "a")
    run_id, loaded = resolve.load_tagger(tmp_path, "a", None)
    assert run_id == "a"
    assert loaded.predict(TEXT) == tagger.predict(TEXT)
    assert bundles.read_document(path, "performance.json") == {"f1": 0.5}


def test_the_package_loads_the_latest_run_of_a_store(
    tmp_path: Path, bundle: Path, tagger: Tagger
) -> None:
    bundles.publish(bundle, tmp_path, "a")
    latest.set_run(tmp_path, "a", {})
    assert tagifai.load(stores=tmp_path).predict(TEXT) == tagger.predict(TEXT)
    assert tagifai.load("a", stores=str(tmp_path)).predict(TEXT) == tagger.predict(TEXT)
    with pytest.raises(BundleError, match="There is no run 'b'"):
        tagifai.load("b", stores=tmp_path)


def test_a_folder_that_is_not_of_the_project_is_anybody_s_unless_a_person_trusts_it(
    tmp_path: Path, tagger: Tagger
) -> None:
    X, y = tagger.vectorize(TEXTS), tagger.encoder.encode(TAGS)
    forest = RandomForestClassifier(2, random_state=0).fit(X, y)
    bundles.save(tmp_path / "got", replace(tagger, model=forest), DOCUMENTS)
    bundles.save(tmp_path / "plain", tagger, DOCUMENTS)
    stores = tmp_path / "stores"
    assert tagifai.load(tmp_path / "plain", stores=stores).predict(TEXT) == tagger.predict(TEXT)
    with pytest.raises(BundleError, match=r"trusted=True"):
        tagifai.load(tmp_path / "got", stores=stores)
    assert tagifai.load(tmp_path / "got", stores=stores, trusted=True).labels == tagger.labels
    own = bundles.publish(tmp_path / "got", stores, "a")
    assert tagifai.load(own, stores=stores).labels == tagger.labels
    marked = bundles.publish(tmp_path / "got", stores, "b", {"file": "x.zip"})
    with pytest.raises(BundleError, match=r"trusted=True"):
        tagifai.load(marked, stores=stores)
    with pytest.raises(BundleError, match=r"trusted=True"):
        tagifai.load("b", stores=stores)


@pytest.fixture
def checked_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Check what is fetched within this process."""
    monkeypatch.setattr(process_pool, "call_limited", call_here)


@pytest.mark.usefixtures("checked_here")
def test_a_bundle_that_is_not_here_is_fetched_from_the_tracking_store_and_kept(
    tracked_stores: Path, tmp_path: Path, bundle: Path, tagger: Tagger
) -> None:
    uri = f"sqlite:///{tracked_stores}/mlflow.db"
    with session.start_run(
        Experiment(uri, "e", tracked_stores), log_file=tmp_path / "run.log"
    ) as run:
        run.log_bundle(bundle)
    here = tmp_path / "another machine"
    run_id, loaded = resolve.load_tagger(here, run.id, uri)
    assert loaded.predict(TEXT) == tagger.predict(TEXT)
    path = resolve.find(here, run_id, None)[1]
    # Whoever may write to that store may have put it there.
    assert bundles.read_manifest(path)["imported"] == {"tracking": uri}
    assert [path.name for path in here.iterdir()] == ["artifacts"]


def test_a_run_that_the_tracking_store_has_not_either_is_refused(
    tracked_stores: Path, tmp_path: Path
) -> None:
    with pytest.raises(BundleError, match="There is no run 'abc' with a model"):
        resolve.find(tmp_path / "here", "abc", f"sqlite:///{tracked_stores}/mlflow.db")
    assert list((tmp_path / "here").iterdir()) == []


@pytest.mark.usefixtures("checked_here")
def test_a_changed_bundle_of_the_tracking_store_is_refused_and_not_kept(
    tracked_stores: Path, tmp_path: Path, bundle: Path
) -> None:
    (bundle / "tagger.json").write_text("{}")
    uri = f"sqlite:///{tracked_stores}/mlflow.db"
    with session.start_run(
        Experiment(uri, "e", tracked_stores), log_file=tmp_path / "run.log"
    ) as run:
        run.log_bundle(bundle)
    with pytest.raises(BundleError, match=r"tagger\.json is not the one that was saved"):
        resolve.find(tmp_path / "here", run.id, uri)
    assert list((tmp_path / "here").iterdir()) == []


def test_a_tracking_store_that_does_not_answer_is_told_at_once(tmp_path: Path, nobody: str) -> None:
    begun = time.monotonic()
    with pytest.raises(
        TrackingError, match=r"Run abc has no model on this machine\. The tracking store http"
    ):
        resolve.find(tmp_path, "abc", nobody)
    assert time.monotonic() - begun < 3
    assert list(tmp_path.iterdir()) == []


# --- the data that are meant -------------------------------------------------------------------

GERMAN, NEWS = "a" * 64, "b" * 64


def two_data_sets() -> pd.DataFrame:
    """Return two runs on other data each; MLflow keeps the first digits of a digest."""
    return frame(
        a_run("german", 0.9, digest=GERMAN[:36], params__data__name="german"),
        a_run("news", 0.8, digest=NEWS[:36], params__data__name="news"),
    )


def choose(config: Config, champion: str | None = None) -> list[str]:
    with use_job(Job(Path(config.paths.outputs))):
        found = resolve.select_configured_data(two_data_sets(), config, champion)
    return list(found["run_id"])


def test_the_best_run_is_one_on_the_data_of_the_latest_run_which_are_named(
    tmp_path: Path, composed: Compose, caplog: pytest.LogCaptureFixture
) -> None:
    config = check(composed(f"paths.stores={tmp_path}"))
    bundle = bundles.get_path(tmp_path, "news")
    bundle.mkdir(parents=True)
    (bundle / "splits.json").write_text(json.dumps({"data": {"name": "news", "digest": NEWS}}))
    latest.set_run(tmp_path, "news", {})
    assert choose(config) == ["news"]
    assert caplog.messages == [
        "Of runs on 2 data sets those on news (bbbbbbbb) count, the data of the latest run"
    ]


def test_a_challenger_is_one_on_the_data_of_the_champion(tmp_path: Path, composed: Compose) -> None:
    config = check(composed(f"paths.stores={tmp_path}"))
    assert choose(config, champion=GERMAN) == ["german"]


def test_without_a_latest_run_the_data_have_to_be_named(tmp_path: Path, composed: Compose) -> None:
    config = check(composed(f"paths.stores={tmp_path}"))
    with pytest.raises(DataError, match="There are runs on: german"):
        choose(config)


def test_data_that_the_command_names_come_first(
    tmp_path: Path, composed: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = check(composed(f"paths.stores={tmp_path}"))
    dataset = Dataset({"digest": GERMAN}, tmp_path, fresh=False)
    monkeypatch.setattr(datasets, "load", lambda data, stores: dataset)
    with use_job(Job(tmp_path, overrides=("data=table", "task=predict"))):
        found = resolve.select_configured_data(two_data_sets(), config, champion=NEWS)
    assert list(found["run_id"]) == ["german"]
