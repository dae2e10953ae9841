from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.naive_bayes import GaussianNB, MultinomialNB
from sklearn.neural_network import MLPClassifier

from tagifai.exceptions import ConfigError, UserError
from tagifai.models.losses import log_loss
from tagifai.models.sampling import FeatureRows
from tagifai.models.thresholds import Probabilities
from tagifai.preprocessing.labels import Indices
from tagifai.training.loop import (
    EpochLoop,
    History,
    TrainingPruned,
    ValidationScorer,
)
from tagifai.training.model_fitting import DivergenceError, FitError

quick = settings(max_examples=12)

X = np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [0, 1, 1], [1, 0, 1], [2, 0, 1]])
Y = np.array([0, 1, 2, 0, 1, 2, 0])
ROWS = FeatureRows(X, Y)
VAL = FeatureRows(X * 0.5 + 0.1, Y)


Names = npt.NDArray[np.str_]


class Scripted:
    """Gives the right class a probability that is written down for each epoch.

    Features are names: "train" and "val" choose the script of a row.
    """

    warm_start = True
    max_iter = 1

    def __init__(self, val: list[float], train: list[float] | None = None) -> None:
        self.scripts = {"val": val, "train": train or [0.5] * len(val)}
        self.fitted_on: list[str] = []

    def partial_fit(self, X: Names, y: Indices, classes: Indices) -> None:
        self.fitted_on.append(str(X[0, 0]))

    def predict_proba(self, X: Names) -> Probabilities:
        epoch = len(self.fitted_on) - 1
        right = np.array([self.scripts[name][epoch] for name in X[:, 0].tolist()])
        return np.column_stack([right, 1 - right])


def named(name: str) -> FeatureRows:
    """Return one row of the first class."""
    return FeatureRows(np.array([[name]]), np.array([0]))


def scripted(model: Scripted, **arguments: Any) -> Any:
    rows = named("balanced"), named("train"), named("val")
    return EpochLoop(**{"epochs": len(model.scripts["val"]), **arguments}).train(model, *rows)


def sgd(**arguments: Any) -> SGDClassifier:
    settings = {"loss": "log_loss", "learning_rate": "constant", "eta0": 0.1, "random_state": 0}
    return SGDClassifier(**{**settings, **arguments})


class Listener:
    """Remembers who was told what."""

    def __init__(self, name: str, told: list[tuple[str, int, float]]) -> None:
        self.name = name
        self.told = told

    def on_epoch_end(self, history: History) -> None:
        self.told.append((self.name, history.epoch, history.val_loss[-1]))


class PruneAt:
    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_epoch_end(self, history: History) -> None:
        if history.epoch == self.epoch:
            raise TrainingPruned(f"not worth it after epoch {self.epoch}")


# The history


def test_epochs_are_counted_from_0() -> None:
    assert History([1.0], [1.0]).epoch == 0
    assert History([1.0, 0.5], [1.0, 0.5]).epoch == 1


def test_a_history_without_epochs_is_before_epoch_0() -> None:
    assert History().epoch == -1


def test_the_best_epoch_has_the_lowest_validation_loss() -> None:
    assert History(train_loss=[0.3, 0.2, 0.1], val_loss=[0.9, 0.5, 0.7]).best_epoch == 1


def test_of_equally_good_epochs_the_first_is_the_best() -> None:
    assert History(val_loss=[0.9, 0.5, 0.5]).best_epoch == 1


def test_two_histories_do_not_share_their_losses_or_scores() -> None:
    one, two = History(), History()
    one.val_loss.append(1.0)
    one.scores[0] = 0.5
    assert (two.val_loss, two.scores) == ([], {})


# The loop


def test_each_epoch_is_one_pass_over_the_balanced_rows() -> None:
    model = Scripted(val=[0.5, 0.5, 0.5])
    scripted(model)
    assert model.fitted_on == ["balanced"] * 3


def test_losses_are_recorded_on_unbalanced_train_rows_and_on_validation_rows() -> None:
    history = scripted(Scripted(train=[0.5, 0.75], val=[0.25, 0.5])).history
    assert history.train_loss == pytest.approx([math.log(2), -math.log(0.75)])
    assert history.val_loss == pytest.approx([math.log(4), math.log(2)])


def test_without_patience_the_last_epoch_is_kept_even_if_it_is_worse() -> None:
    model = Scripted(val=[0.5, 0.9, 0.2])
    trained = scripted(model)
    assert trained.epoch == 2
    assert trained.model is model


def test_the_number_of_epochs_is_the_one_asked_for() -> None:
    assert scripted(Scripted(val=[0.5] * 5), epochs=2).history.epoch == 1


def reference_fit(model: SGDClassifier, epochs: int) -> SGDClassifier:
    """Fit with a warm start, once an epoch, which is how the reference figures were made."""
    model.set_params(warm_start=True, max_iter=1, tol=None)
    for _ in range(epochs):
        model.fit(X, Y)
    return model


@quick
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(["l2", "l1", "elasticnet"]),
    st.sampled_from(["log_loss", "modified_huber"]),
    st.integers(1, 8),
)
def test_under_a_constant_rate_epochs_are_bit_equal_to_fits_with_a_warm_start(
    seed: int, penalty: str, loss: str, epochs: int
) -> None:
    def fresh() -> SGDClassifier:
        # One source of randomness that every epoch draws from, as in a run.
        return sgd(penalty=penalty, loss=loss, random_state=np.random.RandomState(seed))

    model = EpochLoop(epochs=epochs).train(fresh(), ROWS, ROWS, VAL).model
    reference = reference_fit(fresh(), epochs)
    assert np.array_equal(model.coef_, reference.coef_)
    assert np.array_equal(model.intercept_, reference.intercept_)
    assert np.array_equal(model.predict_proba(X), reference.predict_proba(X))


def test_a_falling_rate_goes_on_falling_from_epoch_to_epoch() -> None:
    settings: dict[str, Any] = {"learning_rate": "invscaling", "power_t": 0.5, "shuffle": False}
    model = EpochLoop(epochs=5).train(sgd(**settings), ROWS, ROWS, VAL).model
    at_once = sgd(**settings, max_iter=5, tol=None).fit(X, Y)
    restarted = reference_fit(sgd(**settings), 5)
    assert np.allclose(model.coef_, at_once.coef_, rtol=1e-12)
    assert not np.allclose(model.coef_, restarted.coef_, rtol=1e-2)


def test_the_loss_falls_on_rows_that_can_be_told_apart() -> None:
    history = EpochLoop(epochs=20).train(sgd(), ROWS, ROWS, VAL).history
    assert len(history.train_loss) == len(history.val_loss) == 20
    assert history.train_loss[-1] < history.train_loss[0]


# Patience


def test_patience_stops_after_so_many_epochs_without_a_lower_loss() -> None:
    model = Scripted(val=[0.3, 0.5, 0.4, 0.4, 0.9])
    trained = scripted(model, patience=2)
    assert len(model.fitted_on) == 4
    assert trained.history.epoch == 3


def test_patience_keeps_the_weights_of_the_best_epoch() -> None:
    trained = scripted(Scripted(val=[0.3, 0.5, 0.4, 0.4, 0.9]), patience=2)
    assert trained.epoch == 1
    assert len(trained.model.fitted_on) == 2


def test_more_patience_reaches_a_later_better_epoch() -> None:
    trained = scripted(Scripted(val=[0.3, 0.5, 0.4, 0.4, 0.9]), patience=3)
    assert trained.epoch == 4
    assert len(trained.model.fitted_on) == 5


def test_an_equal_loss_is_not_a_lower_one() -> None:
    trained = scripted(Scripted(val=[0.5, 0.5, 0.5]), patience=1)
    assert (trained.epoch, trained.history.epoch) == (0, 1)
    assert len(trained.model.fitted_on) == 1


def test_patience_that_is_never_lost_still_keeps_the_best_epoch() -> None:
    trained = scripted(Scripted(val=[0.3, 0.5, 0.4]), patience=10)
    assert (trained.epoch, trained.history.epoch) == (1, 2)
    assert len(trained.model.fitted_on) == 2


def test_the_best_epochs_weights_are_bit_equal_to_training_that_long() -> None:
    val = FeatureRows(X, np.array([1, 2, 0, 1, 2, 0, 1]))  # wrong labels: it only gets worse
    trained = EpochLoop(epochs=10, patience=3).train(sgd(), ROWS, ROWS, val)
    assert (trained.epoch, trained.history.epoch) == (0, 3)
    one_epoch = EpochLoop(epochs=1).train(sgd(), ROWS, ROWS, val).model
    assert np.array_equal(trained.model.coef_, one_epoch.coef_)


# Callbacks


def test_callbacks_are_told_in_their_order_after_every_epoch() -> None:
    told: list[tuple[str, int, float]] = []
    listeners = [Listener("first", told), Listener("second", told)]
    scripted(Scripted(val=[0.5, 0.25]), callbacks=listeners)
    assert [(name, epoch) for name, epoch, _ in told] == [
        ("first", 0),
        ("second", 0),
        ("first", 1),
        ("second", 1),
    ]
    assert [loss for *_, loss in told[::2]] == pytest.approx([math.log(2), math.log(4)])


def test_callbacks_are_told_of_the_epoch_at_which_patience_ends() -> None:
    told: list[tuple[str, int, float]] = []
    scripted(Scripted(val=[0.5, 0.4, 0.9]), patience=1, callbacks=[Listener("only", told)])
    assert [epoch for _, epoch, _ in told] == [0, 1]


def test_pruning_ends_the_training_there_and_reaches_the_caller() -> None:
    told: list[tuple[str, int, float]] = []
    model = Scripted(val=[0.5] * 5)
    with pytest.raises(TrainingPruned, match="after epoch 1"):
        scripted(model, callbacks=[Listener("a", told), PruneAt(1), Listener("b", told)])
    assert len(model.fitted_on) == 2
    assert [(name, epoch) for name, epoch, _ in told] == [("a", 0), ("b", 0), ("a", 1)]


def test_being_pruned_is_not_the_users_error() -> None:
    assert not issubclass(TrainingPruned, UserError)


# Scores


def first_of_each(y_prob: Probabilities) -> float:
    """Return what stands first in the probabilities of the validation rows, checked to be those."""
    assert y_prob.shape == (1, 2)
    return float(y_prob[0, 0])


def test_without_a_scorer_there_are_no_scores() -> None:
    assert scripted(Scripted(val=[0.5, 0.25])).history.scores == {}


@pytest.mark.parametrize(
    ("every", "scores"),
    [
        (1, {0: 0.5, 1: 0.25, 2: 0.75, 3: 0.125, 4: 1.0}),
        (2, {0: 0.5, 2: 0.75, 4: 1.0}),
        (3, {0: 0.5, 3: 0.125}),
        (5, {0: 0.5}),
        (100, {0: 0.5}),
    ],
)
def test_a_score_is_recorded_every_so_many_epochs_from_the_first_on(
    every: int, scores: dict[int, float]
) -> None:
    model = Scripted(val=[0.5, 0.25, 0.75, 0.125, 1.0], train=[0.9] * 5)
    history = scripted(model, scorer=ValidationScorer(first_of_each, every)).history
    assert history.scores == scores
    assert len(history.val_loss) == 5


def test_callbacks_are_told_when_the_score_of_their_epoch_is_there() -> None:
    class Watching:
        def on_epoch_end(self, history: History) -> None:
            seen.append(dict(history.scores))

    seen: list[dict[int, float]] = []
    scorer = ValidationScorer(first_of_each, 2)
    scripted(Scripted(val=[0.5, 0.25, 0.75]), scorer=scorer, callbacks=[Watching()])
    assert seen == [{0: 0.5}, {0: 0.5}, {0: 0.5, 2: 0.75}]


def test_scores_stop_where_patience_ends_the_training() -> None:
    model = Scripted(val=[0.5, 0.25, 0.25, 0.9])
    trained = scripted(model, patience=2, scorer=ValidationScorer(first_of_each, 1))
    assert trained.history.scores == {0: 0.5, 1: 0.25, 2: 0.25}


def test_a_score_that_is_not_a_number_is_recorded_as_that() -> None:
    history = scripted(Scripted(val=[0.5]), scorer=ValidationScorer(lambda _: math.nan, 1)).history
    assert math.isnan(history.scores[0])


@pytest.mark.parametrize("scripts", [{"val": [0.5, math.nan]}, {"train": [0.5, math.nan]}])
def test_an_epoch_that_diverges_is_not_scored(scripts: dict[str, list[float]]) -> None:
    asked: list[float] = []

    def score(y_prob: Probabilities) -> float:
        asked.append(first_of_each(y_prob))
        return 0.0

    with pytest.raises(DivergenceError):
        scripted(Scripted(**{"val": [0.5, 0.5], **scripts}), scorer=ValidationScorer(score, 1))
    assert asked == [0.5]


def test_what_a_scorer_raises_reaches_the_caller_before_callbacks_are_told() -> None:
    def broken(_: Probabilities) -> float:
        raise LookupError("no such class")

    told: list[tuple[str, int, float]] = []
    listeners = [Listener("only", told)]
    with pytest.raises(LookupError, match="no such class"):
        scripted(Scripted(val=[0.5]), scorer=ValidationScorer(broken, 1), callbacks=listeners)
    assert told == []


def test_scoring_changes_nothing_of_the_training() -> None:
    plain = EpochLoop(epochs=4).train(sgd(), ROWS, ROWS, VAL)
    watched = EpochLoop(epochs=4, scorer=ValidationScorer(lambda p: float(p.max()), 1)).train(
        sgd(), ROWS, ROWS, VAL
    )
    assert np.array_equal(plain.model.coef_, watched.model.coef_)
    assert plain.history.val_loss == watched.history.val_loss


@pytest.mark.parametrize("matrix", [np.asarray, csr_matrix])
def test_the_probabilities_that_are_scored_are_the_model_s_own_of_the_validation_rows(
    matrix: Any,
) -> None:
    def score(y_prob: Probabilities) -> float:
        seen.append(y_prob.copy())
        return 0.0

    seen: list[Probabilities] = []
    rows, val = FeatureRows(matrix(X), Y), FeatureRows(matrix(VAL.X[:3]), Y[:3])
    trained = EpochLoop(epochs=2, scorer=ValidationScorer(score, 1)).train(sgd(), rows, rows, val)
    assert len(seen) == 2
    assert np.array_equal(seen[-1], trained.model.predict_proba(val.X))
    assert trained.history.val_loss[-1] == log_loss(val.y, seen[-1])


def test_a_model_that_does_not_train_by_epochs_is_scored_once() -> None:
    scorer = ValidationScorer(lambda y_prob: float(y_prob.shape[0]), 5)
    trained = EpochLoop(epochs=7, scorer=scorer).train(MultinomialNB(), ROWS, ROWS, VAL)
    assert trained.history.scores == {0: 7.0}


# Models that do not train by epochs


@pytest.mark.parametrize("model", [LogisticRegression(), MultinomialNB()])
@pytest.mark.parametrize("patience", [None, 2])
def test_a_model_that_does_not_train_by_epochs_is_fitted_and_reported_once(
    model: Any, patience: int | None
) -> None:
    told: list[tuple[str, int, float]] = []
    listeners = [Listener("only", told)]
    trained = EpochLoop(epochs=5, patience=patience, callbacks=listeners).train(
        model, ROWS, ROWS, VAL
    )
    assert len(told) == len(trained.history.train_loss) == len(trained.history.val_loss) == 1
    assert trained.epoch == 0
    fitted_once = type(model)().fit(X, Y)
    assert np.array_equal(trained.model.predict_proba(X), fitted_once.predict_proba(X))


def test_naive_bayes_does_not_count_a_row_twice() -> None:
    trained = EpochLoop(epochs=3).train(MultinomialNB(), ROWS, ROWS, VAL)
    assert trained.model.class_count_.tolist() == [3, 2, 2]


# Class weights


def test_balanced_class_weights_count_a_rare_class_as_much_as_a_frequent_one() -> None:
    y = np.array([0, 0, 0, 0, 1, 1, 2])
    model = (
        EpochLoop(epochs=1).train(sgd(class_weight="balanced"), FeatureRows(X, y), ROWS, VAL).model
    )
    # n / (classes * rows of the class)
    assert model.class_weight == pytest.approx({0: 7 / 12, 1: 7 / 6, 2: 7 / 3})


def test_balanced_class_weights_are_bit_equal_to_those_of_fit() -> None:
    model = EpochLoop(epochs=4).train(sgd(class_weight="balanced"), ROWS, ROWS, VAL).model
    reference = reference_fit(sgd(class_weight="balanced"), 4)
    assert np.array_equal(model.coef_, reference.coef_)
    plain = EpochLoop(epochs=4).train(sgd(), ROWS, ROWS, VAL).model
    assert not np.array_equal(model.coef_, plain.coef_)


def test_other_class_weights_are_left_as_they_are() -> None:
    weights = {0: 1.0, 1: 5.0, 2: 1.0}
    assert (
        EpochLoop(epochs=1).train(sgd(class_weight=weights), ROWS, ROWS, VAL).model.class_weight
        == weights
    )
    assert EpochLoop(epochs=1).train(sgd(), ROWS, ROWS, VAL).model.class_weight is None


def test_a_model_that_knows_balanced_weights_itself_keeps_its_word_for_them() -> None:
    model = LogisticRegression(class_weight="balanced")
    trained = EpochLoop(epochs=1).train(model, ROWS, ROWS, VAL).model
    assert trained.class_weight == "balanced"


# Errors


def test_weights_out_of_range_are_a_divergence_with_epoch_cause_and_way_out() -> None:
    with pytest.raises(DivergenceError, match="diverged in epoch 0") as diverged:
        EpochLoop(epochs=3).train(sgd(alpha=0.0, eta0=1.7e308), FeatureRows(X * 1e5, Y), ROWS, VAL)
    message = str(diverged.value)
    assert "under-/overflow" in message
    assert "Lower model.eta0 or raise model.alpha" in message


def test_where_the_penalty_makes_the_steps_the_way_out_is_the_penalty() -> None:
    model = sgd(learning_rate="optimal", alpha=1e-4)
    with pytest.raises(
        DivergenceError, match=r"Lower model\.C or raise model\.alpha\."
    ) as diverged:
        EpochLoop(epochs=3).train(model, FeatureRows(X * 1e200, Y), ROWS, VAL)
    assert "eta0" not in str(diverged.value)
    assert isinstance(diverged.value, UserError)
    assert diverged.value.exit_code == 2


@pytest.mark.parametrize("scripts", [{"val": [0.5, math.nan]}, {"train": [0.5, math.nan]}])
@pytest.mark.parametrize("patience", [None, 5])
def test_a_loss_that_is_nan_is_a_divergence_that_no_callback_is_told_of(
    scripts: dict[str, list[float]], patience: int | None
) -> None:
    told: list[tuple[str, int, float]] = []
    model = Scripted(**{"val": [0.5, 0.5], **scripts})
    with pytest.raises(DivergenceError, match=r"epoch 1: .*not a number"):
        scripted(model, patience=patience, callbacks=[Listener("only", told)])
    assert [(epoch, math.isfinite(loss)) for _, epoch, loss in told] == [(0, True)]


def test_probabilities_that_overflow_are_a_divergence_with_the_reason() -> None:
    class Overflowing(Scripted):
        def predict_proba(self, X: Names) -> Probabilities:
            return super().predict_proba(X) * np.float64(1e308) * 1e308

    with pytest.raises(DivergenceError, match=r"epoch 0: overflow encountered"):
        scripted(Overflowing(val=[0.5]))


class Failing(Scripted):
    """Fails in its third epoch."""

    def __init__(self, error: Exception | str) -> None:
        super().__init__(val=[0.5] * 5)
        self.error = ValueError(error) if isinstance(error, str) else error

    def partial_fit(self, X: Names, y: Indices, classes: Indices) -> None:
        if len(self.fitted_on) == 2:
            raise self.error
        super().partial_fit(X, y, classes)


def test_a_divergence_says_the_epoch_that_it_happened_in() -> None:
    with pytest.raises(DivergenceError, match="epoch 2: overflow in the weights"):
        scripted(Failing("overflow in the weights"))


@pytest.mark.parametrize("error", [ValueError("no such loss"), TypeError("no such loss")])
def test_what_the_model_refuses_is_one_error_with_its_size_and_reason(error: Exception) -> None:
    rows = FeatureRows(np.zeros((1, 3)), np.array([0])), named("train"), named("val")
    with pytest.raises(FitError) as caught:
        EpochLoop(epochs=5).train(Failing(error), *rows)
    assert str(caught.value) == (
        "Failing cannot be fitted to these features (1 rows, 3 columns): no such loss"
    )
    assert isinstance(caught.value, UserError)
    assert caught.value.__cause__ is error


@pytest.mark.parametrize(
    ("model", "X", "reason"),
    [
        (GaussianNB(), csr_matrix(X), "dense data is required"),
        (MultinomialNB(), -X, "Negative values in data"),
        (LogisticRegression(), np.full_like(X, np.inf), "infinity"),
    ],
    ids=["sparse features", "negative features", "infinite features"],
)
def test_a_model_that_refuses_these_features_says_why(model: Any, X: Any, reason: str) -> None:
    rows = FeatureRows(X, Y)
    with pytest.raises(FitError, match=reason) as caught:
        EpochLoop(epochs=1).train(model, rows, rows, rows)
    name = type(model).__name__
    assert str(caught.value).startswith(f"{name} cannot be fitted to these features (7 rows, 3 col")


def test_any_other_error_of_the_model_is_passed_on() -> None:
    error = LookupError("no such thing")
    with pytest.raises(LookupError) as caught:
        scripted(Failing(error))
    assert caught.value is error


@pytest.mark.parametrize("model", [sgd(early_stopping=True), MLPClassifier(early_stopping=True)])
def test_a_model_that_would_stop_by_itself_is_refused_with_the_way_out(model: Any) -> None:
    told: list[tuple[str, int, float]] = []
    listeners = [Listener("only", told)]
    with pytest.raises(ConfigError, match=r"^model\.early_stopping .* set training\.patience"):
        EpochLoop(epochs=2, callbacks=listeners).train(model, ROWS, ROWS, VAL)
    assert told == []
    assert not hasattr(model, "classes_")


def test_all_classes_are_made_known_in_the_first_epoch() -> None:
    known: list[npt.NDArray[np.int64]] = []

    class Asking(Scripted):
        def partial_fit(self, X: Names, y: Indices, classes: Indices) -> None:
            known.append(classes)
            super().partial_fit(X, y, classes)

    rows = FeatureRows(np.array([["balanced"]] * 4), np.array([2, 0, 2, 1]))
    EpochLoop(epochs=1).train(Asking(val=[0.5]), rows, named("train"), named("val"))
    assert known[0].tolist() == [0, 1, 2]


# --- calibration -------------------------------------------------------------------------------


class Remembers(LogisticRegression):  # type: ignore[misc]
    """Remembers which rows it was fitted on, by their first feature."""

    seen: list[set[float]] = []  # noqa: RUF012 - shared by the clones

    def fit(self, X: Any, y: Any) -> Any:
        self.seen.append(set(X[:, 0].tolist()))
        return super().fit(X, y)


@pytest.mark.parametrize("folds", [None, 2])
def test_a_calibration_never_scores_a_copy_of_a_row_that_it_was_fitted_on(
    folds: int | None,
) -> None:
    # Ten rows of each class; those of the second are there four times each.
    rows = np.concatenate([np.arange(10), np.repeat(np.arange(10, 20), 4)])
    X = np.column_stack([rows.astype(float), rows >= 10])
    y = (rows >= 10).astype(np.int64)
    Remembers.seen.clear()
    model = CalibratedClassifierCV(Remembers(), cv=folds, ensemble=True)

    small = FeatureRows(X[[0, -1]], y[[0, -1]])
    EpochLoop(epochs=1).train(model, FeatureRows(X, y, groups=rows), small, small)

    assert model.cv == folds
    n = folds or 5
    assert len(Remembers.seen) == n
    for seen in Remembers.seen:
        # All copies of a row or none: the rest are the fold that is scored.
        assert len(seen) == 20 - 20 // n


def test_without_probabilities_the_loss_is_the_models_own() -> None:
    trained = EpochLoop(epochs=3).train(sgd(loss="hinge"), ROWS, ROWS, VAL)
    values = trained.model.decision_function(VAL.X)
    signs = np.where(np.arange(3) == VAL.y[:, None], 1, -1)
    own = np.maximum(0, 1 - signs * values).sum(axis=1).mean()
    assert trained.history.val_loss[-1] == pytest.approx(own)
