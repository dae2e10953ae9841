"""Error analysis: which classes are confused, and which terms led to the wrong one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.calibration import CalibratedClassifierCV

from tagifai.models.tagger import Tagger
from tagifai.preprocessing.labels import Indices

Weights = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Mistake:
    """A misclassified row.

    Args:
        row: its number among the rows, from 0.
        text: as it was given.
        label: the true one.
        predicted: the predicted one.
        probability: the model's highest, or None where there are no probabilities.
        spoke_for: terms of the text that weigh more for the predicted class than for the true one,
            with the difference of their weighted values, the largest first.
        spoke_against: terms that weigh more for the true class, likewise.
    """

    row: int
    text: str
    label: str
    predicted: str
    probability: float | None
    spoke_for: list[tuple[str, float]]
    spoke_against: list[tuple[str, float]]


def compute_confusion_matrix(
    y_true: Indices, y_pred: Indices, classes: int
) -> npt.NDArray[np.int64]:
    """Return how many rows of each true class (line) got each predicted class (column).

    Args:
        y_true: label indices, shape (n,).
        y_pred: predicted indices, shape (n,).
        classes: how many there are.

    Returns:
        Counts, shape (classes, classes).
    """
    counts = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(counts, (y_true, y_pred), 1)
    return counts


def find_most_confused(counts: npt.NDArray[np.int64], limit: int) -> list[int]:
    """Return the classes of the most frequent confusions, in the order of their indices.

    Args:
        counts: the confusion matrix, shape (classes, classes).
        limit: most classes.
    """
    lines, columns = np.nonzero(counts)
    wrong = lines != columns
    pairs = np.column_stack([lines[wrong], columns[wrong]])
    ranked = pairs[np.argsort(-counts[pairs[:, 0], pairs[:, 1]], kind="stable")]
    # Those with most rows, if there are fewer confusions.
    by_rows = np.argsort(-counts.sum(axis=1), kind="stable")
    found = dict.fromkeys([*ranked.ravel().tolist(), *by_rows.tolist()])
    return sorted(list(found)[:limit])


def find_most_confident(
    tagger: Tagger, texts: Sequence[str], y_true: Indices, outputs: Weights, limit: int, terms: int
) -> list[Mistake]:
    """Return the mistakes with the highest probabilities.

    Args:
        tagger: fitted.
        texts: not cleaned, n of them.
        y_true: label indices, shape (n,).
        outputs: the model's for these texts, shape (n, classes).
        limit: most mistakes.
        terms: most terms for each side.
    """
    predicted = tagger.decide(outputs)
    highest = outputs.max(axis=1)
    wrong = np.flatnonzero(predicted != y_true)
    chosen = wrong[np.argsort(-highest[wrong], kind="stable")][:limit]
    explained = _TermContributions(tagger, [texts[row] for row in chosen])
    names = tagger.encoder.decode
    return [
        Mistake(
            row=int(row),
            text=texts[row],
            label=names([y_true[row]])[0],
            predicted=names([predicted[row]])[0],
            probability=float(highest[row]) if tagger.has_probabilities else None,
            spoke_for=explained.find_terms(place, int(predicted[row]), int(y_true[row]), terms),
            spoke_against=[
                (term, -value)
                for term, value in explained.find_terms(
                    place, int(y_true[row]), int(predicted[row]), terms
                )
            ],
        )
        for place, row in enumerate(chosen)
    ]


class _TermContributions:
    """The weighted values of each term of some texts for each class of a linear model."""

    def __init__(self, tagger: Tagger, texts: Sequence[str]) -> None:
        self._weights = get_weights(tagger.model)
        self._names: Any = None
        if (
            self._weights is not None
            and texts
            and hasattr(tagger.vectorizer, "get_feature_names_out")
        ):
            self._X = tagger.vectorize(texts).tocsr()
            self._names = tagger.vectorizer.get_feature_names_out()

    def find_terms(self, place: int, one: int, other: int, limit: int) -> list[tuple[str, float]]:
        """Return the terms that weigh more for one class than for the other, and by how much."""
        if self._weights is None or self._names is None:
            return []
        row = self._X[place]
        values = row.data * (self._weights[one] - self._weights[other])[row.indices]
        largest = np.argsort(-values, kind="stable")[:limit]
        return [
            (str(self._names[row.indices[i]]), float(values[i])) for i in largest if values[i] > 0
        ]


def get_weights(model: Any) -> Weights | None:
    """Return a linear model's weights, shape (classes, features), or None of another model.

    Naive Bayes has its log probabilities, a calibrated model the mean of its folds' weights. Of two
    classes, the first has the weights of the second with the opposite sign.
    """
    if isinstance(model, CalibratedClassifierCV):
        inner = [get_weights(fitted.estimator) for fitted in model.calibrated_classifiers_]
        known = [found for found in inner if found is not None]
        return np.mean(known, axis=0) if known else None
    if hasattr(model, "feature_log_prob_"):
        found: Weights = model.feature_log_prob_
        return found
    coefficients = getattr(model, "coef_", None)
    if coefficients is None or np.ndim(coefficients) != 2:
        return None
    dense: Weights = np.asarray(coefficients, dtype=np.float64)
    return np.vstack([-dense, dense]) if len(dense) == 1 else dense


def build_document(
    tagger: Tagger, counts: npt.NDArray[np.int64], mistakes: Sequence[Mistake]
) -> dict[str, Any]:
    """Return the confusion matrix and the mistakes as a JSON document.

    Args:
        tagger: fitted.
        counts: the confusion matrix, shape (classes, classes).
        mistakes: most confident first.
    """
    return {
        "classes": list(tagger.encoder.classes),
        "confusion": counts.tolist(),
        "mistakes": [asdict(mistake) for mistake in mistakes],
    }
