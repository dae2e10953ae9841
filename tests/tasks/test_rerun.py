"""task=rerun end to end; and that a configuration gives one model, wherever it is trained."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
import yaml
from mlflow import MlflowClient
from mlflow.entities import Run

from tagifai.evaluation.metrics import flatten
from tests.app import SMALL, App


def run_of(app: App, run_id: str) -> Run:
    return MlflowClient(f"sqlite:///{app.stores}/mlflow.db").get_run(run_id)


def contents(bundle: Path) -> dict[str, str]:
    """The sums of what a training gives, of all parts but those that name folders and commands."""
    parts = json.loads((bundle / "manifest.json").read_text())["parts"]
    return {k: v for k, v in parts.items() if k not in ("config.yaml", "provenance.json")}


def compared(app: App) -> dict[str, Any]:
    """What the latest rerun has written of the comparison."""
    path = max(app.outputs.glob("*/*-rerun/rerun.json"))
    found: dict[str, Any] = json.loads(path.read_text())
    return found


# --- a run again from its record ---------------------------------------------------------------

CHOSEN = (*SMALL, "model=sgd_averaged", "seed=3", "model.alpha=2e-4")


def test_a_run_trained_again_is_equal_and_recorded_as_a_run_like_any_other(app: App) -> None:
    app.ok(*CHOSEN, "+tracking.tags.purpose=first")
    first, bundle = app.run_id(), app.bundle()
    output = app.ok("task=rerun", "tracking.experiment=again", "plots=none")

    assert f"tagifai rerun of {first}" in output
    assert re.search("^model +sgd_averaged ", output, re.M)
    performance = json.loads((bundle / "performance.json").read_text())
    scored = [name for part in performance for name in flatten(performance[part], part)]
    parts = f"the data, {len(scored)} metrics and"
    assert f"Run {first} is reproduced to the last bit: {parts}" in output
    assert "What differs" not in output
    assert app.run_id() != first
    assert contents(app.bundle()) == contents(bundle)
    found = compared(app)
    assert (found["rerun_of"], found["run_id"], found["equal"]) == (first, app.run_id(), True)
    before, now = run_of(app, first), run_of(app, app.run_id())
    assert now.info.status == "FINISHED"
    assert now.info.experiment_id != before.info.experiment_id
    assert now.info.run_name == before.info.run_name
    assert now.info.run_name == "sgd_averaged · alpha=2e-4, seed=3, epochs=3, +1"
    assert now.data.tags["rerun_of"] == first
    assert "task=rerun" in shlex.split(now.data.tags["command"])
    assert now.data.tags["overrides"] == before.data.tags["overrides"]
    assert now.data.params["model"] == "sgd_averaged"
    assert "purpose" not in now.data.tags
    own = ("task.", "tracking.", "console.")
    assert {k: v for k, v in now.data.params.items() if not k.startswith(own)} == {
        k: v for k, v in before.data.params.items() if not k.startswith(own)
    }
    assert now.data.params["task.name"] == "train"


def table(path: Path, rows: int) -> None:
    with path.open("w", newline="") as file:
        written = csv.writer(file)
        written.writerow(["text", "label"])
        for number in range(rows):
            written.writerow([f"good thing {number}", "good"])
            written.writerow([f"bad thing {number * 7}", "bad"])


def test_changed_data_are_the_first_difference_and_data_that_are_gone_an_error(app: App) -> None:
    mine = ("data=table", "data.path=mine.csv")
    table(app.cwd / "mine.csv", rows=20)
    app.ok(*mine, *SMALL, "console=quiet", "tracking=none")
    first = app.run_id()
    table(app.cwd / "mine.csv", rows=25)
    again = (
        *("task=rerun", f"task.run_id={first}"),
        *("console=quiet", "tracking=none", "plots=none"),
    )
    # The data set is in the store yet, whatever else there is of its name.
    app.ok("task=elt", *mine)
    assert f"Run {first} is reproduced" in app.ok(*again)

    for made in app.stores.glob("data/mine-*"):
        shutil.rmtree(made)
    done = app.run(*again)
    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: Run {first} is not reproduced: of the data, ")
    assert done.stderr.endswith(f" differ. The new run {app.run_id()} is kept.\n")
    assert done.stderr.count("\n") == 1
    lines = done.stdout[done.stdout.index("What differs") :].splitlines()
    shown = [line.split(maxsplit=2)[2].strip() for line in lines[3:] if len(line.split()) > 2]
    assert shown[0] == "data (SHA-256)"
    assert "content of splits.json" in shown
    found = compared(app)
    assert (found["equal"], found["results"][0]["what"]) == (False, "data (SHA-256)")
    kept = app.run_id()
    assert kept != first
    assert app.bundle().is_dir()

    (app.cwd / "mine.csv").unlink()
    shutil.rmtree(app.dataset("mine"))
    done = app.run(*again)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "that the run was trained with" in done.stderr
    assert "there is no file" in done.stderr
    assert app.run_id() == kept


def test_what_comes_from_the_record_cannot_be_chosen(app: App) -> None:
    for override in ("seed=3", "model=sgd_huber", "training.epochs=2", "experiment=best"):
        done = app.run("task=rerun", override)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(f"Error: {override} has no effect: task=rerun takes the")
    done = app.run("task=rerun")
    assert done.returncode == 2
    assert "No run has been trained" in done.stderr


# --- a run of somebody else's ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory, ready: Callable[[Path], App]) -> App:
    """Somebody else's application, with one run whose export is handed on; tests read it only."""
    app = ready(tmp_path_factory.mktemp("theirs"))
    table(app.cwd / "mine.csv", rows=20)
    app.ok("data=table", "data.path=mine.csv", *SMALL, "console=quiet", "tracking=none")
    app.ok("task=export", "task.path=run.zip")
    return app


def plant(app: App, theirs: App, **groups: dict[str, Any]) -> str:
    """Import a run whose recorded settings were changed, with sums that are right, as ours."""
    with ZipFile(theirs.cwd / "run.zip") as file:
        content = {name: file.read(name) for name in file.namelist()}
    config = yaml.safe_load(content["bundle/config.yaml"])
    for group, values in groups.items():
        config[group] = values if "_target_" in values else config[group] | values
    provenance = json.loads(content["bundle/provenance.json"])
    provenance["schemas"] |= {group: None for group in groups if group in ("model", "vectorizer")}
    manifest = json.loads(content["bundle/manifest.json"])
    for name, document in (("config.yaml", config), ("provenance.json", provenance)):
        data = content[f"bundle/{name}"] = json.dumps(document).encode()
        manifest["parts"][name] = hashlib.sha256(data).hexdigest()
    manifest["imported"] = {"file": "run.zip"}
    content["bundle/manifest.json"] = json.dumps(manifest).encode()
    with ZipFile(app.cwd / "run.zip", "w") as file:
        for name, data in content.items():
            file.writestr(name, data)
    app.ok("task=import", "task.path=run.zip")
    run_id = theirs.run_id()
    path = app.stores / "artifacts" / run_id / "artifacts/bundle/manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"imported": {"file": "run.zip"}}))
    return run_id


SGD = "sklearn.linear_model.SGDClassifier"
GIT = "tagifai.utils.environment._git"
CLEAR = "sklearn.datasets.clear_data_home"


@pytest.mark.parametrize("number", range(10))
def test_a_planted_record_runs_nothing_reads_nothing_and_leaves_nothing(
    ready: Callable[[Path], App], tmp_path: Path, theirs: App, number: int
) -> None:
    app, marker = ready(tmp_path / "ours"), tmp_path / "marker"
    marker.mkdir()
    alias = f"alias.x=!rmdir {marker}"
    nested = f"{{_target_:{GIT},_args_:[/,-c,'{alias}',x]}}"
    (tmp_path / "local.csv").write_text("text,label\na,x\n")
    planted: list[dict[str, dict[str, Any]]] = [
        {"model": {"_target_": SGD, "class_weight": f"${{oc.create:{nested}}}"}},
        {
            "model": {
                "_target_": SGD,
                "class_weight": {"_target_": GIT, "_args_": ["/", "-c", alias, "x"]},
            }
        },
        {"model": {"_target_": SGD, "class_weight": "${oc.env:SECRET_OF_TEST}"}},
        {"model": {"_target_": CLEAR, "data_home": str(marker)}},
        {"model": {"_target_": SGD, "class_weight": {"_target_": CLEAR, "data_home": str(marker)}}},
        {"vectorizer": {"_target_": "os.rmdir", "path": str(marker)}},
        {"vectorizer": {"token_pattern": "(?:\\w+)+-"}},
        {"data": {"path": str(tmp_path / "local.csv")}},
        {"data": {"path": "http://127.0.0.1:9/x.csv"}},
        {"data": {"name": "../../local"}},
    ]
    if "data" not in planted[number]:
        app.ok("task=elt", "data=table", f"data.path={theirs.cwd / 'mine.csv'}")
    before = sorted(app.stores.glob("data/*"))
    run_id = plant(app, theirs, **planted[number])
    env = {"SECRET_OF_TEST": "very secret"}
    done = app.run("task=rerun", f"task.run_id={run_id}", "tracking=none", "plots=none", env=env)
    assert done.returncode == 2, done.stdout
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1
    assert marker.is_dir()
    for file in tmp_path.rglob("*"):
        assert not (file.is_file() and b"very secret" in file.read_bytes()), file
    assert sorted(app.stores.glob("data/*")) == before
    assert not (app.stores / "run_id.txt").exists()


def test_somebody_else_s_run_is_reproduced_on_data_that_one_has_got_oneself(
    ready: Callable[[Path], App], tmp_path: Path, theirs: App
) -> None:
    app = ready(tmp_path / "ours")
    run_id = plant(app, theirs, data={"path": "/nowhere.csv"})
    again = ("task=rerun", f"task.run_id={run_id}", "tracking=none", "plots=none")
    assert "nothing is read or fetched from where an imported run says" in app.run(*again).stderr
    app.ok("task=elt", "data=table", f"data.path={theirs.cwd / 'mine.csv'}")
    assert f"Run {run_id} is reproduced" in app.ok(*again)


# --- one configuration, one model --------------------------------------------------------------

CONFIGURATION = (
    *("vectorizer=tfidf_word12", "model=logistic_regression", "tracking=none", "plots=none"),
)
"""Its fit is linear algebra, whose sums depend on how many threads add them up."""

SWEEPS = {"basic": (), "joblib": ("hydra.launcher.n_jobs=2",)}


@pytest.mark.e2e
def test_a_run_alone_and_in_sweeps_beside_another_are_equal_byte_by_byte(app: App) -> None:
    alone = (*CONFIGURATION, "console=quiet")
    app.ok(*alone, f"hydra.run.dir={app.outputs}/alone")
    for launcher, more in SWEEPS.items():
        sweep = (f"hydra/launcher={launcher}", f"hydra.sweep.dir={app.outputs}/{launcher}", *more)
        done = app.fork("-m", *alone, "seed=42,1", *sweep)
        assert done.returncode == 0, done.stderr

    folders = [app.outputs / name for name in ("alone", "basic/0", "joblib/0")]
    (app.cwd / "texts.txt").write_text("Detecting cars\nA corpus of dialogues\nServing models\n")
    tagged = []
    for folder in folders:
        (log,) = folder.glob("run.log")
        run_id = log.read_text().partition("Run ")[2].split()[0]
        tagged.append(app.ok("task=predict", "task.input=texts.txt", f"task.run_id={run_id}"))
    assert len({(folder / "performance.json").read_bytes() for folder in folders}) == 1
    assert [contents(folder / "bundle") for folder in folders[1:]] == [
        contents(folders[0] / "bundle")
    ] * 2
    assert len(set(tagged)) == 1
    assert len(json.loads(tagged[0])) == 3
    assert contents(app.outputs / "basic/1/bundle") == contents(app.outputs / "joblib/1/bundle")
    assert contents(app.outputs / "basic/1/bundle") != contents(folders[0] / "bundle")
