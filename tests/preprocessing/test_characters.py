from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagifai.preprocessing import characters


@given(st.lists(st.text(max_size=30), max_size=20))
def test_characters_are_counted_as_counter_does(texts: list[str]) -> None:
    assert characters.count_characters(texts) == Counter("".join(texts))


def test_characters_of_many_texts_are_counted_some_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(characters, "BATCH_CHARACTERS", 5)
    texts = ["abc", "好 a", "", "xyz"]
    assert characters.count_characters(texts) == Counter("".join(texts))


def test_scripts_have_their_shares_of_the_letters() -> None:
    text = "ab, 12! да好你い한ｅ"
    scripts = characters.compute_scripts(Counter(text))
    assert {name: round(share * 9) for name, share in scripts.items()} == {
        "Latin": 3,
        "Cyrillic": 2,
        "Han": 2,
        "Hiragana": 1,
        "Hangul": 1,
    }
    assert next(iter(scripts)) == "Latin"
    assert characters.compute_scripts(Counter("12 !")) == {}
