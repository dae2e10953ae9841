"""Score a tagger's predictions against the labels of rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from tagifai.evaluation import intervals, metrics, slices
from tagifai.evaluation.metrics import Performance
from tagifai.models.tagger import Tagger
from tagifai.preprocessing.labels import Indices, replace_unknown


def score_rows(texts: Sequence[str], y_true: Indices, tagger: Tagger, y_prob: Any) -> Performance:
    """Score a model's outputs against label indices.

    Args:
        texts: cleaned, n of them.
        y_true: label indices, shape (n,).
        tagger: gives the threshold and the label names.
        y_prob: class probabilities, or decision values of a model without them, shape (n, classes).
    """
    rows = pd.DataFrame({"text": texts, "tag": tagger.encoder.decode(y_true)})
    predicted = tagger.decide(y_prob)
    return metrics.compute_performance(
        y_true,
        predicted,
        tagger.encoder.classes,
        slices.compute_masks(rows),
        y_prob if tagger.has_probabilities else None,
    )


def add_intervals(scored: Performance, y_true: Indices, tagger: Tagger, y_prob: Any) -> Performance:
    """Return scores with their intervals on these rows.

    Args:
        scored: of the rows.
        y_true: label indices, shape (n,).
        tagger: gives the threshold and the label names.
        y_prob: as for `score_rows`.
    """
    found = intervals.compute_intervals(y_true, tagger.decide(y_prob), len(tagger.encoder.classes))
    return {**scored, "intervals": found}


def score_unseen(
    texts: Sequence[str], y_true: Indices, tagger: Tagger, y_prob: Any, frequent: str | None
) -> Performance:
    """Score a model's outputs on rows that it was not trained on, with intervals and a baseline.

    Args:
        texts: cleaned, n of them.
        y_true: label indices, shape (n,).
        tagger: gives the threshold and the label names.
        y_prob: as for `score_rows`.
        frequent: the most frequent class of the train rows, for the baseline; None has none.
    """
    scored = score_rows(texts, y_true, tagger, y_prob)
    if frequent is not None:
        scored["baseline"] = metrics.compute_baseline(frequent, y_true, tagger.encoder.classes)
    return add_intervals(scored, y_true, tagger, y_prob)


def score_texts(
    tagger: Tagger, texts: Sequence[str], tags: Sequence[str], frequent: str | None = None
) -> Performance:
    """Score a tagger on labelled texts, with intervals; unknown tags count as the fallback label.

    Args:
        tagger: fitted.
        texts: not cleaned, n of them.
        tags: the true tag of each text.
        frequent: the most frequent class of the train rows, for the baseline; None has none.

    Raises:
        DataError: there are unknown tags and no fallback label.
    """
    labels = replace_unknown(tags, tagger.encoder.classes, tagger.other)
    y_true = tagger.encoder.encode(labels)
    cleaned = tagger.clean(texts)
    outputs = tagger.compute_clean_outputs(cleaned)
    return score_unseen(cleaned, y_true, tagger, outputs, frequent)
