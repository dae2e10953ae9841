"""Fit a tagger to prepared rows and score it, without touching the disk."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from tagifai.config.schema import TrainingConfig
from tagifai.data.prepare import PreparedData
from tagifai.data.splitting.stratified import shorten_train
from tagifai.evaluation import metrics, scoring
from tagifai.evaluation.metrics import Performance
from tagifai.evaluation.paired import PredictedRows
from tagifai.evaluation.threshold_effects import ThresholdEffect, compute_threshold_effect
from tagifai.exceptions import DataError
from tagifai.models.outputs import compute_outputs, has_decision_values
from tagifai.models.sampling import FeatureRows, balance_rows
from tagifai.models.size import count_bytes
from tagifai.models.tagger import Tagger
from tagifai.models.temperature import fit_temperature
from tagifai.models.thresholds import Probabilities, Threshold
from tagifai.preprocessing.feature_cache import ArrayCache, CachedVectorizer, skip_cache
from tagifai.training.components import Components
from tagifai.training.estimates import FitEstimator
from tagifai.training.loop import Callback, Checkpoint, EpochLoop, History, TrainedModel
from tagifai.training.model_fitting import refit_model
from tagifai.training.scorers import make_scorer


@dataclass(frozen=True)
class FitResult:
    """A fitted tagger, how it was trained, and how good it is.

    Args:
        make_tagger: returns the tagger, ready to predict; trials do not call it.
        threshold: of the tagger.
        history: losses by epoch.
        epoch: the epoch whose weights the model has.
        features: columns of the feature matrix.
        performance: scores by part: "val", and "test" if the test rows were scored.
        threshold_effect: what the threshold does to the validation rows, or None without one.
        predicted: the validation rows and their predictions, by which `performance` is.
        val_outputs: of the validation rows, before a refit, shape (n, classes); None for a trial.
    """

    make_tagger: Callable[[], Tagger]
    threshold: float | None
    history: History
    epoch: int
    features: int
    performance: dict[str, Performance]
    threshold_effect: ThresholdEffect | None = None
    predicted: PredictedRows | None = None
    val_outputs: Probabilities | None = None

    @cached_property
    def tagger(self) -> Tagger:
        """The tagger, ready to predict."""
        return self.make_tagger()

    def get_metric(self, metric: str) -> float:
        """Return one metric: any of `get_metrics`, or `model_bytes`."""
        if metric == "model_bytes":
            return float(count_bytes(self.tagger.vectorizer) + count_bytes(self.tagger.model))
        return self.get_metrics()[metric]

    def get_metrics(self) -> dict[str, float]:
        """Return all scores and the chosen epoch's losses under flat names."""
        flat = {
            "train_loss": self.history.train_loss[self.epoch],
            "val_loss": self.history.val_loss[self.epoch],
        }
        for name, scored in self.performance.items():
            flat |= metrics.flatten(scored, name)
        if self.threshold is not None:
            flat["threshold"] = self.threshold
        return flat


@contextmanager
def _limit_to_one_thread() -> Iterator[None]:
    """Keep the order of sums, so that a worker with fewer processors gets the same last digits."""
    with threadpool_limits(1):
        yield


class TaggerTrainer:
    """Fits a vectorizer, a model and a threshold to prepared rows, and scores them.

    Args:
        prepared: the rows.
        components: unfitted objects; they are fitted in place.
        training: epochs, patience and whether to refit.
        cache: of features.
        estimator: says how long it will take, where the rows are in memory.
        checkpoint: from which a training that was interrupted goes on.
    """

    def __init__(
        self,
        prepared: PreparedData,
        components: Components,
        training: TrainingConfig,
        cache: ArrayCache = skip_cache,
        estimator: FitEstimator | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> None:
        split = shorten_train(prepared.split, prepared.y, training.max_rows)
        self._prepared = prepared if split is prepared.split else prepared.replace_split(split)
        self._components = components
        self._training = training
        self._cache = cache
        self._estimator = estimator
        self._checkpoint = checkpoint

    @_limit_to_one_thread()
    def fit(
        self,
        callbacks: Sequence[Callback] = (),
        *,
        test: bool = True,
        scored: tuple[str, int] | None = None,
        on_progress: Callable[[int], None] | None = None,
    ) -> FitResult:
        """Fit and score a tagger.

        Args:
            callbacks: called after every epoch.
            test: score the test rows too; otherwise they are not vectorized, and nothing refitted.
            scored: a validation metric to record during training, and every how many epochs.
            on_progress: called with the number of streamed rows of an epoch that are done.

        Raises:
            DataError: no features are left, or a threshold has no fallback label.
        """
        prepared, components, training = self._prepared, self._components, self._training
        policy = components.resolve_threshold(prepared)
        components.adapt(prepared)
        unfitted = copy.deepcopy(components) if training.refit and test else None
        features = CachedVectorizer(components.vectorizer, self._cache)
        train_rows = _fit_features(prepared, features)
        val_rows = _transform_part(prepared, features, "val")
        scorer = scored and make_scorer(prepared, components.model, policy, *scored)
        loop = EpochLoop(training.epochs, training.patience, callbacks, scorer, self._checkpoint)
        trained = self._train(loop, train_rows, val_rows, on_progress)
        tagger, y_prob = self._build_tagger(trained.model, policy, val_rows)
        val = scoring.score_rows(prepared.get_texts("val"), val_rows.y, tagger, y_prob)
        if unfitted is not None:
            tagger, features, train_rows = self._refit(unfitted, tagger, trained.epoch + 1)
        tested = {"test": self._score_test(tagger, features)} if test else {}
        return FitResult(
            lambda: replace(tagger, vectorizer=features.get_fitted()),
            tagger.threshold,
            trained.history,
            trained.epoch,
            int(train_rows.X.shape[1]),
            {"val": val, **tested},
            compute_threshold_effect(tagger, val_rows.y, y_prob),
            PredictedRows(prepared.split.val, val_rows.y, tagger.decide(y_prob)),
            y_prob if test else None,
        )

    def _score_test(self, tagger: Tagger, features: CachedVectorizer) -> Performance:
        rows = _transform_part(self._prepared, features, "test")
        y_prob = tagger.calibrate(compute_outputs(tagger.model, rows.X))
        texts = self._prepared.get_texts("test")
        frequent = self._prepared.find_most_frequent_class()
        return scoring.score_unseen(texts, rows.y, tagger, y_prob, frequent)

    def _train(
        self,
        loop: EpochLoop,
        train_rows: FeatureRows,
        val_rows: FeatureRows,
        on_progress: Callable[[int], None] | None,
    ) -> TrainedModel:
        vectorizer, sampler = self._components.vectorizer, self._components.sampler
        with self._prepared.open_train_rows(
            vectorizer, sampler, train_rows, on_progress
        ) as balanced:
            self._components.set_penalty(balanced.count_by_class())
            if self._estimator is not None and isinstance(balanced, FeatureRows):
                scored = len(train_rows.y) + len(val_rows.y)
                self._estimator.estimate(self._components.model, balanced, scored)
            return loop.train(self._components.model, balanced, train_rows, val_rows)

    def _build_tagger(
        self, model: Any, policy: Threshold | None, val_rows: FeatureRows
    ) -> tuple[Tagger, Probabilities]:
        """Return the tagger with its temperature and threshold, and the validation rows' outputs.

        Both are found on these rows before a refit, which keeps them: a refitted model has seen
        the rows.

        Args:
            model: fitted.
            policy: finds the threshold.
            val_rows: that the model has not seen.
        """
        prepared, y_true = self._prepared, val_rows.y
        outputs = compute_outputs(model, val_rows.X)
        plain = Tagger(
            prepared.cleaning,
            self._components.vectorizer,
            model,
            prepared.encoder,
            None,
            prepared.other,
            temperature=fit_temperature(outputs, y_true) if has_decision_values(model) else None,
        )
        y_prob = plain.calibrate(outputs)
        if policy is None:
            return plain, y_prob
        other = prepared.encoder.index(str(prepared.other))
        return replace(plain, threshold=policy.fit(y_prob, y_true, other)), y_prob

    def _refit(
        self, components: Components, tagger: Tagger, epochs: int
    ) -> tuple[Tagger, CachedVectorizer, FeatureRows]:
        """Return a tagger fitted to the train and validation rows, its features, these rows."""
        split = self._prepared.split
        both = replace(split, train=np.concatenate([split.train, split.val]))
        both = shorten_train(both, self._prepared.y, self._training.max_rows)
        features = CachedVectorizer(components.vectorizer, self._cache)
        rows = _fit_features(self._prepared.replace_split(both), features)
        balanced = balance_rows(components.sampler, rows)
        components.set_penalty(balanced.count_by_class())
        refit_model(components.model, balanced, epochs)
        fitted = replace(tagger, vectorizer=components.vectorizer, model=components.model)
        return fitted, features, rows


def _fit_features(prepared: PreparedData, features: CachedVectorizer) -> FeatureRows:
    try:
        X = features.fit_transform(prepared.get_texts("train"))
    except (ValueError, TypeError, AttributeError, re.error) as error:
        raise DataError(
            f"The vectorizer cannot be fitted to the train texts: {str(error).rstrip('.')}. Look at"
            " the arguments of the vectorizer (analyzer, ngram_min, min_df, max_df) and at"
            " preprocessing."
        ) from error
    return FeatureRows(X, prepared.get_labels("train"))


def _transform_part(prepared: PreparedData, features: CachedVectorizer, part: str) -> FeatureRows:
    # Their outputs are the model's and not the tagger's: texts may be in the cache as features.
    return FeatureRows(features.transform(prepared.get_texts(part)), prepared.get_labels(part))


def compute_part_outputs(prepared: PreparedData, tagger: Tagger, part: str) -> Probabilities:
    """Return a model's outputs for the cleaned texts of one part, shape (n, classes)."""
    return tagger.compute_clean_outputs(prepared.get_texts(part))
