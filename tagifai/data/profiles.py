"""The profile of a data set: counts, lengths, duplicates and leaks between parts."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np

from tagifai.data.prepare import PreparedData

QUANTILES = {"min": 0.0, "25 %": 0.25, "median": 0.5, "75 %": 0.75, "95 %": 0.95, "max": 1.0}


def compute(prepared: PreparedData) -> dict[str, Any]:
    """Return the profile of rows.

    Args:
        prepared: cleaned, labelled and split.

    Returns:
        `rows`, and by part `parts`; `classes` with rows and share, the most frequent first;
        `looked_at`, the number of rows that all of the following is computed from; `length_words`
        and `length_characters` of the raw texts by quantile; `empty_after_cleaning`; `duplicates`,
        rows whose cleaned text an earlier row has; `leaks`, by pair of parts, texts that are in
        both; `labelled_differently`, texts with more than one label.
    """
    rows, texts = prepared.rows, prepared.rows["text"]
    parts = {name: prepared.get_part(name)["text"] for name in ("train", "val", "test")}
    filled = texts[texts != ""]
    words = [len(text.split()) for text in rows["raw"]]
    labels = rows.loc[filled.index].groupby("text")["tag"].nunique()
    counts = prepared.count_labels()
    total = sum(counts.values())
    return {
        "rows": total,
        "parts": prepared.count_rows(),
        "looked_at": len(rows),
        "classes": {
            tag: {"rows": number, "share": number / total} for tag, number in counts.items()
        },
        "length_words": _compute_quantiles(words),
        "length_characters": _compute_quantiles([len(text) for text in rows["raw"]]),
        "empty_after_cleaning": len(texts) - len(filled),
        "duplicates": int(filled.duplicated().sum()),
        "leaks": {
            f"{one} and {other}": len((set(parts[one]) & set(parts[other])) - {""})
            for one, other in combinations(parts, 2)
        },
        "labelled_differently": int((labels > 1).sum()),
    }


def _compute_quantiles(values: list[int]) -> dict[str, float]:
    found = np.quantile(values, list(QUANTILES.values()))
    return dict(zip(QUANTILES, map(float, found), strict=True))


def list_warnings(profile: dict[str, Any]) -> list[str]:
    """Return warnings about the rows that make scores misleading, a sentence each."""
    leaks = {pair: number for pair, number in profile["leaks"].items() if number}
    lines = [
        f"{n} texts are in both {pair}: scores on {pair.split()[-1]} will be too good."
        for pair, n in leaks.items()
    ]
    if profile["empty_after_cleaning"]:
        lines.append(f"{profile['empty_after_cleaning']} texts are empty after cleaning.")
    if profile["labelled_differently"]:
        lines.append(f"{profile['labelled_differently']} texts have more than one label.")
    return lines


def format_facts(profile: dict[str, Any]) -> list[tuple[str, str]]:
    """Return a profile as lines of a name and a text; an empty name continues the line above."""
    classes = profile["classes"].items()
    width = max(len(tag) for tag in profile["classes"])
    some = profile["looked_at"] < profile["rows"]
    return [
        ("Rows", f"{profile['rows']}: {_format_numbers(profile['parts'])}"),
        ("Classes", str(len(classes))),
        *(("", f"{tag:<{width}} {c['rows']:>8} {c['share']:>7.1%}") for tag, c in classes),
        *([("Sampled", f"{profile['looked_at']} of these rows:")] if some else []),
        ("Words", _format_numbers(profile["length_words"])),
        ("Characters", _format_numbers(profile["length_characters"])),
        ("Duplicates", str(profile["duplicates"])),
        ("Shared texts", _format_numbers(profile["leaks"])),
        ("Empty", f"{profile['empty_after_cleaning']} after cleaning"),
        ("Several labels", str(profile["labelled_differently"])),
    ]


def _format_numbers(numbers: dict[str, float]) -> str:
    return ", ".join(f"{name} {number:.6g}" for name, number in numbers.items())
