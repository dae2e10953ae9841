"""What cleaning takes from texts."""

from __future__ import annotations

from typing import Any

import pytest

from tagifai.exceptions import DataError
from tagifai.preprocessing import deletions
from tagifai.preprocessing.cleaning import Cleaner, cleaning_step
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


def clean(texts: list[str], cleaning: dict[str, Any]) -> list[str]:
    return [*map(Cleaner(**cleaning), texts)]


def check(texts: list[str], cleaning: dict[str, Any]) -> None:
    found = deletions.list_deletions(texts, clean(texts, cleaning), cleaning)
    deletions.refuse_deletions(found)


def warn(texts: list[str], cleaning: dict[str, Any]) -> list[str]:
    found = deletions.list_deletions(texts, clean(texts, cleaning), cleaning)
    return deletions.list_warnings(found)


def get_share(text: str, cleaning: dict[str, Any]) -> float:
    characters = deletions.count_cleaned_characters([text], cleaning)
    return deletions.compute_deleted_letters(characters, cleaning)


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
        check(["12", CHINESE], DEFAULT)
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
    check([text], cleaning)


@pytest.mark.parametrize(("letters", "warned"), [(1, False), (2, True), (5, True)])
def test_a_cleaning_that_deletes_more_than_a_tenth_of_the_letters_is_a_warning(
    letters: int, warned: bool
) -> None:
    text = "a" * (10 - letters) + "好" * letters
    said = (
        f"The cleaning deletes {letters / 10:.1%} of the letters. Use preprocessing=unicode, which"
        " keeps the letters of every script, or preprocessing=none, which keeps all."
    )
    assert warn([text], DEFAULT) == ([said] if warned else [])


# --- texts -------------------------------------------------------------------------------------

STOPWORDS = {**DEFAULT, "stopwords": ["who", "what", "is", "he", "it"]}
FULL = [f"the capital of country {n}" for n in range(17)]
SETTINGS = "preprocessing.stopwords=[] preprocessing.language=null"


def test_a_cleaning_that_empties_more_than_a_tenth_of_the_texts_names_the_setting() -> None:
    assert warn([*FULL[:9], "Who is he?"], STOPWORDS | {"keep": None}) == []
    assert warn([*FULL[:9], "Who is he"], STOPWORDS) == []
    # Blank texts are no work of the cleaning's.
    assert warn([*FULL[:8], "Who is he?", "  "], STOPWORDS) == []
    (said,) = warn([*FULL, "Who is he?", "What is it", "what?"], STOPWORDS)
    assert said == (
        'The cleaning empties 3 of 20 texts (15.0%), such as "Who is he?". Use'
        f" {SETTINGS}, or preprocessing=none, which keeps all."
    )
    links = STOPWORDS | {"separate_punctuation": False, "keep": None}
    (said,) = warn([*FULL, *[f"http://a.de/{n}" for n in range(3)]], links)
    assert "Use preprocessing.remove_links=false, or preprocessing=none" in said
    (said,) = warn([*FULL, ":-)", ":-(", "!!!"], STOPWORDS)
    assert "Use preprocessing.keep=null, or preprocessing=none" in said
    # Where no setting alone does it, all of them do.
    (said,) = warn([*FULL, "who", "http://b.de"], links)
    assert said.endswith('"who". Use preprocessing=none, which keeps all.')


def test_a_cleaning_that_makes_more_than_a_tenth_equal_names_the_setting() -> None:
    questions = ["who is the president", "what is the president"]
    assert warn([*FULL[:8], "the president", "the  President"], STOPWORDS) == []
    # Of 18 different texts, one is no more than a tenth.
    assert warn([*FULL[:17], "who is the capital", *FULL], STOPWORDS) == []
    (said,) = warn([*FULL[:8], *questions, *questions], STOPWORDS)
    assert said == (
        "The cleaning makes 2 of 10 different texts equal to another one (20.0%): "
        '"who is the president" and "what is the president" both become "the president". Use'
        f" {SETTINGS}, or preprocessing=none, which keeps all."
    )
    (said,) = warn([*FULL[:8], "it runs :-)", "it runs :-("], STOPWORDS)
    assert "Use preprocessing.keep=null, or" in said
    (said,) = warn([*FULL[:8], "runs", "running"], {**STOPWORDS, "stem": True})
    assert "Use preprocessing.stem=false, or" in said


@pytest.mark.parametrize(
    ("texts", "begin"),
    [
        (["who is he", "what is it", "a b"], "The cleaning would empty 2 of 3 texts (66.7%), such"),
        (
            ["who runs", "what runs", "he runs", "the cat"],
            "The cleaning would make 3 of 4 different texts equal to another one (75.0%):",
        ),
    ],
)
def test_a_cleaning_that_does_it_to_more_than_half_is_refused(texts: list[str], begin: str) -> None:
    with pytest.raises(DataError) as refused:
        check(texts, STOPWORDS)
    assert str(refused.value).startswith(begin)
    assert f"Use {SETTINGS}, or preprocessing=none, which keeps all." in str(refused.value)
    assert warn(texts, STOPWORDS) == []
    half = [*texts, *FULL[:3]]
    check(half, STOPWORDS)
    assert len(warn(half, STOPWORDS)) == 1


def test_texts_that_differ_in_case_and_white_space_alone_are_not_made_equal() -> None:
    check(["Good film", "good  film", "GOOD FILM "], DEFAULT)
    assert warn(["Good film", "good  film", "GOOD FILM "], DEFAULT) == []
