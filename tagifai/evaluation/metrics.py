"""Metrics of all rows, of each class and of each slice.

A decorated function of label indices is computed in every run, and can be the objective
(`objective.metric=val_kappa`):

    @metric
    def kappa(y_true: Indices, y_pred: Indices) -> float:
        return float(cohen_kappa_score(y_true, y_pred))
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NotRequired, TypedDict

import numpy as np
from sklearn.metrics import precision_recall_fscore_support

from tagifai.evaluation.intervals import Intervals
from tagifai.evaluation.standard_metrics import OF_LABELS, OF_PROBABILITIES
from tagifai.evaluation.summary import list_values
from tagifai.models.thresholds import Probabilities
from tagifai.preprocessing.labels import Indices, Mask


class Scores(TypedDict):
    """Precision, recall and F1 from 0 to 1, and the rows they were counted on."""

    precision: float
    recall: float
    f1: float
    num_samples: int


class Baseline(TypedDict):
    """The scores of saying for every row the most frequent class of the train rows, `label`."""

    label: str
    metrics: dict[str, float]


Performance = TypedDict(
    "Performance",
    {
        "overall": Scores,
        "class": dict[str, Scores],
        "slices": dict[str, Scores],
        "metrics": NotRequired[dict[str, float]],
        "intervals": NotRequired[Intervals],
        "baseline": NotRequired[Baseline],
    },
)
"""Scores of rows. `metrics` are of all rows: the standard ones, then those that `metric` has
registered; runs of earlier versions may have none."""

Metric = Callable[[Indices, Indices], float]
"""From label indices and predicted indices, both of shape (n,), to a number."""

_REGISTERED: dict[str, Metric] = {}

RESERVED_NAMES = ("loss", "f1", "precision", "recall", *OF_LABELS, *OF_PROBABILITIES)
"""Names of the metrics that every run has."""


def metric(function: Metric) -> Metric:
    """Register a function of label indices and predicted indices as a metric of its name.

    Raises:
        ValueError: every run has a metric of this name, or the name does not begin with a
            lower-case letter.
    """
    name = function.__name__
    if name in RESERVED_NAMES:
        raise ValueError(
            f"{name!r} cannot be the name of a metric of your own: every run has a metric of this"
            " name. Leave yours out, or rename it."
        )
    if not re.fullmatch(r"[a-z]\w*", name):
        raise ValueError(
            f"{name!r} cannot be the name of a metric: it begins with a lower-case letter."
        )
    _REGISTERED[name] = function
    return function


def get_registered() -> dict[str, Metric]:
    """Return the registered functions by name."""
    return dict(_REGISTERED)


def compute_performance(
    y_true: Indices,
    y_pred: Indices,
    classes: tuple[str, ...],
    slices: Mapping[str, Mask] | None = None,
    y_prob: Probabilities | None = None,
) -> Performance:
    """Score predictions as a whole (weighted by support), by class and by slice (micro average).

    A score whose denominator is zero is 0; a slice without rows is left out.

    Args:
        y_true: label indices, shape (n,).
        y_pred: predicted indices, shape (n,).
        classes: label names by index.
        slices: row masks of shape (n,) by slice name.
        y_prob: class probabilities, shape (n, classes); None of a model without them, whose rows
            have no log loss and no calibration error.
    """
    return {
        "overall": _average(y_true, y_pred, "weighted"),
        "class": _score_classes(y_true, y_pred, classes),
        "slices": {
            name: _average(y_true[mask], y_pred[mask], "micro")
            for name, mask in (slices or {}).items()
            if mask.any()
        },
        "metrics": {
            **compute_label_metrics(y_true, y_pred),
            **({} if y_prob is None else _apply(OF_PROBABILITIES, y_true, y_prob)),
            **_apply(_REGISTERED, y_true, y_pred),
        },
    }


def compute_label_metrics(y_true: Indices, y_pred: Indices) -> dict[str, float]:
    """Return the standard metrics that need no probabilities.

    Args:
        y_true: label indices, shape (n,).
        y_pred: predicted indices, shape (n,).
    """
    return _apply(OF_LABELS, y_true, y_pred)


def _apply(
    functions: Mapping[str, Callable[[Indices, Any], float]], y_true: Indices, found: Any
) -> dict[str, float]:
    return {name: float(function(y_true, found)) for name, function in functions.items()}


def compute_baseline(label: str, y_true: Indices, classes: tuple[str, ...]) -> Baseline:
    """Return the scores of saying the same class for every row.

    Args:
        label: the class, the most frequent one of the train rows.
        y_true: label indices of the scored rows, shape (n,).
        classes: label names by index.
    """
    y_pred = np.full(len(y_true), classes.index(label))
    overall = _average(y_true, y_pred, "weighted")
    of_labels = compute_label_metrics(y_true, y_pred)
    scored: Performance = {"overall": overall, "class": {}, "slices": {}, "metrics": of_labels}
    return {"label": label, "metrics": list_values(scored)}


def _score_classes(y_true: Indices, y_pred: Indices, classes: Sequence[str]) -> dict[str, Scores]:
    labels = np.arange(len(classes))
    columns = precision_recall_fscore_support(y_true, y_pred, labels=labels, zero_division=0)
    return {
        name: _scores(float(p), float(r), float(f1), n=int(n))
        for name, p, r, f1, n in zip(classes, *columns, strict=True)
    }


def _average(y_true: Indices, y_pred: Indices, average: str) -> Scores:
    p, r, f1, _ = precision_recall_fscore_support(y_true, y_pred, average=average, zero_division=0)
    return _scores(float(p), float(r), float(f1), n=len(y_true))


def _scores(precision: float, recall: float, f1: float, *, n: int) -> Scores:
    return {"precision": precision, "recall": recall, "f1": f1, "num_samples": n}


def compute_score(
    name: str,
    y_true: Indices,
    y_pred: Indices,
    classes: tuple[str, ...],
    slices: Mapping[str, Mask],
    y_prob: Probabilities | None = None,
) -> float:
    """Return one of the scores of `compute_performance`, without computing the others.

    Args:
        name: without the part's prefix, such as "f1", "accuracy" or "class/mlops/recall".
        y_true: label indices, shape (n,).
        y_pred: predicted indices, shape (n,).
        classes: label names by index.
        slices: row masks of shape (n,) by slice name.
        y_prob: class probabilities, shape (n, classes), or None of a model without them.
    """
    of_labels = OF_LABELS | _REGISTERED
    if name in of_labels:
        return float(of_labels[name](y_true, y_pred))
    if y_prob is not None and name in OF_PROBABILITIES:
        return float(OF_PROBABILITIES[name](y_true, y_prob))
    kind, _, rest = name.partition("/")
    label, _, score = rest.rpartition("/")
    if kind == "slice":
        mask = slices[label]
        scores = _average(y_true[mask], y_pred[mask], "micro")
    elif kind == "class":
        scores = _score_classes(y_true, y_pred, classes)[label]
    else:
        score = name
        scores = _average(y_true, y_pred, "weighted")
    return {"precision": scores["precision"], "recall": scores["recall"], "f1": scores["f1"]}[score]


def flatten(scored: Performance, prefix: str) -> dict[str, float]:
    """Return the scores as flat metrics: `val_f1`, `val_class/mlops/f1`, `val_slice/short_text/f1`.

    Args:
        scored: from `compute_performance`.
        prefix: name of the part that was scored, such as "val".
    """
    flat = _prefix_scores(scored["overall"], f"{prefix}_")
    flat |= {f"{prefix}_{name}": value for name, value in scored.get("metrics", {}).items()}
    if "intervals" in scored:
        for name, (low, high) in scored["intervals"]["bounds"].items():
            flat |= {
                f"{prefix}_interval/{name}/low": low,
                f"{prefix}_interval/{name}/high": high,
            }
    for name, scores in scored["class"].items():
        flat |= _prefix_scores(scores, f"{prefix}_class/{name}/")
    for name, scores in scored["slices"].items():
        flat |= _prefix_scores(scores, f"{prefix}_slice/{name}/")
    return flat


def _prefix_scores(scores: Scores, prefix: str) -> dict[str, float]:
    return {
        f"{prefix}precision": scores["precision"],
        f"{prefix}recall": scores["recall"],
        f"{prefix}f1": scores["f1"],
    }
