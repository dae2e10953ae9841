"""task=runs end to end: what a person sees of the runs there are."""

from __future__ import annotations

import csv
import re
import shlex
from collections.abc import Mapping
from pathlib import Path

import pytest

from tagifai.console.display import Display
from tagifai.runs import listing
from tagifai.tasks import runs
from tagifai.tracking.recording import operations
from tagifai.tracking.recording.records import PendingRecord
from tagifai.tracking.run import OWN_TAGS
from tests.app import App, tracked_runs
from tests.frames import a_run, frame
from tests.showcase import Showcase


def test_in_an_empty_project_it_says_that_there_are_none_and_how_to_train_one(
    tmp_path: Path,
) -> None:
    output = App(tmp_path).ok("task=runs")
    assert re.search(r"^There are no runs yet\.\nTrain one: +\S.*$", output, re.M)


def test_a_multirun_is_one_row_with_its_best_child_and_lists_its_runs_by_its_short_id(
    tmp_path: Path, showcase: Showcase
) -> None:
    app = showcase.copy("multirun", tmp_path)
    key = "mlflow.parentRunId"
    found = {run.info.run_id: run for run in tracked_runs(app) if key in run.data.tags}
    (parent,) = {run.data.tags[key] for run in found.values()}
    of_all = {name for run in tracked_runs(app) for name in run.data.tags}
    assert {name for name in of_all if not name.startswith("mlflow.")} <= OWN_TAGS
    best = max(found.values(), key=lambda run: run.data.metrics["val_f1"]).data.metrics
    output = app.ok("task=runs", f"task.output={tmp_path}/runs.csv")
    assert output.startswith("4 runs in 1 row, the newest first")
    assert re.search(rf"^{parent[:8]} .* 4 runs: ", output, re.M)
    assert f"{best['val_f1']:#.4g}" in output
    (row,) = csv.DictReader((tmp_path / "runs.csv").read_text().splitlines())
    assert (row["run_id"], row["children"], row["state"]) == (parent, "4", "finished")
    assert float(row["val_f1"]) == best["val_f1"]
    inside = app.ok("task=runs", f"task.parent={parent[:8]}", "task.limit=3")
    assert sum(run_id[:8] in inside for run_id in found) == 3
    assert re.search(r"^Older: +1 more: task\.limit=4$", inside, re.M)
    none = app.ok("task=runs", "task.filter=params.seed = '99'")
    assert none.startswith("There is no such run (task.filter = params.seed = '99').")
    absent = app.ok("task=runs", "task.parent=deadbeef")
    assert absent.startswith("There is no such run (task.parent = deadbeef).")


def test_of_what_was_overridden_only_what_differs_is_shown_by_the_last_parts_of_its_key() -> None:
    shown = runs._shorten_overrides(
        [
            ["seed=1", "model.alpha=1e-5", "data.path=/a.csv", "vectorizer.min_df=2"],
            ["seed=1", "model.alpha=1e-4", "vectorizer.word.max_df=0.5", "model.max_df=3"],
            ["seed=1", f"data.name={'x' * 30}"],
        ]
    )
    assert shown == (
        ["alpha=1e-5 min_df=2", "alpha=1e-4 word.max_df=0.5 model.max_df=3", f"name={'x' * 24}…"],
        "seed=1",
    )
    assert runs._shorten_overrides([["seed=1"]]) == (["seed=1"], "")


def show(capsys: pytest.CaptureFixture[str], *given: Mapping[str, object]) -> str:
    """Return what is shown of runs, the oldest first."""
    made = frame(
        *(
            a_run(f"{n}" * 32, start=n, **{"metrics.val_f1": 0.5, "name": f"sgd · C={n}"} | {**run})  # type: ignore[arg-type]
            for n, run in enumerate(given)
        )
    )
    rows = listing.build(made, "val_f1", maximize=True, fold=True)
    runs._show(Display(quiet=False, plain=True, every=1), rows, "val_f1", 20)
    return capsys.readouterr().out


def test_what_most_runs_were_overridden_with_is_said_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    told = ("model=svc model.C=1", "model=svc model.C=2", "model=svc", "seed=3")
    output = show(capsys, *({"tags.overrides": given} for given in told))
    assert output.startswith("4 runs, the newest first")
    assert re.search(r"^Most common: +model=svc$", output, re.M)
    assert output.count("svc") == 1
    assert re.search(r"^33333333 .* seed=3 model=- ", output, re.M)
    assert re.search(r"^22222222 .* · ", output, re.M)
    # The names, which were made of it, would say it again.
    assert not re.search(r"\bname\b|sgd", output)


def test_a_name_that_a_person_gave_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    output = show(capsys, {"name": "for the talk"}, {})
    assert re.search(r"^00000000 .* for the talk ", output, re.M)
    assert "sgd" not in output


def test_runs_unlike_the_others_are_named_below_with_the_reason(
    capsys: pytest.CaptureFixture[str],
) -> None:
    failed = {"status": "FAILED", "tags.error": "DataError: " + "no room on the disk " * 9}
    output = show(capsys, {}, {}, {}, failed)
    reason = "no room on the disk " * 9
    said = f"finished, but 33333333 failed: {reason[:40]}…"
    assert " ".join(output.split()).endswith(f"State: {said}")
    assert re.search(r"^00000000 .* failed: no room", show(capsys, failed, {}), re.M)


def test_the_data_are_shown_however_narrow_it_is_where_they_differ(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tagifai.console.display.PLAIN_WIDTH", 60)
    names = [f"a data set {n}" for n in range(4)]
    long = {"tags.overrides": f"vectorizer.analyzer={'x' * 30} model.penalty={'y' * 30}"}
    output = show(capsys, *({"params.data.name": name, "digest": name} | long for name in names))
    assert re.search(r"^run .*\bdata\b", output, re.M)


def test_the_children_of_a_search_are_trials(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "_format_call", lambda *words: " ".join(words))
    child = {"parent": "0" * 32, "tags.study": "quick", "tags.trial.number": "1"}
    parent = {"tags.study": "quick", "name": "quick", "tags.command": "run.py -m sweep=quick"}
    output = show(capsys, parent, child, child, {})
    assert output.startswith("1 run and 2 trials in 2 rows, the newest first")
    assert re.search(r"^00000000 .* 2 trials: sweep=quick ", output, re.M)
    drawn = {"tags.study": "quick", "tags.overrides": "model.C=5.7985051489504436"}
    output = show(capsys, drawn, {"tags.study": "quick"})
    assert output.startswith("2 trials, the newest first")
    assert " C=5.799 " in output


def test_what_is_not_one_of_its_words_is_refused(app: App) -> None:
    for given, said in (
        ("task.limit=0", "task.limit"),
        ("task.output=runs.txt", "a .csv, .json or .md file"),
        ("task.experiment=none", "there is no such experiment"),
        ("tracking=none", "tracking=none has none"),
    ):
        done = app.run("task=runs", given)
        assert (done.returncode, done.stdout) == (2, ""), given
        assert said in done.stderr


@pytest.mark.parametrize("store", ["empty", "away"])
def test_a_multirun_that_is_only_kept_lists_its_runs_by_its_short_id(
    app: App, nobody: str, store: str
) -> None:
    parent, child = "1" * 32, "2" * 32
    for run_id, tags in ((parent, {}), (child, {operations.PARENT_ID: parent})):
        begin = {
            "do": "create",
            "format": 1,
            "id": run_id,
            "run_id": None,
            "uri": "u",
            "time": 1000,
        }
        begin |= {"experiment": "tagifai", "name": f"run {run_id[0]}", "lock": None, "tags": tags}
        PendingRecord(app.stores, run_id).write(
            [begin, {"do": "end", "status": "FINISHED", "reason": "", "time": 2000}]
        )
    where = [f"tracking.uri={nobody}"] if store == "away" else []
    output = app.ok("task=runs", *where)
    (line,) = (line for line in output.splitlines() if line.startswith("Inside:"))
    given = shlex.split(line)
    inside = app.ok(*given[given.index("task=runs") :])
    assert f"task.parent={parent[:8]}" in given
    assert re.search(rf"^{child[:8]} .*run 2", inside, re.M)
    assert not re.search(rf"^{parent[:8]} ", inside, re.M)
