"""The profile of a data set: what a person asks of data that are new to them."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from tagifai.data import duplicates, oddities
from tagifai.data.blocks import Blocks
from tagifai.data.dataset_store import Dataset
from tagifai.data.prepare import PreparedData, get_raw_texts
from tagifai.data.splitting.parts import PARTS
from tagifai.preprocessing import characters, deletions
from tagifai.utils.excerpts import shorten

QUANTILES = {"min": 0.0, "25 %": 0.25, "median": 0.5, "75 %": 0.75, "95 %": 0.95, "max": 1.0}

SHOWN_ROWS, SHOWN_ROW_CHARACTERS, KEPT_CHARACTERS = 3, 200, 20

FULL_SEARCH_SECONDS = 30.0
"""Of CPU, that near-duplicates are looked for where the profile is what is asked for."""

MOST_QUICK_CHARACTERS = 400_000
"""Of the texts together; where a run's have more, near-duplicates are not looked for."""


def compute(prepared: PreparedData, dataset: Dataset, *, full: bool = False) -> dict[str, Any]:
    """Return the profile of rows.

    Args:
        prepared: cleaned, labelled and split.
        dataset: that they are from.
        full: look for near-duplicates for as long as half a minute; otherwise only among few rows.

    Returns:
        `first_rows`, see `read_first_rows`; `rows`, and by part `parts`, empty where the rows are
        not split; `classes` with rows and share, the most frequent first; `similar_labels`, labels
        with their rows, and in what they differ; `looked_at`, the number of rows that all else is
        computed from; and what `_describe_texts` and `_find_repetitions` return.
    """
    counts = prepared.count_labels()
    total = sum(counts.values())
    return {
        "first_rows": read_first_rows(dataset, prepared),
        "rows": total,
        "parts": prepared.count_rows() if prepared.is_split else {},
        "classes": {
            tag: {"rows": number, "share": number / total} for tag, number in counts.items()
        },
        "similar_labels": [
            {"labels": {label: counts[label] for label in group}, "differ_in": reason}
            for group, reason in oddities.find_lookalikes(counts)
        ],
        "looked_at": len(prepared.rows),
        **_describe_texts(prepared),
        **_find_repetitions(prepared, full),
    }


def _describe_texts(prepared: PreparedData) -> dict[str, Any]:
    """Return what the texts are.

    Returns:
        `length_words` and `length_characters` by quantile; `scripts` by their share of the letters;
        `deleted_letters`, the share that the cleaning deletes; `empty_after_cleaning`, rows;
        `cleaning_warnings`, sentences on what it destroys; and `junk`, by kind, rows and the id of
        one.
    """
    raw, ids = prepared.rows["raw"].tolist(), prepared.rows["id"]
    counts = characters.count_characters(raw)
    # Most runs have no steps of their own before the cleaning, and their characters are the same.
    first = prepared.cleaning["first"]
    cleaned = deletions.count_cleaned_characters(raw, prepared.cleaning) if first else counts
    return {
        "length_words": _compute_quantiles([len(text.split()) for text in raw]),
        "length_characters": _compute_quantiles([len(text) for text in raw]),
        "scripts": characters.compute_scripts(counts),
        "deleted_letters": deletions.compute_deleted_letters(cleaned, prepared.cleaning),
        "cleaning_warnings": deletions.list_warnings(prepared.deletions),
        "empty_after_cleaning": int((prepared.rows["text"] == "").sum()),
        "junk": {
            kind: {"rows": len(found), "example": str(ids.iloc[found[0]])}
            for kind, found in oddities.find_junk(raw).items()
        },
    }


def _compute_quantiles(values: list[int]) -> dict[str, float]:
    found = np.quantile(values, list(QUANTILES.values()))
    return dict(zip(QUANTILES, map(float, found), strict=True))


def _find_repetitions(prepared: PreparedData, full: bool) -> dict[str, Any]:
    """Return what is there more than once.

    Returns:
        `duplicates`, rows with the raw text of an earlier row; `duplicates_after_cleaning`;
        `labelled_differently`, cleaned texts with more than one label, and `label_conflict`, one of
        them; `leaks`, by pair of parts, cleaned texts that are in both; and `near_duplicates`, see
        `_find_near_duplicates`, or None where they are not looked for.
    """
    rows = prepared.rows
    filled = rows[rows["text"] != ""]
    parts = {name: set(prepared.get_part(name)["text"]) - {""} for name in PARTS}
    looks = full or int(rows["raw"].str.len().sum()) <= MOST_QUICK_CHARACTERS
    return {
        "duplicates": int(rows["raw"].duplicated().sum()),
        "duplicates_after_cleaning": int(filled["text"].duplicated().sum()),
        **_find_label_conflicts(filled),
        "leaks": {
            f"{one} and {other}": len(parts[one] & parts[other])
            for one, other in combinations(parts if prepared.is_split else (), 2)
        },
        "near_duplicates": _find_near_duplicates(prepared, parts) if looks else None,
    }


def _find_label_conflicts(rows: pd.DataFrame) -> dict[str, Any]:
    labels = rows.drop_duplicates(["text", "tag"])
    several = labels[labels["text"].duplicated(keep=False)]
    if several.empty:
        return {"labelled_differently": 0, "label_conflict": None}
    first = several[several["text"] == several["text"].iloc[0]]
    return {
        "labelled_differently": int(several["text"].nunique()),
        "label_conflict": {
            "text": shorten(first["raw"].iloc[0]),
            "labels": sorted(first["tag"].tolist()),
        },
    }


def _find_near_duplicates(prepared: PreparedData, parts: Mapping[str, set[str]]) -> dict[str, Any]:
    """Return what was found among the distinct raw texts.

    Args:
        prepared: the rows.
        parts: the cleaned texts of each part.

    Returns:
        `texts`, the number of distinct ones; `looked_at`, of those that were compared with each
        other; `found`, of those that are similar to another one before them, and an `example` of
        two; `leaks`, by pair of parts, the number of texts of the second that are similar to one
        of the first, and are not in it.
    """
    distinct = prepared.rows.drop_duplicates("raw")
    texts = distinct["raw"].tolist()
    # Where they are the same after cleaning, they count as texts of both parts already.
    part_sets = [{p for p in parts if text in parts[p]} for text in distinct["text"]]
    found = duplicates.find_near_duplicates(texts, part_sets, FULL_SEARCH_SECONDS)
    return {
        "texts": len(texts),
        "looked_at": found.looked_at,
        "found": len(found.texts),
        "example": _shorten_both(*(texts[n] for n in found.example)) if found.example else None,
        "leaks": {f"{one} and {other}": len(n) for (one, other), n in found.leaks.items()},
    }


def _shorten_both(one: str, other: str) -> list[str]:
    """Return two texts on a line each, from shortly before the place where they differ."""
    differ = (place for place, pair in enumerate(zip(one, other, strict=False)) if len({*pair}) > 1)
    begin = max(0, next(differ, min(len(one), len(other))) - KEPT_CHARACTERS)
    return ["…" * (begin > 0) + shorten(text[begin:]) for text in (one, other)]


def read_first_rows(dataset: Dataset, prepared: PreparedData | None) -> list[dict[str, str]]:
    """Return the first rows of a data set as they are read.

    Args:
        dataset: in the store.
        prepared: the same rows, or some of them; None if they cannot be.

    Returns:
        `id`, `part`, `label` and `text`, which is on one line, of each; the part is "train" for a
        row that is streamed, "unused" for one whose label is left out, and "not split".
    """
    table = Blocks.from_path(dataset.path, SHOWN_ROWS).read([0])
    found: dict[tuple[str, str], str] = {}
    other = "not split"
    if prepared is not None and prepared.is_split:
        for part in PARTS:
            rows = prepared.get_part(part)
            rows = rows[rows["id"].isin(table["id"])]
            found |= dict.fromkeys(zip(rows["id"], rows["raw"], strict=True), part)
        other = "unused" if prepared.count_streamed_rows() is None else "train"
    return [
        {
            "id": str(row_id),
            "part": found.get((row_id, text), other),
            "label": shorten(label),
            "text": shorten(text, SHOWN_ROW_CHARACTERS),
        }
        for row_id, label, text in zip(table["id"], table["tag"], get_raw_texts(table), strict=True)
    ]
