from __future__ import annotations

import csv
import io
import json
import math

import pandas as pd
import pytest

from tagifai.reporting import text_tables
from tagifai.tracking.leaderboard import Leaderboard

THIRD = 1 / 3


def board(baseline: str | None = "model=a", **more: list[float]) -> Leaderboard:
    rows = pd.DataFrame(
        {"model": ["b|c", "a"], "n": [2, 1], "mean": [THIRD, 0.25], "std": [0.5, math.nan]},
        index=["model=b|c", "model=a"],
    )
    if baseline is not None:
        gained = {"difference": THIRD - 0.25, "low": -0.5, "high": 2 * THIRD}
        rows = rows.assign(**{name: [value, math.nan] for name, value in gained.items()})
        rows["pairs"] = pd.array([2, pd.NA], dtype="Int64")
        rows["interval"] = ["paired t, 95 %", None]
    rows = rows.assign(seconds=[1.25, math.nan], **more)
    return Leaderboard(rows, ("model",), baseline, "paired t, 95 %", 0)


def test_columns_are_texts_with_four_decimals_and_a_dash_for_what_is_not_known() -> None:
    assert text_tables.format_columns(board(model_bytes=[2.5e6, math.nan])) == {
        "n": ["2", "1"],
        "mean": ["0.3333", "0.2500"],
        "std": ["0.5000", "-"],
        "diff.": ["+0.0833", "baseline"],
        "95 % interval": ["[-0.5000, +0.6667]", "-"],
        "pairs": ["2", "-"],
        "seconds": ["1.2", "-"],
        "size": ["2.50 MB", "-"],
    }


def test_without_a_baseline_there_are_no_columns_of_differences() -> None:
    assert list(text_tables.format_columns(board(None))) == ["n", "mean", "std", "seconds"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "0.0000"), (2e-5, "2e-05"), (12345.6, "1.235e+04"), (-0.5, "-0.5000"), (math.nan, "-")],
)
def test_a_number_is_shown_with_four_digits_where_decimals_would_say_little(
    value: float, shown: str
) -> None:
    assert text_tables.format_number(value) == shown


def test_csv_has_every_digit_and_nothing_for_what_is_not_known() -> None:
    first, second = csv.DictReader(io.StringIO(text_tables.format_leaderboard(board(), "csv")))
    assert float(first["mean"]) == THIRD
    assert (first["model"], first["interval"], first["pairs"]) == ("b|c", "paired t, 95 %", "2")
    assert (second["std"], second["difference"], second["pairs"]) == ("", "", "")


def test_json_has_every_digit_null_for_what_is_not_known_and_what_is_told_beside() -> None:
    content = json.loads(text_tables.format_leaderboard(board(), "json", metric="f1"))
    assert (content["metric"], content["baseline"]) == ("f1", "model=a")
    assert content["interval"] == "paired t, 95 %"
    first, second = content["rows"]
    figures = {"difference": THIRD - 0.25, "low": -0.5, "high": 2 * THIRD, "pairs": 2}
    spread = {"n": 2, "mean": THIRD, "std": 0.5}
    assert first == {"row": "model=b|c", "model": "b|c", "seconds": 1.25} | spread | figures
    assert (second["std"], second["pairs"]) == (None, None)
    assert json.loads(text_tables.format_leaderboard(board(None), "json"))["interval"] is None


def test_markdown_is_a_table_with_four_digits_that_names_its_intervals() -> None:
    assert text_tables.format_leaderboard(board(None), "md").splitlines() == [
        "| model | n | mean | std | seconds |",
        "| :--- | ---: | ---: | ---: | ---: |",
        "| b\\|c | 2 | 0.3333 | 0.5000 | 1.2 |",
        "| a | 1 | 0.2500 | - | - |",
    ]
    assert text_tables.format_leaderboard(board(), "md").endswith(
        "\n\nDifferences to model=a: paired t, 95 %.\n"
    )
