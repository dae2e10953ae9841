"""The tagger: all steps from a text to a tag in one object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

from tagifai.models.outputs import compute_outputs, has_probabilities
from tagifai.models.thresholds import Probabilities, decide
from tagifai.preprocessing.cleaning import Cleaner
from tagifai.preprocessing.labels import Indices, LabelEncoder


class Prediction(TypedDict):
    """A text, its tag, and the highest class probability; None of a model without them."""

    input_text: str
    predicted_tag: str
    probability: float | None


@dataclass(frozen=True)
class Tagger:
    """The fitted steps from text to tag.

    Args:
        cleaning: keyword arguments of the `Cleaner` that training used.
        vectorizer: a fitted scikit-learn vectorizer.
        model: a fitted classifier.
        encoder: label names.
        threshold: the highest probability must be above it; None accepts any.
        other: the fallback label, for texts that are not above the threshold, or None.
    """

    cleaning: dict[str, Any]
    vectorizer: Any
    model: Any
    encoder: LabelEncoder
    threshold: float | None
    other: str | None

    def clean(self, texts: Sequence[str]) -> list[str]:
        """Return the texts as the vectorizer sees them."""
        return list(map(Cleaner(**self.cleaning), texts))

    def vectorize(self, texts: Sequence[str]) -> Any:
        """Return the texts' features as the model takes them, n rows."""
        return self._vectorize_clean(self.clean(texts))

    def _vectorize_clean(self, texts: Sequence[str]) -> Any:
        if not type(self.vectorizer).__module__.startswith("sklearn."):
            return self.vectorizer.transform(texts)
        from tagifai.preprocessing import (
            char_ngrams,  # late: a few texts are predicted without scikit-learn
        )

        return char_ngrams.transform(self.vectorizer, texts)

    def predict_proba(self, texts: Sequence[str]) -> Probabilities:
        """Return class probabilities, shape (n, classes), columns in the encoder's order."""
        probabilities: Probabilities = self.model.predict_proba(self.vectorize(texts))
        return probabilities

    def compute_outputs(self, texts: Sequence[str]) -> Probabilities:
        """Return class probabilities or, of a model without them, decision values; as above."""
        return compute_outputs(self.model, self.vectorize(texts))

    def compute_clean_outputs(self, texts: Sequence[str]) -> Probabilities:
        """Return the same of texts that are clean already, as those of prepared rows are."""
        return compute_outputs(self.model, self._vectorize_clean(texts))

    def decide(self, y_prob: Probabilities) -> Indices:
        """Return label indices, shape (n,), with the threshold applied."""
        if self.threshold is None or self.other is None:
            return decide(y_prob, None, -1)
        return decide(y_prob, self.threshold, self.encoder.index(self.other))

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """Tag texts.

        Args:
            texts: any number of strings, not yet cleaned.

        Returns:
            For each text its tag and the highest class probability, if the model has any. A text
            that got the fallback label has it too: it was not above the threshold.
        """
        if not texts:
            return []
        found = self.compute_outputs(texts)
        tags = self.encoder.decode(self.decide(found))
        known = has_probabilities(self.model)
        highest = [float(value) if known else None for value in found.max(axis=1)]
        return [
            {"input_text": text, "predicted_tag": tag, "probability": probability}
            for text, tag, probability in zip(texts, tags, highest, strict=True)
        ]
