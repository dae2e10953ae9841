"""task=info end to end."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.app import App
from tests.showcase import Showcase


def test_info_names_what_there_is(trained: App) -> None:
    output = trained.ok("task=info")

    assert trained.run_id() in output
    assert re.search(r"^Data sets: +sample: \d+ rows$", output, re.M)
    assert str(trained.stores) in output
    assert "scikit-learn" in output
    assert "Wrong" not in output


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
