from __future__ import annotations

import numpy as np

from tagifai.preprocessing.alphabet import Alphabet, Units


def test_numbers_begin_at_1_in_the_order_of_characters_and_others_are_0() -> None:
    alphabet = Alphabet.from_points(np.array([ord("c"), ord("a"), 0, ord("c")], np.uint32))
    assert alphabet.bits == 2
    points = np.array([ord("a"), ord("b"), ord("c"), 0x10FFFF], np.uint32)
    assert alphabet.encode(points).tolist() == [1, 0, 2, 0]


def test_an_alphabet_of_nothing_knows_no_character() -> None:
    nothing = Alphabet.from_points(np.array([], np.uint32))
    assert nothing.encode(np.array([65], np.uint32)).tolist() == [0]


def test_strings_come_back_from_their_numbers_whose_order_is_theirs() -> None:
    strings = ["b", "ab", "a", "abb", "ba"]
    points = np.array(strings, "<U3").view(np.uint32).reshape(-1, 3)
    alphabet = Alphabet.from_points(points.ravel())
    packed = alphabet.pack(points)
    assert alphabet.unpack(packed, 3) == strings
    assert [strings[n] for n in np.argsort(packed)] == sorted(strings)


def test_ten_characters_out_of_63_fit_a_number_and_eleven_do_not() -> None:
    alphabet = Alphabet.from_points(np.arange(1, 64, dtype=np.uint32))
    assert alphabet.is_packable(10)
    assert not alphabet.is_packable(11)


def grams(text: str, by_words: bool, low: int, high: int) -> list[str]:
    units = Units.from_texts([text], by_words)
    alphabet = Alphabet.from_points(units.points)
    found, begins = units.pack_ngrams(alphabet, range(low, high + 1))
    assert begins.tolist() == [0, len(found)]
    return alphabet.unpack(found, high)


def test_ngrams_of_a_text_come_by_size_and_then_by_place() -> None:
    assert grams("abc", False, 1, 2) == ["a", "b", "c", "ab", "bc"]


def test_ngrams_of_words_come_word_by_word_with_a_space_on_both_sides() -> None:
    assert grams("ab c", True, 2, 3) == [" a", "ab", "b ", " ab", "ab ", " c", "c ", " c "]


def test_a_word_that_is_shorter_than_all_sizes_is_one_ngram() -> None:
    assert grams("a bcd", True, 4, 5) == [" a ", " bcd", "bcd ", " bcd "]


def test_a_text_that_is_too_short_has_none() -> None:
    assert grams("ab", False, 3, 4) == []
