"""Error analysis: the surest mistakes, and which words of a text led to a class."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.calibration import CalibratedClassifierCV
from sklearn.feature_extraction.text import CountVectorizer

from tagifai.evaluation.confusions import Counts
from tagifai.models.tagger import Tagger
from tagifai.preprocessing.labels import Indices

Weights = npt.NDArray[np.float64]

MarkedText = list[tuple[str, float]]
"""The words of a text in its order, each with the white space after it, and what each of them adds
to the value of a class; together they are the text."""

Span = tuple[int, int]

MOST_EXPLAINED = 2000  # characters of a mistake's text; a whole book takes minutes

_UNSPACED = (
    "\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff"
)
"""Characters of scripts that put no spaces between words."""

_WORD = re.compile(rf"\s*(?:[{_UNSPACED}]|[^\s{_UNSPACED}]+)\s*")
"""A word, or a single character of a script that puts no spaces between words."""


@dataclass(frozen=True)
class Mistake:
    """A misclassified row.

    Args:
        row: its number among the rows, from 0.
        text: as it was given; of a long one only the beginning has words.
        label: the true one.
        predicted: the predicted one.
        favourite: the class that the model gives the highest value. It is not the predicted one
            where that is not above the threshold, and may be the true one then.
        probability: the model's highest, or None where there are no probabilities.
        words: what each word adds to the favourite's value and not to the true label's, or to all
            others' where these two are the same; None where that cannot be told.
    """

    row: int
    text: str
    label: str
    predicted: str
    favourite: str
    probability: float | None
    words: MarkedText | None

    @property
    def is_unsure(self) -> bool:
        """Whether the fallback label was given because the model was not sure enough."""
        return self.favourite != self.predicted


def find_mistakes(
    tagger: Tagger, texts: Sequence[str], y_true: Indices, outputs: Weights, limit: int
) -> list[Mistake]:
    """Return the surest mistakes: first wrong labels, then those under the threshold.

    Args:
        tagger: fitted.
        texts: not cleaned, n of them.
        y_true: label indices, shape (n,).
        outputs: the model's for these texts, shape (n, classes).
        limit: most mistakes of each kind.
    """
    predicted, favourites, highest = tagger.decide(outputs), outputs.argmax(1), outputs.max(1)
    ranked = np.argsort(-highest, kind="stable")
    ranked = ranked[predicted[ranked] != y_true[ranked]]
    unsure = favourites[ranked] != predicted[ranked]
    chosen = np.concatenate([ranked[~unsure][:limit], ranked[unsure][:limit]])
    truths, said, own = (tagger.encoder.decode(y[chosen]) for y in (y_true, predicted, favourites))
    against = [None if true == best else true for true, best in zip(truths, own, strict=True)]
    words = explain_words(tagger, [texts[row][:MOST_EXPLAINED] for row in chosen], own, against)
    return [
        Mistake(
            row=int(row),
            text=texts[row],
            label=truths[place],
            predicted=said[place],
            favourite=own[place],
            probability=float(highest[row]) if tagger.has_probabilities else None,
            words=None if words is None else words[place],
        )
        for place, row in enumerate(chosen)
    ]


def explain_words(
    tagger: Tagger,
    texts: Sequence[str],
    labels: Sequence[str],
    against: Sequence[str | None] | None = None,
) -> list[MarkedText] | None:
    """Return what each word of some texts adds to the value that a linear model gives a class.

    A term's weighted value is shared by the places where the text has it, and there by the
    characters that it covers. So the values of a text's words add up to that of the class, but for
    the intercept. A word that cleaning removes adds nothing.

    Args:
        tagger: fitted.
        texts: not cleaned, n of them.
        labels: the class of each text, n names.
        against: the class whose value is taken off, n names; None, for a text or for all, takes off
            the mean of all others.

    Returns:
        The words of each text. They are those of the cleaned text where cleaning changes what
        cannot be told word by word. None of a model without weights, or of features that are no
        terms, such as hashed ones and vectors of an encoder.
    """
    weights, parts = get_weights(tagger.model), _list_term_parts(tagger.vectorizer)
    if weights is None or parts is None or weights.shape[1] != sum(map(_count_terms, parts)):
        return None
    if not texts:
        return []
    ones = np.array([tagger.encoder.index(label) for label in labels])
    others = (weights.sum(axis=0) - weights[ones]) / max(len(weights) - 1, 1)
    for place, other in enumerate(against or ()):
        if other is not None:
            others[place] = weights[tagger.encoder.index(other)]
    X = tagger.vectorize(texts).tocsr()
    found = []
    for text, row, differences in zip(texts, X, weights[ones] - others, strict=True):
        values = dict(zip(row.indices, row.data * differences[row.indices], strict=True))
        found.append(_mark_words(tagger, parts, text, values))
    return found


def _list_term_parts(vectorizer: Any) -> list[Any] | None:
    """Return the vectorizers of terms whose columns stand side by side, or None."""
    parts = [part for _, part in getattr(vectorizer, "transformer_list", [("", vectorizer)])]
    known = all(
        isinstance(part, CountVectorizer)
        and part.analyzer in ("word", "char", "char_wb")
        and part.tokenizer is None
        for part in parts
    )
    return parts if known else None


def _count_terms(vectorizer: CountVectorizer) -> int:
    return len(vectorizer.vocabulary_)


def _mark_words(
    tagger: Tagger, parts: Sequence[CountVectorizer], text: str, values: dict[int, float]
) -> MarkedText:
    words = _WORD.findall(text) or [text]
    cleaned = tagger.clean([text, *words])
    if _squeeze(cleaned[0]) != _squeeze("".join(cleaned[1:])):
        words = _WORD.findall(cleaned[0]) or [cleaned[0]]
        cleaned = [cleaned[0], *words]
    added, first = np.zeros(len(words)), 0
    for part in parts:
        prepare = part.build_preprocessor()
        document = re.sub(r"\s\s+", " ", prepare(cleaned[0]))
        lengths = [len(_squeeze(prepare(word))) for word in cleaned[1:]]
        letters = iter(np.repeat(np.arange(len(words)), lengths))
        owners, owner = np.zeros(len(document), int), 0
        for place, letter in enumerate(document):
            # White space counts to the word before it.
            owner = owner if letter.isspace() else int(next(letters, owner))
            owners[place] = owner
        placed = [
            (part.vocabulary_[term] + first, spans)
            for term, spans in _find_terms(part, document)
            if term in part.vocabulary_
        ]
        times = Counter(column for column, _ in placed)
        for column, spans in placed:
            covered = np.concatenate([owners[begin:end] for begin, end in spans])
            share = values.get(column, 0.0) / times[column] / max(len(covered), 1)
            np.add.at(added, covered, share)
        first += len(part.vocabulary_)
    return [(word, float(value)) for word, value in zip(words, added, strict=True)]


def _squeeze(text: str) -> str:
    """Return a text without its white space."""
    return "".join(text.split())


def _find_terms(vectorizer: CountVectorizer, document: str) -> Iterator[tuple[str, list[Span]]]:
    """Yield the terms of a document as its vectorizer cuts them, and what they cover of it."""
    low, high = vectorizer.ngram_range
    if vectorizer.analyzer == "word":
        found = re.finditer(vectorizer.token_pattern, document)
        stop = vectorizer.get_stop_words() or ()
        tokens = [(m[m.re.groups], m.span(m.re.groups)) for m in found]
        kept = [token for token in tokens if token[0] not in stop]
        for size in range(low, high + 1):
            for cut in (kept[place : place + size] for place in range(len(kept) - size + 1)):
                yield " ".join(term for term, _ in cut), [span for _, span in cut]
        return
    pieces = [(0, len(document))]
    if vectorizer.analyzer == "char_wb":
        pieces = [m.span() for m in re.finditer(r"\S+", document)]
    for begin, end in pieces:
        # Words are padded with a space on both sides.
        pad = int(vectorizer.analyzer == "char_wb")
        piece = " " * pad + document[begin:end] + " " * pad
        # What is shorter than the size is counted once within words, and not at all elsewhere.
        for size in range(low, min(high, max(len(piece), pad * low)) + 1):
            for place in range(max(len(piece) - size, 0) + 1):
                start = begin + place - pad
                span = max(start, begin), min(start + size, end)
                # A space alone, beside a word, belongs to it.
                yield piece[place : place + size], [span if span[0] < span[1] else (begin, end)]


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


def build_document(tagger: Tagger, counts: Counts, mistakes: Sequence[Mistake]) -> dict[str, Any]:
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
