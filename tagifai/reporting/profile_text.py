"""The profile of a data set in words: lines of facts, and warnings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tagifai.utils.excerpts import shorten

Facts = list[tuple[str, str]]
"""Names and texts; an empty name continues the line above."""

FEW_ROWS = 10
"""A class with fewer is one that little can be learned about."""

SHOWN_CLASSES, SHOWN_RARE_CLASSES, SHOWN_SCRIPTS, SHOWN_GROUPS = 10, 5, 4, 5

SHOWN_NAME = 40
"""Characters of a class among others in a line."""


def list_warnings(profile: Mapping[str, Any]) -> list[str]:
    """Return warnings about the rows that make scores misleading, a sentence each."""
    lines = _list_leaks(profile)
    groups = profile["similar_labels"]
    lines += profile["cleaning_warnings"]
    if number := profile["empty_after_cleaning"]:
        lines.append(f"{_count(number, 'text')} {_choose(number, 'is')} empty after cleaning.")
    if number := profile["labelled_differently"]:
        lines.append(f"{_count(number, 'text')} {_choose(number, 'has')} more than one label.")
    if groups:
        alike = " and ".join(f'"{shorten(label)}"' for label in [*groups[0]["labels"]][:2])
        more = f"; there are {len(groups) - 1:,} more such groups" if groups[1:] else ""
        lines.append(f"The labels {alike} differ only in {groups[0]['differ_in']}{more}.")
    return lines


def _list_leaks(profile: Mapping[str, Any]) -> list[str]:
    near, lines = profile["near_duplicates"], []
    for pair, same in profile["leaks"].items():
        (first, second), similar = pair.split(" and "), near["leaks"][pair] if near else 0
        said = []
        if same:
            said.append(f"{_count(same, 'text')} {_choose(same, 'is')} in both {pair}")
        if similar:
            has = f"{_count(similar, 'text')} of {second} {_choose(similar, 'has')}"
            said.append(f"{has} a near-duplicate in {first}")
        if said:
            lines.append(f"{', and '.join(said)}: scores on {second} will be too good.")
    return lines


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"


def _choose(number: int, verb: str) -> str:
    return verb if number == 1 else {"is": "are", "has": "have"}[verb]


def format_facts(profile: Mapping[str, Any]) -> Facts:
    """Return a profile as lines of a name and a text."""
    conflict = profile["label_conflict"]
    some = profile["looked_at"] < profile["rows"]
    return [
        *format_rows(profile["first_rows"]),
        ("Rows", f"{profile['rows']:,}: {_format_numbers(profile['parts']) or 'not split'}"),
        *_format_classes(profile["classes"]),
        *_continue("Look-alikes", _list_groups(profile["similar_labels"])),
        *([("Sampled", f"{profile['looked_at']:,} of these rows:")] if some else []),
        ("Words", _format_numbers(profile["length_words"])),
        ("Characters", _format_numbers(profile["length_characters"])),
        ("Letters", _format_letters(profile["scripts"], profile["deleted_letters"])),
        ("Duplicates", _format_duplicates(profile)),
        *_continue("Nearly equal", _list_near_duplicates(profile["near_duplicates"])),
        *(_continue("In two parts", _list_shared(profile)) if profile["parts"] else []),
        ("Two labels", _count(profile["labelled_differently"], "text")),
        *([("", f'"{conflict["text"]}": {_join(conflict["labels"])}')] if conflict else []),
        *_continue("Junk", _list_junk(profile["junk"])),
        ("Empty", f"{profile['empty_after_cleaning']:,} after cleaning"),
    ]


def format_counts(counts: Mapping[str, int], shown: int = SHOWN_CLASSES) -> str:
    """Return the first classes with their rows, in one line."""
    named = [
        f"{shorten(tag, SHOWN_NAME)} {number:,}" for tag, number in list(counts.items())[:shown]
    ]
    more = len(counts) - shown
    return ", ".join([*named, *([f"… and {more:,} more"] if more > 0 else [])])


def format_rows(rows: Sequence[Mapping[str, str]]) -> Facts:
    """Return rows as they are read, two lines each.

    Args:
        rows: id, part, label and text of each.
    """
    return _continue(
        "First rows",
        [
            line
            for row in rows
            for line in (f"{row['id']}, {row['part']}, {row['label']}", f'  "{row["text"]}"')
        ],
    )


def _continue(name: str, texts: Sequence[str]) -> Facts:
    return [(name if number == 0 else "", text) for number, text in enumerate(texts or ["none"])]


def _format_classes(classes: Mapping[str, Mapping[str, float]]) -> Facts:
    width = max(len(f"{found['rows']:,}") for found in classes.values())
    lines = [
        f"{found['rows']:>{width},} {found['share']:>6.1%}  {shorten(tag)}"
        for tag, found in classes.items()
    ]
    few = sum(found["rows"] < FEW_ROWS for found in classes.values())
    count = f"{len(lines):,}" + (f"; {few:,} with fewer than {FEW_ROWS} rows" if few else "")
    between = len(lines) - SHOWN_CLASSES - SHOWN_RARE_CLASSES
    if between > 0:
        more = f"… and {between:,} more (all in profile.json)"
        lines[SHOWN_CLASSES:-SHOWN_RARE_CLASSES] = [f"{'':>{width}} {'':>6}  {more}"]
    return [("Classes", count), *(("", line) for line in lines)]


def _list_groups(groups: Sequence[Mapping[str, Any]]) -> list[str]:
    more = len(groups) - SHOWN_GROUPS
    rest = [f"… and {more:,} more (all in profile.json)"] if more > 0 else []
    return [*map(_format_group, groups[:SHOWN_GROUPS]), *rest]


def _format_group(group: Mapping[str, Any]) -> str:
    labels = [f'"{shorten(label)}" {rows:,}' for label, rows in group["labels"].items()]
    return f"{_join(labels)}: {group['differ_in']}"


def _format_letters(scripts: Mapping[str, float], deleted: float) -> str:
    shown = [f"{name} {_format_share(share)}" for name, share in scripts.items()]
    more = len(shown) - SHOWN_SCRIPTS
    named = [*shown[:SHOWN_SCRIPTS], *([f"{more} more scripts"] if more > 0 else [])]
    lost = f"the cleaning deletes {_format_share(deleted) if deleted else 'none'}"
    return f"{_join(named)}; {lost}" if named else "none"


def _format_share(share: float) -> str:
    return f"{share:.1%}" if share >= 0.001 else "<0.1%"


def _format_duplicates(profile: Mapping[str, Any]) -> str:
    cleaned = profile["duplicates_after_cleaning"]
    return f"{_count(profile['duplicates'], 'row')}, {cleaned:,} after cleaning"


def _list_near_duplicates(near: Mapping[str, Any] | None) -> list[str]:
    if near is None:
        return ["not looked for among so many; task=elt does"]
    among = f"{near['texts']:,} texts"
    if near["looked_at"] < near["texts"]:
        among = f"a sample of {near['looked_at']:,} of {among}, all that there was time for"
    example = [f'  "{text}"' for text in near["example"] or []]
    return [f"{near['found']:,} of {among}", *example]


def _list_shared(profile: Mapping[str, Any]) -> list[str]:
    near = profile["near_duplicates"]
    return [
        f"{pair}: {_count(same, 'text')}"
        + (f", {near['leaks'][pair]:,} more nearly" if near else "")
        for pair, same in profile["leaks"].items()
    ]


def _list_junk(junk: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return [
        f"{kind}: {_count(found['rows'], 'row')}, such as {found['example']}"
        for kind, found in junk.items()
    ]


def _join(texts: Sequence[str]) -> str:
    return ", ".join(texts)


def _format_numbers(numbers: Mapping[str, float]) -> str:
    return ", ".join(
        f"{name} {number:,.6g}" if number % 1 else f"{name} {number:,.0f}"
        for name, number in numbers.items()
    )
