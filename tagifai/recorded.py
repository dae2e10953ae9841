"""Recorded rows: the texts and labels that a run was trained and tested on."""

from __future__ import annotations

import re
from pathlib import Path

from tagifai import artifacts, datasets, pipeline
from tagifai.errors import BundleError
from tagifai.labels import apply_policy


def rows(bundle: Path, stores: Path, part: str = "test") -> tuple[list[str], list[str]]:
    """Return texts, not cleaned, and labels of a part of a run's rows, in the run's order.

    Args:
        bundle: of the run; it says which rows of which data set.
        stores: the folder of stores, which has the data set.
        part: train, val or test.

    Raises:
        BundleError: the bundle does not say which rows.
        DataError: the data set is gone from the store, or another one by now.
    """
    splits = artifacts.document(bundle, "splits.json")
    try:
        name, digest = splits["data"]["name"], splits["data"]["digest"]
        policy, ids = splits["policy"], splits[part]
        if not re.fullmatch(r"\w[\w.-]*", name):
            raise ValueError(f"{name!r} is not the name of a data set")
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(f"{bundle}: splits.json does not say which rows ({error}).") from None
    table = datasets.stored(name, digest, stores)
    labels = apply_policy(table["tag"], **policy)
    labelled = table.loc[labels.index].assign(label=labels)
    found = labelled.set_index("id").loc[ids]
    return pipeline.raw_texts(found).tolist(), found["label"].tolist()
