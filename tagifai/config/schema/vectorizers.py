"""Schemas of the `vectorizer` group."""

from __future__ import annotations

import re
from dataclasses import dataclass

from omegaconf import MISSING

from tagifai.config.schema.rules import require, require_at_least, require_one_of, require_positive
from tagifai.exceptions import InvalidValueError

NORMS = (None, "l1", "l2")


@dataclass
class TermVectorizerConfig:
    """Arguments of all vectorizers of terms; None leaves scikit-learn's default.

    Args:
        analyzer: terms are n-grams of words, of characters (char), or of characters within words,
            which are padded with a space (char_wb).
        ngram_min: length of the shortest n-grams, in words or characters.
        ngram_max: length of the longest.
        lowercase: lower-case texts first.
        strip_accents: remove accents, by ascii or unicode; None leaves them.
        token_pattern: regular expression of a word; None takes two letters or digits and more.
        binary: count a term once a text.
    """

    _target_: str = MISSING
    analyzer: str = "char"
    ngram_min: int = 2
    ngram_max: int = 7
    lowercase: bool = True
    strip_accents: str | None = None
    token_pattern: str | None = None
    binary: bool = False

    def __post_init__(self) -> None:
        require_one_of("analyzer", self.analyzer, ("char", "char_wb", "word"))
        require_at_least("ngram_min", self.ngram_min, 1)
        _require_range("ngram", self.ngram_min, self.ngram_max)
        require_one_of("strip_accents", self.strip_accents, (None, "ascii", "unicode"))
        _check_pattern(self.token_pattern)


@dataclass
class CountVectorizerConfig(TermVectorizerConfig):
    """Arguments of scikit-learn's CountVectorizer.

    Args:
        min_df: terms in fewer texts are left out; a count, or a share of the texts.
        max_df: terms in more texts are left out; likewise.
        max_features: so many of the most frequent terms are kept; None keeps all.
    """

    _target_: str = "tagifai.preprocessing.counts"
    min_df: int | float = 1
    max_df: int | float = 1.0
    max_features: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_frequencies(self.min_df, self.max_df, self.max_features)


@dataclass
class TfidfVectorizerConfig(CountVectorizerConfig):
    """Arguments of scikit-learn's TfidfVectorizer.

    Args:
        norm: length that texts are brought to; None leaves them.
        use_idf: weigh terms by how few texts have them.
        smooth_idf: count every term in one more text.
        sublinear_tf: use 1 + log(count) instead of the count.
    """

    _target_: str = "tagifai.preprocessing.tfidf"
    norm: str | None = "l2"
    use_idf: bool = True
    smooth_idf: bool = True
    sublinear_tf: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        require_one_of("norm", self.norm, NORMS)


@dataclass
class HashingVectorizerConfig(TermVectorizerConfig):
    """Arguments of scikit-learn's HashingVectorizer, which keeps no terms.

    Args:
        n_features: columns.
        norm: length that texts are brought to; None leaves them.
    """

    _target_: str = "tagifai.preprocessing.hashing"
    n_features: int = 2**20
    norm: str | None = "l2"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_one_of("norm", self.norm, NORMS)
        require_at_least("n_features", self.n_features, 1)


@dataclass
class FeatureUnionConfig:
    """tf-idf of words beside tf-idf of characters; arguments without a prefix count for both.

    Args:
        word_ngram_min: words of the shortest n-grams.
        word_ngram_max: words of the longest.
        char_ngram_min: characters of the shortest n-grams.
        char_ngram_max: characters of the longest.
        char_analyzer: char, or char_wb within words; auto is char_wb, and char where texts have no
            spaces between words, as in Chinese, whose words are then single characters too.
        token_pattern: regular expression of a word; None takes two letters or digits and more.
        char_weight: of the characters' columns, beside 1 for those of words.
        lowercase: lower-case texts first.
        strip_accents: remove accents, by ascii or unicode; None leaves them.
        min_df: terms in fewer texts are left out; a count, or a share of the texts.
        max_df: terms in more texts are left out; likewise.
        max_features: so many of the most frequent terms are kept of each; None keeps all.
        binary: count a term once a text.
        norm: length that texts are brought to; None leaves them.
        use_idf: weigh terms by how few texts have them.
        smooth_idf: count every term in one more text.
        sublinear_tf: use 1 + log(count) instead of the count.
    """

    _target_: str = "tagifai.preprocessing.union"
    word_ngram_min: int = 1
    word_ngram_max: int = 2
    char_ngram_min: int = 2
    char_ngram_max: int = 5
    char_analyzer: str = "char_wb"
    token_pattern: str | None = None
    char_weight: float = 1.0
    lowercase: bool = True
    strip_accents: str | None = None
    min_df: int | float = 1
    max_df: int | float = 1.0
    max_features: int | None = None
    binary: bool = False
    norm: str | None = "l2"
    use_idf: bool = True
    smooth_idf: bool = True
    sublinear_tf: bool = False

    def __post_init__(self) -> None:
        for kind in ("word", "char"):
            least = getattr(self, f"{kind}_ngram_min")
            require_at_least(f"{kind}_ngram_min", least, 1)
            _require_range(f"{kind}_ngram", least, getattr(self, f"{kind}_ngram_max"))
        require_one_of("char_analyzer", self.char_analyzer, ("auto", "char", "char_wb"))
        _check_pattern(self.token_pattern)
        require_positive("char_weight", self.char_weight)
        require_one_of("strip_accents", self.strip_accents, (None, "ascii", "unicode"))
        require_one_of("norm", self.norm, NORMS)
        _check_frequencies(self.min_df, self.max_df, self.max_features)


def _check_pattern(pattern: str | None) -> None:
    if pattern is None:
        return
    allowed = r"a regular expression with one group at most, such as '(?u)\w+|[^\w\s]'"
    try:
        right = re.compile(pattern).groups <= 1
    except re.error as error:
        raise InvalidValueError("token_pattern", pattern, f"{allowed} ({error})") from None
    require(right, "token_pattern", pattern, allowed)


def _require_range(name: str, least: int, most: int) -> None:
    allowed = f"at least {name}_min = {least}, or the n-gram range is empty"
    require(most >= least, f"{name}_max", most, allowed)


def _check_frequencies(min_df: int | float, max_df: int | float, max_features: int | None) -> None:
    for key, value in {"min_df": min_df, "max_df": max_df}.items():
        right = 0 <= value <= 1 if isinstance(value, float) else value >= 1
        require(right, key, value, "a count of texts (1 or more) or a share (0.0 to 1.0)")
    if max_features is not None:
        require_at_least("max_features", max_features, 1)
