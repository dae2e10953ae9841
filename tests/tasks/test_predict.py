"""task=predict end to end: what is read and written, few texts and many."""

from __future__ import annotations

import csv
import json
import os
import signal
from pathlib import Path

import pytest

import tagifai
from tagifai.tasks.predict import FEW_TEXTS
from tests.app import App, children, wait_until
from tests.showcase import Showcase

WORDS = ("graph", "images", "words", "language", "nodes", "vision", "servers", "models", "rows")

TEXTS = ["Transfer learning with transformers for text", "A GAN (with CNNs) & more: $5, a=b"]

ONE = "task.n_jobs=1"


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


def test_prediction_cleans_as_training_did(trained: App) -> None:
    plain, shouted = json.loads(
        trained.ok(
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
    few = predicted(trained, FEW_TEXTS).splitlines()
    with (trained.cwd / "out.csv").open() as file:
        last = [*csv.DictReader(file)][-1]
    for number in (FEW_TEXTS + 1, 5000):
        assert predicted(trained, number, ONE).splitlines()[: len(few)] == few, number
    (row,) = json.loads(trained.ok("task=predict", f"task.text={texts(FEW_TEXTS)[-1]}"))
    assert {key: str(value) for key, value in row.items()} == last


@pytest.mark.e2e
@pytest.mark.parametrize("kind", ["csv", "json", "jsonl"])
def test_the_output_of_several_processes_is_that_of_one(trained: App, kind: str) -> None:
    one = predicted(trained, 5000, ONE, kind=kind)
    for arguments in (("task.n_jobs=2",), ("task.n_jobs=3", "task.batch_size=7")):
        assert predicted(trained, 5000, *arguments, kind=kind) == one, arguments


@pytest.mark.e2e
def test_a_bad_row_among_many_is_one_message_and_leaves_no_output(trained: App) -> None:
    rows = [json.dumps({"text": text}) for text in texts(5000)]
    (trained.cwd / "bad.jsonl").write_text("\n".join([*rows, '{"txt": 1}', *rows]) + "\n")
    arguments = ("task=predict", "task.input=bad.jsonl", "task.n_jobs=2")
    done = trained.run(*arguments, "task.output=bad.csv")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "bad.jsonl, line 5001: there is no text" in done.stderr
    assert not [path for path in trained.cwd.iterdir() if "bad.csv" in path.name]
    # What came before it is on standard output, as far as whole batches go.
    shown = trained.run(*arguments).stdout
    assert shown.count("input_text") == 5000


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
