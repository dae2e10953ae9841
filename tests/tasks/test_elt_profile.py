"""task=elt shows the profile of a data set, and keeps it as JSON."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from tests.app import App

WORDS = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"]

CHINESE = ["今天天气很好", "这家餐厅的菜非常好吃", "服务态度太差了", "手机的电池用不了一天"]


def write(path: Path, rows: list[tuple[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows])


def load(app: App) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(next(app.outputs.glob("*/*/profile.json")).read_text())
    return found


def test_the_profile_is_shown_and_kept(app: App) -> None:
    rows = [
        (f"{WORDS[n % 8]} and {WORDS[n // 8]} number {n} are here", ("yes", "no")[n % 2])
        for n in range(60)
    ]
    write(app.cwd / "own.csv", [("a\ttab and a\nline", "Yes"), *[("so, so", "Yes")] * 9, *rows])

    output = app.ok("task=elt", "data=table", "data.path=own.csv")

    assert r"""First rows:    1, """ in output
    assert r'  "a\ttab and a\nline"' in output
    assert '"yes" 30, "Yes" 10: upper and lower case' in output
    assert 'Note: The labels "yes" and "Yes" differ only in upper and lower case.' in output
    assert "Duplicates:    8 rows" in output
    profile = load(app)
    assert profile["rows"] == 70
    assert profile["near_duplicates"]["looked_at"] == 62
    assert profile["first_rows"][0]["text"] == r"a\ttab and a\nline"


def test_rows_that_cannot_be_split_are_shown_with_the_reason(app: App) -> None:
    write(app.cwd / "own.csv", [(f"the text number {n}", f"label {n}") for n in range(30)])

    output = app.ok("task=elt", "data=table", "data.path=own.csv")

    assert "Rows:          30: not split" in output
    assert "… and 15 more (all in profile.json)" in output
    assert "30; 30 with fewer than 10 rows" in output
    assert "No run can be trained on this data set as it is configured. " in output
    assert load(app)["leaks"] == {}


def test_a_cleaning_that_deletes_the_texts_is_an_error_of_the_profile_and_of_training(
    app: App,
) -> None:
    rows = [(f"{CHINESE[n % 4]}{CHINESE[n % 3]}", ("a", "b")[n % 2]) for n in range(60)]
    write(app.cwd / "own.csv", rows)
    table = ("data=table", "data.path=own.csv")
    given = (*table, "preprocessing=reference")

    profiled = app.run("task=elt", *given)
    assert profiled.returncode == 2
    assert "Letters:       Han 100.0%; the cleaning deletes 100.0%" in profiled.stdout
    assert load(app)["deleted_letters"] == 1
    for stopped in (
        profiled,
        app.run(*given, "plots=none"),
        app.run(*given, "data.chunk_rows=20", "plots=none", *STREAMED),
    ):
        assert stopped.returncode == 2
        assert "The cleaning would delete 100.0% of the letters (Han)" in stopped.stderr
        assert "Use preprocessing=unicode" in stopped.stderr
    for cleaning in ("preprocessing=unicode", "preprocessing=default"):
        assert app.run("task=elt", *table, cleaning).returncode == 0


STREAMED = ("vectorizer=hashing", "training.refit=false")
