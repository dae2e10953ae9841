"""The embedded data set is what the README says it is."""

from __future__ import annotations

import re
from collections import Counter
from itertools import combinations
from pathlib import Path

import pandas as pd
import pytest

import tagifai
from tagifai.data.projects import read_projects
from tagifai.data.tables.reader import TableFile

FOLDER = Path(tagifai.__file__).parent / "sample"


@pytest.fixture(scope="module")
def joined() -> tuple[pd.DataFrame, dict[str, int]]:
    return read_projects(
        {name: TableFile(FOLDER / f"{name}.csv", name) for name in ("projects", "tags")}
    )


@pytest.fixture(scope="module")
def rows(joined: tuple[pd.DataFrame, dict[str, int]]) -> pd.DataFrame:
    return joined[0]


def words(row: tuple[str, str]) -> set[str]:
    return set(re.findall(r"[a-z0-9]+", " ".join(row).lower()))


def test_every_row_has_one_tag_and_no_blank_field(
    joined: tuple[pd.DataFrame, dict[str, int]],
) -> None:
    rows, counts = joined
    assert len(rows) == counts["projects"] == counts["tags"] >= 600
    assert list(rows.columns) == ["id", "created_on", "title", "description", "tag"]
    assert (rows[["title", "description"]].map(str.strip) == rows[["title", "description"]]).all(
        axis=None
    )
    assert (rows != "").all(axis=None)


def test_the_tags_are_as_unequal_as_in_the_real_data(rows: pd.DataFrame) -> None:
    shares = {tag: n / len(rows) for tag, n in Counter(rows["tag"]).items()}
    real = {
        "natural-language-processing": 0.406,
        "computer-vision": 0.373,
        "mlops": 0.083,
        "reinforcement-learning": 0.059,
        "graph-learning": 0.047,
        "time-series": 0.032,
    }
    assert shares == pytest.approx(real, abs=0.015)


def test_no_two_rows_share_more_than_half_of_their_words(rows: pd.DataFrame) -> None:
    texts = list(zip(rows["title"], rows["description"], strict=True))
    named = [(text[0], words(text)) for text in texts]
    # Of the shorter row's words, which is stricter than of both together.
    alike = [
        (one, other)
        for (one, a), (other, b) in combinations(named, 2)
        if 2 * len(a & b) > min(len(a), len(b))
    ]
    assert alike == []


def test_it_has_what_makes_cleaning_and_learning_hard(rows: pd.DataFrame) -> None:
    text = rows["title"] + " " + rows["description"]
    nlp = rows["tag"] == "natural-language-processing"
    vision = rows["tag"] == "computer-vision"
    mlops = rows["tag"] == "mlops"

    def with_word(pattern: str) -> pd.Series[bool]:
        return text.str.contains(pattern, case=False, regex=True)

    assert sum(len(t.split()) < 8 for t in text) >= 30
    assert text.str.contains("https://").sum() >= 20
    assert (~text.map(str.isascii)).sum() >= 20
    assert (nlp & with_word("cnn|convolution")).sum() >= 10
    assert (vision & with_word("transformer")).sum() >= 10
    assert (mlops & with_word("text|language|bert|gpt|llm|nlp")).sum() >= 10
