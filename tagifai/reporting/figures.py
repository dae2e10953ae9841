"""The figures of a run: which there are, and how each is made."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tagifai.config.schema import Config
from tagifai.data.prepare import PreparedData
from tagifai.data.splitting.parts import PARTS
from tagifai.evaluation import error_analysis, summary
from tagifai.models.losses import get_loss_name
from tagifai.reporting.render import FigureMakers
from tagifai.reporting.test_rows import TestRows
from tagifai.tracking.settings import compute_rest
from tagifai.training.fitting import FitResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CURVES = "*/*-curve/curve.json"
"""Learning curves below the folder of outputs."""

CURVE_KEYS = ("rows", "means", "deviations", "metric", "conclusion")
"""What is drawn of the document of a learning curve."""

ROWS = "test rows"

TERMS_PER_CLASS = 8
"""Terms that are shown for each class."""

MAX_TERM_CLASSES = 10
"""Most classes whose terms are shown."""


def build_makers(
    result: FitResult, rows: TestRows, curve: Mapping[str, Any] | None = None
) -> FigureMakers:
    """Return functions that make the figures of a run, by name, with one order of classes in all.

    Args:
        result: of the training.
        rows: the test rows, with the order.
        curve: the document of the learning curve, or None.
    """
    shown = rows.order[: summary.MAX_SHOWN_CLASSES]
    return {
        **_build_for_scores(result, rows, shown),
        **_build_for_probabilities(result, rows, shown),
        **_build_for_terms(rows.tagger, [rows.classes[k] for k in shown]),
        **_build_for_data(rows.prepared, [rows.classes[k] for k in shown]),
        **_build_for_curve(curve),
    }


def identify_curve(config: Config, digest: str) -> dict[str, str]:
    """Return by what a learning curve is told from those of other data and other settings.

    Args:
        config: of the curve, or of a run.
        digest: of the data set.
    """
    # A curve is never refitted and never resumed.
    settings = compute_rest(asdict(config), {"training.refit", "training.resume"})
    return {"dataset": digest, "settings": settings}


def find_curve(config: Config, digest: str) -> dict[str, Any] | None:
    """Return the document of the latest learning curve of the same data and settings, or None.

    Args:
        config: of a run.
        digest: of its data set.
    """
    wanted = identify_curve(config, digest)
    for path in sorted(Path(config.paths.outputs).glob(CURVES), reverse=True):
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):  # of a task that was killed, or of others
            continue
        if (
            isinstance(found, dict)
            and wanted.items() <= found.items()
            and {*CURVE_KEYS} <= {*found}
        ):
            return found
    return None


def _build_for_curve(curve: Mapping[str, Any] | None) -> dict[str, Callable[[], Figure]]:
    from tagifai.reporting.plots.curve import plot_curve

    if curve is None:
        return {}
    return {"curve": partial(plot_curve, *(curve[key] for key in CURVE_KEYS))}


def _build_for_scores(
    result: FitResult, rows: TestRows, shown: Sequence[int]
) -> dict[str, Callable[[], Figure]]:
    from tagifai.reporting.plots import classes, training

    history, test = result.history, result.performance["test"]
    scores = {rows.classes[k]: test["class"][rows.classes[k]] for k in shown}
    losses = partial(
        training.plot_losses,
        history.train_loss,
        history.val_loss,
        result.epoch,
        get_loss_name(rows.tagger.model),
    )
    return {
        **({"losses": losses} if history.train_loss else {}),
        "confusion": partial(classes.plot_confusion, rows.counts, rows.classes, ROWS, shown),
        "classes": lambda: classes.plot_scores(
            scores, rows.bounds, test["overall"], ROWS, _describe_shown(shown, rows.classes)
        ),
    }


def _build_for_probabilities(
    result: FitResult, rows: TestRows, shown: Sequence[int]
) -> dict[str, Callable[[], Figure]]:
    from tagifai.reporting.plots import probabilities

    tagger, names = rows.tagger, rows.classes
    makers: dict[str, Callable[[], Figure]] = {
        "precision_recall": partial(
            probabilities.plot_precision_recall, rows.y_true, rows.outputs, names, ROWS, shown
        )
    }
    if tagger.has_probabilities:
        makers["reliability"] = partial(
            probabilities.plot_reliability, rows.y_true, rows.outputs, ROWS
        )
        # Not of the tagger, which has learnt these rows if it was refitted.
        if tagger.other in names and result.val_outputs is not None:
            makers["threshold"] = partial(
                probabilities.plot_threshold,
                rows.prepared.get_labels("val"),
                result.val_outputs,
                names.index(str(tagger.other)),
                tagger.threshold,
                "validation rows",
            )
    return makers


def _build_for_terms(tagger: Any, shown: Sequence[str]) -> dict[str, Callable[[], Figure]]:
    from tagifai.reporting.plots import classes

    some = shown[:MAX_TERM_CLASSES]
    weighing = find_heaviest_terms(tagger, some)
    note = _describe_shown(some, tagger.encoder.classes)
    return {"terms": partial(classes.plot_terms, weighing, note)} if weighing else {}


def _build_for_data(
    prepared: PreparedData, shown: Sequence[str]
) -> dict[str, Callable[[], Figure]]:
    from tagifai.reporting.plots import data

    parts = {name: Counter(prepared.get_part(name)["tag"]) for name in PARTS}
    rows = {tag: {part: n[tag] for part, n in parts.items()} for tag in shown}
    others = [n for tag, n in prepared.count_labels().items() if tag not in rows]
    words = [len(text.split()) for text in prepared.rows["raw"]]
    return {
        "class_balance": partial(data.plot_class_balance, rows, others),
        "text_lengths": partial(data.plot_text_lengths, words),
    }


def _describe_shown(shown: Sequence[Any], classes: Sequence[str]) -> str:
    few = len(shown) < len(classes)
    return f"the {len(shown)} most confused of {len(classes)} classes" if few else ""


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
        found[name] = [
            (
                str(terms[column]).removeprefix("word__").removeprefix("char__"),
                float(of_class[column]),
            )
            for column in largest
        ]
    return found
