from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from tagifai.config.formatting import format_yaml

NAMES = st.text("abyn01 _.:-#'é", min_size=1, max_size=6)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="$"), max_size=90)
VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS
NESTED = st.recursive(
    VALUES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3)
)


@given(st.dictionaries(NAMES, NESTED, min_size=1, max_size=4))
def test_what_is_written_is_read_as_it_was(content: dict[str, Any]) -> None:
    for depth in (1, 2, 3):
        read = OmegaConf.to_container(OmegaConf.create(format_yaml(content, depth)))
        assert repr(read) == repr(content)


def test_equal_values_of_other_types_stay_apart() -> None:
    found = [format_yaml({"a": {"b": value}}) for value in (1, 1.0, True, "1")]
    assert found == [f"a:\n  b: {text}\n" for text in ("1", "1.0", "true", "'1'")]


def test_no_secret_is_written() -> None:
    url = "https://u:s3cret@h"
    text = format_yaml({"a": {"b": {"url": url}, "c": [url]}, "d": url})
    assert (text.count("https://u:***@h"), "s3cret" in text) == (3, False)
