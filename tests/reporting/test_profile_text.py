"""The profile of a data set in words."""

from __future__ import annotations

from typing import Any

import pytest

from tagifai.reporting import profile_text

PROFILE: dict[str, Any] = {
    "first_rows": [],
    "rows": 1_000_000,
    "parts": {"train": 999_980, "val": 10, "test": 10},
    "classes": {"a": {"rows": 999_999, "share": 0.999999}, "b": {"rows": 1, "share": 1e-6}},
    "similar_labels": [],
    "looked_at": 1_000_000,
    "length_words": {"min": 1.0, "max": 2.5},
    "length_characters": {"min": 3.0, "max": 3000.0},
    "scripts": {"Latin": 0.9995, "Han": 0.0005},
    "deleted_letters": 0.0005,
    "cleaning_warnings": [],
    "empty_after_cleaning": 0,
    "junk": {},
    "duplicates": 1,
    "duplicates_after_cleaning": 1200,
    "labelled_differently": 0,
    "label_conflict": None,
    "leaks": {"train and val": 0, "train and test": 0, "val and test": 0},
    "near_duplicates": None,
}

NEAR: dict[str, Any] = {
    "texts": 1000,
    "looked_at": 1000,
    "found": 2,
    "example": ["one", "two"],
    "leaks": {"train and val": 0, "train and test": 0, "val and test": 0},
}


def get_lines(name: str, **changed: Any) -> list[str]:
    """Return a fact and the lines that continue it."""
    lines: dict[str, list[str]] = {}
    last = ""
    for key, text in profile_text.format_facts(PROFILE | changed):
        last = key or last
        lines.setdefault(last, []).append(text)
    return lines[name]


def test_numbers_are_written_out() -> None:
    assert get_lines("Rows") == ["1,000,000: train 999,980, val 10, test 10"]
    assert get_lines("Rows", parts={}) == ["1,000,000: not split"]
    assert get_lines("Words") == ["min 1, max 2.5"]
    assert get_lines("Duplicates") == ["1 row, 1,200 after cleaning"]
    assert get_lines("Letters") == ["Latin 100.0%, Han <0.1%; the cleaning deletes <0.1%"]


def test_three_thousand_classes_do_not_print_three_thousand_names() -> None:
    classes = {f"class {n}": {"rows": 3000 - n, "share": 0.1} for n in range(3000)}
    lines = get_lines("Classes", classes=classes)
    assert lines[0] == "3,000; 9 with fewer than 10 rows"
    assert lines[1] == "3,000  10.0%  class 0"
    assert lines[11].strip() == "… and 2,985 more (all in profile.json)"
    assert lines[12:] == [f"{5 - n:>5}  10.0%  class {2995 + n}" for n in range(5)]


@pytest.mark.parametrize("number", [1, 15])
def test_few_classes_are_all_named(number: int) -> None:
    classes = {f"class {n}": {"rows": 10, "share": 0.1} for n in range(number)}
    assert len(get_lines("Classes", classes=classes)) == number + 1


def test_a_line_names_the_first_of_many_classes() -> None:
    counts = {f"{'x' * 50}{n}": 1000 for n in range(12)}
    said = profile_text.format_counts(counts)
    assert said.startswith(f"{'x' * 40}… 1,000, ")
    assert said.endswith(", … and 2 more")


def test_near_duplicates_of_a_sample_are_said_to_be_that() -> None:
    name = "Nearly equal"
    assert get_lines(name) == ["not looked for among so many; task=elt does"]
    assert get_lines(name, near_duplicates=NEAR) == ["2 of 1,000 texts", '  "one"', '  "two"']
    assert get_lines(name, near_duplicates=NEAR | {"looked_at": 500, "example": None}) == [
        "2 of a sample of 500 of 1,000 texts, all that there was time for"
    ]


def test_rows_are_shown_with_their_part_and_label() -> None:
    row = {"id": "7", "part": "val", "label": "pos", "text": r"a\tb"}
    assert profile_text.format_rows([row, row]) == [
        *(("First rows", "7, val, pos"), ("", r'  "a\tb"')),
        *(("", "7, val, pos"), ("", r'  "a\tb"')),
    ]


def test_data_without_oddities_have_no_warnings() -> None:
    assert profile_text.list_warnings(PROFILE) == []
    assert profile_text.list_warnings(PROFILE | {"near_duplicates": NEAR}) == []


def test_texts_in_two_parts_are_one_warning() -> None:
    leaks = {"train and val": 1, "train and test": 0, "val and test": 2}
    two = "1 text is in both train and val, and 2 texts of val have a near-duplicate in train"
    near = NEAR | {"leaks": {"train and val": 2, "train and test": 1, "val and test": 0}}
    assert profile_text.list_warnings(PROFILE | {"leaks": leaks, "near_duplicates": near}) == [
        f"{two}: scores on val will be too good.",
        "1 text of test has a near-duplicate in train: scores on test will be too good.",
        "2 texts are in both val and test: scores on test will be too good.",
    ]


def test_what_the_cleaning_destroys_is_a_warning() -> None:
    said = ["The cleaning empties 3 of 20 texts (15.0%).", "The cleaning makes 3 equal."]
    assert profile_text.list_warnings(PROFILE | {"cleaning_warnings": said}) == said


def test_labels_that_look_alike_are_one_warning() -> None:
    groups = [
        {"labels": {f"A{n}": 2, f"a{n}": 1}, "differ_in": "upper and lower case"} for n in range(7)
    ]
    assert profile_text.list_warnings(PROFILE | {"similar_labels": groups[:1]}) == [
        'The labels "A0" and "a0" differ only in upper and lower case.'
    ]
    (said,) = profile_text.list_warnings(PROFILE | {"similar_labels": groups})
    assert said.endswith("; there are 6 more such groups.")
    lines = get_lines("Look-alikes", similar_labels=groups)
    assert lines[0] == '"A0" 2, "a0" 1: upper and lower case'
    assert lines[5:] == ["… and 2 more (all in profile.json)"]


def test_what_is_odd_is_a_fact() -> None:
    junk = {"only a link": {"rows": 1, "example": "17"}, "no letters": {"rows": 2, "example": "9"}}
    assert get_lines("Junk") == ["none"]
    assert get_lines("Junk", junk=junk) == [
        "only a link: 1 row, such as 17",
        "no letters: 2 rows, such as 9",
    ]
    conflict = {"text": "so good", "labels": ["a", "b"]}
    assert get_lines("Two labels", labelled_differently=1, label_conflict=conflict) == [
        "1 text",
        '"so good": a, b',
    ]
    assert get_lines("Sampled", looked_at=10_000) == ["10,000 of these rows:"]
