"""The components of a run: vectorizer, sampler, model and threshold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.random import RandomState
from sklearn.utils import get_tags

from tagifai.config import instantiate
from tagifai.config.schema import Config, SGDConfig
from tagifai.data.prepare import PreparedData
from tagifai.exceptions import ConfigError, DataError
from tagifai.models.outputs import gives_probabilities, has_probabilities
from tagifai.models.thresholds import AutoThreshold, Threshold
from tagifai.preprocessing.embeddings import find_embedding
from tagifai.preprocessing.encoders.encoder import open_encoder
from tagifai.preprocessing.vectorizers import adapt_to_texts, list_open_parts


@dataclass(frozen=True)
class Components:
    """The objects that the groups of a configuration describe.

    Args:
        vectorizer: from texts to features.
        sampler: balances the train rows, or None.
        model: a classifier.
        threshold: finds the threshold, or None.
        C: inverse of the penalty's strength, of a model whose own depends on the rows; or None.
    """

    vectorizer: Any
    sampler: Any
    model: Any
    threshold: Threshold | None
    C: float | None = None

    def set_penalty(self, counts: Mapping[int, int]) -> None:
        """Set the strength of the model's penalty by the rows that it will be fitted to.

        Args:
            counts: of these rows by class, after sampling.
        """
        if self.C is not None:
            self.model.set_params(alpha=1 / (self.C * sum(counts.values())))

    def adapt(self, prepared: PreparedData) -> list[str]:
        """Decide what is left to the rows, and return what has to be said of it, a sentence each.

        What has been decided stays so.

        Args:
            prepared: the rows that the components will be fitted to.
        """
        notes = []
        if isinstance(self.threshold, AutoThreshold) and self.resolve_threshold(prepared) is None:
            lacking = "the model has no probabilities of its own"
            if prepared.other not in prepared.encoder.classes:
                lacking = "these data have no fallback label"
            notes.append(f"No threshold is applied: {lacking} (threshold=auto).")
        if list_open_parts(self.vectorizer) and adapt_to_texts(
            self.vectorizer, prepared.get_texts("train")
        ):
            notes.append(
                "The texts have no spaces between words, so that single characters are the words,"
                " and n-grams of characters cross them (vectorizer.char_analyzer=auto)."
            )
        return notes

    def check(self) -> None:
        """Refuse components that cannot work together, before any data are read.

        Raises:
            ConfigError: with the reason and the way out.
        """
        wanted = self.threshold is not None and not isinstance(self.threshold, AutoThreshold)
        if wanted and not gives_probabilities(self.model):
            raise ConfigError(
                f"threshold: {type(self.model).__name__} has neither probabilities nor decision"
                " values with these arguments, so there is nothing to compare with a threshold. Use"
                " threshold=none, or a model that has one of them."
            )
        positive_only = get_tags(self.model).input_tags.positive_only
        if positive_only and getattr(self.vectorizer, "alternate_sign", False):
            raise ConfigError(
                f"model: {type(self.model).__name__} takes no negative features, and the"
                " vectorizer makes some. Set vectorizer.alternate_sign=false, or use another model."
            )
        embedding = find_embedding(self.vectorizer)
        if embedding is not None and positive_only:
            raise ConfigError(
                f"model: {type(self.model).__name__} takes no negative features, and embeddings"
                " have some. Use vectorizer=tfidf_union, or another model, such as model=sgd."
            )
        if embedding is not None:
            open_encoder(embedding.encoder)

    def resolve_threshold(self, prepared: PreparedData) -> Threshold | None:
        """Return the threshold policy; None for an automatic one that cannot be applied.

        Args:
            prepared: the rows.

        Raises:
            DataError: there is no fallback label.
        """
        if isinstance(self.threshold, AutoThreshold):
            possible = has_probabilities(self.model) and prepared.other in prepared.encoder.classes
            return self.threshold if possible else None
        if self.threshold is not None:
            _require_other_label(prepared)
        return self.threshold


def _require_other_label(prepared: PreparedData) -> None:
    """Refuse a threshold where there is no fallback label."""
    if prepared.other is None:
        raise DataError(
            "A threshold gives unsure texts the fallback label, and these data have none. Use"
            " threshold=none, or set data.other, and data.accepted_tags or data.min_freq so that"
            " some tags get that label."
        )
    if prepared.other not in prepared.encoder.classes:
        raise DataError(
            f"The threshold gives unsure texts the label {prepared.other!r}, which no row has"
            f" (labels: {', '.join(prepared.encoder.classes)}). Use threshold=none, or set"
            " data.accepted_tags or data.min_freq so that some tags get that label."
        )


def build_components(config: Config, random_state: RandomState) -> Components:
    """Return the unfitted objects that a configuration describes.

    Args:
        config: of the run.
        random_state: handed to those that take one.

    Raises:
        ConfigError: one of them cannot be made, or they cannot work together.
    """
    vectorizer, sampler, model, threshold = (
        instantiate.build(group, getattr(config, group), random_state)
        for group in ("vectorizer", "sampling", "model", "threshold")
    )
    C = config.model.C if isinstance(config.model, SGDConfig) else None
    components = Components(vectorizer, sampler, model, threshold, C)
    components.check()
    return components
