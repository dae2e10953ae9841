"""Schemas of the vectorizers that embed texts."""

from __future__ import annotations

from dataclasses import dataclass

from tagifai.config.schema.rules import require_positive
from tagifai.config.schema.vectorizers import FeatureUnionConfig

DEFAULT_ENCODER = "all-MiniLM-L6-v2"
"""An English one that installed packages carry."""


@dataclass
class EmbeddingConfig:
    """Vectors of a sentence encoder.

    Args:
        encoder: its name: all-MiniLM-L6-v2, which packages carry, or that of a folder in one that
            TAGIFAI_ENCODERS gives.
    """

    _target_: str = "tagifai.preprocessing.EmbeddingVectorizer"
    encoder: str = DEFAULT_ENCODER


@dataclass
class EmbeddingUnionConfig(FeatureUnionConfig):
    """tf-idf of words and of characters beside vectors of a sentence encoder.

    Args:
        encoder: its name: all-MiniLM-L6-v2, which packages carry, or that of a folder in one that
            TAGIFAI_ENCODERS gives.
        embedding_weight: of the vectors' columns, beside 1 for those of words.
    """

    _target_: str = "tagifai.preprocessing.tfidf_embedding"
    encoder: str = DEFAULT_ENCODER
    embedding_weight: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive("embedding_weight", self.embedding_weight)
