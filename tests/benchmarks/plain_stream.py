"""Training on a file in chunks, in one process: pandas and scikit-learn, and no more.

python -m tests.benchmarks.plain_stream FILE
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import SGDClassifier

from tests.benchmarks.plain_data import cleaned, stopwords

ROWS = 20_000


def train(path: str) -> Any:
    unwanted = stopwords()
    classes = np.unique(pd.read_csv(path, usecols=["label"])["label"])
    vectorizer = HashingVectorizer(analyzer="char_wb", ngram_range=(2, 5), alternate_sign=False)
    model = SGDClassifier(
        loss="log_loss", alpha=1e-4, learning_rate="constant", eta0=0.1, random_state=42
    )
    for chunk in pd.read_csv(path, chunksize=ROWS):
        X = vectorizer.transform([cleaned(text, unwanted) for text in chunk["text"]])
        model.partial_fit(X, chunk["label"], classes=classes)
    return model


if __name__ == "__main__":
    print(train(sys.argv[1]).t_)
