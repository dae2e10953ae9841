"""From texts to numbers: cleaning, labels and vectorizers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tagifai._lazy import make_getattr

if TYPE_CHECKING:
    from tagifai.preprocessing.embeddings import EmbeddingVectorizer, tfidf_embedding
    from tagifai.preprocessing.vectorizers import counts, hashing, tfidf, union

__all__ = ["EmbeddingVectorizer", "counts", "hashing", "tfidf", "tfidf_embedding", "union"]

__getattr__ = make_getattr(
    __name__,
    {
        "EmbeddingVectorizer": "tagifai.preprocessing.embeddings",
        "counts": "tagifai.preprocessing.vectorizers",
        "hashing": "tagifai.preprocessing.vectorizers",
        "tfidf": "tagifai.preprocessing.vectorizers",
        "tfidf_embedding": "tagifai.preprocessing.embeddings",
        "union": "tagifai.preprocessing.vectorizers",
    },
)
