from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
import sklearn.metrics
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tagifai.config.schema import PROBABILITY_METRICS, SCORE_NAMES
from tagifai.evaluation import metrics as module
from tagifai.evaluation import standard_metrics
from tagifai.evaluation.intervals import compute_intervals
from tagifai.evaluation.metrics import (
    compute_baseline,
    compute_performance,
    compute_score,
    flatten,
    get_registered,
    metric,
)
from tagifai.models.losses import log_loss
from tagifai.models.thresholds import Probabilities
from tagifai.preprocessing.labels import Indices

OF_LABELS = ["accuracy", "macro_f1", "micro_f1", "balanced_accuracy", "matthews"]

quick = settings(max_examples=60)

CLASSES = ("cv", "nlp", "other")
# cv: precision 2/2, recall 2/3; nlp: precision 1/2, recall 1/1; other has no rows.
Y_TRUE = np.array([0, 0, 0, 1])
Y_PRED = np.array([0, 0, 1, 1])


@st.composite
def labelled(draw: st.DrawFn) -> tuple[Indices, Probabilities]:
    """Labels of three classes and their probabilities, some of them exactly 0 and 1."""
    n = draw(st.integers(1, 40))
    weight = st.floats(1e-6, 1) | st.just(0.0)
    row = st.lists(weight, min_size=3, max_size=3).filter(lambda weights: sum(weights) > 0)
    weights = np.array(draw(st.lists(row, min_size=n, max_size=n)))
    y = draw(st.lists(st.integers(0, 2), min_size=n, max_size=n))
    return np.array(y), weights / weights.sum(axis=1, keepdims=True)


@pytest.fixture(autouse=True)
def only_standard_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the metrics that the package registers: these tests are about the others."""
    monkeypatch.setattr(module, "_REGISTERED", {})


# Scores


def test_each_class_has_its_own_precision_recall_and_f1() -> None:
    by_class = compute_performance(Y_TRUE, Y_PRED, CLASSES)["class"]
    assert by_class["cv"] == {
        "precision": 1.0,
        "recall": pytest.approx(2 / 3),
        "f1": pytest.approx(0.8),
        "num_samples": 3,
    }
    assert by_class["nlp"] == {
        "precision": 0.5,
        "recall": 1.0,
        "f1": pytest.approx(2 / 3),
        "num_samples": 1,
    }


def test_the_overall_scores_weigh_the_classes_by_their_rows() -> None:
    overall = compute_performance(Y_TRUE, Y_PRED, CLASSES)["overall"]
    assert overall == {
        "precision": pytest.approx(0.75 * 1 + 0.25 * 0.5),
        "recall": pytest.approx(0.75 * 2 / 3 + 0.25 * 1),
        "f1": pytest.approx(0.75 * 0.8 + 0.25 * 2 / 3),
        "num_samples": 4,
    }


def test_a_class_without_rows_and_predictions_scores_0_and_weighs_nothing() -> None:
    scored = compute_performance(Y_TRUE, Y_PRED, CLASSES)
    assert list(scored["class"]) == list(CLASSES)
    assert scored["class"]["other"] == {"precision": 0, "recall": 0, "f1": 0, "num_samples": 0}
    assert compute_performance(Y_TRUE, Y_PRED, CLASSES[:2])["overall"] == scored["overall"]


def test_a_class_that_is_predicted_without_having_rows_has_precision_0() -> None:
    scored = compute_performance(np.array([0, 0]), np.array([0, 2]), CLASSES)
    assert scored["class"]["other"]["precision"] == 0
    assert scored["overall"]["recall"] == 0.5


def test_a_slice_is_scored_on_its_rows_only_by_micro_average() -> None:
    masks = {"first": np.array([True, False, True, False]), "last": np.arange(4) == 3}
    scored = compute_performance(Y_TRUE, Y_PRED, CLASSES, masks)["slices"]
    assert scored["first"] == {"precision": 0.5, "recall": 0.5, "f1": 0.5, "num_samples": 2}
    assert scored["last"] == {"precision": 1.0, "recall": 1.0, "f1": 1.0, "num_samples": 1}


def test_a_micro_average_does_not_weigh_by_class() -> None:
    # Macro recall would be (2/3 + 1) / 2, weighted precision 0.875; three of four are right.
    masks = {"all": np.ones(4, dtype=np.bool_)}
    scored = compute_performance(Y_TRUE, Y_PRED, CLASSES, masks)["slices"]["all"]
    assert (scored["precision"], scored["recall"], scored["f1"]) == (0.75, 0.75, 0.75)


def test_a_slice_without_rows_is_left_out() -> None:
    masks = {"empty": np.zeros(4, dtype=np.bool_), "all": np.ones(4, dtype=np.bool_)}
    assert list(compute_performance(Y_TRUE, Y_PRED, CLASSES, masks)["slices"]) == ["all"]


def test_without_slices_there_are_no_slice_scores() -> None:
    assert compute_performance(Y_TRUE, Y_PRED, CLASSES)["slices"] == {}


def test_scores_are_plain_numbers() -> None:
    scored = compute_performance(Y_TRUE, Y_PRED, CLASSES, {"all": np.ones(4, dtype=np.bool_)})
    for scores in (scored["overall"], scored["class"]["cv"], scored["slices"]["all"]):
        assert [type(scores["f1"]), type(scores["num_samples"])] == [float, int]


@quick
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=30))
def test_weighted_recall_and_every_micro_score_are_the_share_of_right_predictions(
    pairs: list[tuple[int, int]],
) -> None:
    y_true, y_pred = np.array(pairs).T
    masks = {"all": np.ones(len(pairs), dtype=np.bool_)}
    scored = compute_performance(y_true, y_pred, CLASSES, masks)
    right = sum(a == b for a, b in pairs) / len(pairs)
    assert scored["overall"]["recall"] == pytest.approx(right)
    for score in ("precision", "recall", "f1"):
        assert scored["slices"]["all"][score] == pytest.approx(right)
    assert sum(scores["num_samples"] for scores in scored["class"].values()) == len(pairs)


# Metrics of one's own


@pytest.fixture
def hits() -> None:
    @metric
    def hits(y_true: Indices, y_pred: Indices) -> float:
        return float(np.mean(y_true == y_pred))


@pytest.mark.usefixtures("hits")
def test_a_registered_metric_is_scored_on_all_rows_with_the_others() -> None:
    scored = compute_performance(Y_TRUE, Y_PRED, CLASSES)
    assert scored["metrics"]["hits"] == 0.75
    assert flatten(scored, "test")["test_hits"] == 0.75
    assert compute_score("hits", Y_TRUE, Y_PRED, CLASSES, {}) == 0.75
    assert [*get_registered()] == ["hits"]


def test_beside_what_was_published_there_are_the_metrics_of_all_rows() -> None:
    scored = compute_performance(Y_TRUE, Y_PRED, CLASSES)
    assert list(scored) == ["overall", "class", "slices", "metrics"]
    assert list(scored["metrics"]) == OF_LABELS
    y_prob = np.full((4, 3), 1 / 3)
    with_them = compute_performance(Y_TRUE, Y_PRED, CLASSES, None, y_prob)
    assert list(with_them["metrics"]) == [*OF_LABELS, "log_loss", "ece"]


@pytest.mark.parametrize("name", ["Accuracy", "_private", "<lambda>"])
def test_a_metric_needs_a_name_that_can_be_an_objective(name: str) -> None:
    refuse(name, "cannot be the name of a metric: it begins with a lower-case letter")


def test_the_names_that_settings_know_are_those_of_the_functions() -> None:
    of_labels, of_probabilities = standard_metrics.OF_LABELS, standard_metrics.OF_PROBABILITIES
    assert ("f1", "precision", "recall", *of_labels, *of_probabilities) == SCORE_NAMES
    assert tuple(of_probabilities) == PROBABILITY_METRICS


@pytest.mark.parametrize("name", ["loss", *SCORE_NAMES])
def test_a_metric_that_every_run_has_cannot_be_made_anew(name: str) -> None:
    refuse(name, f"'{name}' cannot be the name of a metric of your own: every run has .* rename it")


def refuse(name: str, said: str) -> None:
    def function(y_true: Indices, y_pred: Indices) -> float:
        return 0.0

    function.__name__ = name
    with pytest.raises(ValueError, match=said):
        metric(function)
    assert get_registered() == {}


# Always the same class


def test_the_baseline_has_the_scores_of_saying_the_same_class_always() -> None:
    found = compute_baseline("nlp", np.array([1, 1, 1, 0]), CLASSES)
    assert found["label"] == "nlp"
    assert set(found["metrics"]) == {"f1", "precision", "recall", *OF_LABELS}
    assert found["metrics"]["accuracy"] == 0.75
    # F1 is 6/7 of nlp and 0 of cv; nobody speaks of the third class.
    assert found["metrics"]["macro_f1"] == pytest.approx(3 / 7)
    assert found["metrics"]["f1"] == pytest.approx(0.75 * 6 / 7)
    assert found["metrics"]["matthews"] == 0.0


# Flat names


def test_flat_names_say_the_part_the_class_and_the_slice() -> None:
    masks = {"short_text": np.ones(4, dtype=np.bool_)}
    flat = flatten(compute_performance(Y_TRUE, Y_PRED, CLASSES[:2], masks), "val")
    assert set(flat) == {
        f"val_{of}{score}"
        for of in ("", "class/cv/", "class/nlp/", "slice/short_text/")
        for score in ("precision", "recall", "f1")
    } | {f"val_{name}" for name in OF_LABELS}


def test_flat_names_of_intervals_have_their_bounds() -> None:
    scored = compute_performance(Y_TRUE, Y_PRED, CLASSES)
    scored["intervals"] = compute_intervals(Y_TRUE, Y_PRED, len(CLASSES))
    flat = flatten(scored, "test")
    low, high = scored["intervals"]["bounds"]["macro_f1"]
    assert (flat["test_interval/macro_f1/low"], flat["test_interval/macro_f1/high"]) == (low, high)


def test_flat_metrics_have_the_scores_of_their_names() -> None:
    masks = {"short_text": np.arange(4) == 2}
    flat = flatten(compute_performance(Y_TRUE, Y_PRED, CLASSES, masks), "test")
    assert flat["test_precision"] == pytest.approx(0.875)
    assert flat["test_class/cv/recall"] == pytest.approx(2 / 3)
    assert flat["test_class/nlp/precision"] == 0.5
    assert flat["test_slice/short_text/f1"] == 0.0


# One score


@st.composite
def scored_rows(
    draw: st.DrawFn,
) -> tuple[Indices, Indices, tuple[str, ...], dict[str, npt.NDArray[np.bool_]]]:
    """True and predicted labels, odd names of classes, and slices with a row or more."""
    n, name = draw(st.integers(1, 12)), st.text("a/ .f1", min_size=1, max_size=4)
    classes = tuple(draw(st.lists(name, min_size=2, max_size=4, unique=True)))
    labels = st.lists(st.integers(0, len(classes) - 1), min_size=n, max_size=n)
    mask = st.lists(st.booleans(), min_size=n, max_size=n).filter(any).map(np.array)
    masks = draw(st.dictionaries(name, mask, max_size=2))
    return np.array(draw(labels)), np.array(draw(labels)), classes, masks


@quick
@given(scored_rows())
def test_one_score_is_the_one_of_its_flat_name_to_the_last_bit(
    rows: tuple[Indices, Indices, tuple[str, ...], dict[str, npt.NDArray[np.bool_]]],
) -> None:
    y_true, y_pred, classes, masks = rows
    y_prob = np.random.RandomState(0).dirichlet(np.ones(len(classes)), len(y_true))
    flat = flatten(compute_performance(y_true, y_pred, classes, masks, y_prob), "val")
    assert len(flat) == 3 * (1 + len(classes) + len(masks)) + len(OF_LABELS) + 2
    for flat_name, value in flat.items():
        name = flat_name.removeprefix("val_")
        assert compute_score(name, y_true, y_pred, classes, masks, y_prob) == value


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("precision", 0.875),
        ("recall", 0.75),
        ("f1", 0.75 * 0.8 + 0.25 * 2 / 3),
        ("class/cv/recall", 2 / 3),
        ("class/nlp/precision", 0.5),
        ("class/other/f1", 0.0),
        ("slice/short_text/precision", 0.75),
        ("slice/one/f1", 0.0),
    ],
)
def test_one_score_is_of_the_whole_a_class_or_a_slice(name: str, expected: float) -> None:
    masks = {"short_text": np.ones(4, dtype=np.bool_), "one": np.arange(4) == 2}
    found = compute_score(name, Y_TRUE, Y_PRED, CLASSES, masks)
    assert found == pytest.approx(expected)
    assert type(found) is float


@pytest.mark.parametrize(
    "name",
    ["", "loss", "log_loss", "ece", "num_samples", "model_bytes", "class/cv/num_samples",
     "class/none/f1", "class/cv", "slice/none/f1", "slice/short_text/loss", "cv/f1"],
)  # fmt: skip
def test_a_score_that_is_none_is_not_found(name: str) -> None:
    with pytest.raises(KeyError):
        compute_score(name, Y_TRUE, Y_PRED, CLASSES, {"short_text": np.ones(4, dtype=np.bool_)})


# The loss


def test_the_loss_is_the_mean_negative_log_likelihood() -> None:
    y_prob = np.array([[0.5, 0.5], [0.75, 0.25]])
    assert log_loss(np.array([0, 1]), y_prob) == pytest.approx((math.log(2) + math.log(4)) / 2)


def test_a_certain_and_right_prediction_costs_next_to_nothing() -> None:
    # The logarithms of NumPy differ in the last bit from one processor to another.
    right = (2.0**-52, math.nextafter(2.0**-52, 1))
    assert log_loss(np.array([1]), np.array([[0.0, 1.0]])) in right


def test_a_certain_and_wrong_prediction_costs_much_but_not_infinity() -> None:
    loss = log_loss(np.array([0]), np.array([[0.0, 1.0]]))
    assert loss == pytest.approx(52 * math.log(2))


def test_a_nan_probability_is_a_nan_loss() -> None:
    y_prob = np.array([[np.nan, np.nan], [0.5, 0.5]])
    assert math.isnan(log_loss(np.array([0, 1]), y_prob))


def test_the_loss_is_a_plain_float() -> None:
    assert type(log_loss(np.array([0]), np.array([[0.5, 0.5]]))) is float


@quick
@given(labelled())
@example((np.array([0, 2]), np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])))
@example((np.array([1]), np.array([[0.0, 1.0, 0.0]])))
def test_the_loss_is_bit_equal_to_scikit_learns(
    rows: tuple[Indices, Probabilities],
) -> None:
    y_true, y_prob = rows
    assert log_loss(y_true, y_prob) == sklearn.metrics.log_loss(y_true, y_prob, labels=[0, 1, 2])


@quick
@given(st.integers(0, 2**32 - 1))
def test_the_loss_of_many_rows_is_bit_equal_to_scikit_learns(seed: int) -> None:
    source = np.random.default_rng(seed)
    y_true, y_prob = source.integers(0, 4, 500), source.dirichlet(np.ones(4), 500)
    expected = sklearn.metrics.log_loss(y_true, y_prob, labels=range(4))
    assert log_loss(y_true, y_prob) == expected
