"""Limits of settings that came in somebody else's file."""

from __future__ import annotations

from typing import Any

import pytest

from tagifai.config import strangers
from tagifai.exceptions import ConfigError
from tagifai.preprocessing import vectorizers


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"token_pattern": r"(?:\w+)+-"}, "model.token_pattern"),
        ({"ngram_range": [1, 15_000]}, "model.ngram_range"),
        ({"char_ngram_max": 11}, "model.char_ngram_max"),
        ({"word_ngram_max": 6}, "model.word_ngram_max"),
        ({"transformer_list": [["word", {"n_features": 2**40}]]}, "n_features"),
        ({"n_jobs": -1}, "n_jobs"),
        ({"n_jobs": 2}, "n_jobs"),
        ({"n_estimators": 10**9}, "n_estimators"),
        ({"alpha": float("nan")}, "model.alpha"),
        ({"tol": float("inf")}, "model.tol"),
        ({"seed": 10**30}, "model.seed"),
        ({"stop_words": ["a"] * 10_001}, "model.stop_words"),
        ({"keep": "a" * 10_001}, "model.keep"),
    ],
)
def test_what_could_hang_or_fill_memory_is_refused_by_name(
    settings: dict[str, Any], named: str
) -> None:
    with pytest.raises(ConfigError, match=named):
        strangers.refuse_excess("model", settings)


def test_usual_settings_are_taken() -> None:
    strangers.refuse_excess(
        "vectorizer",
        {
            "token_pattern": None,
            "ngram_range": [1, 5],
            "n_jobs": None,
            "max_df": 1.0,
            "lowercase": True,
            "stop_words": ["a", "b"],
        },
    )


def test_the_patterns_that_this_package_sets_itself_are_known() -> None:
    assert vectorizers.UNSPACED_WORD in strangers.TOKEN_PATTERNS
