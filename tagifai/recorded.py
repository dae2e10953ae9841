"""Recorded rows: the texts and labels that a run was trained and tested on."""

from __future__ import annotations

from pathlib import Path

from tagifai import artifacts, datasets, pipeline
from tagifai.labels import apply_policy


def rows(bundle: Path, stores: Path, part: str = "test") -> tuple[list[str], list[str]]:
    """Return texts, not cleaned, and labels of a part of a run's rows, in the run's order.

    Args:
        bundle: of the run; it says which rows of which data set.
        stores: the folder of stores, which has the data set.
        part: train, val or test.

    Raises:
        DataError: the data set is gone from the store, or another one by now.
    """
    splits = artifacts.document(bundle, "splits.json")
    table = datasets.stored(splits["data"]["name"], splits["data"]["digest"], stores)
    labels = apply_policy(table["tag"], **splits["policy"])
    labelled = table.loc[labels.index].assign(label=labels)
    found = labelled.set_index("id").loc[splits[part]]
    return pipeline.raw_texts(found).tolist(), found["label"].tolist()
