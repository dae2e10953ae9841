"""task=errors: the confusion matrix of a run and its most confident mistakes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tagifai.config.paths import write_results
from tagifai.config.schema import Config
from tagifai.console.display import Display
from tagifai.evaluation import error_analysis
from tagifai.models import bundles
from tagifai.runs import records, resolve

SHOWN_CLASSES = 12
"""Most classes of a confusion matrix on the terminal; with more, pairs of classes are listed."""


def run(config: Config) -> None:
    """Show the confusion matrix and the most confident mistakes, and write both as JSON."""
    display, task = Display.from_config(config.console), config.task
    run_id, path = resolve.choose_run(config)
    with display.show_spinner("Predicting"):
        tagger = bundles.load(path)
        texts, labels = records.load_part(path, Path(config.paths.stores), task.part)
        y_true, outputs = tagger.encoder.encode(labels), tagger.compute_outputs(texts)
        counts = error_analysis.compute_confusion_matrix(
            y_true, tagger.decide(outputs), len(tagger.encoder.classes)
        )
        found = error_analysis.find_most_confident(
            tagger, texts, y_true, outputs, task.limit, task.terms
        )
    wrong = int(counts.sum() - np.trace(counts))
    _show_confusion(display, tagger.encoder.classes, counts, f"Run {run_id}, {task.part} rows")
    display.show_result(f"{wrong} of {len(texts)} rows are misclassified.")
    _show_mistakes(display, found)
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
    off = counts - np.diag(np.diag(counts))
    pairs = np.argwhere(off)
    largest = pairs[np.argsort(-off[off > 0], kind="stable")][:SHOWN_CLASSES]
    rows = [[str(off[i, j]), f"{classes[i]} predicted as {classes[j]}"] for i, j in largest]
    display.show_table(f"{title}: the most frequent confusions", ["rows", ""], rows)


def _show_mistakes(display: Display, found: Sequence[error_analysis.Mistake]) -> None:
    for mistake in found:
        sure = "" if mistake.probability is None else f" ({mistake.probability:.2f})"
        display.show_result("")
        title = f"{mistake.label} predicted as {mistake.predicted}{sure}"
        display.show_result(f"{title}: {mistake.text}")
        sides = {mistake.predicted: mistake.spoke_for, mistake.label: mistake.spoke_against}
        for label, terms in sides.items():
            if terms:
                shown = ", ".join(f"{term!r} {value:+.2f}" for term, value in terms)
                display.show_result(f"  terms for {label}: {shown}", indent=4)
