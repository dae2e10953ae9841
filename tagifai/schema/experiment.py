"""Schemas of the groups that an experiment is made of, from data to threshold."""

from __future__ import annotations

import math
import re
import warnings
from dataclasses import dataclass, field

from omegaconf import MISSING

from tagifai.errors import Refused
from tagifai.schema.rules import at_least, filled, not_negative, one_of, positive, require, share

SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass
class Data:
    """Two tables, projects and tags, that are joined on `id`, and the policy for their labels.

    Args:
        name: folder of the joined table below the data store.
        projects: URL or path of a CSV with columns id, created_on, title, description.
        tags: URL or path of a CSV with columns id, tag.
        projects_sha256: the file's expected SHA-256 in hexadecimal; None accepts any content.
        tags_sha256: likewise.
        accepted_tags: tags that may keep their name; empty accepts all.
        min_freq: rows that a tag needs to keep its name.
        other: label of the rest.
    """

    name: str = MISSING
    projects: str = MISSING
    tags: str = MISSING
    projects_sha256: str | None = None
    tags_sha256: str | None = None
    accepted_tags: list[str] = field(default_factory=list)
    min_freq: int = 1
    other: str = "other"

    def __post_init__(self) -> None:
        plain = re.fullmatch(r"[\w][\w.-]*", self.name) is not None
        require(plain, "name", self.name, "letters, digits, '.', '_' and '-'")
        for key in ("projects", "tags", "other"):
            filled(key, getattr(self, key))
        for key in ("projects_sha256", "tags_sha256"):
            value = getattr(self, key)
            known = value is None or SHA256.fullmatch(value) is not None
            require(known, key, value, "64 lower-case hexadecimal digits, or null")
        at_least("min_freq", self.min_freq, 1)


@dataclass
class Preprocessing:
    """Cleaning, in the order of the fields; see `tagifai.text.Cleaner`."""

    lower: bool = True
    stopwords: list[str] = field(default_factory=list)
    separate_punctuation: bool = True
    keep: str | None = "A-Za-z0-9"
    remove_links: bool = True
    stem: bool = False

    def __post_init__(self) -> None:
        require(all(self.stopwords), "stopwords", "", "words that are not empty")
        if self.keep is None:
            return
        allowed = "the inside of a regular expression's brackets, such as A-Za-z0-9"
        unescaped = re.sub(r"\\.", "xx", self.keep)
        closes_early = "]" in unescaped[1:]
        require(not closes_early, "keep", self.keep, allowed)
        try:
            with warnings.catch_warnings(action="error"):
                re.compile(f"[^{self.keep}]+")
        except (re.error, FutureWarning) as error:
            raise Refused("keep", self.keep, f"{allowed} ({error})") from None


@dataclass
class Split:
    """Shares of the rows; test gets what train and validation leave.

    Args:
        shuffle: shuffle the table before it is split.
        train_size: share for training.
        val_size: share for validation.
    """

    shuffle: bool = True
    train_size: float = 0.7
    val_size: float = 0.15

    def __post_init__(self) -> None:
        share("train_size", self.train_size)
        share("val_size", self.val_size)
        left = f"less than 1 - train_size = {1 - self.train_size:g}, so that test rows remain"
        require(self.train_size + self.val_size < 1, "val_size", self.val_size, left)


@dataclass
class Tfidf:
    """Arguments of scikit-learn's TfidfVectorizer; None leaves its default."""

    _target_: str = "tagifai.features.tfidf"
    analyzer: str = "char"
    ngram_min: int = 2
    ngram_max: int = 7
    lowercase: bool = True
    strip_accents: str | None = None
    token_pattern: str | None = None
    min_df: int | float = 1
    max_df: int | float = 1.0
    max_features: int | None = None
    binary: bool = False
    norm: str | None = "l2"
    use_idf: bool = True
    smooth_idf: bool = True
    sublinear_tf: bool = False

    def __post_init__(self) -> None:
        one_of("analyzer", self.analyzer, ("char", "char_wb", "word"))
        at_least("ngram_min", self.ngram_min, 1)
        least = f"at least ngram_min = {self.ngram_min}, or the n-gram range is empty"
        require(self.ngram_max >= self.ngram_min, "ngram_max", self.ngram_max, least)
        one_of("strip_accents", self.strip_accents, (None, "ascii", "unicode"))
        one_of("norm", self.norm, (None, "l1", "l2"))
        for key in ("min_df", "max_df"):
            value = getattr(self, key)
            right = 0 <= value <= 1 if isinstance(value, float) else value >= 1
            require(right, key, value, "a count of texts (1 or more) or a share (0.0 to 1.0)")
        if self.max_features is not None:
            at_least("max_features", self.max_features, 1)


@dataclass
class RandomOver:
    """Arguments of imbalanced-learn's RandomOverSampler."""

    _target_: str = "imblearn.over_sampling.RandomOverSampler"
    sampling_strategy: str = "all"

    def __post_init__(self) -> None:
        strategies = ("all", "auto", "minority", "not minority", "not majority")
        one_of("sampling_strategy", self.sampling_strategy, strategies)


@dataclass
class Nothing:
    """An option that switches its step off."""


@dataclass
class Training:
    """The epoch loop.

    Args:
        epochs: passes over the train rows, for models that train by epochs.
        patience: stop after so many epochs without a lower validation loss and keep the best
            epoch's weights; None goes through all epochs and keeps the last.
    """

    epochs: int = 100
    patience: int | None = None

    def __post_init__(self) -> None:
        at_least("epochs", self.epochs, 1)
        if self.patience is not None:
            at_least("patience", self.patience, 1)


@dataclass
class SGD:
    """Arguments of scikit-learn's SGDClassifier; None leaves its default."""

    _target_: str = "sklearn.linear_model.SGDClassifier"
    loss: str = "log_loss"
    penalty: str = "l2"
    alpha: float = 1e-4
    l1_ratio: float | None = None
    fit_intercept: bool = True
    learning_rate: str = "constant"
    eta0: float = 0.1
    power_t: float | None = None
    class_weight: str | None = None
    average: bool = False
    shuffle: bool = True

    def __post_init__(self) -> None:
        # The other losses have no probabilities, which loss, threshold and predictions rest on.
        one_of("loss", self.loss, ("log_loss", "modified_huber"))
        one_of("penalty", self.penalty, ("l2", "l1", "elasticnet"))
        not_negative("alpha", self.alpha)
        if self.l1_ratio is not None:
            right = 0 <= self.l1_ratio <= 1
            require(right, "l1_ratio", self.l1_ratio, "a share from 0 to 1")
        # "adaptive" watches the loss within one call of fit, and here a call is one epoch.
        one_of("learning_rate", self.learning_rate, ("constant", "optimal", "invscaling"))
        uses_alpha = self.learning_rate == "optimal"
        reason = "above 0, because learning_rate=optimal divides by it"
        require(not uses_alpha or self.alpha > 0, "alpha", self.alpha, reason)
        positive("eta0", self.eta0)
        if self.power_t is not None:
            require(math.isfinite(self.power_t), "power_t", self.power_t, "a finite number")
        one_of("class_weight", self.class_weight, (None, "balanced"))

    def ignored(self) -> dict[str, str]:
        """Return the parameters without effect beside the others, with the reason."""
        reasons = {}
        if self.learning_rate == "optimal":
            reasons["eta0"] = "under model.learning_rate=optimal"
        if self.learning_rate != "invscaling":
            reasons["power_t"] = f"under model.learning_rate={self.learning_rate}"
        if self.penalty != "elasticnet":
            reasons["l1_ratio"] = f"with model.penalty={self.penalty}"
        return reasons


@dataclass
class Quantile:
    """The threshold is a quantile of the predicted classes' probabilities on validation rows."""

    _target_: str = "tagifai.thresholds.Quantile"
    q: float = 0.25

    def __post_init__(self) -> None:
        require(0 <= self.q <= 1, "q", self.q, "a share from 0 to 1")


@dataclass
class Fixed:
    """The threshold is a given probability."""

    _target_: str = "tagifai.thresholds.Fixed"
    value: float = 0.5

    def __post_init__(self) -> None:
        require(0 <= self.value < 1, "value", self.value, "a probability, at least 0 and below 1")
