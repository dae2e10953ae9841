"""Three epochs of SGD on hashed texts of a file, in one process: pandas, scikit-learn and no more.

python -m tests.benchmarks.plain_stream FILE memory|stream

With "memory" all rows are features at once, and the losses of train and validation rows are
computed after every epoch; with "stream" a chunk of rows is in memory at a time.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import f1_score, log_loss
from sklearn.model_selection import train_test_split

ROWS, EPOCHS, C = 20_000, 3, 10


def make_parts(rows: int) -> tuple[Any, Any]:
    vectorizer = HashingVectorizer(ngram_range=(1, 2), alternate_sign=False)
    model = SGDClassifier(
        loss="log_loss", alpha=1 / (C * rows), learning_rate="optimal", random_state=42
    )
    return vectorizer, model


def train_in_memory(path: str) -> None:
    table = pd.read_csv(path)
    train, rest = train_test_split(table, train_size=0.7, stratify=table.label, random_state=42)
    val, test = train_test_split(rest, train_size=0.5, stratify=rest.label, random_state=42)
    vectorizer, model = make_parts(len(train))
    classes = np.unique(table["label"])
    X, X_val = vectorizer.transform(train.text), vectorizer.transform(val.text)
    for _ in range(EPOCHS):
        model.partial_fit(X, train.label, classes=classes)
        losses = [
            log_loss(part.label, model.predict_proba(features))
            for part, features in ((train, X), (val, X_val))
        ]
    X_test = vectorizer.transform(test.text)
    print(losses, f1_score(test.label, model.predict(X_test), average="weighted"))


def train_on_chunks(path: str) -> None:
    labels = pd.read_csv(path, usecols=["label"])["label"]
    vectorizer, model = make_parts(len(labels))
    for _ in range(EPOCHS):
        for chunk in pd.read_csv(path, chunksize=ROWS):
            X = vectorizer.transform(chunk["text"])
            model.partial_fit(X, chunk["label"], classes=np.unique(labels))
    print(model.t_)


if __name__ == "__main__":
    {"memory": train_in_memory, "stream": train_on_chunks}[sys.argv[2]](sys.argv[1])
