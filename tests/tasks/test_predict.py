"""task=predict end to end: what is read and written, few texts and many."""

from __future__ import annotations

import csv
import gzip
import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

import tagifai
from tagifai.config.schema import PredictTaskConfig
from tagifai.models import tagger as tagger_module
from tagifai.models.tagger import Tagger
from tagifai.models.thresholds import Probabilities
from tagifai.tasks.predict import FailedRows
from tests.app import SMALL, App, children, wait_until
from tests.showcase import Showcase

WORDS = ("graph", "images", "words", "language", "nodes", "vision", "servers", "models", "rows")

TEXTS = ["Transfer learning with transformers for text", "A GAN (with CNNs) & more: $5, a=b"]

ONE = "task.n_jobs=1"

BATCH = PredictTaskConfig.batch_size


def texts(number: int) -> list[str]:
    """Return different texts; the first ones are the same whatever the number."""
    return [
        " ".join(WORDS[(i * (3 + k) + i // (7 + k)) % len(WORDS)] for k in range(1 + i % 9))
        for i in range(number)
    ]


def predicted(app: App, number: int, *arguments: str, kind: str = "csv") -> bytes:
    """Predict so many texts of a file into another, and return what is in it."""
    (app.cwd / "in.txt").write_text("\n".join(texts(number)) + "\n")
    files = ("task.input=in.txt", f"task.output=out.{kind}")
    assert app.ok("task=predict", *files, *arguments) == ""
    return (app.cwd / f"out.{kind}").read_bytes()


# --- what is read and written ------------------------------------------------------------------


def test_a_text_is_taken_literally(trained: App) -> None:
    tagger = tagifai.load(stores=trained.stores)
    for text in (
        "commas, (parentheses), [brackets], {braces}, 'quotes' and \"quotes\"",
        "cost: ${price} & a=b \\ back\\slash ??? 100% #tag ~x; !y",
        "???",
        "line one\nline two, naïve 模型 🤖",
    ):
        (made,) = json.loads(trained.ok("task=predict", f"task.text={text}"))
        assert made["input_text"] == text
        assert list(made) == ["input_text", "predicted_tag", "probability"], text
        assert made == tagger.predict([text])[0], text


def test_prediction_cleans_as_training_did(app: App) -> None:
    app.ok(*SMALL, "preprocessing=reference", "tracking=none")
    plain, shouted = json.loads(
        app.ok(
            "task=predict",
            "task.input=-",
            stdin="transfer learning transformers\nTRANSFER, the Learning (with) Transformers!\n",
        )
    )

    assert plain["probability"] == shouted["probability"]
    assert plain["predicted_tag"] == shouted["predicted_tag"]


def test_files_are_tagged_in_order(trained: App) -> None:
    with (trained.cwd / "in.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["n", "text"], *enumerate(TEXTS)])
    (trained.cwd / "in.txt").write_text("\n".join(TEXTS))
    lines = "".join(json.dumps({"text": text}) + "\n" for text in TEXTS)
    (trained.cwd / "in.jsonl").write_text(lines)
    expected = [*tagifai.load(stores=trained.stores).predict(TEXTS)]
    for kind in ("txt", "csv", "jsonl"):
        files = (f"task.input=in.{kind}", f"task.output={kind}.json")
        assert trained.ok("task=predict", *files) == "", kind
        assert json.loads((trained.cwd / f"{kind}.json").read_text()) == expected, kind


def test_predictions_carry_what_was_asked_for(trained: App) -> None:
    write_reviews(trained, TEXTS)
    files = ("task.input=in.csv", "task.keep=all", "task.top_k=2", "task.probabilities=true")
    assert trained.ok("task=predict", *files, "task.output=out.tsv.gz") == ""
    with gzip.open(trained.cwd / "out.tsv.gz", "rt", encoding="utf-8", newline="") as file:
        first, second = csv.DictReader(file, delimiter="\t", strict=True)
    shown = json.loads(trained.ok("task=predict", *files))
    found = tagifai.load(stores=trained.stores).predict_proba(TEXTS)
    assert [row["note"] for row in shown] == ["=1+1", "fine"]
    assert [first["note"], second["note"]] == ["'=1+1", "fine"]
    for row, made, (_, probabilities) in zip((first, second), shown, found.iterrows(), strict=True):
        ranked = [{"tag": t, "probability": p} for t, p in probabilities.nlargest(2).items()]
        assert made["probabilities"] == dict(probabilities)
        assert made["top"] == ranked
        assert (row["tag_2"], float(row["probability_2"])) == tuple(ranked[1].values())
        assert row["error"] == ""


def write_reviews(app: App, given: Sequence[str]) -> None:
    with (app.cwd / "in.csv").open("w", newline="") as file:
        rows = [[i, text, "fine" if i else "=1+1"] for i, text in enumerate(given)]
        csv.writer(file).writerows([["id", "text", "note"], *rows])


def test_a_name_that_is_there_twice_is_said(trained: App) -> None:
    (trained.cwd / "in.csv").write_text("text,probability\nA graph of nodes,high\n")
    done = trained.run("task=predict", "task.input=in.csv", "task.keep=all")
    said = "WARNING: Of columns with one name, the output has probability as probability_input\n"
    assert (done.returncode, done.stderr) == (0, said)
    (row,) = json.loads(done.stdout)
    assert (row["probability_input"], type(row["probability"])) == ("high", float)


# --- what cannot be predicted ------------------------------------------------------------------


def test_a_row_that_cannot_be_predicted_does_the_others_no_harm(trained: App) -> None:
    (trained.cwd / "in.jsonl").write_text('{"text": "fine"}\nnot json\n{"text": " "}\n"fine"\n')
    done = trained.run("task=predict", "task.input=in.jsonl")
    said = (
        "2 of 4 rows could not be predicted: line 2: it is not JSON (Expecting value: line 1"
        " column 1 (char 0)); line 3: there is no text"
    )
    assert (done.returncode, done.stderr) == (0, f"WARNING: {said}\n")
    first, *errors, last = json.loads(done.stdout)
    assert first == last == tagifai.load(stores=trained.stores).predict("fine")
    assert errors == [
        {"input_text": None, "predicted_tag": None, "probability": None, "error": error}
        for error in said.partition(": ")[2].split("; ")
    ]


def test_without_a_single_prediction_there_is_an_error_and_no_file(trained: App) -> None:
    (trained.cwd / "in.txt").write_text("\n" * 1500)
    (trained.cwd / "out.csv").write_text("old")
    reasons = "".join(f" line {n}: there is no text;" for n in (1, 2, 3))
    said = f"None of 1,500 rows could be predicted:{reasons} and 1,497 more."
    for output in ("out.csv", "out.parquet"):
        done = trained.run("task=predict", "task.input=in.txt", f"task.output={output}", ONE)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == f"Error: {said}\n"
    assert (trained.cwd / "out.csv").read_text() == "old"
    assert not [path for path in trained.cwd.iterdir() if "parquet" in path.name]
    shown = trained.run("task=predict", "task.input=in.txt", ONE)
    assert shown.returncode == 2
    assert len(json.loads(shown.stdout)) == 1500


def test_a_file_without_rows_has_no_predictions_and_is_no_error(trained: App) -> None:
    (trained.cwd / "in.txt").write_text("")
    assert trained.ok("task=predict", "task.input=in.txt") == "[]\n"
    assert trained.ok("task=predict", "task.input=in.txt", "task.output=out.csv") == ""
    expected = "input_text,predicted_tag,probability,error\n"
    assert (trained.cwd / "out.csv").read_text() == expected


def test_errors_are_counted_and_the_first_are_said_in_one_line() -> None:
    failed = FailedRows()
    failed.add(3, ["line 1: a\n\x1bb", "line 2: " + "x" * 500])
    failed.add(2000, [f"line {n}: c" for n in range(10, 1010)])
    said = failed.describe()
    assert said.startswith(
        "1,002 of 2,003 rows could not be predicted: line 1: a\\n\\x1bb; line 2: xxx"
    )
    assert said.endswith("x…; line 10: c; and 999 more")
    assert len(said) < 250
    failed.require_others()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["task.output=out.txt"], "give a .csv, .tsv, .json, .jsonl, .parquet or .xlsx file"),
        (["task.output=folder.csv"], "cannot be written: Is a directory."),
        (["task.output=in.txt/out.csv"], "cannot be written: "),
        (["task.input=in.csv", "task.output=in.csv"], "in.csv is the input too; the output needs"),
        (["task.input=null"], "task=predict needs one of task.text"),
        (["task.text=a"], "task=predict needs one of task.text"),
    ],
)
def test_what_cannot_be_written_is_refused_before_any_prediction(
    trained: App, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    compute = Tagger.compute_outputs

    def refuse(self: Tagger, texts: Sequence[str]) -> Probabilities:
        assert texts != ["A graph"], "There are predictions."
        return compute(self, texts)

    monkeypatch.setattr(Tagger, "compute_outputs", refuse)
    (trained.cwd / "in.txt").write_text("A graph\n")
    (trained.cwd / "in.csv").write_text("text\nA graph\n")
    (trained.cwd / "folder.csv").mkdir(exist_ok=True)
    before = sorted(path.name for path in trained.cwd.iterdir())
    done = trained.run("task=predict", "task.input=in.txt", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in " ".join(done.stderr.split())
    assert sorted(path.name for path in trained.cwd.iterdir()) == before


@pytest.mark.parametrize("asked", ["task.top_k=2", "task.probabilities=true"])
def test_probabilities_of_a_model_without_any_are_refused_with_models_that_have_some(
    trained: App, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    monkeypatch.setattr(tagger_module, "has_probabilities", lambda model: False)
    (trained.cwd / "in.txt").write_text("A graph\n")
    done = trained.run("task=predict", "task.input=in.txt", "task.output=unasked.csv", asked)
    assert done.returncode == 2
    assert "has no probabilities. Train a model that has some, such as" in done.stderr
    assert not (trained.cwd / "unasked.csv").exists()


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


def test_no_processes_are_a_message(trained: App) -> None:
    done = trained.run("task=predict", "task.input=in.txt", "task.n_jobs=0")
    assert done.returncode == 2
    assert "task.n_jobs = 0 is not allowed: a whole number of at least 1" in done.stderr


@pytest.mark.e2e
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


# --- few and many ------------------------------------------------------------------------------


def test_a_text_is_tagged_the_same_among_few_some_and_many(trained: App) -> None:
    few = predicted(trained, BATCH).splitlines()
    with (trained.cwd / "out.csv").open() as file:
        last = [*csv.DictReader(file)][-1]
    for number in (BATCH + 1, 5000):
        assert predicted(trained, number, ONE).splitlines()[: len(few)] == few, number
    (row,) = json.loads(trained.ok("task=predict", f"task.text={texts(BATCH)[-1]}"))
    assert {key: str(value) for key, value in row.items()} | {"error": ""} == last


@pytest.mark.e2e
@pytest.mark.parametrize("kind", ["csv", "json", "jsonl", "parquet"])
def test_the_output_of_several_processes_is_that_of_one(trained: App, kind: str) -> None:
    one = predicted(trained, 5000, ONE, kind=kind)
    for arguments in (("task.n_jobs=2",), ("task.n_jobs=3", "task.batch_size=7")):
        assert predicted(trained, 5000, *arguments, kind=kind) == one, arguments


@pytest.mark.e2e
def test_bad_rows_among_many_are_one_message_and_keep_their_places(trained: App) -> None:
    rows = [json.dumps({"text": text}) for text in texts(2000)]
    (trained.cwd / "bad.jsonl").write_text("\n".join([*rows, '{"txt": 1}', *rows]) + "\n")
    done = trained.run(
        *("task=predict", "task.input=bad.jsonl", "task.n_jobs=2", "task.output=bad.csv")
    )
    said = "1 of 4,001 rows could not be predicted: line 2001: there is no text"
    assert (done.returncode, done.stderr) == (0, f"WARNING: {said}\n")
    with (trained.cwd / "bad.csv").open() as file:
        found = [*csv.DictReader(file)]
    assert [row["input_text"] for row in found] == [*texts(2000), "", *texts(2000)]
    assert [*found[2000].values()] == ["", "", "", "line 2001: there is no text"]
    assert found[:2000] == found[2001:]


@pytest.mark.e2e
@pytest.mark.usefixtures("unmeasured")
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks at /proc")
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)]
)
def test_processes_end_with_the_command_and_nothing_is_half_written(
    tmp_path: Path, showcase: Showcase, number: signal.Signals, code: int
) -> None:
    app = showcase.copy("run", tmp_path)
    (app.cwd / "huge.txt").write_text("\n".join(texts(400_000)) + "\n")
    files = ("task.input=huge.txt", "task.output=huge.csv")
    process = app.start("task=predict", *files, "task.n_jobs=2")
    wait_until(lambda: len(children(process.pid)) == 2)
    crew = children(process.pid)
    os.kill(process.pid, number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert errors == {130: "Interrupted.\n", 143: "Terminated.\n", -9: ""}[code]
    wait_until(lambda: all(map(is_gone, crew)))
    left = [path for path in app.cwd.iterdir() if "huge.csv" in path.name]
    # Nobody can clean up after a process that was killed outright; what it wrote has another name.
    assert not [path for path in left if path.name == "huge.csv" or code != -9]
    for path in left:
        path.unlink()


def is_gone(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True
