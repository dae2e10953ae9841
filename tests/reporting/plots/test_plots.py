"""Every figure with few classes and with many, with long names: readable, and no label clipped."""

from __future__ import annotations

import io
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox
from sklearn.metrics import average_precision_score, precision_recall_curve

from tagifai.evaluation.metrics import Scores
from tagifai.reporting.plots import classes, data, probabilities, style, training

NUMBERS = [2, 4, 40]


def names_of(number: int) -> list[str]:
    return [f"class {n} with a name that is longer than others" for n in range(number)]


def drawn(figure: Figure) -> Any:
    with style.use_style():
        FigureCanvasAgg(figure).draw()  # type: ignore[no-untyped-call]
        return figure.canvas.get_renderer()  # type: ignore[attr-defined]


def texts(figure: Figure) -> list[str]:
    """Return all that is written in a figure."""
    from matplotlib.text import Text

    found = [text.get_text() for text in figure.findobj(Text) if text.get_visible()]
    return [text for text in found if text]


def assert_apart(labels: list[Any], renderer: Any) -> None:
    """Check that no two neighbouring labels overlap, turned ones by their own width."""
    boxes = [label.get_window_extent(renderer) for label in labels if label.get_text()]
    for one, other in pairwise(boxes):
        assert Bbox.intersection(one, other) is None or _turned(labels), (one, other)


def _turned(labels: list[Any]) -> bool:
    return labels[0].get_rotation() not in (0, 90)


def rows_of(number: int, many: int = 60) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    y_true = np.concatenate([np.arange(number), rng.integers(0, number, number * many)])
    y_prob = rng.dirichlet(np.ones(number), len(y_true))
    y_prob[np.arange(len(y_true)), y_true] += 0.5
    return y_true, y_prob / y_prob.sum(axis=1, keepdims=True)


def scores(value: float, number: int) -> Scores:
    return {"precision": value, "recall": value / 2, "f1": value, "num_samples": number}


@pytest.mark.parametrize("number", NUMBERS)
def test_a_confusion_matrix_has_counts_and_shares_of_the_true_class(number: int) -> None:
    counts = np.eye(number, dtype=np.int64) * 3
    counts[0, 1] = 1
    figure = classes.plot_confusion(counts, names_of(number), "test rows", range(number))
    renderer, axes = drawn(figure), figure.axes[0]
    assert_apart(axes.get_yticklabels(), renderer)
    assert_apart(axes.get_xticklabels(), renderer)
    cells = {text.get_text() for text in axes.texts}
    assert cells == ({"3\n75%", "1\n25%", "3\n100%"} if number <= 12 else {"3", "1"})
    assert len(axes.texts) == number + 1
    # The colour says the share, so that it shows on light and dark pages.
    (cells_drawn,) = axes.collections
    alphas = sorted({round(alpha, 2) for *_, alpha in np.asarray(cells_drawn.get_facecolor())})
    assert alphas == [0.25, 0.75, 1.0]


def test_of_many_classes_all_that_are_not_asked_for_are_one() -> None:
    counts = np.eye(151, dtype=np.int64) * 3
    counts[5, 6], counts[5, 150], counts[7, 8], counts[9, 6] = 2, 1, 4, 1
    names = [f"class-{k}" for k in range(151)]
    figure = classes.plot_confusion(counts, names, "test rows", [6, 5])
    axes = figure.axes[0]
    assert "the 2 most confused of 151 classes; 4 rows are confused among" in figure.get_suptitle()
    lines = [text.get_text() for text in axes.get_yticklabels()]
    assert lines == ["class-6 (3)", "class-5 (6)", "149 other classes (452)"]
    columns = [text.get_text() for text in axes.get_xticklabels()]
    assert columns == ["class-6", "class-5", "149 other classes"]
    cells = {
        (*map(round, text.get_position()), text.get_text().partition("\n")[0])
        for text in axes.texts
    }
    assert cells == {
        *{(0, 0, "3"), (0, 1, "2"), (1, 1, "3"), (2, 1, "1"), (0, 2, "1"), (2, 2, "451")}
    }


def test_names_of_any_length_have_their_place() -> None:
    assert style.measure("机器学习") == pytest.approx(4 * 1.05 * 11 / 72)
    for name in (
        "a" * 30,
        "REFUND_NOT_SHOWING_UP_ON_CARDS",
        "b",
    ):
        found = {name: scores(0.5, 3), "c": scores(0.5, 3)}
        bounds = dict.fromkeys(found, (0.2, 0.8))
        made = [
            classes.plot_confusion(np.eye(2, dtype=np.int64), [name, "c"], "test rows", [0, 1]),
            classes.plot_scores(found, bounds, scores(0.7, 9), "test rows"),
            data.plot_class_balance({name: {"train": 3}, "c": {"train": 2}}),
        ]
        for figure in made:
            renderer = drawn(figure)
            for axes in figure.axes:
                labels = [*axes.get_yticklabels(), *axes.get_xticklabels(), axes.title]
                boxes = [each.get_window_extent(renderer) for each in labels if each.get_text()]
                assert all(box.x0 >= 0 and box.y0 >= 0 for box in boxes), name


def test_precision_and_recall_are_drawn_of_the_classes_that_are_asked_for() -> None:
    y_true, y_prob = rows_of(40)
    names = [f"class-{k}" for k in range(40)]
    figure = probabilities.plot_precision_recall(y_true, y_prob, names, "test rows", [8, 6, 5, 7])
    assert "the 4 most confused of 40 classes" in figure.get_suptitle()
    assert len(figure.axes[0].lines) == 4
    shown = {text.get_text().partition(":")[0] for text in figure.legends[0].get_texts()}
    assert shown == set(names[5:9])
    labels = [text.get_text().partition(":")[0] for text in figure.legends[0].get_texts()]
    assert labels == ["class-8", "class-6", "class-5", "class-7"]


def test_a_class_without_rows_has_no_share() -> None:
    figure = classes.plot_confusion(np.array([[0, 0], [0, 2]]), ["a", "b"], "test rows", [0, 1])
    drawn(figure)
    assert [text.get_text() for text in figure.axes[0].texts] == ["2\n100%"]


@pytest.mark.parametrize("number", NUMBERS)
def test_scores_by_class_have_rows_and_intervals_in_the_order_that_is_given(number: int) -> None:
    found = {name: scores(0.5, n + 1) for n, name in enumerate(names_of(number))}
    bounds = {name: (0.1, 0.5 + n / 200) for n, name in enumerate(found)}
    figure = classes.plot_scores(found, bounds, scores(0.7, 9), "test rows")
    renderer, axes = drawn(figure), figure.axes[0]
    labels = axes.get_yticklabels()
    assert_apart(labels, renderer)
    assert "(1 row)" in labels[0].get_text()
    assert labels[0].get_position()[1] == number - 1
    assert any("0.700" in text for text in texts(figure))
    lines = next(each for each in axes.collections if isinstance(each, LineCollection))
    drawn_bounds = [(*segment[:, 0], segment[0, 1]) for segment in lines.get_segments()]
    expected = [(*bounds[name], number - 1 - n) for n, name in enumerate(found)]
    assert np.allclose(drawn_bounds, expected)


def test_average_precision_is_that_of_scikit_learn() -> None:
    y_true, y_prob = rows_of(5)
    y_prob = y_prob.round(1)  # so that many are equal
    figure = probabilities.plot_precision_recall(y_true, y_prob, list("abcde"), "test rows")
    shown = [text.get_text() for text in figure.legends[0].get_texts()]
    expected = [average_precision_score(y_true == k, y_prob[:, k]) for k in range(5)]
    assert shown == [f"{n}: {area:.2f}" for n, area in zip("abcde", expected, strict=True)]
    precision, recall, _ = precision_recall_curve(y_true == 2, y_prob[:, 2])
    line = figure.axes[0].lines[2]
    assert np.allclose(line.get_xdata(), recall)
    assert np.allclose(line.get_ydata(), precision)


@pytest.mark.parametrize("number", NUMBERS)
def test_terms_have_a_part_for_each_class_and_show_their_spaces(number: int) -> None:
    figure = classes.plot_terms({name: [(" in ", 2.0), ("$x", 1.0)] for name in names_of(number)})
    drawn(figure)
    parts = [axes for axes in figure.axes if axes.get_visible()]
    assert len(parts) == number
    assert [text.get_text() for text in parts[0].get_yticklabels()] == ["␣in␣", r"\$x"]


@pytest.mark.parametrize("number", NUMBERS)
def test_precision_and_recall_name_the_classes_that_rank_worst(number: int) -> None:
    y_true, y_prob = rows_of(number)
    figure = probabilities.plot_precision_recall(y_true, y_prob, names_of(number), "test rows")
    drawn(figure)
    legend = figure.legends[0]
    assert len(legend.get_texts()) == min(number, 8)
    assert len(figure.axes[0].lines) == number


def test_a_class_that_no_row_has_has_no_curve() -> None:
    y_prob = np.array([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0]])
    figure = probabilities.plot_precision_recall(
        np.array([0, 1]), y_prob, ["a", "b", "c"], "test rows"
    )
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a: 1.00", "b: 1.00"]


@pytest.mark.parametrize("number", NUMBERS)
def test_reliability_is_drawn_over_how_many_rows_each_bin_has(number: int) -> None:
    y_true, y_prob = rows_of(number)
    figure = probabilities.plot_reliability(y_true, y_prob, "test rows")
    drawn(figure)
    bars = figure.axes[1].patches
    assert sum(bar.get_height() for bar in bars) == len(y_true)  # type: ignore[attr-defined]


def test_the_threshold_is_marked_with_what_it_costs_and_brings() -> None:
    y_prob = np.array([[0.9, 0.1], [0.4, 0.6], [0.3, 0.7], [0.45, 0.55]])
    figure = probabilities.plot_threshold(
        np.array([0, 1, 1, 0]), y_prob, 0, 0.56, "validation rows"
    )
    drawn(figure)
    assert any("chosen: 0.560, F1 1.000, coverage 75%" in text for text in texts(figure))


def test_without_a_threshold_none_is_marked() -> None:
    y_true, y_prob = rows_of(2)
    figure = probabilities.plot_threshold(y_true, y_prob, 0, None, "validation rows")
    assert not any("chosen" in text for text in texts(figure))


@pytest.mark.parametrize("number", NUMBERS)
def test_the_balance_of_classes_has_rows_and_shares(number: int) -> None:
    found = {name: {"train": 6, "val": 2, "test": 2} for name in names_of(number)}
    figure = data.plot_class_balance(found)
    renderer, axes = drawn(figure), figure.axes[0]
    assert_apart(axes.get_yticklabels(), renderer)
    assert {text.get_text() for text in axes.texts} == {f"10 ({1 / number:.1%})"}


def test_the_balance_of_classes_says_how_many_rows_those_have_that_are_not_shown() -> None:
    figure = data.plot_class_balance({"a": {"train": 4, "test": 2}}, [3, 1, 2])
    title = figure.get_suptitle()
    assert title.startswith("Rows by class: 12 rows, 4 classes\n")
    assert "each of the others has 1 to 3 rows" in title
    assert [text.get_text() for text in figure.axes[0].texts] == ["6 (50.0%)"]


@pytest.mark.parametrize(("words", "said"), [([3] * 5, "3"), ([1, 2, 900], "2"), ([], "")])
def test_lengths_say_the_median_whatever_they_are(words: list[int], said: str) -> None:
    figure = data.plot_text_lengths(words)
    drawn(figure)
    assert any(f"median: {said} words" in text for text in texts(figure)) is bool(words)
    bars = figure.axes[0].patches
    assert sum(bar.get_height() for bar in bars) == len(words)  # type: ignore[attr-defined]


@pytest.mark.parametrize("epochs", [1, 2, 100])
def test_losses_have_their_unit_and_the_chosen_epoch(epochs: int) -> None:
    falling = np.linspace(1, 0.5, epochs).tolist()
    figure = training.plot_losses(falling, falling, epochs - 1, "log_loss")
    drawn(figure)
    assert figure.axes[0].get_ylabel() == "log loss (nats)"
    assert any(f"chosen: epoch {epochs - 1}, {falling[-1]:.4f}" in text for text in texts(figure))


def test_every_figure_has_a_title_and_its_axes_have_labels() -> None:
    y_true, y_prob = rows_of(3)
    made = [
        training.plot_losses([1.0, 0.5], [1.0, 0.6], 1, "hinge"),
        classes.plot_confusion(np.eye(3, dtype=np.int64), names_of(3), "test rows", [0, 1, 2]),
        probabilities.plot_precision_recall(y_true, y_prob, names_of(3), "test rows"),
        probabilities.plot_threshold(y_true, y_prob, 0, 0.5, "validation rows"),
        data.plot_text_lengths([1, 2, 3]),
    ]
    for figure in made:
        assert figure.get_suptitle()
        assert figure.axes[0].get_xlabel()
        assert figure.axes[0].get_ylabel()


def test_long_names_lose_their_middle_and_those_alike_get_a_number() -> None:
    assert style.shorten("a" * 40 + "b") == "a" * 14 + "…" + "a" * 14 + "b"
    assert style.shorten("plain") == "plain"
    assert style.shorten("two\nlines") == "two lines"
    assert style.shorten("costs $5 and $6") == r"costs \$5 and \$6"
    long = [f"{'x' * 30}{n}{'y' * 30}" for n in range(2)]
    assert len(set(style.distinguish_names(long))) == 2


def test_the_same_figure_is_the_same_file_whatever_the_user_has_set() -> None:
    import matplotlib as mpl

    def written() -> bytes:
        file = io.BytesIO()
        figure = data.plot_text_lengths([1, 2, 3])
        with style.use_style():
            figure.savefig(file, format="svg", metadata={"Date": None})
        return file.getvalue()

    first = written()
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red"}):
        assert written() == first
