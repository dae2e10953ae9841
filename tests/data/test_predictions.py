from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tagifai.config.schema import PredictTaskConfig
from tagifai.data.predictions import NOT_FINITE, PredictionTable
from tagifai.data.tables.inputs import InputBatch
from tagifai.models.tagger import Tagger
from tagifai.models.thresholds import Probabilities
from tagifai.preprocessing.labels import LabelEncoder

LABELS = ("1", "2", "nlp")
KNOWN = {"a": [0.7, 0.2, 0.1], "b": [0.1, 0.3, 0.6], "bad": [0.5, np.nan, 0.1]}


class Texts:
    """A vectorizer whose features are the texts."""

    def transform(self, texts: list[str]) -> list[str]:
        return texts


class Known:
    """A model that knows the probabilities of a few texts."""

    classes_ = np.arange(3)

    def predict_proba(self, X: list[str]) -> Probabilities:
        return np.array([KNOWN[text] for text in X])


def tagger(threshold: float | None = None) -> Tagger:
    cleaning = {"lower": False}
    other = None if threshold is None else "2"
    return Tagger(cleaning, Texts(), Known(), LabelEncoder(LABELS), threshold, other)


def rows(
    batch: InputBatch, output: str | None, fitted: Tagger | None = None, **settings: Any
) -> list[dict[str, Any]]:
    """Return what is written of a batch, by column."""
    task = PredictTaskConfig(input="in.csv", output=output, **settings)
    fitted = fitted or tagger()
    table = PredictionTable(batch.kept, task, fitted)
    texts = [text for row, text in enumerate(batch.texts) if row not in batch.errors]
    found = fitted.predict_columns(texts, task.top_k, matrix=task.probabilities)
    columns, _ = table.tabulate(batch, found)
    return [dict(zip(table.fields, row, strict=True)) for row in zip(*columns, strict=True)]


BATCH = InputBatch(["a", "", "b"], {"id": ["7", "8", "9"]}, {1: "line 3: there is no text"})


# --- columns -----------------------------------------------------------------------------------


@pytest.mark.parametrize("output", ["a.csv", "a.parquet", "a.xlsx", "a.json", "a.jsonl.gz", None])
def test_what_is_kept_comes_first_and_errors_last(output: str | None) -> None:
    expected: list[tuple[Any, ...]] = [
        ("7", "a", "1", 0.7, None),
        ("8", None, None, None, "line 3: there is no text"),
        ("9", "b", "nlp", 0.6, None),
    ]
    names = ("id", "input_text", "predicted_tag", "probability", "error")
    assert rows(BATCH, output) == [dict(zip(names, row, strict=True)) for row in expected]


def test_a_text_of_the_command_line_has_no_column_of_errors() -> None:
    table = PredictionTable((), PredictTaskConfig(text="a", output="a.csv"), tagger())
    assert [*table.fields] == ["input_text", "predicted_tag", "probability"]


def test_a_table_has_two_columns_for_each_further_rank() -> None:
    first, broken, last = rows(BATCH, "a.csv", top_k=3)
    names = ["tag_2", "probability_2", "tag_3", "probability_3"]
    assert [*first] == ["id", "input_text", "predicted_tag", "probability", *names, "error"]
    assert [first[name] for name in names] == ["2", 0.2, "nlp", 0.1]
    assert [broken[name] for name in names] == [None] * 4
    assert [last[name] for name in names] == ["2", 0.3, "1", 0.1]


def test_json_has_a_list_of_the_ranks() -> None:
    first, broken, _ = rows(BATCH, "a.json", top_k=2)
    assert [*first] == ["id", "input_text", "predicted_tag", "probability", "top", "error"]
    assert first["top"] == [{"tag": "1", "probability": 0.7}, {"tag": "2", "probability": 0.2}]
    assert broken["top"] is None


@pytest.mark.parametrize("top_k", [3, 4, 1000])
def test_there_are_no_more_ranks_than_labels(top_k: int) -> None:
    assert len(rows(BATCH, None, top_k=top_k)[0]["top"]) == 3
    assert [*rows(BATCH, "a.csv", top_k=top_k)[0]][-3:] == ["tag_3", "probability_3", "error"]


def test_one_rank_is_the_prediction_itself() -> None:
    assert "top" not in rows(BATCH, None, top_k=1)[0]
    assert not [name for name in rows(BATCH, "a.csv", top_k=1)[0] if name.startswith("tag_")]


def test_with_a_label_for_the_rest_the_ranks_of_a_table_begin_at_the_first() -> None:
    first, _, _ = rows(BATCH, "a.csv", tagger(threshold=0.9), top_k=2)
    assert (first["predicted_tag"], first["probability"]) == ("2", 0.7)
    assert (first["tag_1"], first["probability_1"]) == ("1", 0.7)
    assert (first["tag_2"], first["probability_2"]) == ("2", 0.2)
    top = rows(BATCH, None, tagger(threshold=0.9), top_k=2)[0]["top"]
    assert [entry["tag"] for entry in top] == ["1", "2"]


def test_the_probabilities_of_all_labels_are_columns_or_an_object() -> None:
    first, broken, _ = rows(BATCH, "a.tsv", probabilities=True)
    names = ["probability_1", "probability_2", "probability_nlp"]
    assert [first[name] for name in names] == [0.7, 0.2, 0.1]
    assert [broken[name] for name in names] == [None] * 3
    first, broken, _ = rows(BATCH, "a.jsonl", probabilities=True)
    assert first["probabilities"] == {"1": 0.7, "2": 0.2, "nlp": 0.1}
    assert broken["probabilities"] is None


@pytest.mark.parametrize("output", ["a.csv", "a.parquet", None])
def test_a_batch_of_errors_alone_is_written_like_others(output: str | None) -> None:
    batch = InputBatch(["", ""], {"id": ["1", "2"]}, {0: "x", 1: "y"})
    found = rows(batch, output, top_k=2, probabilities=True)
    assert [row["error"] for row in found] == ["x", "y"]
    assert {row[name] for row in found for name in row if name not in ("id", "error")} == {None}
    assert [*found[0]] == [*rows(BATCH, output, top_k=2, probabilities=True)[0]]


@pytest.mark.parametrize("output", ["a.csv", None])
def test_a_row_without_finite_probabilities_is_an_error_of_its_own(output: str | None) -> None:
    batch = InputBatch(["a", "", "bad", "b"], {}, {1: "line 3: there is no text"})
    found = rows(batch, output, top_k=2, probabilities=True)
    assert [row["predicted_tag"] for row in found] == ["1", None, None, "nlp"]
    assert [row["probability"] for row in found] == [0.7, None, None, 0.6]
    assert [row["error"] for row in found] == [None, "line 3: there is no text", NOT_FINITE, None]
    assert found[2]["input_text"] == "bad"
    assert not [value for row in found for value in row.values() if value != value]


# --- names -------------------------------------------------------------------------------------


def test_a_kept_column_gives_way_to_one_of_predictions() -> None:
    kept = {"probability": ["x"], "text": ["a"], "error": ["e"], "error_input": ["f"], "top": ["t"]}
    batch = InputBatch(["a"], kept, {})
    (found,) = rows(batch, "a.csv", keep="all")
    assert [*found][:5] == ["probability_input", "text", "error_input_input", "error_input", "top"]
    assert (found["error_input_input"], found["error_input"], found["error"]) == ("e", "f", None)
    assert (found["probability_input"], found["probability"]) == ("x", 0.7)
    task = PredictTaskConfig(input="in.csv", output=None, keep="all", top_k=2)
    table = PredictionTable(kept, task, tagger())
    assert table.renamed == [
        "probability as probability_input", "error as error_input_input", "top as top_input"
    ]  # fmt: skip


def test_a_label_that_is_a_number_is_not_taken_for_a_rank() -> None:
    (found,) = rows(InputBatch(["a"], {}, {}), "a.csv", top_k=2, probabilities=True)
    assert [*found][3:-1] == [
        *("tag_2", "probability_2", "probability_1", "probability_2_label", "probability_nlp")
    ]
    assert (found["probability_2"], found["probability_2_label"]) == (0.2, 0.2)


# --- cells -------------------------------------------------------------------------------------

FORMULAS = ["=1+1", "+1+1", "-a", "@a", "\ta", "\ra", "\n=1", "-1e"]
FORMULAS += [f"{start}1" for start in "\uff1d\uff0b\uff0d\uff20"]  # in full width


@pytest.mark.parametrize("output", ["a.csv", "a.tsv.gz"])
def test_a_cell_that_would_be_computed_is_made_a_text_unless_it_is_not_wanted(output: str) -> None:
    batch = InputBatch(["a", "b"], {"=id": ["=1+1", "1=1"]}, {})
    first, second = rows(batch, output)
    assert (first["'=id"], second["'=id"]) == ("'=1+1", "1=1")
    assert first["probability"] == 0.7
    assert rows(batch, output, csv_safe=False)[0]["=id"] == "=1+1"
    for formula in FORMULAS:
        batch = InputBatch([""], {"n": [formula]}, {0: formula})
        assert rows(batch, output)[0]["error"] == f"'{formula}"
    for number in ("-1", "+1.5", "-.5e-3", "1", "-7."):
        batch = InputBatch([""], {"n": [number]}, {0: number})
        assert rows(batch, output)[0]["error"] == number


@pytest.mark.parametrize("output", ["a.json", "a.parquet", "a.xlsx", None])
def test_other_files_keep_such_cells_as_they_are(output: str | None) -> None:
    batch = InputBatch(["a"], {"=id": ["=1+1"]}, {})
    assert rows(batch, output)[0]["=id"] == "=1+1"  # of a workbook it is a text by its type


def test_half_of_a_surrogate_pair_is_not_kept() -> None:
    batch = InputBatch(["a", "b"], {"id": ["x\ud83dy\U0001f600", "é"]}, {})
    assert [row["id"] for row in rows(batch, None)] == ["x\ufffdy\U0001f600", "é"]
