"""task=evaluate end to end."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from sklearn.linear_model import LogisticRegression

from tagifai.config.schema import check
from tagifai.models import bundles
from tagifai.runs import records, resolve
from tagifai.tasks import evaluate
from tests.app import App
from tests.conftest import Compose
from tests.evaluation.test_error_analysis import tagger as make_tagger


def test_a_baseline_of_a_class_that_the_model_does_not_know_is_left_out(
    composed: Compose,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(resolve, "choose_run", lambda config: ("0" * 32, Path("bundle")))
    monkeypatch.setattr(bundles, "load", lambda path: make_tagger(LogisticRegression()))
    monkeypatch.setattr(records, "load_part", lambda *of_run: (["cat", "dog"], ["cats", "dogs"]))
    config = check(
        composed("task=evaluate", "console=plain", f"task.output={tmp_path}/scores.json")
    )
    for label, named in (("fish", False), ("cats", True), (["cats"], False)):
        recorded = {"baseline": {"label": label}}
        monkeypatch.setattr(bundles, "read_document", lambda *of, found=recorded: found)
        assert evaluate.run(config) == 1.0
        assert ("Baseline: always cats" in capsys.readouterr().out) is named


TEXT = "Transfer learning with transformers for text"


def test_evaluating_a_run_gives_its_own_test_scores_again(trained: App) -> None:
    trained.ok("task=evaluate", "task.output=again.json")

    stored = json.loads((trained.stores / "performance.json").read_text())["test"]
    assert json.loads((trained.cwd / "again.json").read_text()) == stored


def test_a_labelled_file_of_ones_own_is_scored(trained: App) -> None:
    with (trained.cwd / "mine.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["text", "tag"])
        table.writerow([TEXT, "natural-language-processing"])
        table.writerow(["object detection in images", "natural-language-processing"])
        table.writerow(["a robot learns by rewards", "reinforcement-learning"])
    trained.ok("task=evaluate", "task.data=mine.csv", "task.output=mine.json", "console=quiet")

    scored = json.loads((trained.cwd / "mine.json").read_text())
    assert scored["overall"]["num_samples"] == 3
    assert scored["class"]["natural-language-processing"]["recall"] == 0.5
    # A tag that the run does not know counts as the rest.
    assert scored["class"]["other"]["num_samples"] == 1
