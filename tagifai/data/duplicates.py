"""Near-duplicates: texts that have almost the same pieces as another one.

Texts are compared by their sets of five characters in a row. A library finds candidates by MinHash,
and each is then compared exactly, so that what is counted is similar indeed; with this number of
bands, less than one of ten thousand pairs at the limit is no candidate, and fewer of closer ones.
The library is rensa, in Rust: with it a text takes 65 microseconds, a third of what it takes with
datasketch, which besides takes a second to import.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from math import inf
from time import process_time

from numpy.random import RandomState

from tagifai.data.splitting.parts import PARTS

PAIRS = tuple(combinations(PARTS, 2))

SHINGLE_CHARACTERS = 5

LEAST_SIMILARITY = 0.8
"""Jaccard's: the pieces that two texts share, as a share of those that one of them has."""

PERMUTATIONS, BANDS, SEED = 80, 20, 1

MOST_KEPT_SHINGLES = 1_000_000
"""Of the texts whose pieces are kept, about 100 MB; those of others are made again."""

BATCH_TEXTS, BATCH_CHARACTERS = 500, 100_000


@dataclass
class NearDuplicates:
    """What was found among distinct texts.

    Args:
        parts: of each text, shape (n,); a text may be in several.
        looked_at: how many of the n texts were compared with each other.
        texts: positions of those that are similar to one that was looked at before them.
        leaks: by pair of parts, positions of the texts of its second part that are similar to one
            of its first, and are not in it themselves.
        example: positions of two similar texts, or None.
    """

    parts: Sequence[Collection[str]]
    looked_at: int = 0
    texts: set[int] = field(default_factory=set)
    leaks: dict[tuple[str, str], set[int]] = field(
        default_factory=lambda: {pair: set() for pair in PAIRS}
    )
    example: tuple[int, int] | None = None

    def find_leaks(self, one: int, other: int) -> list[tuple[tuple[str, str], int]]:
        """Return the leaks, a pair of parts and a text, that are new if two texts are similar."""
        return [
            ((first, second), leaked)
            for first, second in PAIRS
            for kept, leaked in ((one, other), (other, one))
            if first in self.parts[kept]
            and second in self.parts[leaked]
            and first not in self.parts[leaked]
            and leaked not in self.leaks[first, second]
        ]

    def add(self, text: int, earlier: int) -> None:
        """Note that two texts are similar."""
        for pair, leaked in self.find_leaks(text, earlier):
            self.leaks[pair].add(leaked)
        self.texts.add(text)
        self.example = self.example or (earlier, text)


def find_near_duplicates(
    texts: Sequence[str], parts: Sequence[Collection[str]], seconds: float
) -> NearDuplicates:
    """Compare distinct texts with each other, in an order that is always the same.

    Args:
        texts: n of them, each once.
        parts: of each text.
        seconds: of CPU, after which the rest is left out.
    """
    found = NearDuplicates(parts)

    def is_news(text: int, earlier: int) -> bool:
        return text not in found.texts or bool(found.find_leaks(text, earlier))

    for text, similar in _compare(texts, is_news, seconds):
        for earlier in similar:
            found.add(text, earlier)
        found.looked_at += 1
    return found


def group_near_duplicates(texts: Sequence[str]) -> list[int]:
    """Return for each text the position of the first one that it is similar to, or by a chain.

    Args:
        texts: n of them, each once.
    """
    heads = list(range(len(texts)))

    def find_head(text: int) -> int:
        while heads[text] != text:
            heads[text] = heads[heads[text]]
            text = heads[text]
        return text

    def is_news(text: int, earlier: int) -> bool:
        return find_head(text) != find_head(earlier)

    for text, similar in _compare(texts, is_news, inf):
        for earlier in similar:
            one, other = sorted((find_head(text), find_head(earlier)))
            heads[other] = one
    return [*map(find_head, range(len(texts)))]


def _compare(
    texts: Sequence[str], is_news: Callable[[int, int], bool], seconds: float
) -> Iterator[tuple[int, Iterator[int]]]:
    """Yield each text with those before it that are similar, as long as that is news.

    Args:
        texts: n of them, each once.
        is_news: whether it is worth knowing that two texts are similar.
        seconds: of CPU, after which the rest is left out.
    """
    from rensa import RMinHash, RMinHashLSH  # late: few commands look at data

    end = process_time() + seconds
    index = RMinHashLSH(LEAST_SIMILARITY, PERMUTATIONS, BANDS)
    kept: dict[int, set[str]] = {}
    sizes: dict[int, int] = {}
    room = MOST_KEPT_SHINGLES

    def find_similar(text: int, own: set[str], candidates: Sequence[int]) -> Iterator[int]:
        for earlier in sorted(candidates):
            small, large = sorted((len(own), sizes[earlier]))
            if small >= LEAST_SIMILARITY * large and is_news(text, earlier):
                others = kept.get(earlier) or make_shingles(texts[earlier])
                if compute_similarity(own, others) >= LEAST_SIMILARITY:
                    yield earlier

    for batch in _make_batches(texts):
        sets = [make_shingles(texts[position]) for position in batch]
        sketches = RMinHash.from_token_sets(sets, num_perm=PERMUTATIONS, seed=SEED)
        for text, own, sketch in zip(batch, sets, sketches, strict=True):
            if process_time() > end:
                return
            sizes[text] = len(own)
            yield text, find_similar(text, own, index.query(sketch))
            if len(own) <= room:
                kept[text] = own
                room -= len(own)
            index.insert(text, sketch)


def _make_batches(texts: Sequence[str]) -> Iterator[list[int]]:
    """Yield positions of texts, few of long texts at a time."""
    batch: list[int] = []
    characters = 0
    for position in RandomState(SEED).permutation(len(texts)).tolist():
        batch.append(position)
        characters += len(texts[position])
        if len(batch) == BATCH_TEXTS or characters >= BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    yield batch


def make_shingles(text: str) -> set[str]:
    """Return all that stands in five characters in a row of a text; a shorter text is one piece."""
    last = max(1, len(text) - SHINGLE_CHARACTERS + 1)
    return {text[begin : begin + SHINGLE_CHARACTERS] for begin in range(last)}


def compute_similarity(one: set[str], other: set[str]) -> float:
    """Return Jaccard's similarity of two sets that are not both empty."""
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)
