from __future__ import annotations

import logging
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from sklearn.base import BaseEstimator
from sklearn.feature_extraction.text import HashingVectorizer, TfidfVectorizer
from sklearn.linear_model import Perceptron, SGDClassifier
from sklearn.neighbors import KNeighborsClassifier

from tagifai.config.schema import TrainingConfig
from tagifai.data.prepare import PreparedData
from tagifai.data.splitting.stratified import Split
from tagifai.models.thresholds import FixedThreshold
from tagifai.preprocessing.labels import LabelEncoder
from tagifai.reporting import figures, render
from tagifai.training.components import Components
from tagifai.training.fitting import FitResult, TaggerTrainer
from tests.training.test_fitting import prepared

EVERY = {
    "losses",
    "confusion",
    "classes",
    "precision_recall",
    "reliability",
    "threshold",
    "terms",
}


class Labeller(BaseEstimator):  # type: ignore[misc]
    """A model that gives labels and nothing else."""

    def fit(self, X: Any, y: Any) -> Labeller:
        self.classes_ = np.unique(y)
        return self

    def predict(self, X: Any) -> Any:
        return np.repeat(self.classes_[:1], X.shape[0])


def trained(
    rows: PreparedData, model: Any, vectorizer: Any = None, threshold: Any = None
) -> FitResult:
    parts = Components(vectorizer or TfidfVectorizer(), None, model, threshold)
    return TaggerTrainer(rows, parts, TrainingConfig(epochs=2)).fit()


def test_a_run_has_all_its_figures_in_both_formats(tmp_path: Path) -> None:
    rows = prepared()
    result = trained(
        rows, SGDClassifier(loss="log_loss", random_state=0), threshold=FixedThreshold(0.5)
    )
    makers = {**figures.build_for_result(rows, result), **figures.build_for_data(rows)}
    assert set(makers) == EVERY | {"class_balance", "text_lengths"}
    written = render.save_figures(makers, tmp_path / "figures")
    assert {path.name for path in written} == {f"{n}.{e}" for n in makers for e in ("png", "svg")}
    assert all(path.stat().st_size > 1000 for path in written)
    assert all(path.read_bytes()[:4] == b"\x89PNG" for path in written if path.suffix == ".png")


@pytest.mark.parametrize(
    ("model", "vectorizer", "without"),
    [
        (Perceptron(random_state=0), TfidfVectorizer(), set()),
        (Labeller(), TfidfVectorizer(), {"reliability", "terms", "threshold"}),
        (KNeighborsClassifier(1), TfidfVectorizer(), {"terms"}),
        (
            SGDClassifier(loss="log_loss", random_state=0),
            HashingVectorizer(n_features=64),
            {"terms"},
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_figure_is_left_out_where_there_is_nothing_to_show(
    model: Any, vectorizer: Any, without: set[str], tmp_path: Path
) -> None:
    rows = prepared()
    makers = figures.build_for_result(rows, trained(rows, model, vectorizer))
    assert set(makers) == EVERY - without
    assert len(render.save_figures(makers, tmp_path)) == 2 * len(makers)


def test_without_a_label_of_the_rest_no_threshold_is_shown() -> None:
    rows = replace(prepared(), other=None)
    result = trained(rows, SGDClassifier(loss="log_loss", random_state=0))
    assert "threshold" not in figures.build_for_result(rows, result)


def test_the_heaviest_terms_of_a_class_are_those_with_its_largest_weights() -> None:
    rows = prepared()
    result = trained(rows, SGDClassifier(loss="log_loss", random_state=0))
    found = figures.find_heaviest_terms(result.tagger, list(rows.count_labels()))
    assert list(found) == list(rows.count_labels())
    assert {term for term, _ in found["cv"][:2]} == {"image", "pixel"}
    weights = [weight for _, weight in found["cv"]]
    assert weights == sorted(weights, reverse=True)


def test_what_cannot_be_drawn_is_left_out_and_said_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> Figure:
        raise ZeroDivisionError("no rows")

    with caplog.at_level(logging.WARNING):
        written = render.save_figures({"broken": broken, "fine": Figure}, tmp_path)
    assert [path.name for path in written] == ["fine.png", "fine.svg"]
    assert "The figure broken cannot be drawn: no rows" in caplog.text


def test_a_script_that_the_font_does_not_have_is_drawn_all_the_same(tmp_path: Path) -> None:
    from tagifai.reporting.plots import data

    makers = {"class_balance": lambda: data.plot_class_balance({"机器学习": {"train": 2}})}
    assert len(render.save_figures(makers, tmp_path)) == 2


def test_the_same_run_gives_the_same_files(tmp_path: Path) -> None:
    rows = prepared()
    first = render.save_figures(figures.build_for_data(rows), tmp_path / "1")
    again = render.save_figures(figures.build_for_data(rows), tmp_path / "2")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]


def test_figures_of_151_classes_are_small_and_have_few_parts(tmp_path: Path) -> None:
    rows = prepared_for(151)
    result = trained(
        rows, SGDClassifier(loss="log_loss", random_state=0), threshold=FixedThreshold(0.01)
    )
    makers = {**figures.build_for_result(rows, result), **figures.build_for_data(rows)}
    written = render.save_figures(makers, tmp_path)
    # A part for each pair of 151 classes took a minute to draw.
    parts = {name: len(make().findobj()) for name, make in makers.items()}
    assert max(parts.values()) < 2000, parts
    assert set(makers) == EVERY | {"class_balance", "text_lengths"}
    for path in written:
        if path.suffix == ".png":
            width, height = struct.unpack(">II", path.read_bytes()[16:24])
            assert max(width, height) < 2500, path.name


def prepared_for(classes: int) -> PreparedData:
    """Return six rows of each class, four to train, with a word of its own and one of the next."""
    names = (*(f"intent {number:03}" for number in range(classes - 1)), "other")
    y = np.repeat(np.arange(classes), 6)
    texts = [f"word{k} word{(k + row % 2) % classes}" for row, k in enumerate(y)]
    tags = [names[k] for k in y]
    table = pd.DataFrame({"id": range(len(y)), "raw": texts, "text": texts, "tag": tags})
    parts = np.arange(len(y)) % 6
    split = Split(*(np.flatnonzero(found) for found in (parts < 4, parts == 4, parts == 5)))
    return replace(prepared(), rows=table, y=y, encoder=LabelEncoder(names), split=split)
