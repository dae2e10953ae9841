"""task=train end to end, by what it shows, leaves and refuses."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient

import tagifai
from tagifai.tracking.settings import MOST_PARAMS
from tests.app import ROOT, SMALL, App, tracked_runs
from tests.showcase import Showcase

TEXT = "Transfer learning with transformers for text"


def test_a_run_says_what_it_does_in_plain_lines_without_a_terminal(showcase: Showcase) -> None:
    output = showcase.output("run")

    assert re.search(
        r"^Data: +\d+ rows, 4 classes \(.*\)\nParts: +train \d+, val \d+, test \d+$", output, re.M
    )
    assert re.search(r"^Epoch 0 \| train_loss \d\.\d{5} \| val_loss \d\.\d{5}$", output, re.M)
    assert re.search(r"^overall \(weighted\)( +0\.\d{2}){3} +\d+ *$", output, re.M)
    assert re.search("^model +sgd ", output, re.M)
    assert re.search(r'^Predict: .* task=predict .*task.text="..."$', output, re.M)
    assert [c for c in output if ord(c) < 32 and c != "\n"] == []


def test_a_run_ends_with_how_good_it_is_what_is_weak_and_where_things_are(
    trained: App, showcase: Showcase
) -> None:
    output = showcase.output("run")
    test = json.loads((trained.stores / "performance.json").read_text())["test"]

    low, high = test["intervals"]["bounds"]["f1"]
    assert (
        f"Score:         f1 = {test['overall']['f1']:.2f} on {test['overall']['num_samples']} test"
        f" rows, 95 % interval {low:.2f} to {high:.2f}; always '{test['baseline']['label']}' has"
        f" {test['baseline']['metrics']['f1']:.2f}\n" in output
    )
    lines = ("Epoch", "overall", "Score:", "Weak:", "Time:", "Files:", "Report:", "Predict:")
    found = [output.index(f"\n{line}") for line in (*lines, "MLflow:")]
    assert found == sorted(found)
    classes = sorted((found["f1"], name) for name, found in test["class"].items())
    for (f1, name), begin in zip(classes[:2], ("Weak:", ""), strict=True):
        assert (
            f"\n{begin:15}{name}: F1 {f1:.2f} on {test['class'][name]['num_samples']} r" in output
        )


def test_a_quiet_run_prints_the_scores_only(app: App) -> None:
    output = app.ok(*SMALL, "tracking=none", "console=quiet")

    (log,) = app.outputs.glob("*/*-train/run.log")
    losses = [float(x) for x in re.findall(r"Epoch \d+ .* val_loss ([\d.]+)", log.read_text())]
    kept = losses.index(min(losses)) + 1
    refitted = f"refitted to train and validation rows for {kept} epoch{'s' * (kept > 1)}\n"
    assert output.startswith(f"Run {app.run_id()[:8]}: test, {refitted}")
    assert "overall (weighted)" in output
    for word in ("Epoch", "Data:", "Predict"):
        assert word not in output


def test_a_run_leaves_its_record_in_mlflow(trained: App) -> None:
    (run,) = tracked_runs(trained)
    performance = json.loads((trained.stores / "performance.json").read_text())
    client = MlflowClient(f"sqlite:///{trained.stores}/mlflow.db")

    assert (run.info.run_id, run.info.status) == (trained.run_id(), "FINISHED")
    assert run.data.params["model.alpha"] == "0.0002"
    assert run.data.params["vectorizer.analyzer"] == "word"
    assert run.data.metrics["test_f1"] == performance["test"]["overall"]["f1"]
    history = client.get_metric_history(run.info.run_id, "per_epoch/val_loss")
    assert [point.step for point in history] == [0, 1, 2]
    tags = run.data.tags
    assert "model.alpha=2e-4" in tags["overrides"]
    assert "vectorizer=tfidf_word" in tags["command"]
    assert (run.data.params["seed"], tags["purpose"]) == ("42", "test")
    assert Path(tags["output_dir"]).is_dir()
    assert run.data.params["vectorizer"] == "tfidf_word"
    assert "scikit-learn" in tags["versions"]
    assert len(tags["content"]) == 64
    assert len(run.data.params) <= MOST_PARAMS + len(shlex.split(tags["overrides"]))
    assert len(run.data.metrics) <= 25
    assert len([name for name in tags if not name.startswith("mlflow.")]) <= 15
    assert "mlflow.source.git.dirty" in tags or not (ROOT / ".git").exists()
    assert run.inputs is not None
    (data,) = run.inputs.dataset_inputs
    manifest = json.loads((trained.dataset("sample") / "manifest.json").read_text())
    assert data.dataset.digest == manifest["digest"][:36]
    names = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert {"bundle", "config.yaml", "overrides.yaml", "performance.json", "run.log"} <= names
    (of_mlops,) = [
        row
        for row in pd.read_json(
            client.download_artifacts(run.info.run_id, "class_scores.json"), orient="split"
        ).to_dict("records")
        if (row["part"], row["name"]) == ("validation", "mlops")
    ]
    assert of_mlops["f1"] == pytest.approx(performance["val"]["class"]["mlops"]["f1"], abs=1e-6)


def test_two_runs_of_one_configuration_are_equal_byte_by_byte(trained: App, app: App) -> None:
    app.ok(*SMALL, "tracking=none", "model.alpha=2e-4")

    for name in ("performance.json", "splits.json", "tagger.json"):
        assert (app.bundle() / name).read_bytes() == (trained.bundle() / name).read_bytes()
    sums = [
        json.loads(text)["parts"]
        for text in ((a.bundle() / "manifest.json").read_text() for a in (app, trained))
    ]
    for one in sums:
        del one["config.yaml"], one["provenance.json"]  # they have folders and the tracking in them
    assert sums[0] == sums[1]
    predict = ("task=predict", f"task.text={TEXT}")
    assert app.ok(*predict) == trained.ok(*predict)


def test_another_seed_is_another_run(tmp_path: Path, showcase: Showcase) -> None:
    app = showcase.copy("runs", tmp_path)

    splits = {
        path.read_bytes() for path in app.stores.glob("artifacts/*/artifacts/bundle/splits.json")
    }
    assert len(splits) == 2  # of three runs, two with one seed


@pytest.mark.parametrize(
    ("arguments", "estimator"),
    [
        (("model=sgd_huber",), "SGDClassifier"),
        (("model=sgd_elasticnet",), "SGDClassifier"),
        (
            (
                "model=custom",
                "model._target_=sklearn.linear_model.LogisticRegression",
                "+model.C=10",
            ),
            "LogisticRegression",
        ),
        (
            (
                "vectorizer=custom",
                "vectorizer._target_=sklearn.feature_extraction.text.CountVectorizer",
                "+vectorizer.binary=true",
                "model=custom",
                "model._target_=sklearn.naive_bayes.MultinomialNB",
                "sampling=none",
                "threshold=none",
            ),
            "MultinomialNB",
        ),
    ],
)
def test_other_models_train_and_predict(
    app: App, arguments: tuple[str, ...], estimator: str
) -> None:
    vectorizer = () if arguments[0] == "vectorizer=custom" else ("vectorizer=tfidf_word",)
    app.ok("tracking=none", "plots=none", "training.epochs=20", *vectorizer, *arguments)

    tagger = tagifai.load(stores=app.stores)
    (made,) = tagger.predict([TEXT])
    assert made["predicted_tag"] == "natural-language-processing"
    assert type(tagger.model).__name__ == estimator


def test_patience_ends_a_training_early_with_the_best_weights(app: App) -> None:
    chosen = ("vectorizer=tfidf_word", "model=sgd_reference", "model.eta0=5")
    app.ok(*chosen, "training.epochs=100", "training.patience=2", "tracking=none", "plots=none")

    (log,) = app.outputs.glob("*/*/run.log")
    losses = [float(x) for x in re.findall(r"Epoch \d+ .* val_loss ([\d.]+)", log.read_text())]
    assert len(losses) < 100
    assert losses.index(min(losses)) == len(losses) - 3


def test_a_run_can_be_run_again_from_its_folder(app: App) -> None:
    app.ok(*SMALL, "tracking=none", "seed=3")
    first = (app.stores / "performance.json").read_bytes()
    (folder,) = app.outputs.glob("*/*-train")
    app.ok("--experimental-rerun", str(folder), f"hydra.run.dir={app.outputs}/again")

    assert (app.stores / "performance.json").read_bytes() == first
    assert (app.outputs / "again" / "performance.json").read_bytes() == first


def test_a_run_that_raises_is_failed_with_the_reason(tmp_path: Path, showcase: Showcase) -> None:
    app = showcase.copy("run", tmp_path)
    latest = app.run_id()
    steep = ("model=sgd_huber", "model.learning_rate=constant", "model.eta0=1e308")
    done = app.run("vectorizer=tfidf_word", *steep)

    assert done.returncode == 2
    assert "diverged in epoch 0" in done.stderr
    assert "Lower model.eta0" in done.stderr
    assert "Traceback" not in done.stderr
    (run,) = [run for run in tracked_runs(app) if run.info.run_id != latest]
    assert run.info.status == "FAILED"
    assert "diverged" in run.data.tags["error"]
    assert app.run_id() == latest


def test_a_tracking_server_out_of_reach_is_said_and_the_run_is_kept(app: App) -> None:
    done = app.run(*SMALL, env={"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"})

    assert done.returncode == 3
    warning, error = done.stderr.splitlines()
    assert "http://127.0.0.1:9 does not answer" in warning
    assert "task=sync" in error
    (kept,) = (app.stores / "pending").glob("*/record.jsonl")
    assert kept.parent.name == app.run_id()


REFUSED = [
    (("model.alhpa=1",), ["'model.alhpa'", "Did you mean 'alpha'?", "eta0"]),
    (("+model.alhpa=1",), ["'model.alhpa'", "Did you mean 'alpha'?"]),
    (("modle=sgd",), ["'modle'", "Did you mean 'model'?"]),
    (("model=sgdx",), ["model=sgdx", "sgd_huber", "sgd_elasticnet"]),
    (("model.alpha=-1",), ["model.alpha", "-1", "at least 0"]),
    (("model.alpha=abc",), ["model.alpha", "abc", "Float"]),
    (("model.alpha=nan",), ["model.alpha", "nan", "at least 0"]),
    (("split.train_size=1.2",), ["split.train_size", "1.2", "between 0 and 1"]),
    (("model.alpha=1e-4", "model.C=1"), ["model.C = 1.0", "model.C=null", "model.alpha=null"]),
    (("vectorizer.char_ngram_max=1",), ["vectorizer.char_ngram_max", "1", "char_ngram_min = 2"]),
    (("vectorizer.char_analyzer=letter",), ["vectorizer.char_analyzer", "letter", "char_wb"]),
    (("vectorizer.token_pattern='('",), ["vectorizer.token_pattern", "'('", "unterminated"]),
    (("objective.metric=test_f1",), ["objective.metric", "test_f1", "validation"]),
    (("seed=[",), ["'seed=['", "grammar"]),
    (("model=custom",), ["model._target_"]),
    (
        ("model=custom", "model._target_=os.system"),
        ["'os.system'", "is not allowed", "TAGIFAI_WHITELIST"],
    ),
    (("model._target_=sklearn.svm.SVC",), ["sklearn.svm.SVC", "loss", "model=custom"]),
    (
        ("model=custom", "model._target_=sklearn.preprocessing.Normalizer"),
        ["Normalizer", "it has no predict()"],
    ),
    (
        ("model=custom", "model._target_=sklearn.cluster.SpectralClustering"),
        ["SpectralClustering", "is not allowed"],
    ),
    (
        (
            "+hydra.job.env_set.TAGIFAI_WHITELIST='tests.*'",
            "vectorizer=custom",
            "vectorizer._target_=tests.spies.SpyVectorizer",
        ),
        ["tests.spies.SpyVectorizer", "is not allowed"],
    ),
    (("+hydra.callbacks.x._target_=os.getcwd",), ["os.getcwd", "hydra.callbacks.x"]),
    (
        ("+hydra.callbacks.x._target_=tagifai.utils.environment.get_versions",),
        ["tagifai.utils.environment.get_versions", "hydra.callbacks.x"],
    ),
    (("task=predict",), ["task.text", "task.input"]),
    (("task=predict", "task.text="), ["task.text", "not blank"]),
]


@pytest.mark.parametrize(("arguments", "parts"), REFUSED)
def test_a_wrong_configuration_is_refused_in_one_message(
    tmp_path: Path, arguments: tuple[str, ...], parts: list[str]
) -> None:
    app = App(tmp_path)

    done = app.run(*arguments)

    assert done.returncode == 2
    assert "Epoch" not in done.stdout
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("Error: ")
    assert [part for part in parts if part not in done.stderr] == []
    left = [path for path in app.folder.rglob("*") if path.is_file()]
    assert left == []


def test_an_ignored_parameter_is_said_only_where_somebody_sets_it(
    app: App, showcase: Showcase
) -> None:
    said = app.ok(*SMALL, "tracking=none", "model.power_t=0.2")
    assert said.count("model.power_t has no effect under model.learning_rate=optimal") == 1
    assert "has no effect" not in showcase.output("run")


@pytest.mark.parametrize(
    "objective",
    [
        ("metric=model_bytes", "report_every=1"),
        ("metric=val_slice/nlp_cnn/f1", "repeats=10", "by=folds"),
    ],
)
def test_an_objective_that_is_accepted_is_no_surprise_later(
    app: App, objective: tuple[str, ...]
) -> None:
    chosen = [f"objective.{item}" for item in objective]
    done = app.run(*SMALL, "tracking=none", "seed=1", *chosen)

    assert "This was not foreseen" not in done.stderr
