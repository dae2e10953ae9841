from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tagifai.config.schema import TableConfig, TwoTablesConfig
from tagifai.config.schema.tasks import EvaluateTaskConfig, PredictTaskConfig
from tagifai.data.tables.options import ReadOptions, infer_format
from tagifai.exceptions import BundleError, DataError

OWN = ReadOptions(
    ("title", "body"),
    "stars",
    "key",
    format="csv",
    columns=("key", "title", "body", "stars"),
    missing=("NA",),
    encoding="cp1252",
    delimiter=";",
    quoting="none",
    label_names=(("1", "bad"), ("5", "good")),
)
SAMPLE = ReadOptions(("title", "description"), "tag", "id", other_text=("text",), format="csv")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.csv", "csv"),
        ("A.CSV", "csv"),
        ("R.CSV.GZ", "csv"),
        ("https://host/a.tsv.gz", "tsv"),
        ("https://host/a.json?raw=true&x=b.csv", "json"),
        ("a?b.csv", "csv"),
        ("a.b.ndjson", "jsonl"),
        ("train-00000-of-00001.parquet", "parquet"),
        ("a.parquet.gz", "parquet"),
        ("a.jsonl.zip.xz", "jsonl"),
        ("a.xlsx", "workbook"),
        ("a.txt", "txt"),
        ("a.zip", None),
        ("csv", None),
        ("-", None),
    ],
)
def test_a_name_says_the_format(name: str, kind: str | None) -> None:
    assert infer_format(name) == kind


def test_options_are_those_of_the_data() -> None:
    source = TableConfig(
        path="a.csv", text=["title", "body"], label="stars", missing=["NA"], delimiter="tab"
    )
    found = ReadOptions.from_config(source, {"1": "bad"})
    assert (found.text, found.label, found.missing) == (("title", "body"), "stars", ("NA",))
    assert (found.delimiter, found.label_names) == ("\t", (("1", "bad"),))
    two = ReadOptions.from_config(TwoTablesConfig(name="x", projects="p", tags="t"))
    assert two == SAMPLE


@pytest.mark.parametrize("options", [OWN, SAMPLE, ReadOptions()])
def test_options_that_are_kept_as_json_are_the_same_again(options: ReadOptions) -> None:
    kept = json.loads(json.dumps(options.to_document()))
    assert ReadOptions.from_document(kept) == options


@pytest.mark.parametrize(
    "content", [None, [], {}, {"text": ["a"]}, {"label_names": [], "text": 5},
                {"label_names": [], "text": [5]}, {"label_names": [["a"]]},
                {"label_names": [], "more": 1}],
)  # fmt: skip
def test_what_is_no_options_is_refused(content: Any) -> None:
    with pytest.raises(BundleError, match=r"^tagger\.json does not say how tables are read \("):
        ReadOptions.from_document(content)


# --- for a task --------------------------------------------------------------------------------


def adapt(options: ReadOptions, name: str, **settings: Any) -> ReadOptions:
    return options.adapt(PredictTaskConfig(**settings), name)


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "reviews"])
def test_a_file_of_the_run_s_format_is_read_as_the_run_s_own(name: str) -> None:
    found = adapt(OWN, name)
    assert found.setting == "task"
    assert found.to_document() == OWN.to_document()


def test_a_file_of_another_format_has_a_form_of_its_own_and_the_same_columns() -> None:
    found = adapt(OWN, "a.jsonl")
    assert (found.format, found.encoding, found.delimiter) == ("jsonl", "utf-8", None)
    assert (found.quoting, found.columns) == (None, ())
    assert (found.text, found.label, found.id) == (OWN.text, OWN.label, OWN.id)
    assert (found.missing, found.label_names) == (OWN.missing, OWN.label_names)
    assert adapt(OWN, "a.txt").format == "txt"
    assert adapt(OWN, "-").format == "txt"
    assert adapt(OWN, "-", format="tsv", header=True).format == "tsv"
    with pytest.raises(DataError, match=r"a\.tsv: the run's own table had no header\. Say whether"):
        adapt(OWN, "a.tsv")


def test_a_name_like_that_of_the_run_s_own_table_says_no_more_than_that_one() -> None:
    lines = ReadOptions(format="fasttext", ending="txt")
    assert adapt(lines, "new.txt").format == "fasttext"
    assert adapt(lines, "new.txt", format="txt").format == "txt"
    assert adapt(lines, "new.csv").format == "csv"
    assert adapt(lines, "-").format == "txt"
    tabs = ReadOptions(format="tsv", ending="csv", encoding="cp1252")
    assert (adapt(tabs, "a.csv").format, adapt(tabs, "a.csv").encoding) == ("tsv", "cp1252")
    assert (adapt(tabs, "a.tsv").format, adapt(tabs, "a.txt").format) == ("tsv", "txt")


def test_what_a_task_says_goes_before_what_the_run_says() -> None:
    found = adapt(OWN, "a.csv", encoding="utf-8", delimiter=",", missing=[], header=False)
    assert (found.encoding, found.delimiter, found.missing) == ("utf-8", ",", ())
    assert (found.header, found.quoting, found.columns) == (False, "none", OWN.columns)


def test_columns_of_other_names_are_mapped() -> None:
    found = adapt(OWN, "a.csv", columns={"title": "headline", "key": "id", "stars": "label"})
    assert (found.text, found.id, found.label) == (("headline", "body"), "id", "label")
    assert found.columns == OWN.columns
    assert adapt(SAMPLE, "a.csv", columns={"text": "body"}).other_text == ("body",)


def test_positions_and_a_header_take_the_place_of_the_run_s_names() -> None:
    found = adapt(OWN, "a.csv", columns={"title": "0", "body": "1"})
    assert (found.text, found.columns, found.header) == (("0", "1"), (), False)
    found = adapt(OWN, "a.csv", header=True)
    assert (found.text, found.columns, found.header) == (OWN.text, (), True)


def test_positions_of_the_run_s_own_table_were_below_a_header_unless_it_had_none() -> None:
    places = ReadOptions(("1",), "0", format="csv")
    assert adapt(places, "a.csv").header is True
    assert adapt(replace(places, columns=("x", "y")), "a.csv").header is None
    assert adapt(replace(places, header=False), "a.csv").header is False


def test_a_column_that_the_run_does_not_want_is_refused_with_those_that_it_wants() -> None:
    with pytest.raises(DataError) as caught:
        OWN.adapt(EvaluateTaskConfig(columns={"titel": "x"}), "a.csv")
    assert str(caught.value) == (
        "task.columns: the run has no column 'titel'. Did you mean 'title'? It wants: title, body,"
        " stars, key."
    )
