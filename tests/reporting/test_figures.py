from __future__ import annotations

import json
import logging
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from sklearn.base import BaseEstimator
from sklearn.feature_extraction.text import HashingVectorizer, TfidfVectorizer
from sklearn.linear_model import Perceptron, SGDClassifier
from sklearn.neighbors import KNeighborsClassifier

from tagifai.config.schema import Config, TrainingConfig, check
from tagifai.data.prepare import PreparedData
from tagifai.data.splitting.stratified import Split
from tagifai.models.thresholds import FixedThreshold
from tagifai.preprocessing.labels import LabelEncoder
from tagifai.reporting import figures, render, run_report
from tagifai.reporting.plots import probabilities
from tagifai.reporting.plots import style as plots_style
from tagifai.reporting.test_rows import TestRows
from tagifai.training.components import Components
from tagifai.training.fitting import FitResult, TaggerTrainer, compute_part_outputs
from tagifai.training.loop import History
from tests.conftest import Compose
from tests.training.test_fitting import make_table, prepared

SVG = "http://www.w3.org/2000/svg"

EVERY = {
    "losses",
    "confusion",
    "classes",
    "precision_recall",
    "reliability",
    "threshold",
    "terms",
    "class_balance",
    "text_lengths",
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


def made_of(rows: PreparedData, result: FitResult) -> render.FigureMakers:
    return figures.build_makers(result, TestRows(rows, result.tagger))


def test_a_run_has_all_its_figures(tmp_path: Path) -> None:
    rows = prepared()
    result = trained(
        rows, SGDClassifier(loss="log_loss", random_state=0), threshold=FixedThreshold(0.5)
    )
    makers = made_of(rows, result)
    assert set(makers) == EVERY
    written = render.save_figures(makers, tmp_path / "figures")
    assert {path.name for path in written} == {f"{name}.svg" for name in makers}
    assert all("</text>" in path.read_text() for path in written)


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
    makers = made_of(rows, trained(rows, model, vectorizer))
    assert set(makers) == EVERY - without
    assert len(render.save_figures(makers, tmp_path)) == len(makers)


def test_the_threshold_is_shown_by_rows_that_the_model_had_not_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = prepared(make_table().assign(title="It"))  # what they have in common says nothing
    result = trained(rows, KNeighborsClassifier(1), threshold=FixedThreshold(0.5))
    drawn: list[Any] = []
    monkeypatch.setattr(probabilities, "plot_threshold", lambda *given: drawn.append(given))
    made_of(rows, result)["threshold"]()
    ((y_true, outputs, _, chosen, _),) = drawn
    predicted = result.tagger.decide(outputs)
    # The nearest neighbour of a row that the refitted model has seen is the row itself.
    assert compute_part_outputs(rows, result.tagger, "val").argmax(axis=1).tolist() == [*y_true]
    expected = result.performance["val"]["metrics"]["accuracy"]
    assert expected < 1
    assert float((predicted == y_true).mean()) == pytest.approx(expected)
    assert chosen == 0.5


def test_without_a_label_of_the_rest_no_threshold_is_shown() -> None:
    rows = replace(prepared(), other=None)
    result = trained(rows, SGDClassifier(loss="log_loss", random_state=0))
    assert "threshold" not in made_of(rows, result)


def test_without_epochs_there_are_no_losses_to_draw() -> None:
    rows = prepared()
    result = trained(rows, SGDClassifier(loss="log_loss", random_state=0))
    assert "losses" not in made_of(rows, replace(result, history=History()))


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
    assert [path.name for path in written] == ["fine.svg"]
    assert "The figure broken cannot be drawn: no rows" in caplog.text


def test_labels_of_every_script_are_texts_which_the_viewer_draws(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from tagifai.reporting.plots import data

    labels = ["机器学习", "日本語", "الرؤية", "🎉 party"]
    with caplog.at_level(logging.INFO):
        (path,) = render.save_figures(
            {"balance": lambda: data.plot_class_balance({name: {"train": 2} for name in labels})},
            tmp_path,
        )
    assert all(f">{label}</text>" in path.read_text(encoding="utf-8") for label in labels)
    assert "Glyph" not in caplog.text


def test_the_same_run_gives_the_same_files(tmp_path: Path) -> None:
    rows = prepared()
    makers = made_of(rows, trained(rows, SGDClassifier(loss="log_loss", random_state=0)))
    first = render.save_figures(makers, tmp_path / "1")
    again = render.save_figures(makers, tmp_path / "2")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]


def test_figures_of_151_classes_are_small_and_have_few_parts(tmp_path: Path) -> None:
    rows = prepared_for(151)
    result = trained(
        rows, SGDClassifier(loss="log_loss", random_state=0), threshold=FixedThreshold(0.01)
    )
    makers = made_of(rows, result)
    written = render.save_figures(makers, tmp_path)
    # A part for each pair of 151 classes took a minute to draw.
    parts = {name: len(make().findobj()) for name, make in makers.items()}
    assert max(parts.values()) < 2000, parts
    assert set(makers) == EVERY
    for path in written:
        size = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', path.read_text())
        assert size is not None
        assert max(float(size[1]), float(size[2])) < 1300, path.name


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


def test_all_figures_of_a_run_have_one_order_of_classes() -> None:
    rows = prepared_for(40)
    result = trained(rows, SGDClassifier(loss="log_loss", random_state=0))
    found = TestRows(rows, result.tagger)
    expected = [found.classes[k] for k in found.order[:20]]
    makers = made_of(rows, result)

    def names(figure: Figure) -> list[str]:
        labels = figure.axes[0].get_yticklabels()
        return [label.get_text().partition(" (")[0] for label in labels]

    assert names(makers["confusion"]()) == [*expected, "20 other classes"]
    assert names(makers["classes"]()) == names(makers["class_balance"]()) == expected
    titles = [axes.get_title(loc="left") for axes in makers["terms"]().axes if axes.get_visible()]
    assert titles == expected[:10]
    legend = [
        text.get_text().partition(":")[0]
        for text in makers["precision_recall"]().legends[0].get_texts()
    ]
    assert legend == [name for name in expected if name in legend]


def test_a_figure_on_a_page_has_the_colours_and_the_font_of_the_page(tmp_path: Path) -> None:
    rows = prepared()
    makers = made_of(rows, trained(rows, SGDClassifier(loss="log_loss", random_state=0)))
    render.save_figures(makers, tmp_path)
    loaded = render.load_figures(tmp_path, dict.fromkeys(makers, "title"))
    assert len(loaded) == len(makers)
    ids = [found for figure in loaded for found in set(re.findall(r' id="([^"]+)"', figure.svg))]
    assert len(ids) == len(set(ids))
    for figure in loaded:
        used = {
            *re.findall(r"url\(#([^)]+)\)", figure.svg),
            *re.findall(r'href="#([^"]+)"', figure.svg),
        }
        assert used <= set(ids)
        # Elsewhere than on such a page a figure has its own colours.
        own = re.sub(r"var\(--\w+, #[0-9a-f]{6}\)", "", figure.svg)
        assert not {"#000000", "#ffffff", "#0072b2"} & set(re.findall("#[0-9a-f]{6}", own))
        assert "<style" not in figure.svg
        assert "DejaVu" not in figure.svg
    assert [figure.wide for figure in loaded].count(True) == 1  # the terms


def test_labels_on_a_page_are_texts_that_nothing_changes(tmp_path: Path) -> None:
    from tagifai.reporting.plots import data

    labels = [
        "#000000 black",
        "url(#x)",
        ' id="figure',
        'href="#x',
        "; font-family: 'DejaVu Sans', sans-serif",
    ]
    counts = {name: {"train": 2} for name in labels}
    render.save_figures({"balance": lambda: data.plot_class_balance(counts)}, tmp_path)
    (figure,) = render.load_figures(tmp_path, {"balance": "title"})
    texts = [element.text for element in ElementTree.fromstring(figure.svg).iter(f"{{{SVG}}}text")]
    for label in labels:
        assert plots_style.shorten(label) in texts


def test_a_class_may_be_named_like_another_row_of_the_scores() -> None:
    rows = prepared()
    names = ("other", "overall (weighted)", "slice one (4 rows: too few to tell)")
    rows = replace(rows, encoder=LabelEncoder(names[: len(rows.encoder.classes)]))
    result = trained(rows, SGDClassifier(loss="log_loss", random_state=0))
    found = result.performance["test"]
    slices = {"one": {**found["overall"], "num_samples": 4}}
    scored: Any = {**found, "slices": slices}
    table = run_report.tabulate_scores("test", scored, TestRows(rows, result.tagger))
    named = [line[0] for line in table.rows]
    assert len(named) == len(rows.encoder.classes) + 2
    assert named.count(names[1]) == named.count(names[2]) == 2
    assert table.rows[table.strong[0]][-1] == str(found["overall"]["num_samples"])


def test_figures_of_a_page_change_neither_it_nor_each_other(tmp_path: Path) -> None:
    rows = prepared()
    makers = made_of(rows, trained(rows, SGDClassifier(loss="log_loss", random_state=0)))
    shown = []
    for run in ("1", "2"):
        (path,) = render.save_figures({"losses": makers["losses"]}, tmp_path / run)
        shown.append(render.adapt_to_page(path.read_text(encoding="utf-8"), f"losses-{run}"))
    ids = [re.findall(r' id="([^"]+)"', svg) for svg in shown]
    assert ids[0]
    assert not {*ids[0]} & {*ids[1]}
    for svg in shown:
        assert svg.startswith("<svg ")
        assert "<style" not in svg
        assert 'width="' in svg.partition(">")[0]
        assert "var(--blue, #0072b2)" in svg


CURVE = {
    "metric": "test_f1",
    "rows": [10, 20],
    "means": [0.5, 0.7],
    "deviations": [0.1, 0.05],
    "conclusion": "More labels will probably help.",
}


def test_a_run_has_the_latest_learning_curve_of_its_data_and_settings(
    composed: Compose, tmp_path: Path
) -> None:
    def configure(*overrides: str) -> Config:
        return check(composed(f"paths.outputs={tmp_path}", *overrides))

    def write(folder: str, content: str) -> None:
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "curve.json").write_text(content)

    mine = configure("seed=3")
    for day, digest, made_of, metric in (
        (1, "abc", configure("training.refit=false", "task=curve"), "old"),
        (2, "abc", mine, "new"),
        (3, "other", mine, "of other data"),
        (4, "abc", configure("model=complement_nb"), "of another model"),
        (5, "abc", configure("vectorizer.min_df=3"), "of other settings"),
        (6, "abc", configure("objective.metric=val_loss"), "of another objective"),
    ):
        document = {**CURVE, "metric": metric, **figures.identify_curve(made_of, digest)}
        write(f"2026-01-0{day}/10-00-00-curve", json.dumps(document))
    told = figures.identify_curve(mine, "abc")
    strays = ('{"metric": "half wri', "[]", "null", json.dumps(told), "[" * 100_000)
    for number, content in enumerate(strays):
        write(f"2026-01-07/{number}-curve", content)
    found = figures.find_curve(mine, "abc")
    assert found is not None
    assert found["metric"] == "new"
    assert figures.find_curve(mine, "unknown") is None

    rows = prepared()
    result = trained(rows, SGDClassifier(loss="log_loss", random_state=0))
    makers = figures.build_makers(result, TestRows(rows, result.tagger), found)
    figure = makers["curve"]()
    line = figure.axes[0].lines[0]
    assert np.asarray(line.get_xydata()).tolist() == [[10, 0.5], [20, 0.7]]
    assert "More labels will probably help." in figure.get_suptitle()
