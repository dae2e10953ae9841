from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils import murmurhash3_32

from tagifai.preprocessing import murmurhash
from tagifai.preprocessing.alphabet import Units


@given(st.binary(min_size=1, max_size=13))
def test_a_byte_string_has_the_hash_that_scikit_learn_has(data: bytes) -> None:
    blocks = murmurhash._blocks(np.frombuffer(data, np.uint8))
    found = murmurhash.hash_blocks(blocks, np.array([0]), len(data))
    assert int(found[0]) == murmurhash3_32(data, positive=True)


def test_the_lowest_hash_has_the_column_that_scikit_learn_gives_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lowest = np.array([2**31], np.uint32)
    monkeypatch.setattr(murmurhash, "hash_blocks", lambda *_: lowest)
    units = Units.from_texts(["a"], by_words=False)
    texts, columns, signs = murmurhash.hash_ngrams(units, range(1, 2), 10)
    assert (texts.tolist(), columns.tolist(), signs.tolist()) == ([0], [(2**31 - 1 - 9) % 10], [-1])
