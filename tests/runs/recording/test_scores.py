from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from tagifai.config.schema import Config, check
from tagifai.evaluation.metrics import Performance, Scores, flatten
from tagifai.runs.recording import scores
from tagifai.tracking import query, session, store
from tagifai.tracking.store import Experiment
from tagifai.training.loop import History
from tests.conftest import Compose


def scored(value: float) -> Scores:
    return {"precision": value, "recall": value, "f1": value, "num_samples": 2}


STANDARD = ("accuracy", "macro_f1", "micro_f1", "balanced_accuracy", "matthews", "log_loss", "ece")


def performance(classes: int) -> Performance:
    names = ["a/b", "c\nd", *(f"class {number}" for number in range(2, classes))]
    return {
        "overall": scored(0.5),
        "class": {name: scored(0.25) for name in names},
        "slices": {"short": scored(1 / 3)},
        "metrics": dict.fromkeys(STANDARD, 0.75),
        "intervals": {"bounds": {"f1": (0.125, 0.75)}, "method": "bootstrap", "resamples": 9},
    }


def flat(classes: int) -> dict[str, float]:
    losses = {"train_loss": 0.5, "val_loss": 0.5, "threshold": 0.5}
    return losses | flatten(performance(classes), "val") | flatten(performance(classes), "test")


@pytest.fixture
def config(composed: Compose) -> Config:
    return check(composed())


@pytest.mark.parametrize("classes", [2, 151])
def test_there_are_as_many_metrics_however_many_classes_there_are(
    config: Config, classes: int
) -> None:
    found = scores.choose_metrics(flat(classes), config)
    by_epoch, of_run = 3, 2  # losses and what is reported; the objective and the model's size
    assert len(found) + by_epoch + of_run <= 25
    assert not [name for name in found if "/" in name]
    assert {"val_loss", "threshold", "val_f1", "test_f1", "test_ece"} <= found.keys()


def test_an_objective_of_a_class_and_what_metrics_names_are_metrics(composed: Compose) -> None:
    name = "val_class/a/b/f1"
    config = check(composed(f"objective.metric={name}", "metrics=[micro_f1]"))
    found = scores.choose_metrics(flat(9), config)
    assert {name, "test_class/a/b/f1", "val_micro_f1", "test_micro_f1"} <= found.keys()
    assert len([key for key in found if "/" in key]) == 2


def logged(stores: Path, output: Path) -> str:
    output.mkdir()
    run = session.create_run(Experiment(f"sqlite:///{stores}/mlflow.db", "mine", stores))
    both = {"val": performance(3), "test": performance(3)}
    history = History([0.75, 0.5], [1.0, 0.875])
    scores.log_tables(run, output, both, {"": history, "seed_1/": history})
    run.end("FINISHED")
    return run.id


def test_scores_of_classes_and_slices_intervals_and_losses_of_repeats_are_tables_of_mlflow(
    tracked_stores: Path, tmp_path: Path
) -> None:
    run_id = logged(tracked_stores, tmp_path / "run")
    client = store.connect(f"sqlite:///{tracked_stores}/mlflow.db")
    run = client.get_run(run_id)
    named = json.loads(run.data.tags["mlflow.loggedArtifacts"])
    files = ["class_scores.json", "intervals.json", "repeats.json"]
    assert named == [{"path": name, "type": "table"} for name in files]
    tables = [
        pd.read_json(client.download_artifacts(run_id, name), orient="split") for name in files
    ]
    assert tables[0].query("part == 'test'")["name"].tolist() == [
        *("a/b", "c\\nd", "class 2", "short")
    ]
    assert tables[0].query("of == 'slice'")["f1"].tolist() == [0.333333, 0.333333]
    assert tables[1].to_dict("records")[0] == {
        "part": "test",
        "metric": "f1",
        "value": 0.5,
        "low": 0.125,
        "high": 0.75,
    }
    assert tables[2]["training"].tolist() == ["run", "run", "seed_1", "seed_1"]


def test_a_board_finds_the_interval_of_any_test_score(tracked_stores: Path, tmp_path: Path) -> None:
    logged(tracked_stores, tmp_path / "run")
    found = query.load_runs(f"sqlite:///{tracked_stores}/mlflow.db", "mine")
    bounds = [f"metrics.test_interval/f1/{bound}" for bound in ("low", "high")]
    assert [float(found[name].iloc[0]) for name in bounds] == [0.125, 0.75]


def test_a_single_training_has_its_losses_as_metrics_alone(
    tracked_stores: Path, tmp_path: Path
) -> None:
    run = session.create_run(
        Experiment(f"sqlite:///{tracked_stores}/mlflow.db", "mine", tracked_stores)
    )
    scores.log_tables(run, tmp_path, {}, {"": History([0.75], [1.0])})
    assert list(tmp_path.glob("*.json")) == []
