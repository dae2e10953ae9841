"""Vectorizers that embed texts by a sentence encoder.

Only the name and the digest of an encoder are part of a vectorizer, and of its bundle: the weights
stay where they are installed, and nothing in a bundle says where that is.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator
from sklearn.pipeline import FeatureUnion

from tagifai.exceptions import BundleError, ConfigError
from tagifai.preprocessing.encoders.encoder import Encoder, open_encoder
from tagifai.preprocessing.vectorizers import union

SHOWN_DIGITS = 12
"""Of a digest, in messages."""


class EmbeddingVectorizer(BaseEstimator):  # type: ignore[misc]
    """Vectors of a sentence encoder as features.

    Args:
        encoder: its name, as `files.find_encoder` takes it.

    Attributes:
        digest_: of the encoder that the features are of.
        n_features_out_: length of a vector.
    """

    def __init__(self, encoder: str) -> None:
        self.encoder = encoder

    def fit(self, texts: Iterable[str], y: Any = None) -> Self:
        """Learn nothing from the texts, but which encoder it is."""
        encoder = open_encoder(self.encoder)
        self.digest_ = encoder.digest
        self.n_features_out_ = encoder.dimensions
        return self

    def transform(self, texts: Iterable[str]) -> npt.NDArray[np.float64]:
        """Return the vectors of n texts, shape (n, features).

        Raises:
            BundleError: the encoder is not here, or another one than the vectorizer was fitted by.
        """
        return self.open_fitted().embed(list(texts)).astype(np.float64)

    def fit_transform(self, texts: Iterable[str], y: Any = None) -> npt.NDArray[np.float64]:
        """Fit, and return the vectors."""
        return self.fit(texts).transform(texts)

    def open_fitted(self) -> Encoder:
        """Return the encoder that the vectorizer was fitted by; errors as of `transform`."""
        try:
            encoder = open_encoder(self.encoder)
        except ConfigError as error:
            raise BundleError(
                f"The model was trained with the encoder {self.encoder}, whose weights are not part"
                f" of it. {error}"
            ) from None
        if encoder.digest != self.digest_:
            raise BundleError(
                f"The model was trained with the encoder {self.encoder} of the digest"
                f" {self.digest_[:SHOWN_DIGITS]}, and the one here, {encoder.files.weights.parent},"
                f" has {encoder.digest[:SHOWN_DIGITS]}: put the other one in its place, or train"
                " again."
            )
        return encoder


def tfidf_embedding(encoder: str, embedding_weight: float, **arguments: Any) -> FeatureUnion:
    """Return tf-idf of words, tf-idf of characters, and vectors of an encoder, side by side.

    Args:
        encoder: its name.
        embedding_weight: factor of the vectors' columns; those of the words have 1.
        arguments: of `union`.
    """
    made = union(**arguments)
    parts = [*made.transformer_list, ("embedding", EmbeddingVectorizer(encoder))]
    weights = {**made.transformer_weights, "embedding": embedding_weight}
    return FeatureUnion(parts, transformer_weights=weights)


def find_embedding(vectorizer: Any) -> EmbeddingVectorizer | None:
    """Return the part of a vectorizer that embeds, which may be all of it, or None."""
    parts = [vectorizer, *(part for _, part in getattr(vectorizer, "transformer_list", ()))]
    return next((part for part in parts if isinstance(part, EmbeddingVectorizer)), None)
