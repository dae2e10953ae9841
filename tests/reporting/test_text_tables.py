from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import replace
from pathlib import Path

import pandas as pd

from tagifai.reporting import leaderboard_report, text_tables
from tagifai.reporting.html_pages import HtmlReport
from tagifai.tracking.differences import SAME
from tagifai.tracking.leaderboard import Leaderboard

THIRD = 1 / 3


def board(is_best: bool = False, **more: list[float]) -> Leaderboard:
    """Two rows, of which the second is the baseline, or the first if that is to be the best."""
    rows = pd.DataFrame(
        {"mean": [THIRD, 0.25], "std": [0.5, math.nan], "n": [2, 1]},
        index=["model=b|c", "model=a"],
    )
    gained = {"difference": THIRD - 0.25, "low": -0.5, "high": 2 * THIRD}
    rows = rows.assign(**{name: [value, math.nan] for name, value in gained.items()})
    rows["pairs"] = pd.array([2, pd.NA], dtype="Int64")
    rows["interval"], rows["shown"] = ["paired t, 95 %", None], [SAME, None]
    rows["reason"], rows["compared_with"] = None, ["model=a", None]
    if is_best:
        rows[[*gained, "pairs", "interval", "shown", "compared_with"]] = None
        rows.loc["model=a", "difference"] = 0.25 - THIRD
        rows.loc["model=a", "reason"] = "no predictions"
    rows["run"], rows["run_id"] = ["b" * 8, "a" * 8], ["b" * 32, "a" * 32]
    rows = rows.assign(model=["b|c", "a"], seconds=[1.25, math.nan], **more)
    return Leaderboard(rows, ("model",), rows.index[0 if is_best else 1], is_best, 0)


def boards(is_best: bool = False) -> dict[str, Leaderboard]:
    return {"x (abc)": board(is_best)}


def write(boards: dict[str, Leaderboard], kind: str, **more: bool) -> str:
    return text_tables.format_leaderboards(boards, kind, metric="f1", direction="maximize", **more)


def test_the_report_of_several_data_sets_says_of_which_one_each_best_row_is() -> None:
    def summarize(*names: str) -> HtmlReport:
        found = {name: board() for name in names}
        return leaderboard_report.build(found, "val_f1 (maximize)", "", Path("none"), "command")

    alone = summarize("x (abc)")
    assert [name for name, _ in alone.summary] == [
        *("best", "mean of the best", "runs of the best", "configurations")
    ]
    assert len(alone.tables) == 1
    both = summarize("x (abc)", "y (def)")
    assert [*both.summary] == [("configurations", "4")]
    assert both.tables[0].columns == ["data", "val_f1", "runs", "best"]
    best = ["0.3333", "2", "bbbbbbbb model=b|c"]
    assert both.tables[0].rows == [["x (abc)", *best], ["y (def)", *best]]
    assert len(both.tables) == 3


def test_figures_name_their_data_set_and_stand_with_its_table(tmp_path: Path) -> None:
    several = {"x (abc)": board(), "y (def)": board()}
    made = {
        name: make()
        for name, make in leaderboard_report.build_figures(several, "val_f1 (maximize)").items()
    }
    assert {name: figure.get_suptitle() for name, figure in made.items()} == {
        "means": "Mean val_f1 (maximize) on x (abc)",
        "differences": "Differences to aaaaaaaa on x (abc)",
        "means1": "Mean val_f1 (maximize) on y (def)",
        "differences1": "Differences to aaaaaaaa on y (def)",
    }
    for name, figure in made.items():
        figure.savefig(tmp_path / f"{name}.svg")
    page = leaderboard_report.build(several, "val_f1 (maximize)", "", tmp_path, "command")
    assert page.pictures == ()
    assert [len(table.pictures) for table in page.tables] == [0, 2, 2]
    for table, data in zip(page.tables[1:], several, strict=True):
        assert all(picture.title.endswith(f"({data})") for picture in table.pictures)


def test_a_legend_is_not_wider_than_its_figure() -> None:
    found = board()
    found.rows["interval"] = ["of 61 validation rows, widened for ten comparisons, " * 6, None]
    figure = leaderboard_report.build_figures({"x": found}, "f1")["differences"]()
    figure.draw_without_rendering()
    box = figure.legends[0].get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.width


def test_a_table_begins_with_the_score_and_the_difference_and_has_four_digits() -> None:
    table = text_tables.make_table(board(model_bytes=[2.5e6, math.nan]), "val_f1")
    assert table.columns == {
        "val_f1": ["0.3333", "0.2500"],
        "std": ["0.5000", "-"],
        "n": ["2", "1"],
        "difference": ["+0.08333 ±0.5833 unclear", "baseline"],
        "run": ["b" * 8, "a" * 8],
        "settings": ["model=b|c", "model=a"],
        "seconds": ["1.250", "-"],
        "size": ["2.5 MB", "-"],
    }
    assert list(table.columns)[:4] == ["val_f1", "difference", "std", "n"]
    assert {*table.texts} == {"difference", "run", "settings"}
    assert table.notes == {
        "Differences": "to baseline (aaaaaaaa): paired t, 95 %",
        "Unclear": "no difference shown, 0 is in the interval or too few rows differ",
    }


def test_rows_of_single_runs_have_no_columns_of_several() -> None:
    single = board(is_best=True)
    single.rows["n"] = 1
    table = text_tables.make_table(single, "f1")
    assert list(table.columns) == ["f1", "difference", "run", "settings", "seconds"]
    assert table.columns["difference"] == ["first", "-0.08333 no interval"]
    assert table.notes == {
        "Differences": "to first (bbbbbbbb)",
        "No interval": "1 row: no predictions",
    }


def test_a_row_that_predicts_the_same_is_called_so() -> None:
    found = board()
    found.rows.loc["model=b|c", ["difference", "low", "high"]] = 0.0
    table = text_tables.make_table(found, "f1")
    assert table.columns["difference"] == ["same", "baseline"]
    assert table.notes["Same"] == "no difference in any of what is compared"
    assert "Unclear" not in table.notes


def test_a_column_of_dashes_alone_is_left_out_with_its_note() -> None:
    nothing = [math.nan, math.nan]
    found = board(test_low=nothing, test_high=nothing, model_bytes=nothing)
    found.rows["seconds"] = nothing
    table = text_tables.make_table(found, "f1")
    assert list(table.columns) == ["f1", "difference", "std", "n", "run", "settings"]
    assert "Test rows" not in table.notes


def test_a_board_of_one_row_compares_nothing() -> None:
    alone = board(is_best=True)
    alone = replace(alone, rows=alone.rows.head(1), setting_columns=())
    table = text_tables.make_table(alone, "f1")
    assert list(table.columns) == ["f1", "std", "n", "run", "seconds"]
    assert table.notes == {}


def test_intervals_of_single_runs_and_further_metrics_have_columns_of_their_own() -> None:
    found = board(test_low=[math.nan, 0.2], test_high=[math.nan, 0.3], test_ece=[0.1, THIRD])
    columns = text_tables.make_table(replace(found, shown=("test_ece",)), "f1").columns
    assert list(columns)[-3:] == ["test_ece", "test rows 95 %", "seconds"]
    assert columns["test rows 95 %"] == ["-", "[0.2000, 0.3000]"]
    assert columns["test_ece"] == ["0.1000", "0.3333"]


def test_a_title_says_which_data_and_how_many_rows_they_have() -> None:
    known = replace(board(), data_rows=1234)
    assert text_tables.format_title("x (abc)", known, "f1") == "x (abc), 1,234 rows: by f1"
    assert text_tables.format_title("x (abc)", board(), "f1") == "x (abc): by f1"


def test_csv_has_every_digit_and_nothing_for_what_is_not_known() -> None:
    first, second = csv.DictReader(io.StringIO(write(boards(), "csv")))
    assert (first["data"], float(first["mean"])) == ("x (abc)", THIRD)
    assert (first["model"], first["interval"], first["pairs"]) == ("b|c", "paired t, 95 %", "2")
    assert (second["std"], second["difference"], second["pairs"]) == ("", "", "")


def test_no_spreadsheet_computes_a_cell_of_csv_unless_that_is_wanted() -> None:
    named = {"x": board()}
    named["x"].rows.loc[:, "model"] = ["=1+1", "@a"]
    first, second = csv.DictReader(io.StringIO(write(named, "csv")))
    assert (first["model"], second["model"]) == ("'=1+1", "'@a")
    assert float(second["difference"] or 0) == 0
    kept = write(named, "csv", safe=False)
    assert next(csv.DictReader(io.StringIO(kept)))["model"] == "=1+1"


def test_json_has_every_digit_null_for_what_is_not_known_and_what_is_told_beside() -> None:
    content = json.loads(write(boards(), "json"))
    assert (content["metric"], content["direction"]) == ("f1", "maximize")
    first, second = content["rows"]
    gained = {"difference": THIRD - 0.25, "low": -0.5, "high": 2 * THIRD, "pairs": 2}
    words = {"interval": "paired t, 95 %", "shown": "no difference shown", "reason": None}
    assert first == {
        "data": "x (abc)",
        "row": "model=b|c",
        "n": 2,
        "mean": THIRD,
        "std": 0.5,
        **gained,
        **words,
        "compared_with": "model=a",
        "run": "b" * 8,
        "run_id": "b" * 32,
        "model": "b|c",
        "seconds": 1.25,
    }
    assert (second["std"], second["pairs"], second["compared_with"]) == (None, None, None)


def test_json_has_null_for_a_number_that_it_has_not() -> None:
    found = board(test_ece=[math.inf, 0.5])
    assert [row["test_ece"] for row in json.loads(write({"x": found}, "json"))["rows"]] == [
        None,
        0.5,
    ]


def test_rows_of_several_data_sets_say_which_they_are_on() -> None:
    several = {"x (abc)": board(), "y (def)": board()}
    rows = [*csv.DictReader(io.StringIO(write(several, "csv")))]
    assert [row["data"] for row in rows] == ["x (abc)", "x (abc)", "y (def)", "y (def)"]
    content = json.loads(write(several, "json"))
    assert [row["data"] for row in content["rows"]] == [row["data"] for row in rows]
    page = write(several, "md")
    assert [line for line in page.splitlines() if line[:2] == "##"] == [
        "## x (abc): by f1 (maximize)",
        "## y (def): by f1 (maximize)",
    ]


def test_markdown_is_a_table_with_four_digits_that_names_its_intervals() -> None:
    assert write(boards(), "md").splitlines() == [
        "## x (abc): by f1 (maximize)",
        "",
        "| f1 | difference | std | n | run | settings | seconds |",
        "| ---: | :--- | ---: | ---: | :--- | :--- | ---: |",
        "| 0.3333 | +0.08333 ±0.5833 unclear | 0.5000 | 2 | bbbbbbbb | model=b\\|c | 1.250 |",
        "| 0.2500 | baseline | - | 1 | aaaaaaaa | model=a | - |",
        "",
        "- Differences: to baseline (aaaaaaaa): paired t, 95 %.",
        "- Unclear: no difference shown, 0 is in the interval or too few rows differ.",
    ]
