"""task=curve end to end."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

from tests.app import SMALL, App


def test_scores_by_share_are_shown_written_and_drawn_and_no_run_is_left(
    tmp_path: Path, ready: Callable[[Path], App]
) -> None:
    app = ready(tmp_path)
    shares = "task.shares=[0.3,1]"
    output = app.ok("task=curve", shares, "task.repeats=2", *SMALL, "plots=default")
    assert re.search(r"From 30 % to 100 % of the train rows test_f1 (rose|fell) by ", output)
    (path,) = app.outputs.glob("*/*/curve.json")
    found = json.loads(path.read_text())
    assert found["conclusion"] in output
    assert [len(row) for row in found["scores"]] == [2, 2]
    assert found["rows"][0] < found["rows"][1]
    assert (path.parent / "figures" / "curve.svg").is_file()
    assert "<svg" in (path.parent / "report.html").read_text()
    assert not (app.stores / "run_id.txt").exists()


def test_with_all_train_rows_the_score_is_that_of_a_training(
    tmp_path: Path, ready: Callable[[Path], App]
) -> None:
    app = ready(tmp_path)
    settings = (*SMALL, "training.refit=false", "tracking=none")
    app.ok("task=curve", "task.shares=[0.5,1]", "task.repeats=2", *settings)
    app.ok(*settings)
    (path,) = app.outputs.glob("*/*/curve.json")
    performance = json.loads((app.stores / "performance.json").read_text())
    # The first repeat has the seed of the run.
    expected = performance["test"]["overall"]["f1"]
    assert json.loads(path.read_text())["scores"][0][-1] == expected
