"""task=info end to end."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tagifai.tasks import info
from tagifai.tracking.inventory import RunInfo
from tests.app import SMALL, App
from tests.showcase import Showcase


def test_info_names_what_there_is(trained: App) -> None:
    output = trained.ok("task=info")

    assert trained.run_id() in output
    assert re.search(r"^Data sets: +sample: \d+ rows$", output, re.M)
    assert str(trained.stores) in output
    assert "scikit-learn" in output
    assert "Wrong" not in output
    assert re.search(r"^Runs: +1 \(1 finished\)$", output, re.M)
    assert re.search(r"^Champion: +none yet: .* task=promote paths\.stores=.*$", output, re.M)
    assert re.search(r"^Presets: +best, .* \(in conf\)$", output, re.M)
    assert re.search(r"^Studies: +none$", output, re.M)
    assert re.search(r"^Disk use: +stores \d+\.\d MB, outputs \d+ \w?B$", output, re.M)


def test_info_names_champion_studies_and_presets_and_a_damaged_study_hides_no_other_line(
    tmp_path: Path, showcase: Showcase
) -> None:
    app = showcase.copy("search", tmp_path)
    app.ok(*SMALL)
    app.ok("task=promote")
    run_id = app.run_id()
    f1 = json.loads((app.stores / "performance.json").read_text())["test"]["overall"]["f1"]
    output = app.ok("task=info")
    champion = rf"version 1 of tagifai, run {run_id[:8]}, test f1 {f1:.4f}"
    assert re.search(rf"^Champion: +{champion}$", output, re.M)
    elsewhere = app.ok("task=info", "tracking.experiment=new")
    assert re.search(r"^Runs: +none yet$", elsewhere, re.M)
    assert re.search(rf"^Champion: +{champion}$", elsewhere, re.M)
    client = MlflowClient(f"sqlite:///{app.stores}/mlflow.db")
    client.set_model_version_tag("tagifai", "1", "test_f1", "good")
    by_hand = rf"^Champion: +version 1 of tagifai, run {run_id[:8]}$"
    assert re.search(by_hand, app.ok("task=info"), re.M)
    (preset,) = (app.stores / "presets" / "experiment").glob("*.yaml")
    assert re.search(rf"^ +{preset.stem} \(of searches\)$", output, re.M)
    studies = rf"^Studies: +{preset.stem}: ended, 6 trials, best val_f1 0\.\d{{4}}$"
    assert re.search(studies, output, re.M)


def test_studies_that_cannot_be_read_hide_no_other_line(tmp_path: Path, showcase: Showcase) -> None:
    app = showcase.copy("run", tmp_path)
    (app.stores / "studies.db").write_bytes(b"\0" * 10_000)
    output = app.ok("task=info")
    assert re.search(r"^Studies: +not known$", output, re.M)
    assert re.search(r"^Runs: +1 \(1 finished\)$", output, re.M)
    assert re.search(rf"^Wrong: +{app.stores}/studies.db: ", output, re.M)


def test_info_says_what_is_wrong_a_line_each_and_how_to_mend_it(
    tmp_path: Path, showcase: Showcase, nobody: str
) -> None:
    app = showcase.copy("run", tmp_path)
    for name in ("run_id.txt", "mlflow.db", "performance.json"):
        (app.stores / name).unlink()
    (app.stores / "run_id.txt").write_bytes(b"\xff")
    (app.stores / "mlflow.db").write_bytes(b"\0" * 10_000)
    os.mkfifo(app.stores / "running" / "abc.run")
    (app.stores / "presets" / "experiment").mkdir(parents=True)
    (app.stores / "presets" / "experiment" / "mine.yaml").touch()
    done = app.run("task=info")
    output = done.stdout
    assert done.returncode == 0
    assert re.search(r"^Latest run: +not known: run_id.txt .*: it is not UTF-8$", output, re.M)
    for name in ("run_id.txt", "mlflow.db", "running/abc.run", "presets/experiment/mine.yaml"):
        assert len(re.findall(rf"{app.stores}/{name}: .+$", output, re.M)) == 1, name
    assert re.search(r"^Repair it: +.* task=repair", output, re.M)
    output = app.run("task=info", f"tracking.uri={nobody}").stdout
    assert f"{nobody}: The tracking store {nobody} does not answer" in output


@pytest.mark.parametrize("kind", ["missing", "a file"])
def test_info_works_without_stores(tmp_path: Path, kind: str) -> None:
    app = App(tmp_path)
    if kind == "a file":
        app.stores.touch()
    output = app.ok("task=info")
    assert re.search(r"^Latest run: +(none yet|not known)", output, re.M)
    assert ("is not a folder" in output) == (kind == "a file")


def test_runs_are_counted_without_parents_and_searches_have_the_states_of_theirs() -> None:
    runs = [
        RunInfo("new", "1", "KILLED", study="quick"),
        RunInfo("a", "1", "FINISHED", parent="new", study="quick", state="COMPLETE"),
        RunInfo("b", "1", "FINISHED", parent="new", study="quick", state="PRUNED"),
        RunInfo("c", "1", "FAILED", parent="new", study="quick", state="FAIL"),
        RunInfo("old", "1", "FINISHED", study="quick"),
        RunInfo("busy", "1", "RUNNING", study="deep"),
        RunInfo("done", "1", "FINISHED", study="wide"),
        RunInfo("multirun", "1", "FINISHED"),
        RunInfo("d", "1", "KILLED", parent="multirun"),
        RunInfo("e", "1", "RUNNING"),
    ]
    wanted = "5 (1 running, 1 finished, 1 failed, 1 interrupted, 1 pruned)"
    assert info._count_runs(runs) == wanted
    wanted_states = {"quick": "interrupted", "deep": "running", "wide": "ended"}
    assert info._name_searches(runs) == wanted_states
    assert info._count_runs([]) == "none yet"
