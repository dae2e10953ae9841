"""From texts to numbers: cleaning, labels and vectorizers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tagifai._lazy import make_getattr

if TYPE_CHECKING:
    from tagifai.preprocessing.vectorizers import counts, hashing, tfidf, union

__all__ = ["counts", "hashing", "tfidf", "union"]

__getattr__ = make_getattr(
    __name__,
    {
        "counts": "tagifai.preprocessing.vectorizers",
        "hashing": "tagifai.preprocessing.vectorizers",
        "tfidf": "tagifai.preprocessing.vectorizers",
        "union": "tagifai.preprocessing.vectorizers",
    },
)
