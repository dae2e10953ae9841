"""The figures of a run: which there are, and how each is made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tagifai.data.prepare import PreparedData
from tagifai.data.splitting.parts import PARTS
from tagifai.evaluation import error_analysis, summary
from tagifai.models.losses import get_loss_name
from tagifai.reporting.render import FigureMakers
from tagifai.training.fitting import FitResult, compute_part_outputs

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TERMS_PER_CLASS = 8
"""Terms that are shown for each class."""

MAX_TERM_CLASSES = 10
"""Most classes whose terms are shown."""


def build_for_data(prepared: PreparedData) -> FigureMakers:
    """Return functions that make the figures of a data set, by name."""
    from tagifai.reporting.plots import data

    parts = {name: Counter(prepared.get_part(name)["tag"]) for name in PARTS}
    rows = {tag: {part: n[tag] for part, n in parts.items()} for tag in prepared.count_labels()}
    words = [len(text.split()) for text in prepared.rows["raw"]]
    return {
        "class_balance": partial(data.plot_class_balance, rows),
        "text_lengths": partial(data.plot_text_lengths, words),
    }


def build_for_result(prepared: PreparedData, result: FitResult) -> FigureMakers:
    """Return functions that make the figures of losses, scores and model of a training, by name."""
    from tagifai.reporting.plots import classes, probabilities, training

    tagger, history = result.tagger, result.history
    names = tagger.encoder.classes

    @cache
    def scored(part: str) -> tuple[Any, Any]:
        return prepared.get_labels(part), compute_part_outputs(prepared, tagger, part)

    def confusion() -> Figure:
        y_true, found = scored("test")
        counts = error_analysis.compute_confusion_matrix(y_true, tagger.decide(found), len(names))
        return classes.plot_confusion(counts, names, "test rows")

    test = result.performance["test"]
    makers: dict[str, Callable[[], Figure]] = {
        "losses": partial(
            training.plot_losses,
            history.train_loss,
            history.val_loss,
            result.epoch,
            get_loss_name(tagger.model),
        ),
        "confusion": confusion,
        "classes": partial(classes.plot_scores, test["class"], test["overall"], "test rows"),
        "precision_recall": lambda: probabilities.plot_precision_recall(
            *scored("test"), names, "test rows", summary.find_extreme_classes(test["class"])
        ),
    }
    if tagger.has_probabilities:
        makers["reliability"] = lambda: probabilities.plot_reliability(*scored("test"), "test rows")
        if tagger.other in names:
            makers["threshold"] = lambda: probabilities.plot_threshold(
                *scored("val"), names.index(str(tagger.other)), tagger.threshold, "validation rows"
            )
    shown = list(prepared.count_labels())
    if len(shown) > MAX_TERM_CLASSES:
        shown = list(summary.find_extreme_classes(test["class"], MAX_TERM_CLASSES))
    weighing = find_heaviest_terms(tagger, shown)
    if weighing:
        note = summary.describe_extreme_classes(test["class"], MAX_TERM_CLASSES)
        makers["terms"] = partial(classes.plot_terms, weighing, note)
    return makers


def find_heaviest_terms(tagger: Any, classes: Sequence[str]) -> dict[str, list[tuple[str, float]]]:
    """Return the terms with the largest weights by class; empty for a model without such weights.

    Args:
        tagger: fitted.
        classes: whose terms are wanted.
    """
    weights = error_analysis.get_weights(tagger.model)
    if weights is None or not hasattr(tagger.vectorizer, "get_feature_names_out"):
        return {}
    terms = tagger.vectorizer.get_feature_names_out()
    found = {}
    for name in classes:
        of_class = weights[tagger.encoder.classes.index(name)]
        largest = np.argsort(-of_class, kind="stable")[:TERMS_PER_CLASS]
        found[name] = [(str(terms[column]), float(of_class[column])) for column in largest]
    return found
