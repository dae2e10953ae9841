"""Score a tagger's predictions against the labels of rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from tagifai.evaluation import metrics, slices
from tagifai.evaluation.metrics import Performance
from tagifai.models.tagger import Tagger
from tagifai.preprocessing.labels import Indices, replace_unknown


def score_rows(texts: Sequence[str], y_true: Indices, tagger: Tagger, y_prob: Any) -> Performance:
    """Score class probabilities against label indices.

    Args:
        texts: cleaned, n of them.
        y_true: label indices, shape (n,).
        tagger: gives the threshold and the label names.
        y_prob: class probabilities, shape (n, classes).
    """
    rows = pd.DataFrame({"text": texts, "tag": tagger.encoder.decode(y_true)})
    predicted = tagger.decide(y_prob)
    return metrics.compute_performance(
        y_true, predicted, tagger.encoder.classes, slices.compute_masks(rows)
    )


def score_texts(tagger: Tagger, texts: Sequence[str], tags: Sequence[str]) -> Performance:
    """Score a tagger on labelled texts; unknown tags count as the fallback label.

    Args:
        tagger: fitted.
        texts: not cleaned, n of them.
        tags: the true tag of each text.

    Raises:
        DataError: there are unknown tags and no fallback label.
    """
    labels = replace_unknown(tags, tagger.encoder.classes, tagger.other)
    y_true = tagger.encoder.encode(labels)
    cleaned = tagger.clean(texts)
    return score_rows(cleaned, y_true, tagger, tagger.compute_clean_outputs(cleaned))
