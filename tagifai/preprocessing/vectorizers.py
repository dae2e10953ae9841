"""Vectorizers whose arguments are scalars, so that a configuration can set each of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.pipeline import FeatureUnion

AUTO = "auto"
"""Stands for an analyzer of characters that is chosen by the texts."""

UNSPACED_SCRIPTS = frozenset(
    {"Han", "Hiragana", "Katakana", "Khmer", "Lao", "Myanmar", "Thai", "Tibetan"}
)
"""Scripts that put no spaces between words."""

UNSPACED_WORD = r"(?u)[a-z0-9]+|\w"
"""A word of texts without spaces: a Latin word or number, or any other single letter."""

LEAST_UNSPACED = 0.3
"""Share of all letters that are of such scripts, for texts to count as texts without spaces."""


def tfidf(ngram_min: int, ngram_max: int, **arguments: Any) -> TfidfVectorizer:
    """Return scikit-learn's TfidfVectorizer with its n-gram range given as two scalars.

    Args:
        ngram_min: shortest n-gram, in the analyzer's units (words or characters).
        ngram_max: longest n-gram.
        arguments: anything else that TfidfVectorizer takes, under its own name.
    """
    return TfidfVectorizer(ngram_range=(ngram_min, ngram_max), **arguments)


def counts(ngram_min: int, ngram_max: int, **arguments: Any) -> CountVectorizer:
    """Return scikit-learn's CountVectorizer; arguments as for `tfidf`."""
    return CountVectorizer(ngram_range=(ngram_min, ngram_max), **arguments)


def hashing(ngram_min: int, ngram_max: int, **arguments: Any) -> HashingVectorizer:
    """Return scikit-learn's HashingVectorizer, all of whose values are at least 0.

    Alternating signs would let terms that share a column cancel out on average, but naive Bayes
    takes no negative features; with 2**20 columns few terms share one.
    """
    return HashingVectorizer(ngram_range=(ngram_min, ngram_max), alternate_sign=False, **arguments)


def union(
    word_ngram_min: int,
    word_ngram_max: int,
    char_ngram_min: int,
    char_ngram_max: int,
    char_analyzer: str,
    char_weight: float,
    **arguments: Any,
) -> FeatureUnion:
    """Return tf-idf of words and tf-idf of characters, side by side.

    Args:
        word_ngram_min: fewest words of a term.
        word_ngram_max: most words of a term.
        char_ngram_min: shortest n-gram of characters.
        char_ngram_max: longest n-gram of characters.
        char_analyzer: char, or char_wb for n-grams within words; auto is replaced by
            `adapt_to_texts` with one of them.
        char_weight: factor of the characters' columns; those of the words have 1.
        arguments: `token_pattern`, the regular expression of a word, and anything else that both
            TfidfVectorizers take.
    """
    pattern = {key: arguments.pop(key) for key in ("token_pattern",) if key in arguments}
    parts = [
        ("word", tfidf(word_ngram_min, word_ngram_max, analyzer="word", **pattern, **arguments)),
        ("char", tfidf(char_ngram_min, char_ngram_max, analyzer=char_analyzer, **arguments)),
    ]
    return FeatureUnion(parts, transformer_weights={"word": 1.0, "char": char_weight})


def list_open_parts(vectorizer: Any) -> list[Any]:
    """Return the parts of a vectorizer whose analyzer `union` left to the texts."""
    parts = (part for _, part in getattr(vectorizer, "transformer_list", ()))
    return [part for part in parts if getattr(part, "analyzer", None) == AUTO]


def adapt_to_texts(vectorizer: Any, texts: Iterable[str]) -> bool:
    """Choose what `union` left to the texts, and return whether they have no spaces.

    Args:
        vectorizer: unfitted; nothing is done to one that leaves nothing open.
        texts: that it will be fitted to, cleaned.
    """
    open_parts = list_open_parts(vectorizer)
    if not open_parts:
        return False
    unspaced = has_no_spaces(texts)
    for part in open_parts:
        part.set_params(analyzer="char" if unspaced else "char_wb")
    word = dict(vectorizer.transformer_list).get("word")
    if unspaced and word is not None and word.token_pattern == TfidfVectorizer().token_pattern:
        word.set_params(token_pattern=UNSPACED_WORD)
    return unspaced


def has_no_spaces(texts: Iterable[str]) -> bool:
    """Return whether texts are in a script that puts no spaces between words, such as Chinese."""
    # Late: only training chooses by the texts, and a served model has no copy of it.
    from tagifai.preprocessing.characters import compute_scripts, count_characters

    scripts = compute_scripts(count_characters(texts))
    return sum(scripts.get(script, 0.0) for script in UNSPACED_SCRIPTS) > LEAST_UNSPACED
