"""The tasks end to end, by what they leave behind."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

import tagifai
from tests.app import ROOT, SMALL, App, children, environment

TEXTS = ["Transfer learning with transformers for text", "A GAN (with CNNs) & more: $5, a=b"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> App:
    """An application with one finished, tracked run; tests read it only."""
    app = App(tmp_path_factory.mktemp("trained"))
    app.cold(*SMALL, "+tracking.tags.purpose=test", "model.alpha=2e-4")
    return app


@pytest.fixture
def app(tmp_path: Path, ready: Callable[[Path], App]) -> App:
    return ready(tmp_path)


def mlflow_runs(app: App) -> list[Run]:
    client = MlflowClient(f"sqlite:///{app.stores}/mlflow.db")
    experiment = client.get_experiment_by_name("tagifai")
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id]))


def predictions(output: str) -> list[dict[str, object]]:
    found = json.loads(output)
    assert isinstance(found, list)
    return found


# --- elt -------------------------------------------------------------------------------------


def test_elt_leaves_a_joined_table_and_does_nothing_the_second_time(app: App) -> None:
    first = app.ok("task=elt")
    folder = app.stores / "data" / "sample"
    with (folder / "labeled.csv").open(encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    manifest = json.loads((folder / "manifest.json").read_text())
    assert "made" in first
    assert list(table[0]) == ["id", "created_on", "title", "description", "tag"]
    assert len(table) == manifest["rows"] == sum(manifest["tag_counts"].values())

    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert "up to date" in app.ok("task=elt")
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


# --- train -----------------------------------------------------------------------------------


def test_a_run_says_what_it_does_in_plain_lines_without_a_terminal(app: App) -> None:
    output = app.ok(*SMALL, "tracking=none")

    assert re.search(
        r"^Data: +\d+ rows, 4 classes \(.*\)\nParts: +train \d+, val \d+, test \d+$", output, re.M
    )
    assert re.search(r"^Epoch 0 \| train_loss \d\.\d{5} \| val_loss \d\.\d{5}$", output, re.M)
    assert re.search(r"^overall \(weighted\)( +0\.\d{4}){3} +\d+ *$", output, re.M)
    assert re.search("^model +sgd ", output, re.M)
    assert re.search(r'^Predict: .* task=predict .*task.text="..."$', output, re.M)
    assert [c for c in output if ord(c) < 32 and c != "\n"] == []


def test_a_quiet_run_prints_the_scores_only(app: App) -> None:
    output = app.ok(*SMALL, "tracking=none", "console=quiet")

    assert output.startswith(f"Run {app.run_id()}: test at threshold 0.")
    assert "overall (weighted)" in output
    for word in ("Epoch", "Data:", "Predict"):
        assert word not in output


def test_a_run_leaves_its_record_in_mlflow(trained: App) -> None:
    (run,) = mlflow_runs(trained)
    performance = json.loads((trained.stores / "performance.json").read_text())
    client = MlflowClient(f"sqlite:///{trained.stores}/mlflow.db")

    assert (run.info.run_id, run.info.status) == (trained.run_id(), "FINISHED")
    assert run.data.params["model.alpha"] == "0.0002"
    assert run.data.params["vectorizer.analyzer"] == "word"
    assert run.data.metrics["test_f1"] == performance["test"]["overall"]["f1"]
    assert run.data.metrics["val_class/mlops/f1"] == performance["val"]["class"]["mlops"]["f1"]
    assert "test_slice/short_text/recall" in run.data.metrics
    history = client.get_metric_history(run.info.run_id, "val_loss")
    assert [point.step for point in history] == [0, 1, 2]
    tags = run.data.tags
    assert "model.alpha=2e-4" in tags["overrides"]
    assert "vectorizer=tfidf_word" in tags["command"]
    assert (tags["seed"], tags["purpose"]) == ("42", "test")
    assert Path(tags["output_dir"]).is_dir()
    assert tags["option.vectorizer"] == "tfidf_word"
    assert tags["version.scikit-learn"]
    assert tags["content.model.json"]
    assert "mlflow.source.git.dirty" in tags or not (ROOT / ".git").exists()
    assert run.inputs is not None
    (data,) = run.inputs.dataset_inputs
    manifest = json.loads((trained.stores / "data" / "sample" / "manifest.json").read_text())
    assert data.dataset.digest == manifest["labeled_sha256"][:36]
    names = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert {"bundle", "config.yaml", "overrides.yaml", "performance.json", "run.log"} <= names


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one processor")
@pytest.mark.usefixtures("unmeasured")
def test_a_training_leaves_mlflow_to_another_process(app: App) -> None:
    command = app.command(*SMALL)
    done = subprocess.run(
        [command[0], "-X", "importtime", *command[1:]],
        capture_output=True,
        text=True,
        check=True,
        cwd=app.cwd,
        env=environment(),
    )
    loaded = {line.split("|")[-1].strip() for line in done.stderr.splitlines()}
    assert {"sklearn", "tagifai.tracking.recorder"} <= loaded
    assert not {"mlflow", "sqlalchemy"} & loaded
    (run,) = mlflow_runs(app)
    assert (run.info.run_id, run.info.status) == (app.run_id(), "FINISHED")


def test_two_runs_of_one_configuration_are_equal_byte_by_byte(trained: App, app: App) -> None:
    app.ok(*SMALL, "tracking=none", "model.alpha=2e-4")

    for name in ("performance.json", "splits.json", "tagger.json"):
        assert (app.bundle() / name).read_bytes() == (trained.bundle() / name).read_bytes()
    sums = [
        {name: part["content"] for name, part in json.loads(text)["parts"].items()}
        for text in ((a.bundle() / "manifest.json").read_text() for a in (app, trained))
    ]
    for one in sums:
        del one["config.yaml"], one["provenance.json"]  # they have folders and the tracking in them
    assert sums[0] == sums[1]
    predict = ("task=predict", f"task.text={TEXTS[0]}")
    assert app.ok(*predict) == trained.ok(*predict)


def test_another_seed_is_another_run(trained: App, app: App) -> None:
    app.ok(*SMALL, "tracking=none", "model.alpha=2e-4", "seed=1")

    assert (app.bundle() / "splits.json").read_bytes() != (
        trained.bundle() / "splits.json"
    ).read_bytes()


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
    app.ok("tracking=none", *vectorizer, *arguments)

    (made,) = predictions(app.ok("task=predict", f"task.text={TEXTS[0]}"))
    assert made["predicted_tag"] == "natural-language-processing"
    tagger = tagifai.load(stores=app.stores)
    assert type(tagger.model).__name__ == estimator


def test_patience_ends_a_training_early_with_the_best_weights(app: App) -> None:
    app.ok("vectorizer=tfidf_word", "tracking=none", "model.eta0=5", "training.patience=2")

    (log,) = app.outputs.glob("*/*/run.log")
    losses = [float(x) for x in re.findall(r"Epoch \d+ .* val_loss ([\d.]+)", log.read_text())]
    assert len(losses) < 100
    assert losses.index(min(losses)) == len(losses) - 3


# --- failures and interrupts -------------------------------------------------------------------


def wait_until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 90
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def wait_for(log: Path, app: App, text: str) -> None:
    wait_until(lambda: any(text in path.read_text() for path in app.outputs.glob(str(log))))


@pytest.mark.parametrize(
    ("number", "code", "status"),
    [
        (signal.SIGINT, 130, "KILLED"),
        (signal.SIGTERM, 143, "KILLED"),
        (signal.SIGKILL, -9, "FAILED"),
    ],
)
def test_an_interrupted_run_is_closed_and_the_latest_run_stays(
    tmp_path: Path, trained: App, number: signal.Signals, code: int, status: str
) -> None:
    app = App(tmp_path)
    subprocess.run(["cp", "-r", str(trained.stores), str(app.stores)], check=True)
    latest = {name: (app.stores / name).read_bytes() for name in ("run_id.txt", "performance.json")}
    process = app.start("vectorizer=tfidf_word", "training.epochs=100000")
    try:
        wait_for(Path("*/*/run.log"), app, "Epoch 20")
        helpers = children(process.pid) if number == signal.SIGKILL else []
        process.send_signal(number)
        for helper in helpers:
            os.kill(helper, number)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()

    assert process.returncode == code
    assert "Traceback" not in errors
    if status == "FAILED":
        # Nobody was left to close it; the next command does, whatever it is.
        assert [run.info.status for run in mlflow_runs(app)].count("RUNNING") == 1
        assert "as failed" in app.ok("task=info")
    (run,) = [run for run in mlflow_runs(app) if run.info.run_id != trained.run_id()]
    assert run.info.status == status
    assert run.data.tags["error"]
    if status == "KILLED":
        assert run.data.metrics["val_loss"] > 0
    assert {name: (app.stores / name).read_bytes() for name in latest} == latest
    assert not list((app.stores / "running").iterdir())


def test_a_run_that_raises_is_failed_with_the_reason(app: App) -> None:
    app.ok(*SMALL, "tracking=none")
    latest = app.run_id()
    done = app.run("vectorizer=tfidf_word", "model=sgd_huber", "model.eta0=1e308")

    assert done.returncode == 2
    assert "diverged in epoch 0" in done.stderr
    assert "Lower model.eta0" in done.stderr
    assert "Traceback" not in done.stderr
    (run,) = mlflow_runs(app)
    assert run.info.status == "FAILED"
    assert "diverged" in run.data.tags["error"]
    assert app.run_id() == latest


def test_a_tracking_server_out_of_reach_is_said_before_anything_is_trained(app: App) -> None:
    done = app.run(*SMALL, env={"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"})

    assert done.returncode == 1
    assert "Tracking failed" in done.stderr
    assert "tracking=none" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (app.stores / "run_id.txt").exists()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A tracking server on loopback, and its process, which is ended with its children."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    folder = tmp_path / "server"
    folder.mkdir()
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "mlflow", "server", "--workers", "1"),
            *("--host", "127.0.0.1", "--port", str(port)),
            *("--backend-store-uri", f"sqlite:///{folder}/mlflow.db"),
            *("--artifacts-destination", str(folder / "artifacts")),
        ],
        cwd=folder,
        env=environment({"MLFLOW_DISABLE_TELEMETRY": "true"}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_until(lambda: answers(port))
        yield f"http://127.0.0.1:{port}", process
    finally:
        end(process)


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def end(process: subprocess.Popen[Any]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_a_server_that_dies_in_the_middle_does_not_take_the_model_with_it(
    app: App, server: tuple[str, subprocess.Popen[bytes]]
) -> None:
    uri, process = server
    training = app.start(
        "vectorizer=tfidf_word", "training.epochs=1500", env={"MLFLOW_TRACKING_URI": uri}
    )
    try:
        wait_for(Path("*/*/run.log"), app, "Epoch 20 ")
        end(process)
        _, errors = training.communicate(timeout=120)
    finally:
        training.kill()

    assert training.returncode == 1
    (bundle,) = app.outputs.glob("*/*/bundle")
    assert errors.count("\n") == 1
    assert f"The model is trained and saved all the same: {bundle}" in errors
    assert not (app.stores / "run_id.txt").exists()
    (run_id,) = [path.stem for path in (app.stores / "running").iterdir()]
    # It can be used, and the run is closed when the server is back.
    output = app.run("task=predict", f"task.text={TEXTS[0]}", f"task.run_id={run_id}").stdout
    assert predictions(output)[0]["input_text"] == TEXTS[0]


# --- errors ----------------------------------------------------------------------------------


def test_errors_shows_the_confusions_and_what_spoke_for_the_surest_mistakes(
    trained: App, tmp_path: Path
) -> None:
    path = tmp_path / "errors.json"
    output = trained.ok("task=errors", "task.limit=2", f"task.output={path}", "console=plain")

    content = json.loads(path.read_text())
    counts, classes = content["confusion"], content["classes"]
    performance = json.loads((trained.bundle() / "performance.json").read_text())["test"]
    for line, name in zip(counts, classes, strict=True):
        assert sum(line) == performance["class"][name]["num_samples"]
    wrong = sum(map(sum, counts)) - sum(counts[i][i] for i in range(len(classes)))
    assert f"{wrong} of {sum(map(sum, counts))} rows are misclassified" in output
    first, second = content["mistakes"]
    assert first["probability"] >= second["probability"]
    assert first["label"] != first["predicted"]
    assert f"{first['label']} predicted as {first['predicted']} (" in output
    assert all(value > 0 for _, value in first["spoke_for"])
    # Terms of words stand in the text that they spoke for.
    assert all(term in first["text"].lower() for term, _ in first["spoke_for"])


def test_a_run_is_tracked_by_a_server_and_its_model_fetched_from_there(
    app: App, server: tuple[str, subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    env = {"MLFLOW_TRACKING_URI": server[0]}
    done = app.run(*SMALL, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"MLflow:        {server[0]}" in done.stdout

    elsewhere = App(tmp_path / "elsewhere")
    elsewhere.folder.mkdir()
    arguments = ("task=predict", f"task.text={TEXTS[0]}", f"task.run_id={app.run_id()}")
    fetched = elsewhere.run(*arguments, env=env)
    assert (fetched.returncode, fetched.stderr) == (0, "")
    assert fetched.stdout == app.ok(*arguments)


REFUSED = [
    (("model.alhpa=1",), ["'model.alhpa'", "Did you mean 'alpha'?", "eta0"]),
    (("+model.alhpa=1",), ["'model.alhpa'", "Did you mean 'alpha'?"]),
    (("modle=sgd",), ["'modle'", "Did you mean 'model'?"]),
    (("model=sgdx",), ["model=sgdx", "sgd_huber", "sgd_elasticnet"]),
    (("model.alpha=-1",), ["model.alpha", "-1", "at least 0"]),
    (("model.alpha=abc",), ["model.alpha", "abc", "Float"]),
    (("model.alpha=nan",), ["model.alpha", "nan", "at least 0"]),
    (("split.train_size=1.2",), ["split.train_size", "1.2", "between 0 and 1"]),
    (("vectorizer.ngram_max=1",), ["vectorizer.ngram_max", "1", "ngram_min = 2"]),
    (("vectorizer.analyzer=letter",), ["vectorizer.analyzer", "letter", "char_wb"]),
    (("objective.metric=test_f1",), ["objective.metric", "test_f1", "validation"]),
    (("seed=[",), ["'seed=['", "grammar"]),
    (("model=custom",), ["model._target_"]),
    (("model=custom", "model._target_=os.system"), ["'os.system'", "sklearn.*"]),
    (("model._target_=sklearn.svm.SVC",), ["sklearn.svm.SVC", "loss", "model=custom"]),
    (
        ("model=custom", "model._target_=sklearn.cluster.SpectralClustering"),
        ["SpectralClustering", "it has no predict()"],
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


def test_an_ignored_parameter_is_said_only_where_somebody_sets_it(app: App) -> None:
    said = app.ok(*SMALL, "tracking=none", "model.power_t=0.2")
    assert said.count("model.power_t has no effect under model.learning_rate=constant") == 1
    assert "has no effect" not in app.ok(*SMALL, "tracking=none")


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


# --- evaluate --------------------------------------------------------------------------------


def test_evaluating_a_run_gives_its_own_test_scores_again(trained: App) -> None:
    trained.ok("task=evaluate", "task.output=again.json")

    stored = json.loads((trained.stores / "performance.json").read_text())["test"]
    assert json.loads((trained.cwd / "again.json").read_text()) == stored


def test_a_labelled_file_of_ones_own_is_scored(trained: App) -> None:
    with (trained.cwd / "mine.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["text", "tag"])
        table.writerow([TEXTS[0], "natural-language-processing"])
        table.writerow(["object detection in images", "natural-language-processing"])
        table.writerow(["a robot learns by rewards", "reinforcement-learning"])
    trained.ok("task=evaluate", "task.data=mine.csv", "task.output=mine.json", "console=quiet")

    scored = json.loads((trained.cwd / "mine.json").read_text())
    assert scored["overall"]["num_samples"] == 3
    assert scored["class"]["natural-language-processing"]["recall"] == 0.5
    # A tag that the run does not know counts as the rest.
    assert scored["class"]["other"]["num_samples"] == 1


# --- predict ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        *TEXTS,
        "commas, (parentheses), [brackets], {braces}, 'quotes' and \"quotes\"",
        "cost: ${price} & a=b \\ back\\slash ??? 100% #tag ~x; !y",
        "???",
        "null",
        "line one\nline two",
        "naïve 模型 🤖",
    ],
)
def test_a_text_is_taken_literally(trained: App, text: str) -> None:
    (made,) = predictions(trained.ok("task=predict", f"task.text={text}"))

    assert made["input_text"] == text
    assert list(made) == ["input_text", "predicted_tag", "probability"]
    assert made == tagifai.load(stores=trained.stores).predict([text])[0]


def test_prediction_cleans_as_training_did(trained: App) -> None:
    plain, shouted = predictions(
        trained.ok(
            "task=predict",
            "task.input=-",
            stdin="transfer learning transformers\nTRANSFER, the Learning (with) Transformers!\n",
        )
    )

    assert plain["probability"] == shouted["probability"]
    assert plain["predicted_tag"] == shouted["predicted_tag"]


@pytest.mark.parametrize("kind", ["txt", "csv", "jsonl"])
def test_files_are_tagged_in_order(trained: App, kind: str) -> None:
    path = trained.cwd / f"in.{kind}"
    if kind == "txt":
        path.write_text("\n".join(TEXTS))
    elif kind == "csv":
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([["n", "text"], *enumerate(TEXTS)])
    else:
        path.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))
    assert trained.ok("task=predict", f"task.input=in.{kind}", f"task.output={kind}.json") == ""

    made = predictions((trained.cwd / f"{kind}.json").read_text())
    assert made == [*tagifai.load(stores=trained.stores).predict(TEXTS)]


def test_a_failing_prediction_leaves_no_output(trained: App) -> None:
    (trained.cwd / "broken.jsonl").write_text('{"text": "fine"}\nnot json\n')
    done = trained.run("task=predict", "task.input=broken.jsonl", "task.output=broken.json")

    assert done.returncode == 2
    assert "line 2" in done.stderr
    assert [path.name for path in trained.cwd.glob("*broken.json*")] == ["broken.jsonl"]


def test_prediction_before_any_training_says_what_to_do(app: App) -> None:
    done = app.run("task=predict", f"task.text={TEXTS[0]}")

    assert done.returncode == 2
    assert "No run has been trained" in done.stderr
    assert done.stdout == ""


def test_a_run_id_cannot_leave_the_store(trained: App) -> None:
    for run_id in ("../../etc", "/etc", "a/b"):
        done = trained.run("task=predict", f"task.text={TEXTS[0]}", f"task.run_id={run_id}")
        assert done.returncode == 2
        assert "not a run id" in done.stderr


def test_a_reader_that_goes_away_is_no_error_message(trained: App) -> None:
    (trained.cwd / "many.txt").write_text("some text\n" * 20_000)
    process = trained.start("task=predict", "task.input=many.txt")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=60) == 1
    assert errors == ""


# --- info, sweeps, places ----------------------------------------------------------------------


def test_info_names_what_there_is(trained: App) -> None:
    output = trained.ok("task=info")

    assert trained.run_id() in output
    assert re.search(r"^Data sets: +sample: \d+ rows$", output, re.M)
    assert str(trained.stores) in output
    assert "scikit-learn" in output


def test_a_multirun_runs_every_combination_below_outputs(app: App) -> None:
    done = app.run("-m", *SMALL, "tracking=none", "threshold=glob([auto,none])", "seed=1,2")

    assert done.returncode == 0, done.stderr
    saved = sorted(app.outputs.glob("*/*-multirun/*/performance.json"))
    assert [path.parent.name for path in saved] == ["0", "1", "2", "3"]
    assert len(list(app.stores.glob("artifacts/*/artifacts/bundle"))) == 4


SWEEP = ("-m", "vectorizer=tfidf_word", "model.alpha=1e-4,1e-5", "plots=none")

LAUNCHERS = ["basic", "joblib"]


def parent_and_children(app: App) -> tuple[Run, list[Run]]:
    """Return the run that all others are children of, and those by their job's number."""
    runs = mlflow_runs(app)
    (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    children = [run for run in runs if run is not parent]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} <= {parent.info.run_id}
    return parent, sorted(children, key=lambda run: Path(run.data.tags["output_dir"]).name)


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_multirun_is_one_run_with_a_child_for_each_combination(app: App, launcher: str) -> None:
    arguments = (*SWEEP, "training.epochs=2", "console=quiet", f"hydra/launcher={launcher}")
    done = app.run(*arguments)
    assert done.returncode == 0, done.stderr

    parent, children = parent_and_children(app)
    assert [run.info.status for run in (parent, *children)] == ["FINISHED"] * 3
    assert [run.data.params["model.alpha"] for run in children] == ["0.0001", "1e-05"]
    (folder,) = app.outputs.glob("*/*-multirun")
    assert (parent.info.run_name, parent.data.tags["sweep.dir"]) == (folder.name, str(folder))
    told = [f"paths.stores={app.stores}", f"paths.outputs={app.outputs}"]
    assert shlex.split(parent.data.tags["command"]) == ["run.py", *arguments, *told]
    for child, alpha in zip(children, ("0.0001", "1e-05"), strict=True):
        words = shlex.split(child.data.tags["command"])
        assert {f"model.alpha={alpha}", "training.epochs=2", *told} <= set(words)
        assert "-m" not in words
        assert child.data.metrics["val_loss"] > 0
    assert app.run_id() in {run.info.run_id for run in children}
    assert not list((app.stores / "running").iterdir())


def test_a_multirun_of_which_a_job_fails_has_a_failed_parent_that_says_why(app: App) -> None:
    done = app.run("-m", *SMALL, "model=sgd_huber", "model.eta0=0.01,1e308")

    assert done.returncode == 2
    assert "diverged in epoch 0" in done.stderr
    assert "Traceback" not in done.stderr
    parent, children = parent_and_children(app)
    assert [run.info.status for run in children] == ["FINISHED", "FAILED"]
    assert parent.info.status == "FAILED"
    assert "diverged in epoch 0" in parent.data.tags["error"]
    assert not list((app.stores / "running").iterdir())


@pytest.fixture
def long_multirun(app: App, request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[str]]:
    """A multirun in the middle of its first job, by the named launcher; ended with its workers."""
    process = subprocess.Popen(
        app.command(*SWEEP, "training.epochs=100000", f"hydra/launcher={request.param}"),
        cwd=app.cwd,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        wait_for(Path("*/*-multirun/*/run.log"), app, "Epoch 20")
        yield process
    finally:
        end(process)
        process.communicate()


@pytest.mark.parametrize("long_multirun", LAUNCHERS, indirect=True)
def test_the_parent_of_a_multirun_that_was_killed_is_closed_by_the_next_command(
    app: App, long_multirun: subprocess.Popen[str]
) -> None:
    long_multirun.kill()
    long_multirun.wait(timeout=60)
    assert parent_and_children(app)[0].info.status == "RUNNING"
    # Workers may be at their jobs still; the parent is the first process's alone.
    assert "as failed" in app.ok("task=info")
    parent, _ = parent_and_children(app)
    assert parent.info.status == "FAILED"
    assert parent.data.tags["error"].startswith("The process ended unexpectedly")
    end(long_multirun)
    app.ok("task=elt")
    app.ok("task=info")
    parent, children = parent_and_children(app)
    assert children
    assert {run.info.status for run in (parent, *children)} == {"FAILED"}
    assert not list((app.stores / "running").iterdir())


@pytest.mark.parametrize("long_multirun", ["basic"], indirect=True)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_multirun_that_is_interrupted_is_killed_with_its_job(
    app: App, long_multirun: subprocess.Popen[str], number: signal.Signals, code: int
) -> None:
    long_multirun.send_signal(number)
    _, errors = long_multirun.communicate(timeout=120)

    assert long_multirun.returncode == code
    assert "Traceback" not in errors
    parent, children = parent_and_children(app)
    assert [run.info.status for run in (parent, *children)] == ["KILLED"] * 2
    assert parent.data.tags["error"] == "Interrupted."
    assert not list((app.stores / "running").iterdir())


@pytest.mark.parametrize("long_multirun", ["joblib"], indirect=True)
def test_workers_of_a_multirun_that_is_interrupted_end_and_leave_no_run_open(
    app: App, long_multirun: subprocess.Popen[str]
) -> None:
    os.killpg(long_multirun.pid, signal.SIGINT)  # as Ctrl-C does
    _, errors = long_multirun.communicate(timeout=120)

    assert long_multirun.returncode == 130
    assert "Traceback" not in errors
    assert parent_and_children(app)[0].info.status == "KILLED"
    # The launcher kills its workers outright; the next command closes what they had open.
    app.ok("task=info")
    parent, children = parent_and_children(app)
    assert parent.info.status == "KILLED"
    assert children
    assert {run.info.status for run in children} <= {"FAILED", "KILLED"}
    assert not list((app.stores / "running").iterdir())


def test_a_run_can_be_run_again_from_its_folder(app: App) -> None:
    app.ok(*SMALL, "tracking=none", "seed=3")
    first = (app.stores / "performance.json").read_bytes()
    (folder,) = app.outputs.glob("*/*-train")
    app.ok("--experimental-rerun", str(folder), f"hydra.run.dir={app.outputs}/again")

    assert (app.stores / "performance.json").read_bytes() == first
    assert (app.outputs / "again" / "performance.json").read_bytes() == first


def test_relative_paths_on_the_command_line_start_at_the_working_directory(app: App) -> None:
    (app.cwd / "p.csv").write_text("id,title,description\n1,a,b\n2,c,d\n")
    (app.cwd / "t.csv").write_text("id,tag\n1,x\n2,y\n3,z\n")
    app.ok("task=elt", "data.name=mine", "data.projects=p.csv", "data.tags=./t.csv")

    manifest = json.loads((app.stores / "data" / "mine" / "manifest.json").read_text())
    assert manifest["tables"]["projects"]["source"] == str(app.cwd / "p.csv")
    assert (manifest["rows"], manifest["counts"]["tags without a project"]) == (2, 1)


def test_help_is_a_page_of_tasks_groups_and_examples(app: App) -> None:
    output = app.ok("--help")

    for task in sorted(path.stem for path in (ROOT / "conf" / "task").glob("*.yaml")):
        assert re.search(rf"^  {task}  +\w", output, re.M)
    for group in sorted(path.name for path in (ROOT / "conf").iterdir() if path.is_dir()):
        options = sorted(path.stem for path in (ROOT / "conf" / group).glob("*.yaml"))
        if options and group != "hydra":
            assert f"{group}: {', '.join(options)}" in output
    command = f"  python {ROOT / 'run.py'}"
    assert len(re.findall(rf"^{command}(?: |$)", output, re.MULTILINE)) == 6
    assert "schema" not in output
    # The lists of options are Hydra's own lines, one a group.
    lists = (command, *(f"{path.name}: " for path in (ROOT / "conf").iterdir()))
    ours = [line for line in output.splitlines() if not line.startswith(lists)]
    assert max(map(len, ours)) <= 100


def test_help_and_configuration_load_nothing_heavy(app: App) -> None:
    for arguments in (("--help",), ("--cfg", "job")):
        done = subprocess.run(
            [app.command()[0], "-X", "importtime", str(ROOT / "run.py"), *arguments],
            capture_output=True,
            text=True,
            check=True,
            cwd=app.cwd,
            env=dict(os.environ),
        )
        loaded = {line.split("|")[-1].strip() for line in done.stderr.splitlines()}
        heavy = {"numpy", "pandas", "sklearn", "mlflow", "optuna", "matplotlib", "rich", "pandera"}
        assert loaded & heavy == set()
