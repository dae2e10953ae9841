"""A run that is handed on, end to end."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.app import SMALL, App

TEXT = "task.text=Detecting cars in video, and what they do"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, ready: Callable[[Path], App]) -> App:
    """An application with one run, in cwd/model.zip too; tests read it only."""
    app = ready(tmp_path_factory.mktemp("trained"))
    app.ok(*SMALL, "+tracking.tags.from='http://me:secret@host/x'")
    shown = app.ok("task=export", "task.path=model.zip")
    assert re.search(rf"Run: +{app.run_id()}, .*\nExported to: +model.zip\n", shown)
    with ZipFile(app.cwd / "model.zip") as file:
        settings = file.read("bundle/config.yaml").decode()
    assert not {"tracking:", "secret", "***"} & set(settings.split())
    return app


@pytest.fixture
def elsewhere(tmp_path: Path, trained: App, ready: Callable[[Path], App]) -> App:
    """Somebody else, who has got the file."""
    app = ready(tmp_path / "elsewhere")
    shutil.copy(trained.cwd / "model.zip", app.cwd / "got.zip")
    return app


def test_a_run_from_somebody_else_predicts_the_same_and_is_not_the_latest(
    trained: App, elsewhere: App
) -> None:
    run_id = trained.run_id()
    assert re.search(
        rf"Run: +{run_id}\nImported from: +got.zip\n",
        elsewhere.ok("task=import", "task.path=got.zip"),
    )
    chosen = f"task.run_id={run_id}"
    assert elsewhere.ok("task=predict", TEXT, chosen) == trained.ok("task=predict", TEXT, chosen)
    assert not (elsewhere.stores / "run_id.txt").exists()
    made = elsewhere.stores / "artifacts" / run_id / "artifacts" / "bundle" / "manifest.json"
    assert json.loads(made.read_text())["imported"]["file"] == "got.zip"
    again = elsewhere.ok("task=import", "task.path=got.zip")
    assert "Same as in:    got.zip" in again


def test_a_run_of_another_version_is_loaded_with_one_line_that_says_so(elsewhere: App) -> None:
    archive = elsewhere.cwd / "got.zip"
    with ZipFile(archive) as file:
        content = {name: file.read(name) for name in file.namelist()}
    manifest = json.loads(content["bundle/manifest.json"])
    manifest["versions"] |= {"scikit-learn": "1.0", "numpy": "1.1"}
    planted = elsewhere.folder / "planted"
    settings = f"model: {{_target_: os.mkdir, path: '{planted}'}}\n".encode()
    content["bundle/config.yaml"] = settings
    manifest["parts"]["config.yaml"] = hashlib.sha256(settings).hexdigest()
    content["bundle/manifest.json"] = json.dumps(manifest).encode()
    with ZipFile(archive, "w") as file:
        for name, data in content.items():
            file.writestr(name, data)

    done = elsewhere.run("task=import", "task.path=got.zip")
    assert done.returncode == 0
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"WARNING: {archive} was saved with scikit-learn 1.0, numpy 1.1 ")
    run_id = json.loads(content["export.json"])["run_id"]
    (elsewhere.cwd / "rows.csv").write_text("text,tag\nDetecting cars,computer-vision\n")
    for arguments in (("task=predict", TEXT), ("task=evaluate", "task.data=rows.csv")):
        used = elsewhere.run(*arguments, f"task.run_id={run_id}")
        assert used.returncode == 0, used.stderr
        assert used.stderr.count("was saved with scikit-learn 1.0") == 1
    # Its configuration is a record: nothing is ever made from what it names.
    assert not planted.exists()


def test_a_wrong_file_is_one_message_and_leaves_nothing(trained: App, elsewhere: App) -> None:
    before = sorted(path for path in elsewhere.stores.rglob("*") if "artifacts" in path.parts)
    (elsewhere.cwd / "text.zip").write_text("not a zip")
    for arguments, reason in (
        (("task=import", "task.path=text.zip"), "text.zip is not a zip file"),
        (("task=import", "task.path=nowhere.zip"), "There is no file"),
        (("task=import",), "task.path is not set"),
        (("task=export", "task.path=model.tar"), "task.path = 'model.tar' is not allowed"),
    ):
        done = elsewhere.run(*arguments)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert reason in done.stderr
    again = trained.run("task=export", "task.path=model.zip")
    assert (again.returncode, "is there already" in again.stderr) == (2, True)
    after = sorted(path for path in elsewhere.stores.rglob("*") if "artifacts" in path.parts)
    assert after == before
    assert list(elsewhere.stores.glob(".import*")) == []
