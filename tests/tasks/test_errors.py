"""task=errors end to end."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from tagifai.config.schema import check
from tagifai.models import bundles
from tagifai.models.tagger import Tagger
from tagifai.preprocessing.labels import LabelEncoder
from tagifai.runs import records, resolve
from tagifai.tasks import errors
from tests.app import App
from tests.conftest import Compose
from tests.evaluation.test_error_analysis import tagger as make_tagger


def test_errors_shows_the_confusions_and_the_words_that_led_to_the_surest_mistakes(
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
    first, second, *unsure = content["mistakes"]
    assert first["probability"] >= second["probability"]
    assert first["label"] != first["predicted"] == first["favourite"]
    assert all(each["predicted"] != each["favourite"] for each in unsure)
    assert "Wrong label, the surest first:" in output
    assert ("Under the threshold, the surest first:" in output) == bool(unsure)
    assert f"{first['label']}, predicted as {first['predicted']} (" in output
    assert "".join(word for word, _ in first["words"]) == first["text"]
    word, value = max(first["words"], key=lambda found: abs(found[1]))
    assert f"{word.strip().rstrip(errors.ENDS)} {abs(value):.2f}" in output


def show(
    composed: Compose,
    monkeypatch: pytest.MonkeyPatch,
    tagger: Tagger,
    texts: list[str],
    labels: list[str],
) -> None:
    monkeypatch.setattr(resolve, "choose_run", lambda config: ("0" * 32, Path("bundle")))
    monkeypatch.setattr(bundles, "load", lambda path: tagger)
    monkeypatch.setattr(records, "load_part", lambda *of_run: (texts, labels))
    errors.run(check(composed("task=errors", "task.output=errors.json", "console=plain")))


def test_of_a_very_long_mistake_the_beginning_is_shown_and_words_have_no_signs_behind_them(
    composed: Compose,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    text = "cat, purrs! C++ :) " * 1000
    show(composed, monkeypatch, make_tagger(LogisticRegression()), [text], ["dogs"])
    output = capsys.readouterr().out
    assert text[: errors.SHOWN_CHARACTERS] + "…" in output
    assert text[: errors.SHOWN_CHARACTERS + 1] not in output
    assert re.search(r"for cats: cat [\d.]+, ", output)
    assert json.loads((tmp_path / "errors.json").read_text())["mistakes"][0]["text"] == text


def test_without_a_mistake_there_is_no_table_of_the_confusions_of_many_classes(
    composed: Compose,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    names = [f"word{number:02}" for number in range(errors.SHOWN_CLASSES + 1)]
    vectorizer = CountVectorizer()
    model = LogisticRegression().fit(vectorizer.fit_transform(names), range(len(names)))
    encoder = LabelEncoder(tuple(names))
    cleaning = {"separate_punctuation": False, "keep": None}
    tagger = Tagger(cleaning, vectorizer, model, encoder, None, None)
    show(composed, monkeypatch, tagger, names, names)
    output = capsys.readouterr().out
    assert f"0 of {len(names)} rows are misclassified" in output
    assert "most frequent confusions" not in output
