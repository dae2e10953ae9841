"""The search as it was published, in one process: scikit-learn, Optuna and MLflow, and no more.

With its faults, since it is what there is to compare with: it prunes on the validation loss while
it maximizes the score.

    python -m tests.benchmarks.plain_search projects.csv tags.csv FOLDER N_TRIALS [none]

With none, MLflow is left out.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import mlflow
import numpy as np
import optuna
import pandas as pd
from imblearn.over_sampling import RandomOverSampler
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import log_loss, precision_recall_fscore_support
from sklearn.model_selection import train_test_split

from tests.benchmarks.plain_data import table

EPOCHS = 100

Log = Callable[..., object]
"""Takes metrics, and an epoch."""


def train(rows: pd.DataFrame, trial: optuna.Trial, log: Log) -> float:
    state = np.random.RandomState(42)
    shuffled = rows.sample(frac=1, random_state=state).reset_index(drop=True)
    y: Any = shuffled.tag.astype("category").cat.codes.to_numpy()
    other = sorted(set(shuffled.tag)).index("other")
    texts = shuffled.text.to_numpy()
    x_train, x_rest, y_train, y_rest = train_test_split(
        texts, y, train_size=0.7, stratify=y, random_state=state
    )
    x_val, _, y_val, _ = train_test_split(
        x_rest, y_rest, train_size=0.5, stratify=y_rest, random_state=state
    )
    vectorizer = TfidfVectorizer(
        analyzer=trial.suggest_categorical("analyzer", ["word", "char", "char_wb"]),
        ngram_range=(2, trial.suggest_int("ngram_max", 3, 10)),
    )
    train_rows = vectorizer.fit_transform(x_train)
    val_rows = vectorizer.transform(x_val)
    balanced, y_balanced = RandomOverSampler(
        sampling_strategy="all", random_state=state
    ).fit_resample(train_rows, y_train)
    model = SGDClassifier(
        loss="log_loss", penalty="l2", alpha=1e-4, max_iter=1, learning_rate="constant",
        eta0=trial.suggest_float("eta0", 1e-2, 1e0, log=True),
        power_t=trial.suggest_float("power_t", 0.1, 0.5), warm_start=True, random_state=state,
    )  # fmt: skip
    for epoch in range(EPOCHS):
        model.fit(balanced, y_balanced)
        train_loss = log_loss(y_train, model.predict_proba(train_rows))
        val_loss = log_loss(y_val, model.predict_proba(val_rows))
        log({"train_loss": train_loss, "val_loss": val_loss}, step=epoch)
        trial.report(val_loss, epoch)
        if trial.should_prune():
            raise optuna.TrialPruned
    y_prob = model.predict_proba(val_rows)
    threshold = np.quantile(y_prob.max(axis=1), 0.25)
    y_pred = np.where(y_prob.max(axis=1) > threshold, y_prob.argmax(axis=1), other)
    scores = precision_recall_fscore_support(y_val, y_pred, average="weighted", zero_division=0)
    log(dict(zip(("precision", "recall", "f1"), map(float, scores), strict=False)))
    return float(scores[2])


def main(projects: str, tags: str, folder: str, n_trials: str, tracking: str = "mlflow") -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    rows = table(projects, tags)
    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=42),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=5),
    )

    def objective(trial: optuna.Trial) -> float:
        with mlflow.start_run(run_name=f"trial-{trial.number}"):
            value = train(rows, trial, mlflow.log_metrics)
            mlflow.log_params(trial.params)
            return value

    def objective_alone(trial: optuna.Trial) -> float:
        return train(rows, trial, lambda metrics, step=0: None)

    if tracking == "mlflow":
        mlflow.set_tracking_uri(f"sqlite:///{folder}/plain.db")
        mlflow.create_experiment("plain", artifact_location=f"{folder}/mlruns")
        mlflow.set_experiment("plain")
    study.optimize(objective if tracking == "mlflow" else objective_alone, n_trials=int(n_trials))
    print(f"best {study.best_value}")


if __name__ == "__main__":
    main(*sys.argv[1:])
