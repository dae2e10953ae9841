from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st
from mlflow.utils.validation import MAX_ENTITY_KEY_LENGTH, _validate_metric_name

from tagifai.tracking import batching


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), unique=True, max_size=5))
def test_any_names_of_classes_make_as_many_metrics_that_mlflow_takes(names: list[str]) -> None:
    metrics = [f"val_class/{name}/f1" for name in names]
    accepted = batching.sanitize_names(metrics)
    assert list(accepted) == metrics
    assert len(set(accepted.values())) == len(names)
    for name in accepted.values():
        _validate_metric_name(name)  # type: ignore[no-untyped-call]
        assert len(name) <= MAX_ENTITY_KEY_LENGTH


def test_names_that_mlflow_takes_are_kept_and_others_get_a_digest() -> None:
    def digest(name: str) -> str:
        return hashlib.sha256(name.encode()).hexdigest()[:8]

    long = "x" * 300
    expected = {
        "a/日本語 é/f1": "a/日本語 é/f1",
        "a/C#/f1": "a/C_/f1",
        "a/C+/f1": f"a_C__f1-{digest('a/C+/f1')}",
        "a/../f1": f"a____f1-{digest('a/../f1')}",
        "a///f1": f"a___f1-{digest('a///f1')}",
        "../f1": f"___f1-{digest('../f1')}",
        "x" * 250: "x" * 250,
        long: f"{'x' * 241}-{digest(long)}",
    }
    assert batching.sanitize_names(expected) == expected


def test_items_are_given_in_lists_of_at_most_so_many() -> None:
    assert list(batching.split([1, 2, 3], 2)) == [[1, 2], [3]]
    assert list(batching.split([], 2)) == []
