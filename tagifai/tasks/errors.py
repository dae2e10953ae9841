"""task=errors: the confusion matrix of a run and its most confident mistakes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tagifai.config.paths import write_results
from tagifai.config.schema import Config
from tagifai.console.display import Display
from tagifai.evaluation import confusions, error_analysis
from tagifai.evaluation.error_analysis import Mistake
from tagifai.models import bundles
from tagifai.runs import records, resolve
from tagifai.utils.excerpts import shorten, shorten_id

SHOWN_CLASSES = 12
"""Most classes of a confusion matrix on the terminal; with more, pairs of classes are listed."""

SHOWN_CHARACTERS = 600
"""Most characters of a mistake's text on the terminal; the file has all."""

ENDS = ",.;:!?\u3001\u3002\uff0c"
"""Signs that end a word and are none of it."""


def run(config: Config) -> None:
    """Show the confusion matrix and the most confident mistakes, and write both as JSON."""
    display, task = Display.from_config(config.console), config.task
    run_id, path = resolve.choose_run(config)
    with display.show_spinner("Predicting"):
        tagger = bundles.load(path)
        texts, labels = records.load_part(path, Path(config.paths.stores), task.part)
        y_true, outputs = tagger.encoder.encode(labels), tagger.compute_outputs(texts)
        counts = confusions.compute_confusion_matrix(
            y_true, tagger.decide(outputs), len(tagger.encoder.classes)
        )
        found = error_analysis.find_mistakes(tagger, texts, y_true, outputs, task.limit)
    wrong = int(counts.sum() - np.trace(counts))
    title = f"Run {shorten_id(run_id)}, {task.part} rows"
    _show_confusion(display, tagger.encoder.classes, counts, title)
    display.show_result(f"{wrong} of {len(texts)} rows are misclassified.")
    _show_mistakes(display, found, task.words)
    document = error_analysis.build_document(tagger, counts, found)
    output = write_results(document, task.output, "errors.json")
    if output is not None:
        display.show_result("")
        display.show_copyable("Errors", output)


def _show_confusion(
    display: Display, classes: Sequence[str], counts: npt.NDArray[np.int64], title: str
) -> None:
    if len(classes) <= SHOWN_CLASSES:
        numbers = [str(number + 1) for number in range(len(classes))]
        rows = [
            [*(str(n) if n else "·" for n in line), f"{number} {name}"]
            for number, name, line in zip(numbers, classes, counts.tolist(), strict=True)
        ]
        display.show_table(f"{title} (predicted as)", [*numbers, "label"], rows)
        return
    rows = [
        [str(c.rows), f"{c.share:.0%}", f"{classes[c.label]} predicted as {classes[c.predicted]}"]
        for c in confusions.find_confusions(counts, SHOWN_CLASSES)
    ]
    if rows:
        display.show_table(f"{title}: the most frequent confusions", ["rows", "share", ""], rows)


def _show_mistakes(display: Display, found: Sequence[Mistake], limit: int) -> None:
    for unsure, title in ((False, "Wrong label"), (True, "Under the threshold")):
        mistakes = [mistake for mistake in found if mistake.is_unsure is unsure]
        if mistakes:
            display.show_result("")
            display.show_result(f"{title}, the surest first:")
        for mistake in mistakes:
            sure = "" if mistake.probability is None else f" ({mistake.probability:.2f})"
            said = "the model's choice" if unsure else "predicted as"
            display.show_result(
                f"{mistake.label}, {said} {mistake.favourite}{sure}:"
                f" {shorten(mistake.text, SHOWN_CHARACTERS)}"
            )
            _show_words(display, mistake, limit)


def _show_words(display: Display, mistake: Mistake, limit: int) -> None:
    """Show the words of a mistake that weigh most, for the model's favourite and against it."""
    ranked = sorted(mistake.words or (), key=lambda word: -abs(word[1]))[:limit]
    other = "others" if mistake.label == mistake.favourite else mistake.label
    for label, sign in ((mistake.favourite, 1), (other, -1)):
        words = [
            f"{word.strip().rstrip(ENDS) or word.strip()} {abs(v):.2f}"
            for word, v in ranked
            if v * sign > 0
        ]
        if words:
            display.show_result(f"  for {label}: {', '.join(words)}", indent=4)
