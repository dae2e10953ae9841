"""Metrics of all rows, of each class and of each slice.

A decorated function of label indices is computed in every run, and can be the objective
(`objective.metric=val_accuracy`):

    @metric
    def accuracy(y_true: Indices, y_pred: Indices) -> float:
        return float(np.mean(y_true == y_pred))
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NotRequired, TypedDict

import numpy as np
from sklearn.metrics import precision_recall_fscore_support

from tagifai.preprocessing.labels import Indices, Mask


class Scores(TypedDict):
    """Precision, recall and F1 from 0 to 1, and the rows they were counted on."""

    precision: float
    recall: float
    f1: float
    num_samples: int


Performance = TypedDict(
    "Performance",
    {
        "overall": Scores,
        "class": dict[str, Scores],
        "slices": dict[str, Scores],
        "metrics": NotRequired[dict[str, float]],
    },
)
"""Scores of rows; `metrics` are those that `metric` has registered, if there are any."""

Metric = Callable[[Indices, Indices], float]
"""From label indices and predicted indices, both of shape (n,), to a number."""

_REGISTERED: dict[str, Metric] = {}

RESERVED_NAMES = ("f1", "loss", "precision", "recall")
"""Names of the metrics that every run has."""


def metric(function: Metric) -> Metric:
    """Register a function of label indices and predicted indices as a metric of its name.

    Raises:
        ValueError: every run has a metric of this name, or the name does not begin with a
            lower-case letter.
    """
    name = function.__name__
    if name in RESERVED_NAMES or not re.fullmatch(r"[a-z]\w*", name):
        raise ValueError(
            f"{name!r} cannot be the name of a metric: it begins with a lower-case"
            f" letter, and is none of {', '.join(RESERVED_NAMES)}."
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
) -> Performance:
    """Score predictions as a whole (weighted by support), by class and by slice (micro average).

    A score whose denominator is zero is 0; a slice without rows is left out.

    Args:
        y_true: label indices, shape (n,).
        y_pred: predicted indices, shape (n,).
        classes: label names by index.
        slices: row masks of shape (n,) by slice name.
    """
    labels = np.arange(len(classes))
    by_class = precision_recall_fscore_support(y_true, y_pred, labels=labels, zero_division=0)
    scored: Performance = {
        "overall": _average(y_true, y_pred, "weighted"),
        "class": {
            name: _scores(*(float(column[i]) for column in by_class[:3]), n=int(by_class[3][i]))
            for i, name in enumerate(classes)
        },
        "slices": {
            name: _average(y_true[mask], y_pred[mask], "micro")
            for name, mask in (slices or {}).items()
            if mask.any()
        },
    }
    if _REGISTERED:
        scored["metrics"] = {
            name: float(function(y_true, y_pred)) for name, function in _REGISTERED.items()
        }
    return scored


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
) -> float:
    """Return one of the scores of `compute_performance`, without computing the others.

    Args:
        name: without the part's prefix, such as "f1", "accuracy" or "class/mlops/recall".
        y_true: label indices, shape (n,).
        y_pred: predicted indices, shape (n,).
        classes: label names by index.
        slices: row masks of shape (n,) by slice name.
    """
    if name in _REGISTERED:
        return float(_REGISTERED[name](y_true, y_pred))
    kind, _, rest = name.partition("/")
    label, _, score = rest.rpartition("/")
    if kind == "slice":
        mask = slices[label]
        scores = _average(y_true[mask], y_pred[mask], "micro")
    elif kind == "class":
        of_class = compute_performance(y_true, y_pred, classes)["class"]
        scores = of_class[label]
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
