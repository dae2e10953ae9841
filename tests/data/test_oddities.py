"""Letters that cleaning deletes, junk, and labels that look alike."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagifai.data import oddities
from tagifai.exceptions import DataError
from tagifai.preprocessing.cleaning import cleaning_step
from tests.runner import keep_own_code

DEFAULT: dict[str, Any] = {
    "first": [],
    "lower": True,
    "stopwords": ["the", "is"],
    "separate_punctuation": True,
    "keep": "A-Za-z0-9",
    "remove_links": True,
    "stem": False,
    "last": [],
}
UNICODE = {**DEFAULT, "separate_punctuation": False, "keep": r"\w\p{M}"}

GERMAN = "Öffentliche Gebäude müssen größer sein"
CHINESE = "今天天气很好我们去公园玩"
HINDI = "हिन्दी में लिखा हुआ पाठ"


def get_share(text: str, cleaning: dict[str, Any]) -> float:
    characters = oddities.count_cleaned_characters([text], cleaning)
    return oddities.compute_deleted_letters(characters, cleaning)


@given(st.lists(st.text(max_size=30), max_size=20))
def test_characters_are_counted_as_counter_does(texts: list[str]) -> None:
    assert oddities.count_characters(texts) == Counter("".join(texts))


def test_characters_of_many_texts_are_counted_some_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(oddities, "BATCH_CHARACTERS", 5)
    texts = ["abc", "好 a", "", "xyz"]
    assert oddities.count_characters(texts) == Counter("".join(texts))


def test_scripts_have_their_shares_of_the_letters() -> None:
    text = "ab, 12! да好你い한ｅ"
    scripts = oddities.compute_scripts(Counter(text))
    assert {name: round(share * 9) for name, share in scripts.items()} == {
        "Latin": 3,
        "Cyrillic": 2,
        "Han": 2,
        "Hiragana": 1,
        "Hangul": 1,
    }
    assert next(iter(scripts)) == "Latin"
    assert oddities.compute_scripts(Counter("12 !")) == {}


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("The film is good, isn't it? 12 € … ☺️", 0),
        (GERMAN, 5 / 34),
        (CHINESE, 1),
        (f"ok{CHINESE[:2]}", 0.5),
        ("12 34", 0),
        ("", 0),
        ("cafe\u0301", 1 / 5),
    ],
)
def test_letters_that_are_not_among_the_kept_characters_are_deleted(
    text: str, share: float
) -> None:
    assert get_share(text, DEFAULT) == share
    assert get_share(text, UNICODE) == 0


def test_vowel_signs_are_letters() -> None:
    assert get_share(HINDI, UNICODE) == 0
    assert 0.3 < get_share(HINDI, {**UNICODE, "keep": r"\w"}) < 0.5


@pytest.mark.parametrize(
    "cleaning",
    [
        {**DEFAULT, "stopwords": ["running", "the"]},
        {**DEFAULT, "stem": True},
        {**DEFAULT, "keep": None},
    ],
)
def test_what_is_deleted_on_purpose_does_not_count(cleaning: dict[str, Any]) -> None:
    assert get_share("the running http://example.com/abc flies", cleaning) == 0


def test_own_steps_come_before_the_letters_are_counted() -> None:
    with keep_own_code():

        @cleaning_step
        def spell_out(text: str) -> str:
            return text.replace("好", "good")

        assert get_share("好好", {**DEFAULT, "first": ["spell_out"]}) == 0
    assert get_share("好好", DEFAULT) == 1


def test_a_cleaning_that_deletes_most_letters_is_refused_with_a_way_out() -> None:
    with pytest.raises(DataError) as refused:
        oddities.check_cleaning(["12", CHINESE], DEFAULT)
    assert str(refused.value) == (
        f'The cleaning would delete 100.0% of the letters (Han): "{CHINESE}" would become "". Use'
        " preprocessing=unicode, which keeps the letters of every script, or preprocessing=none,"
        " which keeps all."
    )


@pytest.mark.parametrize(
    ("text", "cleaning"),
    [(GERMAN, DEFAULT), (CHINESE, UNICODE), ("ab你好", DEFAULT), ("", DEFAULT)],
)
def test_a_cleaning_that_deletes_half_of_the_letters_is_not_refused(
    text: str, cleaning: dict[str, Any]
) -> None:
    oddities.check_cleaning([text], cleaning)


JUNK = {
    "shorter than 3 characters": ["", " ", "ok", "12", " a "],
    "one repeated character": ["!!!", "aaaaa", "哈哈哈"],
    "only a link": ["http://example.com/a?b=c", " www.example.com ", "HTTPS://X.DE"],
    "no letters": ["12345", "+1 (555) 123", ":-) 100%"],
    "HTML left over": [
        "<p>Good",
        "fish &amp; chips",
        "a<br/>b",
        "it&#39;s",
        '<a href="x">here</a>',
    ],
}


@pytest.mark.parametrize(
    ("kind", "text"), [(k, text) for k, texts in JUNK.items() for text in texts]
)
def test_junk_is_of_a_kind(kind: str, text: str) -> None:
    assert oddities.find_junk(["a good text", text]) == {kind: [1]}


@pytest.mark.parametrize(
    "text",
    [
        "yes",
        "好",
        "見た",
        "I <3 you",
        "a < b > c",
        "AT&T; x",
        "see http://example.com",
        "Q&A; no",
        "<user> hi",
    ],
)
def test_what_is_short_or_has_signs_is_no_junk_for_that(text: str) -> None:
    assert oddities.find_junk([text]) == {}


ALIKE = {
    "upper and lower case": ["Sport", "sport", "SPORT"],
    "the form of a number": ["1", "1.0", "01"],
    "white space": ["computer vision", "computer  vision", "computer\u00a0vision"],
    "invisible characters": ["sport", "spo\u200brt"],
    "the form of characters": ["A1", "\uff21\uff11"],
    "characters that look alike": ["politics", "pоlitics", "роlitics"],  # noqa: RUF001
    "several of these ways": ["Computer vision", "computervision"],
}


@pytest.mark.parametrize(("reason", "labels"), ALIKE.items())
def test_labels_that_look_alike_are_found_with_the_reason(reason: str, labels: list[str]) -> None:
    assert oddities.find_lookalikes(["other", *labels, "2"]) == [(labels, reason)]


def test_labels_that_a_reader_tells_apart_are_not_alike() -> None:
    labels = ["1", "2", "-1", "1.5", "15", "a", "b", "да", "нет", "c++", "c", "c#", "1_0", "10"]
    assert oddities.find_lookalikes(labels) == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\tb\nc\r", r"a\tb\nc\r"),
        ("a\u200bb\u00a0c\u2028", r"a\u200bb\xa0c\u2028"),
        ("é 好 ☺", "é 好 ☺"),
        ("x" * 61, "x" * 60 + "…"),
        ("\x1b[31mred", r"\x1b[31mred"),
    ],
)
def test_a_text_is_shown_on_a_line_with_what_cannot_be_seen(text: str, shown: str) -> None:
    assert oddities.shorten(text) == shown
