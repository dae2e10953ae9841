from __future__ import annotations

import re
import warnings
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tagifai.exceptions import InvalidValueError
from tagifai.preprocessing import cleaning as module
from tagifai.preprocessing.cleaning import Cleaner, cleaning_step

quick = settings(max_examples=60)

NOTHING: dict[str, Any] = {
    "lower": False,
    "stopwords": [],
    "separate_punctuation": False,
    "keep": None,
    "remove_links": False,
    "stem": False,
}
TOKENS = [
    "http",
    "https://a.b/c",
    "HTTP",
    "httpx",
    "the",
    "The",
    "you're",
    ",",
    " ",
    "\n",
    "é",
    "x",
]
texts = st.text(max_size=40) | st.lists(st.sampled_from(TOKENS), max_size=12).map("".join)


def only(**steps: Any) -> Cleaner:
    """Return a cleaner that does nothing but the named steps."""
    return Cleaner(**{**NOTHING, **steps})


@quick
@given(texts)
def test_without_steps_a_text_stays_as_it_is(text: str) -> None:
    assert only()(text) == text


def test_lower_case_is_a_step() -> None:
    assert only(lower=True)("An MLP") == "an mlp"


def test_the_default_is_lower_case_ascii_words() -> None:
    assert Cleaner()("  Déjà-vu: BERT,\tGPT-2!\n") == "d j vu bert gpt 2"


@pytest.mark.parametrize("text", ["", " ", "\n\t ", "...", "日本語"])
def test_a_text_may_come_out_empty(text: str) -> None:
    assert Cleaner()(text) == ""


# Steps of one's own


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REGISTERED", {})

    @cleaning_step
    def mask_numbers(text: str) -> str:
        return re.sub(r"[0-9]+", "NUMBER", text)

    @cleaning_step
    def double(text: str) -> str:
        return f"{text} {text}"


@pytest.mark.usefixtures("registered")
def test_registered_steps_come_before_and_after_all_others_in_their_order() -> None:
    assert Cleaner(first=["mask_numbers"])("GPT-2!") == "gpt number"
    assert Cleaner(last=["mask_numbers"])("GPT-2!") == "gpt NUMBER"
    assert only(first=["mask_numbers", "double"], last=["double"])("1") == " ".join(["NUMBER"] * 4)


def test_a_registered_step_can_still_be_called_by_itself() -> None:
    step = str.upper
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_REGISTERED", {})
        assert cleaning_step(step) is step


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("key", ["first", "last"])
def test_a_step_that_is_not_registered_is_refused_with_those_that_are(key: str) -> None:
    steps: dict[str, Any] = {key: ["mask_number"]}
    with pytest.raises(InvalidValueError) as caught:
        Cleaner(**steps)
    assert str(caught.value) == (
        f"{key} = 'mask_number' is not allowed: the name of a function that is decorated with"
        " @cleaning_step. Did you mean 'mask_numbers'? There are: double, mask_numbers."
    )


def test_without_registered_steps_a_refusal_says_so() -> None:
    with pytest.raises(InvalidValueError, match="There are: none yet"):
        Cleaner(first=["x"])


# Stop words


def test_a_stop_word_goes_with_the_white_space_after_it() -> None:
    assert only(stopwords=["the"])("see the \n cat") == "see cat"


def test_white_space_before_a_stop_word_stays() -> None:
    assert only(stopwords=["the"])("see  the") == "see  "


def test_a_stop_word_inside_a_word_stays() -> None:
    assert only(stopwords=["the"])("theory bathe the") == "theory bathe "


def test_an_earlier_stop_word_wins_over_a_longer_later_one() -> None:
    assert only(stopwords=["you", "you're"])("you're in") == "'re in"
    assert only(stopwords=["you're", "you"])("you're in") == "in"


WORD = st.text("ab'c ", min_size=1, max_size=4)


@given(words=st.lists(WORD, min_size=1, max_size=7), text=st.text("ab'c ", max_size=30))
def test_stop_words_are_tried_in_their_order_however_they_begin(
    words: list[str], text: str
) -> None:
    one_after_the_other = rf"\b({'|'.join(map(re.escape, words))})\b\s*"
    assert only(stopwords=words)(text) == re.sub(one_after_the_other, "", text)


def test_a_stop_word_is_not_a_pattern() -> None:
    assert only(stopwords=["a.c"])("abc a.c") == "abc "


def test_stop_words_are_looked_for_after_lower_casing() -> None:
    assert only(stopwords=["the"], lower=True)("The cat") == "cat"
    assert only(stopwords=["the"])("The cat") == "The cat"


def test_stop_words_are_looked_for_before_punctuation_is_separated() -> None:
    assert only(stopwords=["don't"], separate_punctuation=True)("don't go") == "go"
    assert only(stopwords=["a"], separate_punctuation=True)("a_b") == "a _ b"


def test_stop_words_are_looked_for_before_characters_are_dropped() -> None:
    assert only(stopwords=["a"], keep="a-z")("aé") == "a"


@quick
@given(st.lists(st.sampled_from(["the", "a", "cat", "then", "ab", "of", "1"])))
def test_all_stop_words_go_and_no_other_word(words: list[str]) -> None:
    cleaned = Cleaner(stopwords=["the", "a", "of"])(" ".join(words))
    assert cleaned == " ".join(word for word in words if word not in ("the", "a", "of"))


# Punctuation, kept characters, spaces


def test_punctuation_gets_a_space_on_both_sides() -> None:
    assert only(separate_punctuation=True)("a,b (c)") == "a , b ( c )"


def test_punctuation_outside_ascii_is_not_separated() -> None:
    assert only(separate_punctuation=True)("a—b") == "a—b"


def test_a_run_of_other_characters_becomes_one_space() -> None:
    assert only(keep="a-z")("a--é--b") == "a b"


def test_a_space_is_dropped_and_put_back_unless_it_is_kept() -> None:
    assert only(keep="a-z")("a  b") == "a b"


def test_kept_characters_are_the_inside_of_brackets() -> None:
    assert only(keep=r"\w+")("c++ é") == "c++ é"


def test_no_kept_characters_given_keeps_all() -> None:
    assert only(keep=None, separate_punctuation=True)("é, ü") == "é , ü"


def test_spaces_are_collapsed_only_after_a_step_that_makes_them() -> None:
    assert only(lower=True, remove_links=True)("  A  b ") == "  a  b "
    assert only(separate_punctuation=True)("  A  b ") == "A b"


@pytest.mark.parametrize("keep", ["", "z-a", "\\", "a-z]x["])
def test_kept_characters_that_are_no_character_class_are_refused(keep: str) -> None:
    with pytest.raises(InvalidValueError, match="not the inside of a character class") as refused:
        Cleaner(keep=keep)
    assert refused.value.key == "keep"
    assert refused.value.value == keep


@pytest.mark.parametrize(
    ("keep", "reason"),
    [
        ("", "there is nothing at character 1"),
        ("b-a", "'b-a' is no range at character 1"),
        (r"ab\w-z", r"'\\w-z' is no range at character 3"),
        (r"a-\w", r"'a-\\w' is no range at character 1"),
        (r"a\n", r"'\\n' has no meaning at character 2"),
        (r"\p{L}", r"'\\p' has no meaning at character 1"),
        ("a\\", r"'\\' has no meaning at character 2"),
        ("a]+(x+)+[", r"a ']' that is not the first is written '\]' at character 2"),
        (r"a]|(?:\w+)+-|[b", r"a ']' that is not the first is written '\]' at character 2"),
        (r"9-]+(x+)+", "'9-]' is no range at character 1"),
    ],
)
def test_what_could_end_the_brackets_and_bring_a_pattern_of_its_own_is_refused_with_its_place(
    keep: str, reason: str
) -> None:
    with pytest.raises(InvalidValueError) as refused:
        Cleaner(keep=keep)
    assert refused.value.allowed == f"not the inside of a character class: {reason}"


@pytest.mark.parametrize(
    ("keep", "kept"),
    [
        ("]+(x+)+[", "]+(x)["),  # the first ] is the character itself
        ("^a", "^a"),
        ("-a", "-a"),
        ("a-", "-a"),
        ("a-c-", "-abc"),
        (r"\]\[\^\-\\", "]-^[\\"),
        (r"\d\s", "0123456789 "),
        (".*", ".*"),
        (r"\\p{M}", "\\p{M}"),
    ],
)
def test_kept_characters_are_those_that_are_named(keep: str, kept: str) -> None:
    clean = only(keep=keep)
    given = [chr(n) for n in range(32, 127)]
    assert {one for one in given if clean(one) == one} - {" "} == {*kept} - {" "}


PARTS = [*"abzAZ09-^[.,é日 ", r"\w", r"\d", r"\S", r"\]", r"\-", r"\\", "A-Z", "a-z"]


@given(keep=st.lists(st.sampled_from(PARTS), max_size=5).map("".join), text=st.text(max_size=20))
def test_kept_characters_are_those_of_a_regular_expression(keep: str, text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            expected = re.compile(f"[^{keep}]+").sub(" ", text)
        except (re.error, FutureWarning):
            return
    assert only(keep=keep)(text) == re.sub(" +", " ", expected).strip()


# Links


def test_a_link_goes_up_to_the_next_white_space() -> None:
    assert only(remove_links=True)("see https://a.b/c?d=e now") == "see  now"


def test_http_alone_is_no_link() -> None:
    assert only(remove_links=True)("the http protocol") == "the http protocol"


def test_links_are_deleted_last_so_separated_punctuation_saves_them() -> None:
    assert Cleaner()("see http://a.b") == "see http a b"


def test_after_a_link_was_deleted_nothing_is_stripped() -> None:
    assert Cleaner()("see httpbin") == "see "
    assert Cleaner()("see httpbin now") == "see  now"


@quick
@given(texts)
@example("see httpbin ")
def test_links_are_deleted_from_what_the_earlier_steps_left(text: str) -> None:
    before = Cleaner(stopwords=["the"], remove_links=False)(text)
    assert Cleaner(stopwords=["the"])(text) == re.sub(r"http\S+", "", before)


# Stemming


def test_stemming_is_porters_word_by_word() -> None:
    cleaned = Cleaner(stem=True)("Caresses, ponies; running networks")
    assert cleaned == "caress poni run network"


def test_stemming_keeps_the_case() -> None:
    assert only(stem=True)("Running") == "Run"


def test_stemming_keeps_the_spaces_that_a_link_left() -> None:
    assert Cleaner(stem=True)("ponies httpbin running") == "poni  run"


def test_stemming_comes_after_stop_words() -> None:
    assert Cleaner(stem=True, stopwords=["run"])("running run") == "run"


def test_an_empty_text_has_an_empty_stem() -> None:
    assert Cleaner(stem=True)("") == ""


# All of it


@quick
@given(
    texts,
    st.fixed_dictionaries(
        {
            "lower": st.booleans(),
            "stopwords": st.sampled_from([[], ["the", "you're", "c++"]]),
            "separate_punctuation": st.booleans(),
            "keep": st.sampled_from([None, "A-Za-z0-9", "é"]),
            "remove_links": st.booleans(),
            "stem": st.booleans(),
        }
    ),
)
def test_any_text_can_be_cleaned_and_only_two_steps_make_it_longer(
    text: str, steps: dict[str, Any]
) -> None:
    cleaned = Cleaner(**steps)(text)
    grows = steps["separate_punctuation"] or steps["lower"]
    assert grows or len(cleaned) <= len(text)


@quick
@given(texts)
@example("\u212a \u0130 \u017f")  # capitals whose lower case is or has an ASCII letter
def test_under_the_default_only_kept_characters_and_spaces_remain(text: str) -> None:
    assert re.fullmatch("[a-z0-9 ]*", Cleaner()(text))


@quick
@given(texts)
def test_lower_casing_is_the_first_step(text: str) -> None:
    assert Cleaner()(text) == Cleaner(lower=False)(text.lower())


@quick
@given(texts)
def test_cleaning_twice_without_links_and_stop_words_is_cleaning_once(text: str) -> None:
    clean = Cleaner(remove_links=False)
    once = clean(text)
    assert clean(once) == once
    assert once == once.strip()
    assert "  " not in once


@quick
@given(texts)
@example("x httpbin y")
def test_a_second_cleaning_only_removes_the_spaces_that_links_left(text: str) -> None:
    clean = Cleaner()
    once = clean(text)
    assert clean(once) == " ".join(once.split())
