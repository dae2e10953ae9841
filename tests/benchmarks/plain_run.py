"""One run as it was published, in one process: scikit-learn and MLflow, and no more.

    python -m tests.benchmarks.plain_run train FOLDER projects.csv tags.csv
    python -m tests.benchmarks.plain_run predict FOLDER TEXT
    python -m tests.benchmarks.plain_run predict_file FOLDER TEXTS.txt OUTPUT.csv

Each part imports what it needs and nothing else.
"""

from __future__ import annotations

import csv
import json
import pickle
import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.plain_data import cleaned, stopwords, table

EPOCHS = 100


def train(folder: Path, projects: str, tags: str) -> None:
    import mlflow
    from imblearn.over_sampling import RandomOverSampler
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import SGDClassifier
    from sklearn.metrics import log_loss, precision_recall_fscore_support
    from sklearn.model_selection import train_test_split

    mlflow.set_tracking_uri(f"sqlite:///{folder}/plain.db")
    if mlflow.get_experiment_by_name("plain") is None:
        mlflow.create_experiment("plain", artifact_location=str(folder / "mlruns"))
    mlflow.set_experiment("plain")
    state = np.random.RandomState(42)
    rows = table(projects, tags).sample(frac=1, random_state=state).reset_index(drop=True)
    classes = sorted(set(rows.tag))
    y: Any = rows.tag.map(classes.index).to_numpy()
    x_train, x_rest, y_train, y_rest = train_test_split(
        rows.text.to_numpy(), y, train_size=0.7, stratify=y, random_state=state
    )
    x_val, x_test, y_val, y_test = train_test_split(
        x_rest, y_rest, train_size=0.5, stratify=y_rest, random_state=state
    )
    vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(2, 7))
    train_rows, val_rows = vectorizer.fit_transform(x_train), vectorizer.transform(x_val)
    sampler = RandomOverSampler(sampling_strategy="all", random_state=state)
    balanced, y_balanced = sampler.fit_resample(train_rows, y_train)
    model = SGDClassifier(
        loss="log_loss", penalty="l2", alpha=1e-4, max_iter=1, learning_rate="constant",
        eta0=0.1, power_t=0.1, warm_start=True, random_state=state,
    )  # fmt: skip
    with mlflow.start_run():
        for epoch in range(EPOCHS):
            model.fit(balanced, y_balanced)
            train_loss = log_loss(y_train, model.predict_proba(train_rows))
            val_loss = log_loss(y_val, model.predict_proba(val_rows))
            mlflow.log_metrics({"train_loss": train_loss, "val_loss": val_loss}, step=epoch)
        y_prob = model.predict_proba(vectorizer.transform(x_test))
        y_pred = np.where(y_prob.max(axis=1) > 0.6, y_prob.argmax(axis=1), classes.index("other"))
        scores = precision_recall_fscore_support(y_test, y_pred, average="weighted")[:3]
        performance = dict(zip(("precision", "recall", "f1"), map(float, scores), strict=True))
        mlflow.log_metrics(performance)
        (folder / "model.pkl").write_bytes(pickle.dumps((vectorizer, model, classes)))
        (folder / "performance.json").write_text(json.dumps(performance))
        for name in ("model.pkl", "performance.json"):
            mlflow.log_artifact(str(folder / name))
    print(performance["f1"])


def predict(folder: Path, text: str) -> None:
    vectorizer, model, classes = pickle.loads((folder / "model.pkl").read_bytes())
    y_prob = model.predict_proba(vectorizer.transform([cleaned(text, stopwords())]))[0]
    print(json.dumps({"predicted_tag": classes[int(y_prob.argmax())], "probability": y_prob.max()}))


def predict_file(folder: Path, source: str, target: str) -> None:
    vectorizer, model, classes = pickle.loads((folder / "model.pkl").read_bytes())
    unwanted = stopwords()
    with Path(source).open() as lines, Path(target).open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("input_text", "predicted_tag", "probability"))
        texts = (line.rstrip("\n") for line in lines)
        # As many as fit into memory without a thought.
        while batch := list(islice(texts, 10_000)):
            rows = vectorizer.transform([cleaned(text, unwanted) for text in batch])
            y_prob = model.predict_proba(rows)
            tags = [classes[place] for place in y_prob.argmax(axis=1)]
            table.writerows(zip(batch, tags, y_prob.max(axis=1).tolist(), strict=True))


TASKS: dict[str, Callable[..., None]] = {
    "train": train,
    "predict": predict,
    "predict_file": predict_file,
}

if __name__ == "__main__":
    TASKS[sys.argv[1]](Path(sys.argv[2]), *sys.argv[3:])
