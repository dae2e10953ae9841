"""A vectorizer that writes down what it is shown, for runs that the whitelist allows it in."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sklearn.feature_extraction.text import TfidfVectorizer


class SpyVectorizer(TfidfVectorizer):  # type: ignore[misc]
    """Words with tf-idf; every text that is fitted or transformed goes to the file of `SPY`."""

    def fit_transform(self, texts: Iterable[str], y: Any = None) -> Any:
        return super().fit_transform(self._written(texts), y)

    def transform(self, texts: Iterable[str]) -> Any:
        return super().transform(self._written(texts))

    def _written(self, texts: Iterable[str]) -> list[str]:
        kept = list(texts)
        with Path(os.environ["SPY"]).open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(text) + "\n" for text in kept)
        return kept
