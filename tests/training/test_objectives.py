from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Perceptron
from sklearn.naive_bayes import ComplementNB
from sklearn.semi_supervised import SelfTrainingClassifier

from tagifai.config.schema import SCORE_NAMES, STANDARD_METRICS, ObjectiveConfig
from tagifai.data.prepare import PreparedData
from tagifai.data.splitting.stratified import Split, resplit_train_val
from tagifai.exceptions import ConfigError, DataError
from tagifai.preprocessing.labels import LabelEncoder
from tagifai.training.objectives import (
    Repeat,
    check_metrics,
    check_model,
    check_shown_metrics,
    compute_means,
    make_repeats,
)

quick = settings(max_examples=25)

objectives = st.one_of(
    st.builds(ObjectiveConfig, repeats=st.integers(1, 4), by=st.just("seeds")),
    st.builds(ObjectiveConfig, repeats=st.integers(2, 4), by=st.just("folds")),
)
seeds = st.integers(0, 2**32 - 1)


def prepared(counts: tuple[int, ...] = (14, 10)) -> PreparedData:
    """Return rows of as many classes, of each of which the last two are test rows."""
    y = np.repeat(np.arange(len(counts)), counts)
    encoder = LabelEncoder(tuple("abcdef"[: len(counts)]))
    is_test = np.concatenate([np.arange(n) >= n - 2 for n in counts])
    rest = np.flatnonzero(~is_test)
    split = Split(rest[rest % 4 > 0], rest[rest % 4 == 0], np.flatnonzero(is_test))
    tags = encoder.decode(y)
    table = pd.DataFrame({"id": [str(i) for i in range(len(y))], "raw": tags, "text": tags})
    return PreparedData(table.assign(tag=tags), y, encoder, split, {}, "a")


def parts(turn: Repeat) -> tuple[list[int], list[int], list[int]]:
    split = turn.prepared.split
    return split.train.tolist(), split.val.tolist(), split.test.tolist()


# --- all rounds --------------------------------------------------------------------------------


@quick
@given(objectives, seeds)
def test_the_test_rows_are_the_same_in_all_rounds_and_in_no_other_part(
    objective: ObjectiveConfig, seed: int
) -> None:
    ready = prepared()
    found = make_repeats(ready, objective, seed)
    assert len(found) == objective.repeats
    for turn in found:
        train, val, test = parts(turn)
        assert test == ready.split.test.tolist()
        assert sorted(train + val) == sorted([*ready.split.train, *ready.split.val])
        assert not set(train) & set(val)


@quick
@given(objectives, seeds)
def test_rounds_have_the_same_rows_labels_and_rest_label(
    objective: ObjectiveConfig, seed: int
) -> None:
    ready = prepared()
    for turn in make_repeats(ready, objective, seed):
        assert turn.prepared.rows is ready.rows
        assert turn.prepared.y is ready.y
        assert (turn.prepared.encoder, turn.prepared.other) == (ready.encoder, "a")


@quick
@given(objectives, seeds)
def test_equal_seeds_give_equal_rounds(objective: ObjectiveConfig, seed: int) -> None:
    def drawn(turn: Repeat) -> int | None:
        return None if turn.random_state is None else int(turn.random_state.randint(2**31))

    one, two = (make_repeats(prepared(), objective, seed) for _ in range(2))
    assert [parts(turn) for turn in one] == [parts(turn) for turn in two]
    assert [drawn(turn) for turn in one] == [drawn(turn) for turn in two]


def test_after_the_largest_seed_comes_zero() -> None:
    ready = prepared()
    _, turn = make_repeats(ready, ObjectiveConfig(repeats=2), 2**32 - 1)
    expected = resplit_train_val(ready.y, ready.encoder, ready.split, np.random.RandomState(0))
    assert parts(turn)[1] == expected.val.tolist()


# --- by seeds ----------------------------------------------------------------------------------


@pytest.mark.parametrize("repeats", [1, 3])
def test_the_first_round_by_seeds_is_the_run_itself(repeats: int) -> None:
    ready = prepared()
    first, *others = make_repeats(ready, ObjectiveConfig(repeats=repeats), 7)
    assert first == Repeat(ready, None)
    assert len(others) == repeats - 1
    assert all(turn.random_state is not None for turn in others)


def test_rounds_by_seeds_have_the_sizes_of_the_run_and_cuts_of_their_own() -> None:
    ready = prepared()
    found = make_repeats(ready, ObjectiveConfig(repeats=4), 7)
    sizes = {(len(train), len(val)) for train, val, _ in map(parts, found)}
    assert sizes == {(len(ready.split.train), len(ready.split.val))}
    assert len({tuple(sorted(val)) for _, val, _ in map(parts, found)}) == 4


def test_a_round_of_one_seed_is_the_next_round_of_the_seed_before() -> None:
    early = make_repeats(prepared(), ObjectiveConfig(repeats=3), 7)
    late = make_repeats(prepared(), ObjectiveConfig(repeats=2), 8)
    assert parts(early[2]) == parts(late[1])


def test_more_repeats_leave_the_first_ones_as_they_are() -> None:
    few, many = (make_repeats(prepared(), ObjectiveConfig(repeats=n), 7) for n in (2, 4))
    assert [parts(turn) for turn in few] == [parts(turn) for turn in many[:2]]


def test_the_seed_of_a_round_has_cut_its_rows_and_goes_on_from_there() -> None:
    _, turn = make_repeats(prepared(), ObjectiveConfig(repeats=2), 7)
    assert turn.random_state is not None
    assert turn.random_state.randint(2**31) != np.random.RandomState(8).randint(2**31)


def test_a_class_too_small_to_be_cut_again_is_an_error_that_names_the_setting() -> None:
    ready = prepared((14, 3))
    make_repeats(ready, ObjectiveConfig(repeats=1), 7)
    with pytest.raises(DataError, match=r"objective\.repeats .* Rows by class: b 3, a 14"):
        make_repeats(ready, ObjectiveConfig(repeats=2), 7)


# --- by folds ----------------------------------------------------------------------------------


@quick
@given(st.integers(2, 4), seeds)
def test_by_folds_each_row_but_the_test_rows_is_a_validation_row_once(n: int, seed: int) -> None:
    ready = prepared()
    found = make_repeats(ready, ObjectiveConfig(repeats=n, by="folds"), seed)
    together = [row for _, val, _ in map(parts, found) for row in val]
    assert sorted(together) == sorted([*ready.split.train, *ready.split.val])


def test_folds_have_a_source_of_randomness_each() -> None:
    found = make_repeats(prepared(), ObjectiveConfig(repeats=3, by="folds"), 7)
    drawn = [t.random_state.randint(2**31) for t in found if t.random_state is not None]
    expected = [np.random.RandomState(7 + r).randint(2**31) for r in range(3)]
    assert drawn == expected


def test_a_class_with_fewer_rows_than_folds_is_an_error() -> None:
    ready = prepared((14, 5))
    assert len(make_repeats(ready, ObjectiveConfig(repeats=3, by="folds"), 7)) == 3
    with pytest.raises(DataError, match=r"4 folds need 4 rows .* b has 3\."):
        make_repeats(ready, ObjectiveConfig(repeats=4, by="folds"), 7)


# --- the mean ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([[0.5]], [0.5]),
        ([[0.5], [0.25]], [0.375]),
        ([[0.5, 100.0], [0.25, 200.0], [0.75, 600.0]], [0.5, 300.0]),
        ([], []),
    ],
)
def test_the_mean_is_of_each_metric_over_the_rounds(
    values: list[list[float]], expected: list[float]
) -> None:
    assert compute_means(values) == expected
    assert all(type(value) is float for value in compute_means(values))


def test_a_round_that_is_not_a_number_makes_the_mean_of_its_metric_none() -> None:
    found = compute_means([[0.5, math.nan], [0.25, 1.0]])
    assert found[0] == 0.375
    assert math.isnan(found[1])


def test_rounds_of_other_lengths_have_no_mean() -> None:
    with pytest.raises(ValueError, match="zip"):
        compute_means([[0.5, 0.25], [0.5]])


# --- metrics -----------------------------------------------------------------------------------


def test_metrics_that_every_run_has_are_accepted_and_those_of_the_data_left_to_them() -> None:
    check_metrics(ObjectiveConfig(metric=[*STANDARD_METRICS, "val_class/nobody/f1"]))


def test_a_metric_that_no_run_has_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"metric = 'val_f2': .* mean 'val_f1'\? There are: val_"):
        check_metrics(ObjectiveConfig(metric="val_f2"))


def test_a_registered_metric_may_be_an_objective(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "tagifai.evaluation.metrics._REGISTERED", {"kappa": lambda y_true, y_pred: 1.0}
    )
    check_metrics(ObjectiveConfig(metric="val_kappa"))
    with pytest.raises(ConfigError, match="model_bytes, val_kappa, and"):
        check_metrics(ObjectiveConfig(metric="val_kapp"))


def test_metrics_to_show_are_those_that_a_run_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "tagifai.evaluation.metrics._REGISTERED", {"kappa": lambda y_true, y_pred: 1.0}
    )
    check_shown_metrics([*SCORE_NAMES, "kappa"])
    said = r"metrics has 'macrof1', .* mean 'macro_f1'\? There are: f1, precision, .*, ece, kappa\."
    with pytest.raises(ConfigError, match=said):
        check_shown_metrics(["accuracy", "macrof1"])


@pytest.mark.parametrize("metric", ["val_log_loss", "val_ece"])
def test_an_objective_of_probabilities_needs_a_model_that_has_them(metric: str) -> None:
    check_model(ObjectiveConfig(metric=metric), ComplementNB())
    check_model(ObjectiveConfig(metric="val_macro_f1"), Perceptron())
    check_model(ObjectiveConfig(metric=metric), Perceptron())  # by temperature
    neither = SelfTrainingClassifier()  # has what the classifier inside it has, and there is none
    with pytest.raises(ConfigError, match=f"'{metric}': SelfTrainingClassifier has no class prob"):
        check_model(ObjectiveConfig(metric=metric), neither)
