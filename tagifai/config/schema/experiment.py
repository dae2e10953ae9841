"""Schemas of preprocessing, split, sampling, training and threshold."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, field

from omegaconf import MISSING

from tagifai.config.schema.rules import (
    require,
    require_at_least,
    require_fraction,
    require_not_blank,
    require_one_of,
)
from tagifai.exceptions import InvalidValueError

SEVERAL = re.compile(r"\s*,\s*")
"""Separates words that are given in one string."""


@dataclass
class PreprocessingConfig:
    """Cleaning, in the order of the fields; see `tagifai.preprocessing.cleaning.Cleaner`.

    Args:
        first: steps of one's own by name, before all others; see
            `tagifai.preprocessing.cleaning.cleaning_step`.
        lower: lower-case the text.
        stopwords: words to delete; an item may be several of them, with commas between.
        language: whose stop words to delete too, such as "de" or "german"; None has none.
        separate_punctuation: put spaces around punctuation, so that it is a word of its own.
        keep: characters to keep, as inside the brackets of a regular expression; all others become
            spaces. None keeps all.
        remove_links: delete what begins with http.
        stem: reduce every word to its Porter stem.
        last: steps of one's own, after all others.
    """

    first: list[str] = field(default_factory=list)
    lower: bool = True
    stopwords: list[str] = field(default_factory=list)
    language: str | None = None
    separate_punctuation: bool = False
    keep: str | None = None
    remove_links: bool = False
    stem: bool = False
    last: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.stopwords = [word for item in self.stopwords for word in SEVERAL.split(item)]
        require(all(self.stopwords), "stopwords", "", "words that are not empty")
        if self.keep is None:
            return
        allowed = "the inside of a regular expression's brackets, such as A-Za-z0-9"
        unescaped = re.sub(r"\\.", "xx", self.keep.replace(r"\p{M}", ""))
        closes_early = "]" in unescaped[1:]
        require(not closes_early, "keep", self.keep, allowed)
        try:
            with warnings.catch_warnings(action="error"):
                re.compile("[^" + self.keep.replace(r"\p{M}", "") + "]+")
        except (re.error, FutureWarning) as error:
            raise InvalidValueError("keep", self.keep, f"{allowed} ({error})") from None


@dataclass
class SplitConfig:
    """Shares of the rows; test gets what train and validation leave.

    Args:
        shuffle: shuffle the table before it is split.
        train_size: share for training.
        val_size: share for validation.
        near_duplicates: "together" keeps rows on one side whose texts are the same or almost so;
            "apart" does not look for them.
    """

    shuffle: bool = True
    train_size: float = 0.7
    val_size: float = 0.15
    near_duplicates: str = "apart"

    def __post_init__(self) -> None:
        require_fraction("train_size", self.train_size)
        require_fraction("val_size", self.val_size)
        left = f"less than 1 - train_size = {1 - self.train_size:g}, so that test rows remain"
        require(self.train_size + self.val_size < 1, "val_size", self.val_size, left)
        require_one_of("near_duplicates", self.near_duplicates, ("apart", "together"))


@dataclass
class SplitByConfig(SplitConfig):
    """Shares of rows that a column says more of.

    Args:
        by: the column; a data set of your own keeps it with its rows (data.keep).
    """

    by: str = MISSING

    def __post_init__(self) -> None:
        super().__post_init__()
        require_not_blank("by", self.by)


@dataclass
class GroupedSplitConfig(SplitByConfig):
    """No group of rows is in two parts, such as the texts of one author."""


@dataclass
class TimeSplitConfig(SplitByConfig):
    """The oldest rows train, newer ones are for validation, and the newest for the test."""


@dataclass
class RandomOverSamplerConfig:
    """Arguments of imbalanced-learn's RandomOverSampler.

    Args:
        sampling_strategy: the classes that get more rows.
    """

    _target_: str = "imblearn.over_sampling.RandomOverSampler"
    sampling_strategy: str = "all"

    def __post_init__(self) -> None:
        strategies = ("all", "auto", "minority", "not minority", "not majority")
        require_one_of("sampling_strategy", self.sampling_strategy, strategies)


@dataclass
class RandomUnderSamplerConfig:
    """Arguments of imbalanced-learn's RandomUnderSampler.

    Args:
        sampling_strategy: the classes that get fewer rows.
        replacement: a row may be drawn more than once.
    """

    _target_: str = "imblearn.under_sampling.RandomUnderSampler"
    sampling_strategy: str = "auto"
    replacement: bool = False

    def __post_init__(self) -> None:
        strategies = ("all", "auto", "majority", "not minority", "not majority")
        require_one_of("sampling_strategy", self.sampling_strategy, strategies)


@dataclass
class DisabledConfig:
    """An option that switches its step off."""


@dataclass
class TrainingConfig:
    """The epoch loop.

    Args:
        epochs: passes over the train rows, for models that train by epochs.
        patience: stop after so many epochs without a lower validation loss and keep the best
            epoch's weights; None goes through all epochs and keeps the last.
        refit: at the end, fit vectorizer and model once more, to the train and validation rows
            together, for as many epochs; the test rows are scored by that model. Validation
            scores, threshold and objective are of the first one, which had not seen these rows.
        max_rows: fit to so many of these rows at most, of each label its share; None fits to all.
        resume: keep a checkpoint after every epoch, and go on from the one that the same training
            left when it was interrupted; the result is the same to the last bit.
    """

    epochs: int = 10
    patience: int | None = 3
    refit: bool = True
    max_rows: int | None = None
    resume: bool = False

    def __post_init__(self) -> None:
        require_at_least("epochs", self.epochs, 1)
        if self.max_rows is not None:
            require_at_least("max_rows", self.max_rows, 2)
        if self.patience is not None:
            require_at_least("patience", self.patience, 1)


@dataclass
class QuantileThresholdConfig:
    """The threshold is a quantile of the predicted classes' probabilities on validation rows.

    Args:
        q: share of the validation rows that fall below the threshold.
    """

    _target_: str = "tagifai.models.QuantileThreshold"
    q: float = 0.25

    def __post_init__(self) -> None:
        require(0 <= self.q <= 1, "q", self.q, "a share from 0 to 1")


@dataclass
class AutoThresholdConfig(QuantileThresholdConfig):
    """A quantile where there is a fallback label and the model has probabilities of its own."""

    _target_: str = "tagifai.models.AutoThreshold"


@dataclass
class TunedThresholdConfig:
    """The threshold is the one with the best score on the validation rows.

    Args:
        score: weighted over the classes.
    """

    _target_: str = "tagifai.models.TunedThreshold"
    score: str = "f1"

    def __post_init__(self) -> None:
        require_one_of("score", self.score, ("f1", "precision", "recall"))


@dataclass
class FixedThresholdConfig:
    """The threshold is a given probability.

    Args:
        value: the probability below which a text gets the fallback label (data.other).
    """

    _target_: str = "tagifai.models.FixedThreshold"
    value: float = 0.5

    def __post_init__(self) -> None:
        require(0 <= self.value < 1, "value", self.value, "a probability, at least 0 and below 1")
