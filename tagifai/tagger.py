"""The tagger: everything that turns a text into a tag, in one object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

from tagifai.labels import Indices, LabelEncoder
from tagifai.text import Cleaner
from tagifai.thresholds import Probabilities, decide


class Prediction(TypedDict):
    """A text, its tag, and the highest class probability."""

    input_text: str
    predicted_tag: str
    probability: float


@dataclass(frozen=True)
class Tagger:
    """The fitted steps from text to tag.

    Args:
        cleaning: keyword arguments of the `Cleaner` that training used.
        vectorizer: a fitted scikit-learn vectorizer.
        model: a fitted classifier with `predict_proba`.
        encoder: label names.
        threshold: the highest probability must be above it; None accepts any.
        other: label of the predictions that are not.
    """

    cleaning: dict[str, Any]
    vectorizer: Any
    model: Any
    encoder: LabelEncoder
    threshold: float | None
    other: str

    def clean(self, texts: Sequence[str]) -> list[str]:
        """Return the texts as the vectorizer sees them."""
        return list(map(Cleaner(**self.cleaning), texts))

    def predict_proba(self, texts: Sequence[str]) -> Probabilities:
        """Return class probabilities, shape (n, classes), columns in the encoder's order."""
        probabilities: Probabilities = self.model.predict_proba(
            self.vectorizer.transform(self.clean(texts))
        )
        return probabilities

    def decide(self, y_prob: Probabilities) -> Indices:
        """Return label indices, shape (n,), with the threshold applied."""
        other = self.encoder.index(self.other) if self.threshold is not None else -1
        return decide(y_prob, self.threshold, other)

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """Tag texts.

        Args:
            texts: any number of strings, not yet cleaned.

        Returns:
            For each text its tag and the highest class probability. A text that fell back to the
            rest label has that highest probability too: it was not above the threshold.
        """
        if not texts:
            return []
        y_prob = self.predict_proba(texts)
        tags = self.encoder.decode(self.decide(y_prob))
        return [
            {"input_text": text, "predicted_tag": tag, "probability": float(highest)}
            for text, tag, highest in zip(texts, tags, y_prob.max(axis=1), strict=True)
        ]
