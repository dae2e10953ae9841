from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import replace

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


def boards(baseline: str | None = "model=a") -> dict[str, Leaderboard]:
    return {"x (abc)": board(baseline)}


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


def test_intervals_of_single_runs_and_further_metrics_have_columns_of_their_own() -> None:
    found = board(None, test_low=[math.nan, 0.2], test_high=[math.nan, 0.3], test_ece=[0.1, THIRD])
    columns = text_tables.format_columns(replace(found, shown=("test_ece",)))
    assert list(columns) == ["n", "mean", "std", "test rows 95 %", "test_ece", "seconds"]
    assert columns["test rows 95 %"] == ["-", "[0.2000, 0.3000]"]
    assert columns["test_ece"] == ["0.1000", "0.3333"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "0.0000"), (2e-5, "2e-05"), (12345.6, "1.235e+04"), (-0.5, "-0.5000"), (math.nan, "-")],
)
def test_a_number_is_shown_with_four_digits_where_decimals_would_say_little(
    value: float, shown: str
) -> None:
    assert text_tables.format_number(value) == shown


def test_csv_has_every_digit_and_nothing_for_what_is_not_known() -> None:
    first, second = csv.DictReader(io.StringIO(text_tables.format_leaderboards(boards(), "csv")))
    assert float(first["mean"]) == THIRD
    assert (first["model"], first["interval"], first["pairs"]) == ("b|c", "paired t, 95 %", "2")
    assert (second["std"], second["difference"], second["pairs"]) == ("", "", "")


def test_no_spreadsheet_computes_a_cell_of_csv_unless_that_is_wanted() -> None:
    named = {"x": board()}
    named["x"].rows.loc[:, "model"] = ["=1+1", "@a"]
    first, second = csv.DictReader(io.StringIO(text_tables.format_leaderboards(named, "csv")))
    assert (first["model"], second["model"]) == ("'=1+1", "'@a")
    assert float(second["difference"] or 0) == 0
    kept = text_tables.format_leaderboards(named, "csv", safe=False)
    assert next(csv.DictReader(io.StringIO(kept)))["model"] == "=1+1"


def test_json_has_every_digit_null_for_what_is_not_known_and_what_is_told_beside() -> None:
    content = json.loads(text_tables.format_leaderboards(boards(), "json", metric="f1"))
    assert (content["metric"], content["baseline"]) == ("f1", "model=a")
    assert content["interval"] == "paired t, 95 %"
    first, second = content["rows"]
    figures = {"difference": THIRD - 0.25, "low": -0.5, "high": 2 * THIRD, "pairs": 2}
    spread = {"n": 2, "mean": THIRD, "std": 0.5}
    assert (
        first
        == {"data": "x (abc)", "row": "model=b|c", "model": "b|c", "seconds": 1.25}
        | spread
        | figures
    )
    assert (second["std"], second["pairs"]) == (None, None)
    assert json.loads(text_tables.format_leaderboards(boards(None), "json"))["interval"] is None


def test_rows_of_several_data_sets_say_which_they_are_on() -> None:
    several = {"x (abc)": board(), "y (def)": board(None)}
    rows = [*csv.DictReader(io.StringIO(text_tables.format_leaderboards(several, "csv")))]
    assert [row["data"] for row in rows] == ["x (abc)", "x (abc)", "y (def)", "y (def)"]
    content = json.loads(text_tables.format_leaderboards(several, "json"))
    assert [row["data"] for row in content["rows"]] == [row["data"] for row in rows]
    page = text_tables.format_leaderboards(several, "md")
    assert [line for line in page.splitlines() if line[:2] == "##"] == ["## x (abc)", "## y (def)"]


def test_the_metric_of_test_rows_is_a_column_beside() -> None:
    beside = replace(board(None, test_f1=[0.5, math.nan]), shown=("test_f1",))
    assert text_tables.format_columns(beside)["test_f1"] == ["0.5000", "-"]


def test_markdown_is_a_table_with_four_digits_that_names_its_intervals() -> None:
    assert text_tables.format_leaderboards(boards(None), "md").splitlines() == [
        "| model | n | mean | std | seconds |",
        "| :--- | ---: | ---: | ---: | ---: |",
        "| b\\|c | 2 | 0.3333 | 0.5000 | 1.2 |",
        "| a | 1 | 0.2500 | - | - |",
    ]
    assert text_tables.format_leaderboards(boards(), "md").endswith(
        "\n\nDifferences to model=a: paired t, 95 %.\n"
    )
