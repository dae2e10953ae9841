"""The tagger: all steps from a text to a tag in one object."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict, overload

from tagifai.exceptions import DataError, UserError
from tagifai.models.outputs import compute_outputs, has_probabilities
from tagifai.models.thresholds import Probabilities, decide
from tagifai.preprocessing.cleaning import Cleaner
from tagifai.preprocessing.labels import Indices, LabelEncoder

if TYPE_CHECKING:
    import pandas as pd

SHOWN_LABELS = 5
"""Of a tagger, where it is shown in one line."""


class Prediction(TypedDict):
    """A text, its tag, and the highest class probability; None of a model without them."""

    input_text: str
    predicted_tag: str
    probability: float | None


@dataclass(frozen=True, repr=False)
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
        from tagifai.preprocessing import char_ngrams  # late: only a prediction needs it

        return char_ngrams.transform(self.vectorizer, texts)

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

    @property
    def labels(self) -> list[str]:
        """The names that a text may be given, in alphabetical order."""
        return list(self.encoder.classes)

    @overload
    def predict(self, texts: str) -> Prediction: ...  # type: ignore[overload-overlap]

    @overload
    def predict(self, texts: Iterable[str]) -> list[Prediction]: ...

    def predict(self, texts: str | Iterable[str]) -> Prediction | list[Prediction]:
        """Tag a text, or any number of them.

        Args:
            texts: a string, or a list, tuple, Series, array or generator of n strings, as they
                were written: they are cleaned here.

        Returns:
            For a string its prediction, for anything else a list of n predictions in the same
            order. A prediction has the text, its tag and the highest class probability, if the
            model has any. A text that got the fallback label has it too: it was not above the
            threshold.

        Raises:
            DataError: an item is not a text.
        """
        if isinstance(texts, str):
            return self._predict_all([texts])[0]
        return self._predict_all(list_texts(texts))

    def predict_proba(self, texts: str | Iterable[str]) -> pd.DataFrame:
        """Return class probabilities.

        Args:
            texts: as of `predict`.

        Returns:
            Shape (n, classes), labels as columns; the index of a Series is kept.

        Raises:
            DataError: an item is not a text.
            UserError: the model has no probabilities.
        """
        import pandas as pd  # late: files are predicted without it

        if not has_probabilities(self.model):
            raise UserError(
                f"{type(self.model).__name__} has no probabilities. Train a model that has some,"
                " such as model=logistic_regression."
            )
        given = [texts] if isinstance(texts, str) else list_texts(texts)
        index = texts.index if isinstance(texts, pd.Series) else None
        found = self.compute_outputs(given) if given else None
        return pd.DataFrame(found, index=index, columns=pd.Index(self.labels), dtype=float)

    def __repr__(self) -> str:
        names = [*self.labels[:SHOWN_LABELS], *(["…"] if len(self.labels) > SHOWN_LABELS else [])]
        steps = f"{type(self.vectorizer).__name__}, {type(self.model).__name__}"
        threshold = "" if self.threshold is None else f", threshold {self.threshold:.4f}"
        return f"Tagger({steps}{threshold}; {len(self.labels)} labels: {', '.join(names)})"

    def _predict_all(self, texts: Sequence[str]) -> list[Prediction]:
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


def list_texts(texts: Iterable[str]) -> list[str]:
    """Return texts as a list.

    Args:
        texts: a list, tuple, Series, array or generator; not a table.

    Raises:
        DataError: it is of another kind, or one of its items is not a text.
    """
    if isinstance(texts, bytes | Mapping) or not isinstance(texts, Iterable):
        raise DataError(f"{_describe(texts)} is not a text, and not a list or the like of texts.")
    if getattr(texts, "ndim", 1) != 1:
        raise DataError(
            "A table is not a list of texts. Give one of its columns, such as table['text']."
        )
    # An array's own items are not Python's; those of all else are.
    items: list[Any] = texts.tolist() if hasattr(texts, "tolist") else list(texts)
    # Types first: there are fewer of them than of texts.
    if not all(issubclass(kind, str) for kind in set(map(type, items))):
        place, item = next((n, item) for n, item in enumerate(items) if not isinstance(item, str))
        raise DataError(
            f"texts[{place}] is {_describe(item)}, which is not a text. Leave it out, or put a text"
            " in its place."
        )
    return items


def _describe(value: object) -> str:
    shown = repr(value)
    return f"{shown[:60]}…" if len(shown) > 60 else f"{shown} ({type(value).__name__})"
