from __future__ import annotations

import pytest

from tagifai.exceptions import ConfigError
from tagifai.preprocessing.cleaning import Cleaner
from tagifai.preprocessing.stopwords import get_for_language


def test_a_language_is_known_by_name_and_by_code() -> None:
    words = get_for_language("german")
    assert {"der", "die", "und"} <= set(words)
    assert get_for_language("de") == words


def test_a_language_without_a_list_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"'germn': .* Did you mean 'german'"):
        get_for_language("germn")


def test_longer_words_stand_before_those_that_they_begin_with() -> None:
    words = get_for_language("de")
    assert [len(word) for word in words] == sorted(map(len, words), reverse=True)


def test_unicode_cleaning_keeps_letters_and_marks_of_every_script() -> None:
    clean = Cleaner(separate_punctuation=False, keep=r"\w\p{M}")
    assert clean("Über: Größe, 100 %!") == "über größe 100"
    assert clean("हिन्दी, में।") == "हिन्दी में"
    assert clean("日本語「にほんご」") == "日本語 にほんご"
