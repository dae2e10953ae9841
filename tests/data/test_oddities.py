"""Junk, and labels that look alike."""

from __future__ import annotations

import pytest

from tagifai.data import oddities

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
