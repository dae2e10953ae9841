from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagifai.exceptions import DataError
from tagifai.preprocessing.labels import LabelEncoder, assign_labels, replace_unknown

quick = settings(max_examples=50)

tags = st.sampled_from(["cv", "mlops", "nlp", "other", "rl"])


def renamed(
    names: list[str | None], accepted: tuple[str, ...] = (), min_freq: int = 1, other: str = "other"
) -> list[str]:
    return assign_labels(pd.Series(names, dtype="str"), accepted, min_freq, other).tolist()


# The policy


def test_a_tag_that_is_not_accepted_becomes_the_rest_label() -> None:
    assert renamed(["cv", "rl", "nlp"], accepted=("cv", "nlp")) == ["cv", "other", "nlp"]


def test_no_accepted_tags_accepts_all() -> None:
    assert renamed(["cv", "rl"]) == ["cv", "rl"]


def test_a_tag_with_fewer_rows_than_the_minimum_becomes_the_rest_label() -> None:
    assert renamed(["cv", "cv", "rl"], min_freq=2) == ["cv", "cv", "other"]


def test_a_tag_with_exactly_the_minimum_of_rows_keeps_its_name() -> None:
    assert renamed(["cv", "rl", "cv", "rl"], min_freq=2) == ["cv", "rl", "cv", "rl"]
    assert renamed(["cv", "rl", "cv", "rl"], min_freq=3) == ["other"] * 4


def test_the_rest_label_has_the_name_it_is_given() -> None:
    assert renamed(["cv", "rl"], accepted=("cv",), other="rest") == ["cv", "rest"]


def test_a_missing_tag_becomes_the_rest_label() -> None:
    assert renamed(["cv", None, "cv"]) == ["cv", "other", "cv"]


def test_no_tags_are_no_labels() -> None:
    assert renamed([], accepted=("cv",), min_freq=5) == []


def test_the_policy_keeps_the_index_and_leaves_its_input_alone() -> None:
    given_tags = pd.Series(["cv", "rl"], index=[7, 3], dtype="str")
    labels = assign_labels(given_tags, ["cv"], 1, "other")
    assert labels.index.tolist() == [7, 3]
    assert given_tags.tolist() == ["cv", "rl"]


@quick
@given(st.lists(tags, max_size=30), st.sets(tags), st.integers(1, 6))
def test_the_policy_keeps_the_counts_of_what_it_keeps(
    names: list[str], accepted: set[str], min_freq: int
) -> None:
    before = Counter(names)
    kept = {
        name: n
        for name, n in before.items()
        if name != "other" and n >= min_freq and (not accepted or name in accepted)
    }
    after = Counter(renamed([*names], tuple(accepted), min_freq))
    rest = len(names) - sum(kept.values())
    assert after == Counter(kept) + Counter({"other": rest})


# The encoder


def test_a_labels_index_is_its_place_in_alphabetical_order() -> None:
    encoder = LabelEncoder.fit(["nlp", "cv", "nlp", "mlops"])
    assert encoder.classes == ("cv", "mlops", "nlp")
    assert [encoder.index(name) for name in ("cv", "mlops", "nlp")] == [0, 1, 2]


def test_labels_are_encoded_to_integers_of_64_bits() -> None:
    encoded = LabelEncoder(("cv", "nlp")).encode(["nlp", "cv", "nlp"])
    assert encoded.tolist() == [1, 0, 1]
    assert encoded.dtype == np.int64


def test_no_labels_are_encoded_to_no_integers() -> None:
    encoded = LabelEncoder(("cv", "nlp")).encode([])
    assert encoded.shape == (0,)
    assert encoded.dtype == np.int64


def test_indices_are_decoded_to_their_names() -> None:
    assert LabelEncoder(("cv", "nlp")).decode(np.array([1, 1, 0])) == ["nlp", "nlp", "cv"]


def test_an_index_beyond_the_classes_is_an_error() -> None:
    with pytest.raises(IndexError):
        LabelEncoder(("cv", "nlp")).decode([2])


@pytest.mark.parametrize("method", ["index", "encode"])
def test_a_label_that_is_not_a_class_is_named_beside_the_classes(method: str) -> None:
    encoder = LabelEncoder(("cv", "nlp"))
    with pytest.raises(DataError, match=r"'rl' is not one of the classes \['cv', 'nlp'\]"):
        getattr(encoder, method)("rl" if method == "index" else ["cv", "rl"])


@pytest.mark.parametrize("classes", [("nlp", "cv"), ("cv", "cv", "nlp")])
def test_class_names_that_are_not_sorted_and_unique_are_refused(classes: tuple[str, ...]) -> None:
    with pytest.raises(DataError, match="sorted and unique") as refused:
        LabelEncoder(classes)
    assert str(list(classes)) in str(refused.value)


def test_one_class_is_refused_with_its_name_and_the_way_out() -> None:
    with pytest.raises(DataError, match="at least two classes") as refused:
        LabelEncoder.fit(["other", "other"])
    assert "the data have 1 (other)" in str(refused.value)
    assert "data.min_freq" in str(refused.value)
    assert "data.accepted_tags" in str(refused.value)


def test_no_class_at_all_is_refused() -> None:
    with pytest.raises(DataError, match=r"the data have 0 \(none\)"):
        LabelEncoder.fit([])


@quick
@given(st.lists(st.text(max_size=5)).filter(lambda names: len(set(names)) > 1))
def test_encoding_and_decoding_is_a_round_trip(names: list[str]) -> None:
    encoder = LabelEncoder.fit(names)
    encoded = encoder.encode(names)
    assert encoder.decode(encoded) == names
    assert set(encoded.tolist()) == set(range(len(set(names))))


@quick
@given(st.sets(st.text(max_size=5), min_size=2))
def test_the_encoder_does_not_depend_on_the_order_of_the_labels(names: set[str]) -> None:
    assert LabelEncoder.fit(sorted(names)) == LabelEncoder.fit(sorted(names, reverse=True))


def test_labels_that_the_classes_do_not_have_become_the_rest_label() -> None:
    assert replace_unknown(["cv", "rl", "cv"], ("cv", "other"), "other") == ["cv", "other", "cv"]
    assert replace_unknown([], ("cv", "other"), "other") == []
