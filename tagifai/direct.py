"""Direct prediction: a few texts by the usual vectorizers and linear models, in NumPy alone.

It does what scikit-learn 1.9 and SciPy 1.17 do, step by step and to the last bit: terms in the
order of their columns, sums from left to right. Importing scikit-learn takes longer than that.
"""

from __future__ import annotations

import math
import platform
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from tagifai import hashes
from tagifai.layouts import UNION_MEMBERS
from tagifai.states import EstimatorState, build_vocabulary
from tagifai.terms import analyzer
from tagifai.thresholds import Probabilities

EXACT = platform.machine().lower() in ("x86_64", "amd64")
"""Elsewhere compilers join a product and a sum into one step, which rounds once and not twice."""

Floats = npt.NDArray[np.float64]
Row = tuple[npt.NDArray[np.int64], Floats]
"""The columns of a text's terms, ascending, and their values."""

LINEAR = ("LinearSVC", "LogisticRegression", "SGDClassifier")


def pair(
    vectorizer: EstimatorState | None, model: EstimatorState | None
) -> tuple[Vectorizer, Scorer] | None:
    """Return what takes the place of two estimators, or None where it would not be exact.

    Args:
        vectorizer: the state of a vectorizer; None is one that is not plain.
        model: that of a classifier, likewise.

    Raises:
        ValueError: they do not belong together.
    """
    if vectorizer is None or model is None or not EXACT or model.name not in LINEAR:
        return None
    weights = model.fitted["coef_"], model.fitted["intercept_"]
    parts = _parts(vectorizer)
    if parts is None or any(array.dtype != np.float64 for array in weights):
        return None
    columns = sum(part.columns for part in parts)
    if weights[0].shape[1] != columns:
        raise ValueError(f"{model.name} has {weights[0].shape[1]} features of {columns}")
    link = _link(model)
    return Vectorizer(parts), Scorer(*weights) if link is None else Classifier(*weights, link)


def _parts(state: EstimatorState) -> list[Part] | None:
    """Return the vectorizers that a vectorizer consists of, in the order of their columns."""
    steps: list[tuple[str, EstimatorState]] = [("", state)]
    weights: dict[str, float] = {}
    if state.name == "FeatureUnion":
        steps = state.parameters["transformer_list"]
        weights = state.parameters["transformer_weights"] or {}
    if not all(_is_usual(step) for _, step in steps):
        return None
    return [Part.of(step, weights.get(name, 1.0)) for name, step in steps]


def _is_usual(state: EstimatorState) -> bool:
    given = state.parameters
    return (
        state.name in UNION_MEMBERS
        and given["stop_words"] is None
        and given["dtype"] == ("int64" if state.name == "CountVectorizer" else "float64")
        and (given["analyzer"] != "word" or _has_tokens(given["token_pattern"]))
    )


def _has_tokens(pattern: str | None) -> bool:
    # With more groups there would be tuples in the place of tokens.
    return pattern is not None and re.compile(pattern).groups <= 1


# --- texts to rows -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Vectorizer:
    """A vectorizer, or several side by side.

    Args:
        parts: in the order of their columns.
    """

    parts: Sequence[Part]

    def transform(self, texts: Sequence[str]) -> list[Row]:
        """Return the rows of texts."""
        return [self._row(text) for text in texts]

    def _row(self, text: str) -> Row:
        begin, places, values = 0, [], []
        for part in self.parts:
            found = part.row(text)
            places.append(found[0] + begin)
            values.append(found[1])
            begin += part.columns
        return np.concatenate(places), np.concatenate(values)


@dataclass(frozen=True)
class Part:
    """One vectorizer.

    Args:
        terms: from a text to its terms, with repetitions.
        count: from terms to how often each column has one.
        columns: their number.
        binary: count a term once.
        sublinear: damp counts, 1 + log(count).
        idf: a factor of each column, or None.
        norm: that of a row is made 1: "l1", "l2" or None.
        weight: a factor of all.
    """

    terms: Callable[[str], list[str]]
    count: Callable[[list[str]], Mapping[int, int]]
    columns: int
    binary: bool
    sublinear: bool
    idf: Floats | None
    norm: str | None
    weight: float

    @classmethod
    def of(cls, state: EstimatorState, weight: float) -> Part:
        """Return the vectorizer of a state."""
        given = state.parameters
        inner = state.fitted.get("_tfidf")
        if state.name == "HashingVectorizer":
            columns = given["n_features"]
            count = partial(_hashed, columns, given["alternate_sign"])
        else:
            columns = len(state.fitted["vocabulary_"])
            count = partial(_looked_up, build_vocabulary(state.fitted["vocabulary_"]))
        weighting = given if inner is None else inner.parameters
        return cls(
            terms=analyzer(given),
            count=count,
            columns=columns,
            binary=given["binary"],
            sublinear=weighting.get("sublinear_tf", False),
            idf=None if inner is None else inner.fitted.get("idf_"),
            norm=weighting.get("norm"),
            weight=weight,
        )

    def row(self, text: str) -> Row:
        """Return the row of a text."""
        counts = sorted(self.count(self.terms(text)).items())
        places = np.array([place for place, _ in counts], dtype=np.int64)
        values = np.array([1 if self.binary else count for _, count in counts], dtype=np.float64)
        if self.sublinear:
            values = np.log(values) + 1.0
        if self.idf is not None:
            values *= self.idf[places]
        if self.norm is not None:
            length = _length(values, self.norm)
            values /= length if length else 1.0
        return places, values * self.weight


def _length(values: Floats, norm: str) -> float:
    return float(_sum(np.abs(values))) if norm == "l1" else math.sqrt(_sum(values * values))


def _sum(values: Floats) -> Any:
    """Return the sums along the last axis, from left to right and from 0."""
    padded = np.zeros((*values.shape[:-1], values.shape[-1] + 1))
    padded[..., 1:] = values
    return np.add.accumulate(padded, axis=-1)[..., -1]


def _looked_up(columns: Mapping[str, int], terms: list[str]) -> Mapping[int, int]:
    return Counter(columns[term] for term in terms if term in columns)


def _hashed(columns: int, signs: bool, terms: list[str]) -> Mapping[int, int]:
    counted = Counter(terms)
    hashed = hashes.hash_strings([term.encode() for term in counted])
    found: Counter[int] = Counter()
    places, factors = (numbers.tolist() for numbers in hashes.compute_columns(hashed, columns))
    for place, factor, times in zip(places, factors, counted.values(), strict=True):
        found[place] += factor * times if signs else times
    return found


# --- rows to outputs ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Scorer:
    """A linear classifier.

    Args:
        coef: weights, shape (outputs, columns).
        intercept: shape (outputs,).
    """

    coef: Floats
    intercept: Floats

    def decision_function(self, rows: Sequence[Row]) -> Floats:
        """Return the decision values, shape (n, outputs), or (n,) if there is one output."""
        scores = np.empty((len(rows), len(self.coef)))
        for number, (places, values) in enumerate(rows):
            scores[number] = _sum(self.coef[:, places] * values)
        scores += self.intercept
        return scores[:, 0] if scores.shape[1] == 1 else scores


@dataclass(frozen=True)
class Classifier(Scorer):
    """A linear classifier that has probabilities.

    Args:
        link: from decision values to probabilities, shape (n, classes).
    """

    link: Callable[[Floats], Probabilities]

    def predict_proba(self, rows: Sequence[Row]) -> Probabilities:
        """Return class probabilities, shape (n, classes)."""
        return self.link(self.decision_function(rows))


def _link(model: EstimatorState) -> Callable[[Floats], Probabilities] | None:
    if model.name == "LogisticRegression":
        return _sigmoids if len(model.fitted["classes_"]) == 2 else _softmax
    return {"log_loss": _sigmoids, "modified_huber": _clipped}.get(model.parameters["loss"])


def _sigmoids(scores: Floats) -> Probabilities:
    # The C library's function, as in scipy.special.expit; NumPy's own rounds otherwise.
    found = [_sigmoid(score) for score in scores.ravel().tolist()]
    return _normalized(np.array(found).reshape(scores.shape))


def _sigmoid(score: float) -> float:
    try:
        return 1 / (1 + math.exp(-score))
    except OverflowError:
        return 0.0


def _clipped(scores: Floats) -> Probabilities:
    return _normalized((np.clip(scores, -1, 1) + 1.0) / 2.0)


def _normalized(shares: Floats) -> Probabilities:
    """Return one-vs-rest probabilities so that each row's sum is 1."""
    if shares.ndim == 1:
        return np.stack([1 - shares, shares], axis=1)
    total = shares.sum(axis=1)
    shares[total == 0] = 1
    total[total == 0] = shares.shape[1]
    shares /= total[:, None]
    return shares


def _softmax(scores: Floats) -> Probabilities:
    found: Probabilities = np.exp(scores - scores.max(axis=1, keepdims=True))
    found /= found.sum(axis=1, keepdims=True)
    return found
