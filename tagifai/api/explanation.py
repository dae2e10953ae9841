"""Explanations: which words of a text spoke for its label."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tagifai.api import html
from tagifai.models.tagger import Prediction, Tagger

SHOWN_WORDS = 5
"""Where an explanation is shown in a line."""


@dataclass(frozen=True, repr=False)
class Explanation:
    """A prediction, and what each word adds to it.

    Args:
        prediction: as of `Tagger.predict`.
        label: the most probable one, which the words are about; it is the predicted one unless
            that is the fallback label, because no probability was above the threshold.
        words: each with what it adds to the label's value, in the order of the text: more than 0
            speaks for the label. None of a model without weights, or of features that are no
            terms.
    """

    prediction: Prediction
    label: str
    words: list[tuple[str, float]] | None

    def __repr__(self) -> str:
        said = f"{self._describe()}."
        if self.words is None:
            return said
        largest = sorted(self.words, key=lambda item: -abs(item[1]))[:SHOWN_WORDS]
        return f"{said} {', '.join(f'{word.strip()} {value:+.2f}' for word, value in largest)}"

    def _describe(self) -> str:
        probability, tag = self.prediction["probability"], self.prediction["predicted_tag"]
        share = "" if probability is None else f" ({probability:.2f})"
        if tag == self.label:
            return f"{tag}{share}"
        return f"{tag}, because {self.label}{share} is not above the threshold"

    def _repr_html_(self) -> str:
        if self.words is None:
            note = "This model does not tell what its words add: it is not linear in terms."
            text = html.mark_words([(self.prediction["input_text"], 0.0)])
        else:
            note = f"Green words speak for {self.label}, red ones against it; hover for how much."
            text = html.mark_words(self.words)
        return html.format_page(self._describe(), "", text, html.format_note(note))


def explain(tagger: Tagger, text: str) -> Explanation:
    """Predict a text, and say what each word of it adds to its label.

    Args:
        tagger: of a run: `run.tagger`, or what `load` returns.
        text: as it was written.

    Raises:
        DataError: it is not a text.

    Example:
        >>> tagifai.explain(tagifai.load(), "A corpus of dialogues").label in tagifai.load().labels
        True
    """
    from tagifai.evaluation import error_analysis  # late: a model is loaded without it

    (given,) = tagger.list_texts([text])
    label = tagger.labels[int(np.argmax(tagger.compute_outputs([given])[0]))]
    words = error_analysis.explain_words(tagger, [given], [label])
    return Explanation(tagger.predict(given), label, None if words is None else words[0])
