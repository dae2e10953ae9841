from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imblearn.over_sampling import SMOTE, RandomOverSampler
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import f1_score, log_loss
from sklearn.naive_bayes import GaussianNB, MultinomialNB
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.svm import LinearSVC
from threadpoolctl import threadpool_info

from tagifai.config.schema import (
    ObjectiveConfig,
    PreprocessingConfig,
    SplitConfig,
    TrainingConfig,
    TwoTablesConfig,
    check,
)
from tagifai.data.prepare import PreparedData, clean_texts, prepare_table
from tagifai.data.splitting.stratified import Split as SplitRows
from tagifai.evaluation.metrics import Performance, compute_baseline
from tagifai.evaluation.scoring import add_intervals, score_rows
from tagifai.exceptions import ConfigError, DataError
from tagifai.models import bundles
from tagifai.models.outputs import compute_outputs
from tagifai.models.size import count_bytes
from tagifai.models.tagger import Tagger
from tagifai.models.temperature import fit_temperature
from tagifai.models.thresholds import AutoThreshold, FixedThreshold, QuantileThreshold, Threshold
from tagifai.preprocessing import cleaning as preprocessing_cleaning
from tagifai.preprocessing.cleaning import Cleaner
from tagifai.preprocessing.feature_cache import ArrayCache, skip_cache
from tagifai.preprocessing.labels import Indices, LabelEncoder
from tagifai.preprocessing.vectorizers import UNSPACED_WORD
from tagifai.training.components import Components, build_components
from tagifai.training.fitting import FitResult, TaggerTrainer, compute_part_outputs
from tagifai.training.loop import History, TrainingPruned
from tagifai.training.model_fitting import FitError
from tagifai.training.objectives import make_repeats
from tests.conftest import DOCUMENTS, Compose
from tests.preprocessing.test_feature_cache import Remembered

quick = settings(max_examples=10)

WORDS = {"cv": "image pixel", "nlp": "word grammar", "rl": "agent reward"}


def score(ready: PreparedData, tagger: Tagger, part: str) -> Performance:
    """Score a tagger on the rows of one part."""
    texts, outputs = ready.get_texts(part), compute_part_outputs(ready, tagger, part)
    y_true = ready.get_labels(part)
    scored = score_rows(texts, y_true, tagger, outputs)
    if part != "test":
        return scored
    scored["baseline"] = compute_baseline("cv", y_true, tagger.encoder.classes)
    return add_intervals(scored, y_true, tagger, outputs)


def make_table(cv: int = 20, nlp: int = 14, rl: int = 6) -> pd.DataFrame:
    """Return so many rows of each tag; the description of each row is a word of its own."""
    tags = ["cv"] * cv + ["nlp"] * nlp + ["rl"] * rl
    return pd.DataFrame(
        {
            "id": [f"id{i}" for i in range(len(tags))],
            "title": [f"The {WORDS[tag]}" for tag in tags],
            "description": [f"Row{i}!" for i in range(len(tags))],
            "tag": tags,
        }
    )


def prepared(
    table: pd.DataFrame | None = None,
    *,
    seed: int = 0,
    shuffle: bool = True,
    accepted: Sequence[str] = ("cv", "nlp"),
    min_freq: int = 1,
    sizes: tuple[float, float] = (0.7, 0.15),
    **cleaning: Any,
) -> PreparedData:
    return prepare_table(
        make_table() if table is None else table,
        TwoTablesConfig(
            name="tiny", projects="p", tags="t", accepted_tags=list(accepted), min_freq=min_freq
        ),
        PreprocessingConfig(**cleaning),
        SplitConfig(shuffle, *sizes),
        np.random.RandomState(seed),
    )


MODEL = SGDClassifier(loss="log_loss")
"""Has probabilities."""


class Spy(CountVectorizer):  # type: ignore[misc]
    """Remembers the texts that it is fitted on and those that it is given afterwards."""

    def __init__(self) -> None:
        super().__init__()
        self.fitted: list[str] = []
        self.seen: list[str] = []

    def fit_transform(self, raw_documents: Iterable[str], y: Any = None) -> Any:
        self.fitted.extend(raw_documents)
        return super().fit_transform(raw_documents)

    def transform(self, raw_documents: Iterable[str]) -> Any:
        self.seen.extend(raw_documents)
        return super().transform(raw_documents)


def parts(
    *,
    vectorizer: Any = None,
    sampler: Any = None,
    threshold: Threshold | None = None,
    seed: int = 0,
    **model: Any,
) -> Components:
    source = np.random.RandomState(seed)
    rate = {"learning_rate": "constant", "eta0": 0.1, **model}
    return Components(
        vectorizer or TfidfVectorizer(),
        sampler,
        SGDClassifier(loss="log_loss", random_state=source, **rate),
        threshold,
    )


def training(epochs: int, patience: int | None = None, *, refit: bool = False) -> TrainingConfig:
    """Return settings by which all epochs are trained, once, unless something else is said."""
    return TrainingConfig(epochs, patience, refit)


def run(seed: int = 0, *, test: bool = True, patience: int | None = None) -> FitResult:
    made = parts(threshold=QuantileThreshold(0.25), seed=seed)
    return TaggerTrainer(prepared(seed=seed), made, training(5, patience)).fit(test=test)


def test_the_validation_rows_are_kept_with_what_is_said_of_them() -> None:
    for result in (run(), run(test=False)):
        ready, said = prepared(), result.predicted
        assert said is not None
        assert said.rows.tolist() == ready.split.val.tolist()
        assert said.true.tolist() == ready.get_labels("val").tolist()
        expected = f1_score(said.true, said.predicted, average="weighted", zero_division=0)
        assert result.get_metric("val_f1") == pytest.approx(expected)


# Preparing


def test_the_raw_text_is_title_space_description_and_the_text_is_it_cleaned() -> None:
    rows = prepared(shuffle=False, stopwords=["the"], keep="A-Za-z0-9").rows
    assert rows.columns.tolist() == ["id", "raw", "text", "tag"]
    first = rows.iloc[0]
    assert first.tolist() == ["id0", "The image pixel Row0!", "image pixel row0", "cv"]


def test_labels_follow_the_policy_and_indices_the_alphabet() -> None:
    ready = prepared(shuffle=False, accepted=["rl", "nlp"], min_freq=7)
    assert ready.encoder.classes == ("nlp", "other")
    assert ready.y.tolist() == [1] * 20 + [0] * 14 + [1] * 6
    assert ready.other == "other"


def test_labels_are_counted_with_the_most_frequent_first() -> None:
    assert list(prepared().count_labels().items()) == [("cv", 20), ("nlp", 14), ("other", 6)]


def test_the_ids_of_each_part_are_those_of_its_rows() -> None:
    ready = prepared()
    ids = ready.get_ids()
    assert [len(ids[name]) for name in ("train", "val", "test")] == [28, 6, 6]
    assert sorted(ids["train"] + ids["val"] + ids["test"]) == sorted(make_table()["id"])
    assert ids["val"] == ready.rows["id"].iloc[ready.split.val].tolist()


def test_a_parts_labels_are_those_of_its_rows() -> None:
    ready = prepared()
    for name in ("train", "val", "test"):
        tags = ready.get_part(name)["tag"].tolist()
        assert ready.encoder.decode(ready.get_labels(name)) == tags


def test_without_shuffling_rows_keep_their_order() -> None:
    assert prepared(shuffle=False).rows["id"].tolist() == make_table()["id"].tolist()


def test_the_shuffle_is_drawn_before_the_split_from_the_same_source() -> None:
    source = np.random.RandomState(3)
    shuffled = make_table().sample(frac=1, random_state=source).reset_index(drop=True)
    again = prepare_table(
        shuffled,
        TwoTablesConfig(name="tiny", accepted_tags=["cv", "nlp"]),
        PreprocessingConfig(),
        SplitConfig(shuffle=False),
        source,
    )
    assert prepared(seed=3).get_ids() == again.get_ids()
    assert prepared(seed=3).rows["id"].tolist() == shuffled["id"].tolist()


def test_rows_are_numbered_anew() -> None:
    table = make_table().set_index(pd.Index(range(100, 140)))
    assert prepared(table).rows.index.tolist() == list(range(40))
    assert prepared(table, shuffle=False).rows.index.tolist() == list(range(40))


def test_the_table_handed_in_stays_as_it_is() -> None:
    table = make_table()
    prepared(table)
    pd.testing.assert_frame_equal(table, make_table())


def test_the_cleaners_arguments_are_kept_for_prediction() -> None:
    nothing = {
        "first": [],
        "lower": True,
        "stopwords": [],
        "separate_punctuation": False,
        "keep": None,
        "remove_links": False,
        "stem": False,
        "last": [],
    }
    changed: dict[str, Any] = {
        "stopwords": ["the"],
        "separate_punctuation": True,
        "keep": "A-Za-z0-9",
        "remove_links": True,
        "stem": True,
    }
    assert prepared().cleaning == nothing
    assert prepared(**changed).cleaning == {**nothing, **changed}


def test_a_cleaning_step_that_nobody_has_registered_is_refused_with_the_group() -> None:
    with pytest.raises(ConfigError, match=r"preprocessing\.last = 'shout' is not allowed"):
        prepared(last=["shout"])


def test_one_label_for_all_rows_is_an_error() -> None:
    with pytest.raises(DataError, match=r"the data have 1 \(other\)"):
        prepared(min_freq=100)


def test_rows_that_cannot_be_split_are_an_error() -> None:
    with pytest.raises(DataError, match="Rows by class: other 1, nlp 14, cv 20"):
        prepared(make_table(rl=1))


@quick
@given(st.integers(0, 2**32 - 1))
def test_the_same_seed_prepares_the_same_rows(seed: int) -> None:
    one, two = prepared(seed=seed), prepared(seed=seed)
    pd.testing.assert_frame_equal(one.rows, two.rows)
    assert one.get_ids() == two.get_ids()


# What is fitted on what


def test_without_the_test_score_no_test_row_is_vectorized() -> None:
    ready, spy = prepared(), Spy()
    result = TaggerTrainer(ready, parts(vectorizer=spy), training(2)).fit(test=False)
    assert spy.fitted == ready.get_part("train")["text"].tolist()
    assert spy.seen == ready.get_part("val")["text"].tolist()
    assert not set(ready.get_part("test")["text"]) & {*spy.fitted, *spy.seen}
    assert list(result.performance) == ["val"]
    assert not [name for name in result.get_metrics() if name.startswith("test")]


def test_with_the_test_score_test_rows_are_vectorized_last_and_never_fitted_on() -> None:
    ready, spy = prepared(), Spy()
    result = TaggerTrainer(ready, parts(vectorizer=spy), training(2)).fit(test=True)
    assert spy.fitted == ready.get_part("train")["text"].tolist()
    assert spy.seen == [*ready.get_part("val")["text"], *ready.get_part("test")["text"]]
    assert list(result.performance) == ["val", "test"]


def test_scoring_the_test_rows_changes_nothing_else() -> None:
    with_test, without = run(test=True), run(test=False)
    assert with_test.history == without.history
    assert with_test.tagger.threshold == without.tagger.threshold
    assert with_test.performance["val"] == without.performance["val"]


def test_only_train_rows_are_balanced_and_the_train_loss_is_of_unbalanced_rows() -> None:
    class Watched(RandomOverSampler):  # type: ignore[misc]
        def fit_resample(self, X: Any, y: Indices, **params: Any) -> Any:
            given_rows.append(len(y))
            features, labels = super().fit_resample(X, y, **params)
            balanced_counts.append(np.bincount(labels).tolist())
            return features, labels

    given_rows: list[int] = []
    balanced_counts: list[list[int]] = []
    ready = prepared()
    sampler = Watched(random_state=np.random.RandomState(0))
    result = TaggerTrainer(ready, parts(sampler=sampler), training(3)).fit()
    assert given_rows == [28]
    assert balanced_counts == [[14, 14, 14]]
    texts = ready.get_part("train")["raw"].tolist()
    own = result.tagger.compute_outputs(texts)[np.arange(28), ready.get_labels("train")]
    assert result.history.train_loss[-1] == pytest.approx(-np.log(own).mean())


def test_the_threshold_is_found_on_validation_rows() -> None:
    ready = prepared()
    result = TaggerTrainer(ready, parts(threshold=QuantileThreshold(0.25)), training(3)).fit()
    y_prob = result.tagger.compute_outputs(ready.get_part("val")["raw"].tolist())
    assert result.tagger.threshold == np.quantile(y_prob.max(axis=1), 0.25)
    assert result.get_metrics()["threshold"] == result.tagger.threshold


def test_a_threshold_that_no_prediction_reaches_gives_all_rows_the_rest_label() -> None:
    result = TaggerTrainer(prepared(), parts(threshold=FixedThreshold(0.999)), training(1)).fit()
    scored = result.performance["test"]
    assert scored["class"]["cv"]["recall"] == 0
    assert scored["class"]["nlp"]["recall"] == 0
    assert scored["class"]["other"]["recall"] == 1


def test_without_a_threshold_none_is_reported() -> None:
    result = TaggerTrainer(prepared(), parts(), training(1)).fit()
    assert result.tagger.threshold is None
    assert "threshold" not in result.get_metrics()


def test_without_a_threshold_no_row_needs_the_rest_label() -> None:
    result = TaggerTrainer(prepared(accepted=[]), parts(), training(30)).fit()
    assert result.tagger.encoder.classes == ("cv", "nlp", "rl")
    assert result.performance["val"]["overall"]["f1"] == 1.0


def test_features_are_the_columns_of_the_matrix() -> None:
    ready = prepared(shuffle=False)
    result = TaggerTrainer(
        ready, parts(vectorizer=CountVectorizer(analyzer="char")), training(1)
    ).fit()
    assert result.features == len(set("".join(ready.get_part("train")["text"])))


# Results


@quick
@given(st.integers(0, 2**32 - 1))
def test_the_same_seed_gives_identical_results(seed: int) -> None:
    one, two = run(seed), run(seed)
    assert one.get_metrics() == two.get_metrics()
    assert one.history == two.history
    assert np.array_equal(one.tagger.model.coef_, two.tagger.model.coef_)


def test_sums_are_added_up_in_one_thread_while_a_model_is_fitted() -> None:
    seen: list[int] = []

    class Threads:
        def on_epoch_end(self, history: History) -> None:
            seen.extend(pool["num_threads"] for pool in threadpool_info())

    before = threadpool_info()
    TaggerTrainer(prepared(), parts(), training(epochs=1)).fit([Threads()])
    assert set(seen) == {1}
    assert threadpool_info() == before


def test_another_seed_gives_another_result() -> None:
    assert run(1).history != run(2).history


def test_the_tagger_that_comes_out_predicts_and_scores_like_the_run() -> None:
    ready = prepared()
    result = TaggerTrainer(ready, parts(), training(20)).fit()
    predicted = result.tagger.predict(["A WORD of grammar", "image: pixel"])
    assert [p["predicted_tag"] for p in predicted] == ["nlp", "cv"]
    assert score(ready, result.tagger, "test") == result.performance["test"]
    assert score(ready, result.tagger, "val") == result.performance["val"]


def test_metrics_are_losses_threshold_and_the_flat_scores_of_each_part() -> None:
    found = run().get_metrics()
    for part in ("val", "test"):
        for name in ("f1", "class/cv/recall", "class/other/precision", "slice/short_text/f1"):
            assert f"{part}_{name}" in found
    assert {"train_loss", "val_loss", "threshold"} <= set(found)


def test_the_losses_reported_are_those_of_the_epoch_that_is_kept() -> None:
    ready = prepared()
    swapped = np.where(ready.y == 0, 1, np.where(ready.y == 1, 0, ready.y))
    swapped[ready.split.train] = ready.y[ready.split.train]
    worsening = PreparedData(
        ready.rows, swapped, ready.encoder, ready.split, ready.cleaning, ready.other
    )
    result = TaggerTrainer(worsening, parts(), training(20, patience=2)).fit()
    assert result.epoch == result.history.best_epoch < result.history.epoch
    assert result.get_metrics()["val_loss"] == min(result.history.val_loss)
    assert result.get_metrics()["train_loss"] == result.history.train_loss[result.epoch]


def test_one_value_of_a_result_is_any_of_its_metrics() -> None:
    result = run()
    for name, value in result.get_metrics().items():
        assert result.get_metric(name) == value
    with pytest.raises(KeyError):
        result.get_metric("val_f2")


def test_the_bytes_of_a_model_are_those_of_vectorizer_and_classifier() -> None:
    result = run()
    sizes = [count_bytes(part) for part in (result.tagger.vectorizer, result.tagger.model)]
    assert result.get_metric("model_bytes") == sum(sizes)
    assert type(result.get_metric("model_bytes")) is float
    assert min(sizes) > 0
    assert "model_bytes" not in result.get_metrics()


def test_the_bytes_of_a_model_are_equal_for_equal_seeds_and_fewer_for_fewer_features() -> None:
    assert run(3).get_metric("model_bytes") == run(3).get_metric("model_bytes")
    small, large = (
        TaggerTrainer(
            prepared(), parts(vectorizer=TfidfVectorizer(max_features=n)), training(1)
        ).fit()
        for n in (2, 6)
    )
    assert small.get_metric("model_bytes") < large.get_metric("model_bytes")


def refused_objective(ready: PreparedData, metric: str) -> str:
    with pytest.raises(ConfigError) as caught:
        ready.check_objective(metric)
    return str(caught.value)


def test_every_validation_metric_of_a_run_may_be_its_objective_and_nothing_else() -> None:
    ready, found = prepared(), run().get_metrics()
    known = [name for name in found if name.startswith("val_")]
    assert {"val_loss", "val_f1", "val_class/other/f1", "val_slice/short_text/recall"} <= {*known}
    for name in known:
        ready.check_objective(name)
    ready.check_objective("model_bytes")
    listed = refused_objective(ready, "x").partition(" It has: ")[2].rstrip(".").split(", ")
    assert sorted(listed) == sorted([*known, "model_bytes"])


@pytest.mark.parametrize(
    ("metric", "near"),
    [
        ("val_los", "val_loss"),
        ("model_byte", "model_bytes"),
        ("val_class/cvv/f1", "val_class/cv/f1"),
        ("val_class/nlp/f2", "val_class/nlp/f1"),
        ("val_slice/short_texts/f1", "val_slice/short_text/f1"),
        ("val_slice/nlp_cnn/f1", None),
        ("test_f1", None),
        ("train_loss", "val_loss"),
        ("threshold", None),
    ],
)
def test_an_objective_that_a_run_will_not_have_is_refused_with_the_known_ones(
    metric: str, near: str | None
) -> None:
    message = refused_objective(prepared(), metric)
    assert message.startswith(
        f"objective.metric = {metric!r}: a run on these data has no such metric."
    )
    if near is not None:
        assert f" Did you mean {near!r}?" in message
    for known in ("val_loss", "val_f1", "val_class/cv/f1", "val_slice/short_text/precision"):
        assert known in message.partition(" It has: ")[2]
    assert "test_" not in message.partition(" It has: ")[2]


def test_classes_that_the_policy_leaves_out_are_no_objective() -> None:
    prepared(accepted=[]).check_objective("val_class/rl/f1")
    assert "val_class/other/f1" in refused_objective(prepared(), "val_class/rl/f1")


def test_callbacks_hear_of_every_epoch_and_can_prune() -> None:
    class PruneSecond:
        def on_epoch_end(self, history: History) -> None:
            epochs.append(history.epoch)
            if history.epoch == 1:
                raise TrainingPruned

    epochs: list[int] = []
    spy = Spy()
    with pytest.raises(TrainingPruned):
        TaggerTrainer(prepared(), parts(vectorizer=spy), training(5)).fit([PruneSecond()])
    assert epochs == [0, 1]
    assert not set(prepared().get_part("test")["text"]) & set(spy.seen)


# Scores on the way


THRESHOLDS = [None, FixedThreshold(0.5), QuantileThreshold(0.25)]


def scored(
    metric: str, every: int = 1, *, threshold: Threshold | None = None, **changed: Any
) -> FitResult:
    patient = training(5, changed.pop("patience", None))
    return TaggerTrainer(prepared(**changed), parts(threshold=threshold), patient).fit(
        scored=(metric, every)
    )


@pytest.mark.parametrize("threshold", THRESHOLDS, ids=["none", "fixed", "quantile"])
@pytest.mark.parametrize(
    "metric",
    ["val_loss", "val_f1", "val_precision", "val_recall", "val_class/cv/f1",
     "val_class/nlp/precision", "val_class/other/recall", "val_slice/short_text/f1"],
)  # fmt: skip
def test_the_score_of_the_last_epoch_is_the_metric_of_the_run(
    metric: str, threshold: Threshold | None
) -> None:
    result = scored(metric, threshold=threshold)
    assert list(result.history.scores) == [0, 1, 2, 3, 4]
    assert result.history.scores[4] == result.get_metric(metric)


@quick
@given(st.integers(0, 2**32 - 1), st.sampled_from(["val_f1", "val_class/nlp/recall", "val_loss"]))
def test_the_score_of_an_epoch_is_the_metric_of_a_run_that_ends_there(
    seed: int, metric: str
) -> None:
    def ended(epochs: int) -> FitResult:
        made = parts(threshold=QuantileThreshold(0.25), seed=seed)
        return TaggerTrainer(prepared(), made, training(epochs)).fit(scored=(metric, 2))

    scores = ended(5).history.scores
    assert scores == {epoch: ended(epoch + 1).get_metric(metric) for epoch in (0, 2, 4)}


def test_the_score_of_the_kept_epoch_is_the_metric_of_a_run_that_was_patient() -> None:
    result = scored("val_f1", threshold=QuantileThreshold(0.25), patience=1)
    assert result.history.scores[result.epoch] == result.get_metric("val_f1")


def test_scores_of_the_loss_are_the_losses_themselves() -> None:
    result = scored("val_loss", 3)
    losses = result.history.val_loss
    assert result.history.scores == {0: losses[0], 3: losses[3]}


def test_without_a_metric_to_score_there_are_no_scores() -> None:
    assert run().history.scores == {}


def test_scoring_on_the_way_changes_nothing_else() -> None:
    def made(metric: tuple[str, int] | None) -> FitResult:
        return TaggerTrainer(prepared(), parts(threshold=QuantileThreshold(0.25)), training(5)).fit(
            scored=metric
        )

    watched, plain = made(("val_f1", 1)), made(None)
    assert watched.get_metrics() == plain.get_metrics()
    assert watched.history.val_loss == plain.history.val_loss


def test_a_threshold_without_the_rest_label_is_refused_before_anything_is_scored() -> None:
    with pytest.raises(DataError, match="'other', which no row has"):
        scored("val_f1", threshold=FixedThreshold(0.5), accepted=[])
    assert scored("val_f1", accepted=[]).history.scores[4] == 1.0


# Refitting


def test_refitting_trains_on_train_and_validation_rows_and_keeps_the_validation_scores() -> None:
    ready, first = prepared(), run()
    spy = Spy()
    result = TaggerTrainer(
        ready,
        parts(vectorizer=spy, threshold=QuantileThreshold(0.25)),
        training(5, refit=True),
    ).fit()
    both = [*ready.get_part("train")["text"], *ready.get_part("val")["text"]]
    assert result.tagger.vectorizer.fitted == both
    assert result.features == len(result.tagger.vectorizer.vocabulary_)
    assert spy.fitted == [*ready.get_part("train")["text"]]
    refitted = TaggerTrainer(
        ready, parts(threshold=QuantileThreshold(0.25)), training(5, refit=True)
    ).fit()
    assert refitted.performance["val"] == first.performance["val"]
    assert refitted.history == first.history
    assert refitted.tagger.threshold == first.tagger.threshold
    assert refitted.performance["test"] == score(ready, refitted.tagger, "test")
    assert refitted.tagger.model.coef_.shape[1] > first.tagger.model.coef_.shape[1]


def test_refitting_takes_as_many_epochs_as_were_chosen_and_the_same_randomness() -> None:
    ready = prepared()
    result = TaggerTrainer(ready, parts(seed=3), training(40, patience=2, refit=True)).fit()
    split = ready.split
    both = ready.replace_split(
        SplitRows(np.concatenate([split.train, split.val]), split.val, split.test)
    )
    alone = TaggerTrainer(both, parts(seed=3), training(result.epoch + 1)).fit()
    assert np.array_equal(result.tagger.model.coef_, alone.tagger.model.coef_)


def test_with_max_rows_both_fits_are_to_so_many_rows_of_each_label_its_share() -> None:
    ready, spy = prepared(), Spy()
    settings = TrainingConfig(3, None, refit=True, max_rows=10)
    result = TaggerTrainer(ready, parts(vectorizer=spy), settings).fit()
    assert len(ready.get_part("train")) > 12
    for fitted in (spy.fitted, result.tagger.vectorizer.fitted):
        assert 8 <= len(fitted) <= 10
        assert {"cv", "nlp"} <= {tag for tag, words in WORDS.items() if words in " ".join(fitted)}
    assert result.performance["val"]["overall"]["num_samples"] == len(ready.get_part("val"))


def svc_parts(threshold: Threshold | None = None) -> Components:
    source = np.random.RandomState(0)
    return Components(TfidfVectorizer(), None, LinearSVC(random_state=source), threshold)


def make_noisy() -> PreparedData:
    """Return rows of which an eighth have the words of another label."""
    table = make_table(240, 120, 120)
    wrong = np.random.RandomState(0).random(len(table)) < 0.125
    table.loc[wrong, "tag"] = np.roll(table["tag"].to_numpy(), 130)[wrong]
    return prepared(table, keep="A-Za-z0-9", separate_punctuation=True)


def compute_test_loss(ready: PreparedData, tagger: Tagger) -> float:
    return float(log_loss(ready.get_labels("test"), compute_part_outputs(ready, tagger, "test")))


def test_a_temperature_is_learned_before_a_refit_and_carried_over() -> None:
    ready = make_noisy()
    first = TaggerTrainer(ready, svc_parts(), TrainingConfig(refit=False)).fit()
    refitted = TaggerTrainer(ready, svc_parts(), TrainingConfig(refit=True)).fit()

    assert first.tagger.temperature is not None
    assert refitted.tagger.temperature == first.tagger.temperature
    assert refitted.tagger.model.coef_.shape[1] > first.tagger.model.coef_.shape[1]
    plain = LinearSVC(random_state=np.random.RandomState(0))
    plain.fit(TfidfVectorizer().fit_transform(ready.get_texts("train")), ready.get_labels("train"))
    assert np.array_equal(first.tagger.model.coef_, plain.coef_)
    expected = fit_temperature(
        compute_outputs(
            first.tagger.model, first.tagger.vectorize(ready.get_part("val")["raw"].tolist())
        ),
        ready.get_labels("val"),
    )
    assert first.tagger.temperature == expected
    # As good as the first model's; learned on rows that were refitted to, nothing is uncertain.
    assert compute_test_loss(ready, refitted.tagger) < compute_test_loss(ready, first.tagger) + 0.1
    values = compute_outputs(
        refitted.tagger.model, refitted.tagger.vectorize(ready.get_part("val")["raw"].tolist())
    )
    late = fit_temperature(values, ready.get_labels("val"))
    worse = replace(refitted.tagger, temperature=late)
    assert compute_test_loss(ready, worse) > compute_test_loss(ready, refitted.tagger) + 0.1


def test_calibration_changes_no_score_and_no_loss_by_epoch() -> None:
    ready = make_noisy()
    result = TaggerTrainer(ready, svc_parts(), TrainingConfig(refit=False)).fit()
    plain = replace(result.tagger, temperature=None)
    for part in ("val", "test"):
        found, without = result.performance[part], score(ready, plain, part)
        assert (found["overall"], found["class"]) == (without["overall"], without["class"])
        assert found["slices"] == without["slices"]
    values = compute_part_outputs(ready, plain, "val")
    signs = np.where(np.arange(3) == ready.get_labels("val")[:, None], 1, -1)
    own = (np.maximum(0, 1 - signs * values) ** 2).sum(axis=1).mean()
    assert result.history.val_loss == [pytest.approx(own)]


def test_a_threshold_is_compared_with_calibrated_probabilities() -> None:
    ready = make_noisy()
    components = svc_parts(QuantileThreshold(0.25))
    components.check()
    result = TaggerTrainer(ready, components, TrainingConfig(refit=False)).fit()
    highest = compute_part_outputs(ready, result.tagger, "val").max(axis=1)
    assert result.threshold is not None
    assert result.threshold == pytest.approx(np.quantile(highest, 0.25))
    assert 1 / 3 < result.threshold < 1


def test_a_threshold_is_refused_where_there_is_nothing_to_compare_with_it() -> None:
    neither = Components(TfidfVectorizer(), None, SelfTrainingClassifier(), FixedThreshold(0.5))
    with pytest.raises(ConfigError) as refused:
        neither.check()
    assert str(refused.value) == (
        "threshold: SelfTrainingClassifier has neither probabilities nor decision values with these"
        " arguments, so there is nothing to compare with a threshold. Use threshold=none, or a"
        " model that has one of them."
    )


@pytest.mark.parametrize(
    ("accepted", "model", "lacking"),
    [
        ([], MODEL, "these data have no fallback label"),
        (["cv", "nlp"], LinearSVC(), "the model has no probabilities of its own"),
    ],
)
def test_an_automatic_threshold_that_is_not_applied_says_so(
    accepted: list[str], model: Any, lacking: str
) -> None:
    chosen = Components(TfidfVectorizer(), None, model, AutoThreshold(0.25))
    note = f"No threshold is applied: {lacking} (threshold=auto)."
    assert chosen.adapt(prepared(accepted=accepted)) == [note]


def test_an_automatic_threshold_that_is_applied_says_nothing() -> None:
    chosen = Components(TfidfVectorizer(), None, MODEL, AutoThreshold(0.25))
    assert chosen.adapt(prepared()) == []


def test_a_model_with_probabilities_has_no_temperature() -> None:
    assert run().tagger.temperature is None


# What a threshold costs


def test_a_threshold_says_what_it_does_to_the_validation_rows() -> None:
    ready = make_noisy()
    result = TaggerTrainer(
        ready, svc_parts(QuantileThreshold(0.25)), TrainingConfig(refit=True)
    ).fit()
    first = TaggerTrainer(ready, svc_parts(), TrainingConfig(refit=False)).fit()
    effect, y = result.threshold_effect, ready.get_labels("val")
    assert effect is not None
    y_prob = compute_part_outputs(ready, first.tagger, "val")
    unsure, other = y_prob.max(axis=1) <= effect.threshold, ready.encoder.index("other")
    assert (effect.rows, effect.sent, effect.other) == (len(y), unsure.sum(), "other")
    assert effect.right == (y[unsure] == other).sum()
    assert effect.coverage == pytest.approx((~unsure).mean())
    best = y_prob.argmax(axis=1)
    without = f1_score(y, best, average="weighted")
    with_it = f1_score(y, np.where(unsure, other, best), average="weighted")
    assert (effect.f1_with, effect.f1_without) == (with_it, without)
    assert result.performance["val"]["overall"]["f1"] == with_it
    assert first.threshold_effect is None


def test_what_is_not_to_be_tested_is_not_refitted() -> None:
    spy = Spy()
    result = TaggerTrainer(prepared(), parts(vectorizer=spy), training(2, refit=True)).fit(
        test=False
    )
    assert result.tagger.vectorizer is spy


# The penalty


@pytest.fixture
def penalties(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, int]]:
    """Strength and rows of each pass of SGD over its rows."""

    def watched(self: SGDClassifier, X: Any, y: Indices, **more: Any) -> Any:
        found.append((self.alpha, X.shape[0]))
        return passed(self, X, y, **more)

    found: list[tuple[float, int]] = []
    passed = SGDClassifier.partial_fit
    monkeypatch.setattr(SGDClassifier, "partial_fit", watched)
    return found


def with_c(C: float | None, sampler: Any = None, **model: Any) -> Components:
    return replace(parts(sampler=sampler, learning_rate="optimal", eta0=0.01, **model), C=C)


@pytest.mark.parametrize(
    ("sampler", "rows"),
    [(None, (28, 34)), (RandomOverSampler(random_state=0), (42, 51))],
    ids=["as they are", "sampled"],
)
def test_the_penalty_goes_by_the_rows_that_are_fitted_once_and_again(
    penalties: list[tuple[float, int]], sampler: Any, rows: tuple[int, int]
) -> None:
    result = TaggerTrainer(prepared(), with_c(4.0, sampler), training(2, refit=True)).fit()
    first, both = rows
    passes = [(1 / (4 * first), first)] * 2 + [(1 / (4 * both), both)] * (result.epoch + 1)
    assert penalties == passes
    assert result.tagger.model.alpha == 1 / (4 * both)
    assert type(result.tagger.model.alpha) is float


def test_without_c_the_penalty_is_what_was_said_whatever_the_rows(
    penalties: list[tuple[float, int]],
) -> None:
    TaggerTrainer(prepared(), with_c(None, alpha=0.03), training(1, refit=True)).fit()
    assert penalties == [(0.03, 28), (0.03, 34)]


def test_each_fold_has_the_penalty_of_its_own_rows(penalties: list[tuple[float, int]]) -> None:
    ready = prepared(make_table(21, 14, 6))
    folds = make_repeats(ready, ObjectiveConfig(repeats=3, by="folds"), seed=0)
    for fold in folds:
        TaggerTrainer(fold.prepared, with_c(4.0), training(1)).fit(test=False)
    sizes = [len(fold.prepared.split.train) for fold in folds]
    assert len({*sizes}) > 1
    assert penalties == [(1 / (4 * size), size) for size in sizes]


# Texts without spaces


CHINESE = {"cv": "图像识别和检测", "nlp": "语言和文字处理", "rl": "智能体获得奖励"}


def test_texts_without_spaces_are_seen_as_such_in_every_fit_and_where_the_model_is_kept(
    composed: Compose, tmp_path: Path
) -> None:
    table = make_table()
    table["title"] = [CHINESE[tag] for tag in table["tag"]]
    table["description"] = [f"第{number}行" for number in range(len(table))]
    ready, config = prepared(table), check(composed())

    def fitted(rows: PreparedData, *, test: bool) -> Tagger:
        components = build_components(config, np.random.RandomState(0))
        return TaggerTrainer(rows, components, config.training).fit(test=test).tagger

    def analyzers(tagger: Tagger) -> list[tuple[str, str]]:
        return [(p.analyzer, p.token_pattern) for _, p in tagger.vectorizer.transformer_list]

    whole = fitted(ready, test=True)
    folds = make_repeats(ready, ObjectiveConfig(repeats=3, by="folds"), seed=0)
    usual = TfidfVectorizer().token_pattern
    for tagger in (whole, *(fitted(fold.prepared, test=False) for fold in folds)):
        assert analyzers(tagger) == [("word", UNSPACED_WORD), ("char", usual)]
    assert analyzers(fitted(prepared(), test=True)) == [("word", usual), ("char_wb", usual)]

    bundles.save(tmp_path / "bundle", whole, DOCUMENTS)
    loaded = bundles.load(tmp_path / "bundle")
    assert analyzers(loaded) == analyzers(whole)
    texts = ["这是图像检测", "文字处理", "获得奖励"]
    assert loaded.predict(texts) == whole.predict(texts)
    # The words are single letters, so that one that stands elsewhere is known.
    assert "处" in dict(loaded.vectorizer.transformer_list)["word"].vocabulary_


# Other parts


def test_the_same_rows_with_other_parts_share_all_but_the_parts() -> None:
    ready = prepared()
    split = SplitRows(ready.split.val, ready.split.train, ready.split.test)
    other = ready.replace_split(split)
    assert other.get_ids()["train"] == ready.get_ids()["val"]
    assert other.get_ids()["test"] == ready.get_ids()["test"]
    assert (other.rows is ready.rows, other.y is ready.y) == (True, True)
    assert ready.split is not split


# Scoring


def test_given_probabilities_are_scored_with_threshold_classes_and_slices() -> None:
    encoder = LabelEncoder(("natural-language-processing", "other"))
    tagger = Tagger({}, None, None, encoder, 0.6, "other")
    texts = ["cnn for words", "a b c d e f g h", "short"]
    y_prob = np.array([[0.6, 0.4], [0.9, 0.1], [0.2, 0.8]])  # other, nlp, other
    scored = score_rows(texts, np.array([0, 0, 1]), tagger, y_prob)
    assert scored["class"]["natural-language-processing"]["recall"] == 0.5
    assert scored["class"]["other"]["precision"] == 0.5
    assert scored["slices"]["nlp_cnn"]["num_samples"] == 1
    assert scored["slices"]["nlp_cnn"]["recall"] == 0
    assert scored["slices"]["short_text"]["num_samples"] == 2
    assert scored["slices"]["short_text"]["f1"] == 0.5


# Refusals


def test_a_threshold_without_the_rest_label_is_refused_before_anything_is_fitted() -> None:
    spy = Spy()
    with pytest.raises(DataError, match="'other', which no row has") as error:
        TaggerTrainer(
            prepared(accepted=[]),
            parts(vectorizer=spy, threshold=FixedThreshold(0.5)),
            training(1),
        ).fit()
    message = str(error.value)
    assert "labels: cv, nlp, rl" in message
    assert "threshold=none" in message
    assert "data.accepted_tags" in message
    assert "data.min_freq" in message
    assert spy.fitted == []


@pytest.mark.parametrize("vectorizer", [TfidfVectorizer(), TfidfVectorizer(analyzer="char")])
def test_cleaning_that_empties_all_texts_is_an_error_with_the_way_out(vectorizer: Any) -> None:
    ready = prepared(keep="é")
    assert Counter(ready.rows["text"]) == {"": 40}
    with pytest.raises(DataError, match=r"^The vectorizer cannot be fitted to the train") as error:
        TaggerTrainer(ready, parts(vectorizer=vectorizer), training(1)).fit()
    message = str(error.value)
    assert "empty vocabulary" in message
    assert "analyzer" in message
    assert "preprocessing" in message


def test_pruning_all_terms_is_the_vectorizers_error_too() -> None:
    vectorizer = TfidfVectorizer(min_df=29)
    with pytest.raises(DataError, match="min_df"):
        TaggerTrainer(prepared(), parts(vectorizer=vectorizer), training(1)).fit()


def test_a_class_that_is_not_among_the_train_rows_is_an_error() -> None:
    with pytest.raises(DataError):
        TaggerTrainer(prepared(make_table(10, 7, 2), sizes=(0.3, 0.3)), parts(), training(1)).fit()


@pytest.mark.parametrize(
    ("vectorizer", "reason"),
    [
        (CountVectorizer(token_pattern="("), "missing ), unterminated subpattern"),
        (CountVectorizer(ngram_range=(2, 1)), "Invalid value for ngram_range"),
        (CountVectorizer(analyzer="chars"), "'analyzer' parameter"),
        (CountVectorizer(vocabulary=[]), "empty vocabulary"),
    ],
)
def test_whatever_the_vectorizer_refuses_is_one_error_with_its_reason(
    vectorizer: Any, reason: str
) -> None:
    with pytest.raises(DataError) as caught:
        TaggerTrainer(prepared(), parts(vectorizer=vectorizer), training(1)).fit()
    message = str(caught.value)
    assert message.startswith("The vectorizer cannot be fitted to the train texts: ")
    assert reason in message
    assert ".." not in message
    assert caught.value.__cause__ is not None


def test_a_sampler_that_a_class_is_too_small_for_is_one_error_with_its_reason() -> None:
    ready = prepared()
    assert np.bincount(ready.get_labels("train")).tolist() == [14, 10, 4]
    sampler = SMOTE(k_neighbors=4, random_state=0)
    with pytest.raises(DataError, match=r"^The sampler cannot balance the train rows: ") as caught:
        TaggerTrainer(ready, parts(sampler=sampler), training(1)).fit()
    assert "n_neighbors = 5" in str(caught.value)
    TaggerTrainer(ready, parts(sampler=SMOTE(k_neighbors=3, random_state=0)), training(1)).fit()


@pytest.mark.parametrize(
    ("vectorizer", "model", "reason"),
    [
        (TfidfVectorizer(), GaussianNB(), "GaussianNB cannot be .* dense data is required"),
        (HashingVectorizer(n_features=64), MultinomialNB(), "MultinomialNB cannot be .* Negative"),
    ],
)
def test_a_model_that_refuses_the_features_is_one_error_with_its_reason(
    vectorizer: Any, model: Any, reason: str
) -> None:
    with pytest.raises(FitError, match=reason):
        TaggerTrainer(prepared(), Components(vectorizer, None, model, None), training(1)).fit()


def test_a_model_that_would_stop_by_itself_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"model\.early_stopping"):
        TaggerTrainer(prepared(), parts(early_stopping=True), training(1)).fit()


# Memory


@pytest.mark.parametrize("refit", [False, True])
@pytest.mark.parametrize("repeated", [False, True])
def test_with_a_memory_cold_or_warm_results_are_the_same_to_the_last_bit(
    refit: bool, repeated: bool
) -> None:
    def result(memory: ArrayCache) -> tuple[FitResult, np.random.RandomState]:
        source = np.random.RandomState(3)
        made = parts(threshold=QuantileThreshold(0.25))
        made.model.set_params(random_state=source)
        data = TwoTablesConfig(name="tiny", projects="p", tags="t", accepted_tags=["cv", "nlp"])
        rows = prepare_table(
            make_table(), data, PreprocessingConfig(), SplitConfig(), source, memory
        )
        return TaggerTrainer(rows, made, training(5, refit=refit), memory).fit(), source

    memory = Remembered()
    if repeated:
        result(memory)
    plain, draws = result(skip_cache)
    found, draws_then = result(memory)
    assert memory.made == (5 if refit else 4)
    assert found.get_metrics() == plain.get_metrics()
    assert found.get_metric("model_bytes") == plain.get_metric("model_bytes")
    assert found.history == plain.history
    assert np.array_equal(found.tagger.model.coef_, plain.tagger.model.coef_)
    assert found.tagger.predict(["image pixel"]) == plain.tagger.predict(["image pixel"])
    assert draws.randint(1000) == draws_then.randint(1000)


def test_a_trial_has_its_vectorizer_when_it_is_asked_for() -> None:
    memory = Remembered()
    for _ in range(2):
        made = parts()
        result = TaggerTrainer(prepared(), made, training(2), memory).fit(test=False)
    assert not hasattr(made.vectorizer, "vocabulary_")
    assert result.get_metric("model_bytes") > 0
    assert result.tagger.vectorizer is made.vectorizer
    assert result.tagger.predict(["image pixel"])[0]["predicted_tag"] == "cv"


@pytest.mark.parametrize("place", ["first", "last"])
def test_texts_cleaned_by_a_step_of_ones_own_are_not_kept(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def counted(text: str) -> str:
        called.append(text)
        return f"{text} {len(called)}"

    called: list[str] = []
    monkeypatch.setitem(preprocessing_cleaning._REGISTERED, "counted", counted)
    memory = Remembered()
    arguments = {**asdict(PreprocessingConfig()), place: ["counted"]}
    del arguments["language"]
    assert clean_texts(["Cat"], arguments, memory) == ["cat 1"]
    assert clean_texts(["Cat"], arguments, memory) == ["cat 2"]
    assert memory.made == 0


def test_cleaned_texts_are_kept_by_the_texts_and_every_argument() -> None:
    memory = Remembered()
    arguments = {**asdict(PreprocessingConfig()), "stopwords": []}
    del arguments["language"]
    for changed in ({}, {}, {"lower": False}, {"keep": "a-z"}):
        expected = [*map(Cleaner(**{**arguments, **changed}), ["A Cat 1"])]
        assert clean_texts(["A Cat 1"], {**arguments, **changed}, memory) == expected
    clean_texts(["A Cat 2"], arguments, memory)
    assert memory.made == 4
