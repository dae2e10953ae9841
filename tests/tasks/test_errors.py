"""task=errors end to end."""

from __future__ import annotations

import json
from pathlib import Path

from tests.app import App


def test_errors_shows_the_confusions_and_what_spoke_for_the_surest_mistakes(
    trained: App, tmp_path: Path
) -> None:
    path = tmp_path / "errors.json"
    output = trained.ok("task=errors", "task.limit=2", f"task.output={path}", "console=plain")

    content = json.loads(path.read_text())
    counts, classes = content["confusion"], content["classes"]
    performance = json.loads((trained.bundle() / "performance.json").read_text())["test"]
    for line, name in zip(counts, classes, strict=True):
        assert sum(line) == performance["class"][name]["num_samples"]
    wrong = sum(map(sum, counts)) - sum(counts[i][i] for i in range(len(classes)))
    assert f"{wrong} of {sum(map(sum, counts))} rows are misclassified" in output
    first, second = content["mistakes"]
    assert first["probability"] >= second["probability"]
    assert first["label"] != first["predicted"]
    assert f"{first['label']} predicted as {first['predicted']} (" in output
    assert all(value > 0 for _, value in first["spoke_for"])
    # Terms of words stand in the text that they spoke for.
    assert all(term in first["text"].lower() for term, _ in first["spoke_for"])
