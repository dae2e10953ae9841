"""The tagger: all steps from a text to a tag in one object."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypedDict, cast, overload

import numpy as np

from tagifai.exceptions import DataError, UserError
from tagifai.models.outputs import compute_outputs, has_probabilities
from tagifai.models.temperature import calibrate
from tagifai.models.thresholds import Probabilities, decide
from tagifai.preprocessing.cleaning import Cleaner
from tagifai.preprocessing.inputs import join_values, list_columns, list_texts
from tagifai.preprocessing.labels import Indices, LabelEncoder

if TYPE_CHECKING:
    import pandas as pd

SHOWN_LABELS = 5
"""Of a tagger, where it is shown in one line."""


class Prediction(TypedDict):
    """A text, its tag, and the highest class probability: a finite number, or None without any."""

    input_text: str
    predicted_tag: str
    probability: float | None


@dataclass(frozen=True)
class PredictedColumns:
    """Predictions of n texts, column by column.

    Args:
        tags: n labels.
        probabilities: the highest class probability of each text; None of a model without them,
            and where what the model gives is no finite number.
        ranked: for each rank, the most probable label first, n labels and their n probabilities;
            empty unless there are to be several.
        matrix: class probabilities, shape (n, classes), or None.
        failed: places of texts for which the model gives no finite numbers: their tags say nothing.
    """

    tags: list[str]
    probabilities: list[float | None]
    ranked: list[tuple[list[str], list[float]]]
    matrix: Probabilities | None
    failed: list[int]


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
        input: how the tables were read that it was trained on, by the names of settings.
        temperature: what decision values are divided by to become probabilities; None of a model
            that has probabilities of its own, or no decision values.
    """

    cleaning: dict[str, Any]
    vectorizer: Any
    model: Any
    encoder: LabelEncoder
    threshold: float | None
    other: str | None
    input: dict[str, Any] = field(default_factory=dict)
    temperature: float | None = None

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
        """Return class probabilities or, where there are none, the model's outputs."""
        return self.calibrate(compute_outputs(self.model, self.vectorize(texts)))

    def compute_clean_outputs(self, texts: Sequence[str]) -> Probabilities:
        """Return the same of texts that are clean already, as those of prepared rows are."""
        return self.calibrate(compute_outputs(self.model, self._vectorize_clean(texts)))

    def calibrate(self, outputs: Probabilities) -> Probabilities:
        """Return the probabilities of a model's outputs; where it has none, the outputs.

        Args:
            outputs: of `tagifai.models.outputs.compute_outputs`, shape (n, classes).
        """
        return outputs if self.temperature is None else calibrate(outputs, self.temperature)

    @property
    def has_probabilities(self) -> bool:
        """Whether outputs are class probabilities, the model's own or calibrated ones."""
        return self.temperature is not None or has_probabilities(self.model)

    def decide(self, y_prob: Probabilities) -> Indices:
        """Return label indices, shape (n,), with the threshold applied."""
        if self.threshold is None or self.other is None:
            return decide(y_prob, None, -1)
        return decide(y_prob, self.threshold, self.encoder.index(self.other))

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that a table of texts has: those of the run's own, joined with a space."""
        return list_columns(self.input)

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
                were written: they are cleaned here. Of a table the run's columns are taken.

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
        return self._predict_all(self.list_texts(texts))

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

        self.require_probabilities()
        given = [texts] if isinstance(texts, str) else self.list_texts(texts)
        index = texts.index if isinstance(texts, pd.Series | pd.DataFrame) else None
        found = self.compute_outputs(given) if given else None
        return pd.DataFrame(found, index=index, columns=pd.Index(self.labels), dtype=float)

    def predict_columns(
        self, texts: Sequence[str], top_k: int = 1, *, matrix: bool = False
    ) -> PredictedColumns:
        """Tag n texts, with more than `predict` says of each.

        Args:
            texts: as they were written.
            top_k: labels that are ranked by their probabilities, at most all; 1 ranks none.
            matrix: whether to give the probabilities of all labels.
        """
        found = self.compute_outputs(texts) if texts else np.empty((0, len(self.labels)))
        tags = self.encoder.decode(self.decide(found))
        finite = np.isfinite(found).all(axis=1)
        known: Any = finite if self.has_probabilities else np.zeros(len(texts), dtype=bool)
        highest = [
            float(value) if there else None
            for value, there in zip(found.max(axis=1), known, strict=True)
        ]
        ranked = []
        # Stable, so that of equal labels the first comes first, as `decide` takes it.
        order = np.argsort(-found, axis=1, kind="stable")[:, :top_k] if top_k > 1 else found[:, :0]
        for indices in order.T:
            values = np.take_along_axis(found, indices[:, None], axis=1)[:, 0]
            ranked.append((self.encoder.decode(indices), values.tolist()))
        failed = np.flatnonzero(~finite).tolist()
        return PredictedColumns(tags, highest, ranked, found if matrix else None, failed)

    def require_probabilities(self) -> None:
        """Refuse a model whose outputs are no probabilities.

        Raises:
            UserError: the model has no probabilities.
        """
        if not self.has_probabilities:
            raise UserError(
                f"{type(self.model).__name__} has no probabilities. Train a model that has some,"
                " such as model=logistic_regression."
            )

    def __repr__(self) -> str:
        names = [*self.labels[:SHOWN_LABELS], *(["…"] if len(self.labels) > SHOWN_LABELS else [])]
        steps = f"{type(self.vectorizer).__name__}, {type(self.model).__name__}"
        threshold = "" if self.threshold is None else f", threshold {self.threshold:.4f}"
        return f"Tagger({steps}{threshold}; {len(self.labels)} labels: {', '.join(names)})"

    def list_texts(self, texts: Iterable[str]) -> list[str]:
        """Return texts as a list; those of a table are joined as the run's own were.

        Args:
            texts: a list, tuple, Series, array or generator, or a table with the run's columns.

        Raises:
            DataError: it is of another kind, one of its items is not a text, or a table has not the
                columns.
        """
        columns = getattr(texts, "columns", None)
        if columns is None or getattr(texts, "ndim", 1) != 2:
            return list_texts(texts)
        known, table = list(map(str, columns)), cast("pd.DataFrame", texts)
        for names in (tuple(self.input.get("text", ())), self.columns):
            if names and all(name in known for name in names):
                values = [table.iloc[:, known.index(name)].tolist() for name in names]
                return list_texts([*map(join_values, zip(*values, strict=True))])
        raise DataError(
            f"The run wants a table with the columns {', '.join(self.columns)}, and this one has:"
            f" {', '.join(known)}."
        )

    def _predict_all(self, texts: Sequence[str]) -> list[Prediction]:
        found = self.predict_columns(texts)
        return [
            {"input_text": text, "predicted_tag": tag, "probability": probability}
            for text, tag, probability in zip(texts, found.tags, found.probabilities, strict=True)
        ]
