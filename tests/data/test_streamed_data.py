"""Data that are streamed, by configuration alone, end to end."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from tagifai.data.dataset_store import list_manifests
from tests.app import App, children
from tests.training.test_streaming import reviews

STREAMED = (
    *("experiment=streamed", "training.epochs=2", "vectorizer.n_features=4096", "plots=none"),
)
WHOLE = (*STREAMED, "data.chunk_rows=1000", "console=plain")


@pytest.fixture
def app(tmp_path: Path, ready: Callable[[Path], App]) -> App:
    return ready(tmp_path)


def scores(app: App) -> dict[str, dict[str, dict[str, float]]]:
    found: dict[str, dict[str, dict[str, float]]] = json.loads(
        (app.stores / "performance.json").read_text()
    )
    return found


def test_a_streamed_run_is_a_run_like_any_other(app: App) -> None:
    reviews(150).to_csv(app.cwd / "reviews.csv", index=False)

    output = app.ok(*STREAMED, "data.path=reviews.csv", "data.chunk_rows=25", "console=plain")

    sizes = "150 rows, 3 classes (1 50, 3 50, 5 50)\nParts:         train 108, val 21, test 21"
    assert sizes in output
    assert "Note: Streamed in chunks of 25 rows; the train loss is that of 108 rows." in output
    assert "Epoch 1 | train_loss" in output
    profile = json.loads(next(app.outputs.glob("*/*/profile.json")).read_text())
    assert profile["parts"] == {"train": 108, "val": 21, "test": 21}
    assert set(profile["leaks"].values()) == {0}
    f1 = scores(app)["test"]["overall"]["f1"]
    assert f1 > 0.9
    assert f"{f1:.2f}" in app.ok("task=evaluate")
    assert "of 21 rows are misclassified" in app.ok("task=errors")
    (answer,) = json.loads(app.ok("task=predict", "task.text=so good and nice"))
    assert answer["predicted_tag"] == "5"
    assert "is reproduced to the last bit" in app.ok("task=rerun", "plots=none")
    assert "Compared:      1 runs" in app.ok("task=compare", "plots=none")


@pytest.mark.e2e
def test_one_process_gives_what_several_give(app: App) -> None:
    reviews(150).to_csv(app.cwd / "reviews.csv", index=False)
    given = (*STREAMED, "data.path=reviews.csv", "data.chunk_rows=25", "console=quiet")
    models = []
    for processors in ({0}, os.sched_getaffinity(0)):
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, processors)
        try:
            app.cold(*given)
        finally:
            os.sched_setaffinity(0, before)
        models.append((app.bundle() / "model.coef_.npy").read_bytes())
    assert models[0] == models[1]


@pytest.mark.parametrize(
    "name", ["a.csv", "a.tsv", "a.jsonl", "a.parquet", "a.csv.gz", "a.jsonl.gz"]
)
def test_every_format_gives_the_same_data_set_as_it_does_read_at_once(app: App, name: str) -> None:
    table, path = reviews(60), app.cwd / name
    table["text"] = [f'{text}, "said"\n{i}' for i, text in enumerate(table["text"])]
    if "parquet" in name:
        table.to_parquet(path, row_group_size=7)
    elif "jsonl" in name:
        table.to_json(path, orient="records", lines=True)
    else:
        table.to_csv(path, index=False, sep="\t" if "tsv" in name else ",")

    # Fields of a TSV span lines only if that is said.
    quoting = ("data.quoting=minimal",) if "tsv" in name else ()
    streamed = ("task=elt", "data=streamed", "data.chunk_rows=9", f"data.path={name}", *quoting)
    said = app.ok(*streamed, "data.name=streamed")
    app.ok("task=elt", "data=table", f"data.path={name}", "data.name=whole", *quoting)

    assert "60: train 42, val 9, test 9" in said
    streamed_set, whole_set = list_manifests(app.stores)
    assert (streamed_set["name"], whole_set["name"]) == ("streamed", "whole")
    assert streamed_set["digest"] == whole_set["digest"]


def broken(table: pd.DataFrame, line: str) -> str:
    """Return a CSV of a table whose data row 23 is another line."""
    lines = table.to_csv(index=False).splitlines()
    return "\n".join([*lines[:23], line, *lines[24:]]) + "\n"


REFUSED = {
    "a field too many": ("good,nice,5", [], "line 24 has 3 fields, and the first row has 2."),
    "a quote": ('"good,5', [], "a quoted field that begins in line 24 never ends."),
    "no label": ("good,", [], "line 24: no label in 'label' (1 of the first 30 rows)."),
    "an id": ("same,5", ["data.id=text"], "line 31: the id 'same' is there 2 times"),
    "an encoding": ("g\xf6\xf6d,5", [], "is not utf-8 in line 24 (byte 0xf6)"),
    "a part": ("good,5", ["data.split=label"], "'label' is '1', and has to be"),
    "too few classes": (
        "good,1",
        ["data.min_freq=1000"],
        "A classifier needs at least two classes",
    ),
    "a sampler": ("good,5", ["sampling=random_over"], "RandomOverSampler draws from all rows."),
    "a size": ("good,5", ["data.chunk_rows=0"], "data.chunk_rows = 0 is not allowed"),
    "a kind": ("good,5", ["data=sample", "+data.chunk_rows=9"], "'data.chunk_rows' is not a key"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_wrong_in_a_late_chunk_is_one_clear_error(app: App, what: str) -> None:
    line, overrides, said = REFUSED[what]
    table = reviews(60)
    if what == "an id":
        table.loc[29, "text"] = "same"
    (app.cwd / "reviews.csv").write_text(broken(table, line), encoding="latin-1")

    given = ("data.path=reviews.csv", "data.chunk_rows=10", "console=plain")
    done = app.run(*STREAMED, *(given if what != "a kind" else ()), *overrides)

    assert done.returncode == 2, done.stdout + done.stderr
    assert said in done.stderr
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1
    assert not (app.stores / "run_id.txt").exists()
    if what not in ("too few classes", "a sampler"):
        assert not list(app.stores.glob("data/*"))


def test_a_gzip_file_that_was_cut_off_leaves_nothing_behind(app: App) -> None:
    content = gzip.compress(reviews(30000).to_csv(index=False).encode())
    (app.cwd / "reviews.csv.gz").write_bytes(content[: len(content) // 2])

    done = app.run(*WHOLE, "data.path=reviews.csv.gz")

    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "reviews.csv.gz is damaged or incomplete gzip (" in done.stderr
    assert not list(app.stores.glob("data/*"))


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)]
)
def test_processes_end_with_a_run_that_is_interrupted(
    app: App, number: signal.Signals, code: int
) -> None:
    reviews(150).to_csv(app.cwd / "reviews.csv", index=False)
    given = ("data.path=reviews.csv", "data.chunk_rows=10", "training.epochs=100000")
    process = app.start(*STREAMED, *given)
    try:
        deadline = time.monotonic() + 90
        while not any("Epoch 5" in p.read_text() for p in app.outputs.glob("*/*/run.log")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        helping = children(process.pid)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()

    assert process.returncode == code
    assert "Traceback" not in errors
    assert len(helping) >= min(2, len(os.sched_getaffinity(0))) - 1
    deadline = time.monotonic() + 30
    while any(alive(pid) for pid in helping):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert not (app.stores / "run_id.txt").exists()


def alive(pid: int) -> bool:
    state = subprocess.run(
        ["ps", "-o", "stat=", str(pid)], capture_output=True, text=True, check=False
    )
    return bool(state.stdout.strip()) and not state.stdout.startswith("Z")
