"""Figures: what there is to draw of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tagifai import mistakes
from tagifai.drawing import Makers
from tagifai.losses import name_of
from tagifai.pipeline import Prepared, Result, outputs_of
from tagifai.probabilities import has_probabilities

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TERMS = 8
"""That are shown of each class."""

CLASSES = 40
"""Whose terms are shown, those with most rows."""


def of_data(prepared: Prepared) -> Makers:
    """Return what makes the figures of a data set."""
    from tagifai.plots import data

    parts = {name: Counter(prepared.part(name)["tag"]) for name in ("train", "val", "test")}
    rows = {tag: {part: n[tag] for part, n in parts.items()} for tag in prepared.counts()}
    words = [len(text.split()) for text in prepared.rows["raw"]]
    return {
        "class_balance": partial(data.balance, rows),
        "text_lengths": partial(data.lengths, words),
    }


def of_result(prepared: Prepared, result: Result) -> Makers:
    """Return what makes the figures of a training: of its losses, its scores and its model."""
    from tagifai.plots import classes, probabilities, training

    tagger, history = result.tagger, result.history
    names = tagger.encoder.classes

    @cache
    def scored(part: str) -> tuple[Any, Any]:
        return prepared.labels(part), outputs_of(prepared, tagger, part)

    def confusion() -> Figure:
        y_true, found = scored("test")
        counts = mistakes.confusion(y_true, tagger.decide(found), len(names))
        return classes.confusion(counts, names, "test rows")

    test = result.performance["test"]
    makers: dict[str, Callable[[], Figure]] = {
        "losses": partial(
            training.losses,
            history.train_loss,
            history.val_loss,
            result.epoch,
            name_of(tagger.model),
        ),
        "confusion": confusion,
        "classes": partial(classes.by_class, test["class"], test["overall"], "test rows"),
        "precision_recall": lambda: probabilities.precision_recall(
            *scored("test"), names, "test rows"
        ),
    }
    if has_probabilities(tagger.model):
        makers["reliability"] = lambda: probabilities.reliability(*scored("test"), "test rows")
        if tagger.other in names:
            makers["threshold"] = lambda: probabilities.threshold(
                *scored("val"), names.index(str(tagger.other)), tagger.threshold, "validation rows"
            )
    weighing = heaviest(tagger, prepared.counts())
    if weighing:
        makers["terms"] = partial(classes.terms, weighing)
    return makers


def heaviest(tagger: Any, counts: Mapping[str, int]) -> dict[str, list[tuple[str, float]]]:
    """Return by class the terms that weigh most for it; nothing of a model without such weights.

    Args:
        tagger: fitted.
        counts: rows by class, the most frequent first.
    """
    weights = mistakes.weights(tagger.model)
    if weights is None or not hasattr(tagger.vectorizer, "get_feature_names_out"):
        return {}
    terms = tagger.vectorizer.get_feature_names_out()
    found = {}
    for name in list(counts)[:CLASSES]:
        of_class = weights[tagger.encoder.classes.index(name)]
        largest = np.argsort(-of_class, kind="stable")[:TERMS]
        found[name] = [(str(terms[column]), float(of_class[column])) for column in largest]
    return found
