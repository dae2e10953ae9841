"""Near-duplicates: what is found is what comparing every pair finds."""

from __future__ import annotations

import random
from itertools import combinations, count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagifai.data import duplicates
from tagifai.data.duplicates import NearDuplicates, compute_similarity, find_near_duplicates
from tagifai.data.splitting.parts import PARTS


def is_similar(one: str, other: str) -> bool:
    """As the definition has it."""
    sets = [{text[n : n + 5] for n in range(max(1, len(text) - 4))} for text in (one, other)]
    return len(sets[0] & sets[1]) >= 0.8 * len(sets[0] | sets[1])


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[set[str]]]:
    """Distinct texts that are often edits of each other, and the parts that they are in."""
    drawn = st.text("abcdefgh é你", min_size=1, max_size=60)
    texts = draw(st.lists(drawn, min_size=1, max_size=6))
    for _ in range(draw(st.integers(0, 14))):
        text = draw(st.sampled_from(texts))
        place = draw(st.integers(0, len(text)))
        texts.append(text[:place] + draw(st.text("abx", max_size=3)) + text[place:])
    distinct = list(dict.fromkeys(texts))
    part = st.sets(st.sampled_from(PARTS), min_size=1, max_size=2)
    return distinct, draw(st.lists(part, min_size=len(distinct), max_size=len(distinct)))


@given(tables())
def test_near_duplicates_are_those_of_a_comparison_of_every_pair(
    table: tuple[list[str], list[set[str]]],
) -> None:
    texts, parts = table
    near = [
        pair
        for pair in combinations(range(len(texts)), 2)
        if is_similar(*map(texts.__getitem__, pair))
    ]
    order = [n for batch in duplicates._make_batches(texts) for n in batch]

    found = find_near_duplicates(texts, parts, seconds=60)

    assert found.looked_at == len(texts)
    assert found.texts == {max(pair, key=order.index) for pair in near}
    for first, second in combinations(PARTS, 2):
        assert found.leaks[first, second] == {
            text
            for pair in near
            for other, text in (pair, pair[::-1])
            if first in parts[other] and second in parts[text] and first not in parts[text]
        }
    assert found.example is None or is_similar(*map(texts.__getitem__, found.example))


def test_a_similarity_of_exactly_four_fifths_is_enough() -> None:
    texts = ["abcdefghijklm", "abcdefghijkl", "abcdefgh"]
    assert compute_similarity(*map(duplicates.make_shingles, texts[:2])) == 8 / 9
    assert len(find_near_duplicates(texts, [{"train"}] * 3, 60).texts) == 1
    four, five = "abcdefgh", "abcdefghi"
    assert compute_similarity(*map(duplicates.make_shingles, (four, five))) == 0.8
    assert len(find_near_duplicates([four, five], [{"train"}] * 2, 60).texts) == 1


@pytest.mark.parametrize("text", ["", "abcd", "好"])
def test_a_text_of_few_characters_is_like_no_other(text: str) -> None:
    assert find_near_duplicates([text, f"{text}x"], [{"train"}] * 2, 60).texts == set()


def make_texts(number: int) -> list[str]:
    drawn = random.Random(1)
    return [f"{drawn.getrandbits(300):x}" for _ in range(number)]


def test_what_there_is_no_time_for_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = make_texts(1000)
    clock = count()  # a second passes each time that somebody looks
    monkeypatch.setattr(duplicates, "process_time", lambda: next(clock))
    found = find_near_duplicates(texts, [{"train"}] * len(texts), seconds=300)
    assert found.looked_at == 300


def test_the_sample_is_the_same_each_time_but_for_its_size() -> None:
    texts = make_texts(600)
    texts = list(dict.fromkeys(texts + [f"{text}!" for text in texts]))
    parts = [{"train"}] * len(texts)
    one, other = (find_near_duplicates(texts, parts, seconds=60) for _ in range(2))
    assert (one.texts, one.example) == (other.texts, other.example)
    assert len(one.texts) == 600


def test_the_pieces_of_only_some_texts_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"{text}{end}" for text in make_texts(50) for end in ("", "!", "?")]
    parts = [{"train"}] * len(texts)
    expected = find_near_duplicates(texts, parts, seconds=60)
    monkeypatch.setattr(duplicates, "MOST_KEPT_SHINGLES", 500)
    assert find_near_duplicates(texts, parts, seconds=60) == expected
    assert len(expected.texts) == 100


def test_nothing_is_found_among_no_texts() -> None:
    assert find_near_duplicates([], [], 60) == NearDuplicates([])
