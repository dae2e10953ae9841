"""The pipeline: a table in, a fitted tagger with its scores out; nothing here touches the disk."""

from __future__ import annotations

import copy
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import get_tags
from threadpoolctl import threadpool_limits

from tagifai.config.schema import STANDARD_METRICS, DataConfig, PreprocessingConfig, TrainingConfig
from tagifai.config.schema import SplitConfig as SplitSettings
from tagifai.data import splits
from tagifai.data.splits import Split
from tagifai.evaluation import metrics, slices
from tagifai.evaluation.metrics import Performance
from tagifai.exceptions import ConfigError, DataError, InvalidValueError, suggest_closest
from tagifai.models.losses import get_loss_function
from tagifai.models.outputs import compute_outputs, has_probabilities
from tagifai.models.sampling import balance
from tagifai.models.size import count_bytes
from tagifai.models.tagger import Tagger
from tagifai.models.thresholds import AutoThreshold, Probabilities, Threshold, decide
from tagifai.preprocessing import char_ngrams, feature_cache, stopwords
from tagifai.preprocessing.cleaning import Cleaner
from tagifai.preprocessing.feature_cache import ArrayCache, CachedVectorizer, skip_cache
from tagifai.preprocessing.labels import Indices, LabelEncoder, assign_labels, replace_unknown
from tagifai.training.loop import (
    Callback,
    FeatureRows,
    History,
    RowStream,
    ValidationScorer,
    refit_model,
    train_model,
)


@dataclass(frozen=True)
class PreparedData:
    """Rows with cleaned texts and labels, and which of them are for what.

    Args:
        rows: columns id, raw (as given), text (cleaned), tag (label), shape (n, 4).
        y: label indices, shape (n,).
        encoder: label names.
        split: row positions of the parts.
        cleaning: the cleaner's arguments.
        other: label of the rest, or None.
    """

    rows: pd.DataFrame
    y: Indices
    encoder: LabelEncoder
    split: Split
    cleaning: dict[str, Any]
    other: str | None

    def get_part(self, name: str) -> pd.DataFrame:
        """Return the rows of "train", "val" or "test"."""
        found: pd.DataFrame = self.rows.iloc[getattr(self.split, name)]
        return found

    def get_texts(self, name: str) -> list[str]:
        """Return the cleaned texts of "train", "val" or "test"."""
        return list(self.get_part(name)["text"])

    def get_labels(self, name: str) -> Indices:
        """Return the label indices of "train", "val" or "test"."""
        found: Indices = self.y[getattr(self.split, name)]
        return found

    def get_ids(self) -> dict[str, Any]:
        """Return the row ids of each part, which pin the split down for later."""
        return {name: self.get_part(name)["id"].tolist() for name in ("train", "val", "test")}

    def count_rows(self) -> dict[str, int]:
        """Return the rows of each part."""
        return {name: len(self.get_part(name)) for name in ("train", "val", "test")}

    def count_labels(self) -> dict[str, int]:
        """Return rows by label, the most frequent first, equal ones by name."""
        return dict(sorted(Counter(self.rows["tag"]).items(), key=lambda item: (-item[1], item[0])))

    def count_streamed_rows(self) -> int | None:
        """Return how many rows an epoch goes through that are not in memory, or None."""
        return None

    def list_notes(self) -> list[str]:
        """Return what a person should know of how the rows are used, a sentence each."""
        return []

    @contextmanager
    def open_train_rows(
        self,
        components: Components,
        train_rows: FeatureRows,
        on_progress: Callable[[int], None] | None,
    ) -> Iterator[FeatureRows | RowStream]:
        """Give what a model is fitted to.

        Args:
            components: with the fitted vectorizer.
            train_rows: features of the part "train".
            on_progress: called with the rows of an epoch that are done, if they are not all done at once.
        """
        yield _balance_rows(components.sampler, train_rows)

    def replace_split(self, split: Split) -> PreparedData:
        """Return the same rows with other parts."""
        return replace(self, split=split)

    def check_objective(self, metric: str) -> None:
        """Refuse, before anything is fitted, a metric that a run on these rows will not have.

        Raises:
            ConfigError: no such metric; with those that there are.
        """
        if metric in STANDARD_METRICS:
            return
        val, y = self.get_part("val"), self.get_labels("val")
        scored = metrics.compute_performance(y, y, self.encoder.classes, slices.compute_masks(val))
        known = ["val_loss", "model_bytes", *metrics.flatten(scored, "val")]
        if metric not in known:
            raise ConfigError(
                f"objective.metric = {metric!r}: a run on these data has no such metric."
                f"{suggest_closest(metric, known)} It has: {', '.join(known)}."
            )


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


def prepare(
    table: pd.DataFrame,
    data: DataConfig,
    preprocessing: PreprocessingConfig,
    split: SplitSettings,
    random_state: np.random.RandomState,
    cache: ArrayCache = skip_cache,
) -> PreparedData:
    """Shuffle, clean, label and split the rows of a table; draws in this order.

    Args:
        table: columns id and tag, text or title and description, and maybe split.
        data: the label policy.
        preprocessing: the cleaner's arguments.
        split: sizes, and whether to shuffle.
        random_state: advanced by the shuffle and the two cuts.
        cache: keeps cleaned texts.

    Raises:
        DataError: the rows cannot be split, or have fewer than two labels.
    """
    if split.shuffle:
        table = table.sample(frac=1, random_state=random_state)
    tags = assign_labels(table["tag"], data.accepted_tags, data.min_freq, data.other)
    # Without a label of the rest, only some of the rows have one.
    table = table.loc[tags.index].reset_index(drop=True)
    cleaning = get_cleaner_arguments(preprocessing)
    raw = get_raw_texts(table)
    rows = pd.DataFrame(
        {
            "id": table["id"],
            "raw": raw,
            "text": clean_texts(raw.tolist(), cleaning, cache),
            "tag": tags.reset_index(drop=True),
        }
    )
    encoder = LabelEncoder.fit(rows["tag"])
    y = encoder.encode(rows["tag"])
    sizes = (split.train_size, split.val_size, random_state)
    parts = (
        splits.make_predefined(table["split"].tolist(), y, encoder, *sizes)
        if "split" in table
        else splits.make_stratified(y, encoder, *sizes)
    )
    return PreparedData(rows, y, encoder, parts, cleaning, data.other)


def clean_texts(texts: Sequence[str], cleaning: Mapping[str, Any], cache: ArrayCache) -> list[str]:
    """Return texts as the vectorizer sees them.

    Args:
        texts: n of them.
        cleaning: the cleaner's arguments.
        cache: keeps what is made by steps of our own; what others do depends on who knows what.
    """

    def clean() -> list[str]:
        return [*map(Cleaner(**cleaning), texts)]

    if cache is skip_cache or cleaning["first"] or cleaning["last"]:
        return clean()
    key = {"cleaning": cleaning, "texts": feature_cache.compute_digest(texts)}
    kept = cache(key, lambda: {"texts": feature_cache.pack_texts(clean())})
    return feature_cache.unpack_texts(kept["texts"])


def get_cleaner_arguments(preprocessing: PreprocessingConfig) -> dict[str, Any]:
    """Return the cleaner's arguments, with the words of a language in place of its name.

    Raises:
        ConfigError: there are no stop words for the language, or no such step.
    """
    arguments = asdict(preprocessing)
    language = arguments.pop("language")
    if language is not None:
        arguments["stopwords"] = [*arguments["stopwords"], *stopwords.get_for_language(language)]
    try:
        Cleaner(**arguments)
    except InvalidValueError as error:
        raise ConfigError(f"preprocessing.{error}") from None
    return arguments


def get_raw_texts(table: pd.DataFrame) -> pd.Series[str]:
    """Return the texts of a data set's rows, as they are before cleaning."""
    if "text" in table:
        return table["text"]
    return table["title"] + " " + table["description"]


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
        on_progress: called with the rows of an epoch that are done, if they are not all done at once.

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
    with prepared.open_train_rows(components, train_rows, on_progress) as balanced:
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
    refit_model(components.model, _balance_rows(components.sampler, rows), epochs)
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


def _balance_rows(sampler: Any, rows: FeatureRows) -> FeatureRows:
    try:
        return FeatureRows(*balance(sampler, rows.X, rows.y))
    except ValueError as error:
        raise DataError(f"The sampler cannot balance the train rows: {error}") from None


def score_part(prepared: PreparedData, tagger: Tagger, part: str) -> Performance:
    """Score a tagger on the rows of one part."""
    return _score_outputs(prepared, part, tagger, compute_part_outputs(prepared, tagger, part))


def compute_part_outputs(prepared: PreparedData, tagger: Tagger, part: str) -> Probabilities:
    """Return a model's outputs for the rows of one part, whose texts are clean already."""
    return compute_outputs(
        tagger.model, char_ngrams.transform(tagger.vectorizer, prepared.get_texts(part))
    )


def _score_outputs(prepared: PreparedData, part: str, tagger: Tagger, y_prob: Any) -> Performance:
    rows = prepared.get_part(part)
    return score_rows(rows["text"].tolist(), prepared.get_labels(part), tagger, y_prob)


def score_rows(texts: Sequence[str], y_true: Indices, tagger: Tagger, y_prob: Any) -> Performance:
    """Score class probabilities against label indices.

    Args:
        texts: cleaned, n of them.
        y_true: label indices, shape (n,).
        tagger: gives the threshold and the label names.
        y_prob: class probabilities, shape (n, classes).
    """
    rows = pd.DataFrame({"text": texts, "tag": tagger.encoder.decode(y_true)})
    predicted = tagger.decide(y_prob)
    return metrics.compute_performance(
        y_true, predicted, tagger.encoder.classes, slices.compute_masks(rows)
    )


def score_texts(tagger: Tagger, texts: Sequence[str], tags: Sequence[str]) -> Performance:
    """Score a tagger on labelled texts; tags that it does not know count as the rest label.

    Raises:
        DataError: there are unknown tags and no rest label.
    """
    labels = replace_unknown(tags, tagger.encoder.classes, tagger.other)
    y_true = tagger.encoder.encode(labels)
    return score_rows(tagger.clean(texts), y_true, tagger, tagger.compute_outputs(texts))
