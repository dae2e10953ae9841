"""task=evaluate end to end."""

from __future__ import annotations

import csv
import json

from tests.app import App

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
