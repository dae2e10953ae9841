from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from omegaconf import OmegaConf

from tagifai.config.error_messages import explain
from tagifai.config.schema import Config, check
from tagifai.data.dataset_store import Dataset
from tagifai.data.prepare import PreparedData
from tagifai.data.splitting.stratified import Split
from tagifai.evaluation.metrics import Performance, Scores
from tagifai.exceptions import DataError, StaleTrialError, TrackingError
from tagifai.models import bundles
from tagifai.models.tagger import Tagger
from tagifai.preprocessing.feature_cache import skip_cache
from tagifai.preprocessing.labels import LabelEncoder
from tagifai.runs.recording import logger
from tagifai.tracking import session
from tagifai.tracking.provenance import Invocation
from tagifai.tracking.store import Experiment
from tagifai.training.checkpoints import Checkpoints
from tagifai.training.components import Components
from tagifai.training.fitting import FitResult
from tagifai.training.loop import History, TrainingPruned
from tagifai.training.open_run import OpenRun
from tagifai.training.trial import NullTrial
from tests.conftest import TAGS, TEXTS, Compose

HISTORY = History(train_loss=[0.75, 0.5], val_loss=[1.0, 0.875])
LOSSES = {"per_epoch/train_loss": [0.75, 0.5], "per_epoch/val_loss": [1.0, 0.875]}


class Spy(session.TrackedRun):
    """Remembers what it is told, and fails from the named call on."""

    def __init__(self, failing: str = "") -> None:
        super().__init__("abc")
        self.failing = failing
        self.params: dict[str, Any] = {}
        self.tags: dict[str, Any] = {}
        self.epochs: list[dict[str, list[float] | dict[int, float]]] = []
        self.metrics: dict[str, float] = {}
        self.data: list[tuple[str, str, str, Mapping[str, Any]]] = []
        self.files: list[str] = []
        self.bundles: list[Path] = []
        self.models: list[tuple[Path, str]] = []
        self.of_model: dict[str, bool] = {}

    def _called(self, name: str) -> None:
        if name == self.failing:
            raise TrackingError("Tracking failed.")

    def log_params(self, params: Mapping[str, Any]) -> None:
        self._called("log_params")
        self.params |= params

    def log_tags(self, tags: Mapping[str, Any]) -> None:
        self._called("log_tags")
        self.tags |= tags

    def log_epochs(
        self, losses: Mapping[str, list[float] | dict[int, float]], *, of_model: bool = False
    ) -> None:
        self._called("log_epochs")
        self.epochs.append(dict(losses))

    def log_metrics(self, metrics: Mapping[str, float], *, of_model: bool = False) -> None:
        self._called("log_metrics")
        self.metrics |= metrics
        self.of_model |= dict.fromkeys(metrics, of_model)

    def log_dataset(self, name: str, digest: str, source: str, profile: Mapping[str, Any]) -> None:
        self._called("log_data")
        self.data.append((name, digest, source, profile))

    def log_file(self, path: Path | None) -> None:
        self._called("log_file")
        assert path is not None
        self.files.append(path.name)

    def log_bundle(self, path: Path) -> None:
        self._called("log_bundle")
        self.bundles.append(path)

    def log_model(self, bundle: Path, name: str) -> None:
        self._called("log_model")
        self.models.append((bundle, name))


# --- a training that ends early ----------------------------------------------------------------


def train_until(error: BaseException, tracked: session.TrackedRun) -> None:
    with logger.log_epochs_on_error(tracked) as keep:
        keep.on_epoch_end(HISTORY)
        raise error


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), TrainingPruned("x"), DataError("x"), SystemExit()]
)
def test_the_losses_of_a_training_that_ends_early_are_recorded(error: BaseException) -> None:
    spy = Spy()
    with pytest.raises(type(error)) as caught:
        train_until(error, spy)
    assert caught.value is error
    assert spy.epochs == [LOSSES]


def test_a_failing_store_does_not_take_the_place_of_the_interrupt() -> None:
    error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt) as caught:
        train_until(error, Spy(failing="log_epochs"))
    assert caught.value is error


def test_a_training_that_ends_before_its_first_epoch_is_recorded_without_losses() -> None:
    spy = Spy()
    with pytest.raises(KeyboardInterrupt), logger.log_epochs_on_error(spy):
        raise KeyboardInterrupt
    assert spy.epochs == [{"per_epoch/train_loss": [], "per_epoch/val_loss": []}]


def test_a_training_that_goes_through_is_not_recorded_before_its_result() -> None:
    spy = Spy()
    with logger.log_epochs_on_error(spy) as keep:
        keep.on_epoch_end(HISTORY)
    assert spy.epochs == []
    assert keep.history is HISTORY
    logger.log_epochs(spy, keep.history)
    assert spy.epochs == [LOSSES]


def test_a_training_with_scores_is_recorded_under_its_own_names() -> None:
    scored = History([0.75, 0.5], [1.0, 0.875], {0: 0.25})
    spy = Spy()
    with suppress(TrainingPruned), logger.log_epochs_on_error(spy, "seed_1/") as keep:
        keep.on_epoch_end(scored)
        raise TrainingPruned
    assert spy.epochs == [
        {
            "per_epoch/seed_1/train_loss": [0.75, 0.5],
            "per_epoch/seed_1/val_loss": [1.0, 0.875],
            "per_epoch/seed_1/reported": {0: 0.25},
        }
    ]


# --- how a trial ends --------------------------------------------------------------------------


def try_until(error: BaseException | None, tracked: session.TrackedRun) -> None:
    with logger.log_trial_state(tracked):
        if error is not None:
            raise error


@pytest.mark.parametrize(
    ("error", "state", "status"),
    [
        (None, "COMPLETE", "FINISHED"),
        (TrainingPruned(), "PRUNED", "KILLED"),
        (StaleTrialError(), "DIED", "KILLED"),
        (KeyboardInterrupt(), "DIED", "KILLED"),
        (DataError("x"), "FAIL", "FINISHED"),
        (ValueError("x"), "FAIL", "FINISHED"),
        (SystemExit(), "FAIL", "FINISHED"),
    ],
)
def test_a_trial_s_run_says_how_the_trial_ended(
    error: BaseException | None, state: str, status: str
) -> None:
    spy = Spy()
    with nullcontext() if error is None else pytest.raises(type(error)):
        try_until(error, spy)
    assert spy.tags == {"trial.state": state}
    assert spy.status == status  # of one that raises, whoever closes the run decides


@pytest.mark.parametrize(
    "error", [TrainingPruned(), StaleTrialError(), KeyboardInterrupt(), DataError("x")]
)
def test_a_failing_store_does_not_take_the_place_of_how_a_trial_ended(
    error: BaseException,
) -> None:
    with pytest.raises(type(error)) as caught:
        try_until(error, Spy(failing="log_tags"))
    assert caught.value is error


def test_a_trial_whose_end_cannot_be_recorded_failed() -> None:
    with pytest.raises(TrackingError):
        try_until(None, Spy(failing="log_tags"))


def interrupted(stores: Path) -> str:
    """Interrupt a training after two epochs and return the id of its run."""
    opened = session.start_run(
        Experiment(f"sqlite:///{stores}/mlflow.db", "e", stores), log_file=stores / "run.log"
    )
    run_id = ""
    try:
        with opened as tracked:
            run_id = tracked.id
            train_until(KeyboardInterrupt(), tracked)
    except KeyboardInterrupt:
        return run_id
    raise AssertionError("it was not interrupted")


def test_the_store_has_the_losses_of_an_interrupted_run(tracked_stores: Path) -> None:
    run_id = interrupted(tracked_stores)
    client = MlflowClient(f"sqlite:///{tracked_stores}/mlflow.db")
    assert client.get_run(run_id).info.status == "KILLED"
    for name, values in LOSSES.items():
        found = client.get_metric_history(run_id, name)
        assert [(point.step, point.value) for point in found] == [*enumerate(values)]


# --- tracking that fails -----------------------------------------------------------------------


def fail_after(output: Path, error: Exception) -> None:
    with logger.mention_saved_model(output):
        raise error


@pytest.mark.parametrize("error", [TrackingError("It failed."), OSError("It failed.")])
def test_a_failure_names_the_model_that_was_saved(tmp_path: Path, error: Exception) -> None:
    (tmp_path / "bundle").mkdir()
    with pytest.raises(type(error)) as caught:
        fail_after(tmp_path, error)
    assert caught.value is error
    message = f"It failed. The model is trained and saved anyway: {tmp_path}/bundle"
    assert explain(error)[0] == message


def test_before_the_model_was_saved_none_is_named(tmp_path: Path) -> None:
    error = TrackingError("Tracking failed.")
    with pytest.raises(TrackingError) as caught:
        fail_after(tmp_path, error)
    assert caught.value is error


def test_the_log_names_the_run_however_it_ends(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    with (
        caplog.at_level(logging.INFO, "tagifai"),
        pytest.raises(DataError),
        logger.log_run_id(Spy(), tmp_path),
    ):
        raise DataError("x")
    assert caplog.messages == [f"Run abc in {tmp_path}"]


# --- the inputs of a run -----------------------------------------------------------------------


DATASET = Dataset(
    {
        "digest": "0123" * 16,
        "options": {"text": ["text"]},
        "name": "sample",
        "rows": 3,
        "tag_counts": {"a": 2, "b": 1},
        "tables": {"projects": {"source": "https://host/p.csv"}},
    },
    Path("rows.parquet"),
    fresh=False,
)


@pytest.fixture
def config(composed: Compose) -> Config:
    return check(composed("preprocessing=none", "++tracking.tags={team: x}"))


def invocation(output: Path, **chosen: Any) -> Invocation:
    command = "run.py model=sgd 'seed=1'"
    options = {"model": "sgd", "sampling": "random_over"}
    return Invocation(command, output, **({"options": options, "overrides": []} | chosen))


PROVENANCE = {"versions": {"scikit-learn": "1.9.0"}, "git": {"commit": "c0ffee", "dirty": "true"}}


def inputs(config: Config, made: Invocation) -> Spy:
    spy = Spy()
    logger.log_inputs(spy, config, DATASET, made, PROVENANCE)
    return spy


def test_all_that_a_run_is_made_from_is_recorded_but_where_it_was_made(
    monkeypatch: pytest.MonkeyPatch, config: Config, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    spy = inputs(config, invocation(tmp_path, overrides=["model=sgd", "seed=1 "]))
    assert (spy.params["model.C"], spy.params.get("model.alpha")) == ("10.0", None)
    assert spy.params["training.epochs"] == "10"
    assert spy.params["seed"] == "42"
    assert not [name for name in spy.params if name.startswith(("paths", "sweep"))]
    assert (spy.params["objective.metric"], spy.params["objective.repeats"]) == ("val_f1", "1")
    assert (spy.tags["team"], spy.tags["cwd"]) == ("x", str(tmp_path))
    assert (spy.params["model"], spy.params["sampling"]) == ("sgd", "random_over")
    assert (spy.tags["command"], spy.tags["overrides"]) == (
        "run.py model=sgd 'seed=1'",
        "model=sgd 'seed=1 '",
    )
    assert spy.tags["versions"] == "scikit-learn 1.9.0"
    assert spy.tags["mlflow.source.git.commit"] == "c0ffee"
    assert spy.tags["mlflow.source.git.dirty"] == "true"
    counts = {"rows": 3, "tags": {"a": 2, "b": 1}}
    assert spy.data == [("sample", "0123" * 16, "https://host/p.csv", counts)]
    assert spy.files == ["config.yaml", "overrides.yaml"]
    assert OmegaConf.load(tmp_path / "config.yaml").model.C == 10.0


# --- the model ---------------------------------------------------------------------------------


def scores(value: float) -> Scores:
    return {"precision": value, "recall": value, "f1": value, "num_samples": 2}


def performance(value: float) -> Performance:
    return {"overall": scores(value), "class": {"cv": scores(value)}, "slices": {}}


def result(tagger: Tagger) -> FitResult:
    scored = {"val": performance(0.5), "test": performance(0.25)}
    return FitResult(lambda: tagger, tagger.threshold, HISTORY, 1, 7, scored)


def prepared() -> PreparedData:
    encoder = LabelEncoder.fit(TAGS)
    split = Split(np.arange(8), np.array([8, 10]), np.array([11, 9]))
    rows = pd.DataFrame(
        {"id": [f"id{i}" for i in range(12)], "raw": TEXTS, "text": TEXTS, "tag": TAGS}
    )
    return PreparedData(rows, encoder.encode(TAGS), encoder, split, {}, "cv")


OBJECTIVE = {"val_f1": 0.5}


def open_run(spy: Spy, config: Config, output: Path) -> OpenRun:
    invocation = Invocation("run.py", output, {}, [])
    components = Components(None, None, None, None)
    return OpenRun(
        config,
        invocation,
        PROVENANCE,
        spy,
        NullTrial(),
        DATASET,
        prepared(),
        components,
        skip_cache,
        Checkpoints(None, print),
    )


def kept(spy: Spy, config: Config, output: Path, tagger: Tagger) -> None:
    """Go through what a run does when its training is through."""
    output.mkdir()
    with logger.mention_saved_model(output):
        with logger.log_epochs_on_error(spy) as keep:
            keep.on_epoch_end(HISTORY)
        run = open_run(spy, config, output)
        logger.save_model(run, result(tagger), OBJECTIVE, {"": HISTORY})


def test_the_model_is_saved_published_and_recorded(
    config: Config, tmp_path: Path, tagger: Tagger
) -> None:
    spy = Spy()
    kept(spy, config, tmp_path / "run", tagger)
    published = bundles.get_path(tmp_path / "stores", "abc")
    for bundle in (tmp_path / "run" / "bundle", published):
        assert bundles.load(bundle).predict(TEXTS[:1]) == tagger.predict(TEXTS[:1])
    assert spy.bundles == [published]
    assert spy.files == ["class_scores.json", "performance.json"]
    assert spy.models == [(published, "None · sample")]
    written = json.loads((tmp_path / "run" / "performance.json").read_text())
    assert written == {"val": performance(0.5), "test": performance(0.25)}


def test_the_bundle_says_which_rows_were_for_what(
    config: Config, tmp_path: Path, tagger: Tagger
) -> None:
    kept(Spy(), config, tmp_path / "run", tagger)
    splits = bundles.read_document(tmp_path / "run" / "bundle", "splits.json")
    assert splits["data"] == {"name": "sample", "digest": "0123" * 16}
    assert splits["train"] == [f"id{i}" for i in range(8)]
    assert (splits["val"], splits["test"]) == (["id8", "id10"], ["id11", "id9"])


def test_the_bundle_says_how_the_run_came_about(
    config: Config, tmp_path: Path, tagger: Tagger
) -> None:
    kept(Spy(), config, tmp_path / "run", tagger)
    assert bundles.read_document(tmp_path / "run" / "bundle", "provenance.json") == PROVENANCE


def test_losses_are_recorded_by_epoch_and_scores_once_with_the_objective(
    config: Config, tmp_path: Path, tagger: Tagger
) -> None:
    spy = Spy()
    kept(spy, config, tmp_path / "run", tagger)
    assert spy.epochs == [LOSSES]
    assert (spy.metrics["val_f1"], spy.metrics["test_f1"]) == (0.5, 0.25)
    assert (spy.metrics["objective"], spy.metrics["threshold"]) == (0.5, 0.4)
    assert spy.metrics["val_loss"] == HISTORY.val_loss[1]
    assert {spy.of_model[name] for name in ("test_f1", "objective", "model_bytes")} == {True}
    assert (spy.tags["epoch"], spy.tags["features"]) == (1, 7)
    assert len(spy.tags["content"]) == 64
    assert next(iter(spy.metrics)) == "objective"


@pytest.mark.parametrize(
    ("objective", "recorded"),
    [
        ({"val_loss": 0.25}, {"objective": 0.25}),
        ({"model_bytes": 800.0}, {"objective": 800.0}),
        ({"val_f1": 0.75, "model_bytes": 8.0},
         {"objective/val_f1": 0.75, "objective/model_bytes": 8.0}),
    ],
)  # fmt: skip
def test_the_objective_is_one_metric_and_several_have_names(
    config: Config,
    caplog: pytest.LogCaptureFixture,
    tagger: Tagger,
    objective: dict[str, float],
    recorded: dict[str, float],
) -> None:
    spy = Spy()
    with caplog.at_level(logging.INFO, "tagifai"):
        made = result(tagger)
        logger.log_result(spy, made, made.get_metrics(), objective, config)
    assert {k: v for k, v in spy.metrics.items() if k.startswith("objective")} == recorded
    assert spy.metrics["val_f1"] == 0.5
    told = ", ".join(f"{name} = {value!r}" for name, value in objective.items())
    assert caplog.messages == [f"Objective {told}"]


@pytest.mark.parametrize(
    "failing",
    ["log_epochs", "log_model", "log_metrics", "log_tags", "log_bundle"],
)
def test_the_model_is_there_whatever_the_store_refuses(
    config: Config, tmp_path: Path, tagger: Tagger, failing: str
) -> None:
    with pytest.raises(TrackingError) as caught:
        kept(Spy(failing), config, tmp_path / "run", tagger)
    assert explain(caught.value)[0].endswith(f"saved anyway: {tmp_path}/run/bundle")
    published = bundles.get_path(tmp_path / "stores", "abc")
    for bundle in (tmp_path / "run" / "bundle", published):
        assert bundles.load(bundle).predict(TEXTS[:1]) == tagger.predict(TEXTS[:1])
