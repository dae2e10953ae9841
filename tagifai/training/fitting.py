"""Fitting: prepared rows in, a fitted tagger with its scores out; nothing here touches the disk."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from sklearn.utils import get_tags
from threadpoolctl import threadpool_limits

from tagifai.config.schema import TrainingConfig
from tagifai.data.prepare import PreparedData, balance_rows
from tagifai.evaluation import metrics, scoring, slices
from tagifai.evaluation.metrics import Performance
from tagifai.exceptions import ConfigError, DataError
from tagifai.models.losses import get_loss_function
from tagifai.models.outputs import compute_outputs, has_probabilities
from tagifai.models.sampling import FeatureRows
from tagifai.models.size import count_bytes
from tagifai.models.tagger import Tagger
from tagifai.models.thresholds import AutoThreshold, Probabilities, Threshold, decide
from tagifai.preprocessing import char_ngrams
from tagifai.preprocessing.feature_cache import ArrayCache, CachedVectorizer, skip_cache
from tagifai.training.loop import Callback, History, ValidationScorer, refit_model, train_model


@dataclass(frozen=True)
class Components:
    """The objects that a run is made of, from the configuration."""

    vectorizer: Any
    sampler: Any
    model: Any
    threshold: Threshold | None

    def check(self) -> None:
        """Refuse parts that cannot work together, before any data are read.

        Raises:
            ConfigError: with the reason and the way out.
        """
        wanted = self.threshold is not None and not isinstance(self.threshold, AutoThreshold)
        if wanted and not has_probabilities(self.model):
            raise ConfigError(
                f"threshold: {type(self.model).__name__} has no probabilities with these arguments,"
                " so there is nothing to compare with a threshold. Use threshold=none, or a model"
                " with probabilities."
            )
        positive_only = get_tags(self.model).input_tags.positive_only
        if positive_only and getattr(self.vectorizer, "alternate_sign", False):
            raise ConfigError(
                f"model: {type(self.model).__name__} takes no negative features, and the"
                " vectorizer makes some. Set vectorizer.alternate_sign=false, or use another model."
            )


@dataclass(frozen=True)
class FitResult:
    """A fitted tagger, how it was trained, and how good it is.

    Args:
        make_tagger: gives the tagger, ready to predict; a trial has no need of it.
        threshold: of the tagger.
        history: losses by epoch.
        epoch: the epoch whose weights the model has.
        features: columns of the feature matrix.
        performance: scores by part, "val" and, if it was asked for, "test".
    """

    make_tagger: Callable[[], Tagger]
    threshold: float | None
    history: History
    epoch: int
    features: int
    performance: dict[str, Performance]

    @cached_property
    def tagger(self) -> Tagger:
        """The tagger, ready to predict."""
        return self.make_tagger()

    def get_metric(self, metric: str) -> float:
        """Return one metric: any of `metrics`, or `model_bytes`."""
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
    """Have sums of floats added up in one order, however many processors a process may use.

    A worker of a launcher may use fewer than the same run alone, and then the last digits of what
    is fitted by linear algebra differ.
    """
    with threadpool_limits(1):
        yield


@_limit_to_one_thread()
def fit_tagger(
    prepared: PreparedData,
    components: Components,
    training: TrainingConfig,
    callbacks: Sequence[Callback] = (),
    *,
    test: bool = True,
    scored: tuple[str, int] | None = None,
    cache: ArrayCache = skip_cache,
    on_progress: Callable[[int], None] | None = None,
) -> FitResult:
    """Fit vectorizer, model and threshold, and score them.

    Args:
        prepared: the rows.
        components: unfitted objects; they are fitted in place.
        training: epochs, patience and whether to refit.
        callbacks: told after every epoch.
        test: score the test rows too; without it they are not even vectorized, and nothing is
            refitted.
        scored: a validation metric to record during training, and every how many epochs.
        cache: keeps features.
        on_progress: called with the rows of an epoch that are done, if they are not all done at
            once.

    Raises:
        DataError: no features are left, or a threshold has no label to fall back to.
    """
    policy = _resolve_threshold(components.threshold, prepared, components.model)
    unfitted = copy.deepcopy(components) if training.refit and test else None
    features = CachedVectorizer(components.vectorizer, cache)
    train_rows = _fit_features(prepared, features)
    val_rows = FeatureRows(
        features.transform(prepared.get_texts("val")), prepared.get_labels("val")
    )
    with prepared.open_train_rows(
        components.vectorizer, components.sampler, train_rows, on_progress
    ) as balanced:
        trained = train_model(
            components.model,
            balanced,
            train_rows,
            val_rows,
            epochs=training.epochs,
            patience=training.patience,
            callbacks=callbacks,
            scorer=None
            if scored is None
            else make_scorer(prepared, components.model, policy, *scored),
        )
    y_prob = compute_outputs(trained.model, val_rows.X)
    rest = -1 if policy is None else prepared.encoder.index(str(prepared.other))
    threshold = None if policy is None else policy.fit(y_prob, val_rows.y, rest)
    tagger = Tagger(
        prepared.cleaning,
        components.vectorizer,
        trained.model,
        prepared.encoder,
        threshold,
        prepared.other,
    )
    performance = {"val": _score_outputs(prepared, "val", tagger, y_prob)}
    if unfitted is not None:
        tagger, features, train_rows = _refit_tagger(
            prepared, unfitted, tagger, trained.epoch + 1, cache
        )
    if test:
        y_prob = compute_outputs(tagger.model, features.transform(prepared.get_texts("test")))
        performance["test"] = _score_outputs(prepared, "test", tagger, y_prob)
    return FitResult(
        lambda: replace(tagger, vectorizer=features.get_fitted()),
        threshold,
        trained.history,
        trained.epoch,
        int(train_rows.X.shape[1]),
        performance,
    )


def _refit_tagger(
    prepared: PreparedData, components: Components, tagger: Tagger, epochs: int, cache: ArrayCache
) -> tuple[Tagger, CachedVectorizer, FeatureRows]:
    """Return a tagger that is fitted to the train and validation rows, its features, these rows."""
    split = prepared.split
    both = replace(split, train=np.concatenate([split.train, split.val]))
    features = CachedVectorizer(components.vectorizer, cache)
    rows = _fit_features(prepared.replace_split(both), features)
    refit_model(components.model, balance_rows(components.sampler, rows), epochs)
    return replace(tagger, vectorizer=components.vectorizer, model=components.model), features, rows


def make_scorer(
    prepared: PreparedData, model: Any, threshold: Threshold | None, metric: str, every: int
) -> ValidationScorer:
    """Return what gives a validation metric from probabilities, as it would be if training ended.

    Args:
        prepared: the rows.
        model: fitted or not; it has the loss.
        threshold: found anew each time.
        metric: val_loss, or a score of the validation rows.
        every: epochs from one score to the next.
    """
    y_true, name = prepared.get_labels("val"), metric.removeprefix("val_")
    if name == "loss":
        return ValidationScorer(lambda y_prob: get_loss_function(model)(y_true, y_prob), every)
    other = 0 if threshold is None else prepared.encoder.index(str(prepared.other))
    masks = slices.compute_masks(prepared.get_part("val")) if name.startswith("slice/") else {}

    def score(y_prob: Probabilities) -> float:
        at = None if threshold is None else threshold.fit(y_prob, y_true, other)
        y_pred = decide(y_prob, at, other)
        return metrics.compute_score(name, y_true, y_pred, prepared.encoder.classes, masks)

    return ValidationScorer(score, every)


def _resolve_threshold(
    threshold: Threshold | None, prepared: PreparedData, model: Any
) -> Threshold | None:
    """Return the threshold, or None where it is left to us and there is nothing to apply it to."""
    if isinstance(threshold, AutoThreshold):
        possible = has_probabilities(model) and prepared.other in prepared.encoder.classes
        return threshold if possible else None
    if threshold is not None:
        _require_other_label(prepared)
    return threshold


def _require_other_label(prepared: PreparedData) -> None:
    """Refuse a threshold where there is no label to fall back to."""
    if prepared.other is None:
        raise DataError(
            "A threshold gives unsure texts the label of the rest, and these data have none. Use"
            " threshold=none, or name one (data.other) and choose data.accepted_tags and"
            " data.min_freq so that some tags are among the rest."
        )
    if prepared.other not in prepared.encoder.classes:
        raise DataError(
            f"The threshold gives unsure texts the label {prepared.other!r}, which no row has"
            f" (labels: {', '.join(prepared.encoder.classes)}). Use threshold=none, or choose"
            " data.accepted_tags and data.min_freq so that some tags are among the rest."
        )


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


def compute_part_outputs(prepared: PreparedData, tagger: Tagger, part: str) -> Probabilities:
    """Return a model's outputs for the rows of one part, whose texts are clean already."""
    return compute_outputs(
        tagger.model, char_ngrams.transform(tagger.vectorizer, prepared.get_texts(part))
    )


def _score_outputs(prepared: PreparedData, part: str, tagger: Tagger, y_prob: Any) -> Performance:
    rows = prepared.get_part(part)
    return scoring.score_rows(rows["text"].tolist(), prepared.get_labels(part), tagger, y_prob)
