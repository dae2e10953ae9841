from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tagifai.config.schema.tasks import EvaluateTaskConfig, PredictTaskConfig
from tagifai.data.tables.inputs import InputBatch, read_inputs, read_labeled
from tagifai.data.tables.options import ReadOptions
from tagifai.exceptions import BundleError, DataError
from tagifai.models import bundles
from tagifai.utils import files
from tests.data.tables.reading import SIZES, write

OWN = ReadOptions(("title", "body"), "stars", format="csv")
SAMPLE = ReadOptions(("title", "description"), "tag", "id", other_text=("text",), format="csv")
PLAIN = ReadOptions(format="csv")
HEADLESS = ReadOptions(
    ("title", "text"), format="csv", header=False, columns=("label", "title", "text")
)


class Runs:
    """Files that are read as those of a run were."""

    def __init__(self, folder: Path, document: dict[str, Any]) -> None:
        self.folder, self.document = folder, document

    def predict(
        self, options: ReadOptions, name: str, content: str | bytes, **more: Any
    ) -> list[InputBatch]:
        self.document["input"] = options.to_document()
        source = "-" if name == "-" else str(write(self.folder / name, content))
        keep, rows = more.pop("keep", "id"), more.pop("rows", 100)
        task = PredictTaskConfig(**more)
        return list(read_inputs(source, self.folder, task, keep=keep, rows=rows))

    def texts(
        self, options: ReadOptions, name: str, content: str | bytes, **more: Any
    ) -> list[str]:
        return [
            text for some in self.predict(options, name, content, **more) for text in some.texts
        ]

    def evaluate(
        self, options: ReadOptions, name: str, content: str | bytes, **more: Any
    ) -> tuple[list[str], list[str]]:
        self.document["input"] = options.to_document()
        path = write(self.folder / name, content)
        return read_labeled(str(path), self.folder, EvaluateTaskConfig(**more))

    def refuse(self, options: ReadOptions, name: str, content: str | bytes, **more: Any) -> str:
        """Return why a file is refused, by predict and by evaluate alike."""
        said = []
        for read in (self.predict, self.evaluate):
            with pytest.raises(DataError) as caught:
                read(options, name, content, **more)
            said.append(str(caught.value).replace(str(self.folder), "DIR"))
        assert said[1] == said[0].replace("task.input: ", "task.data: ").replace(
            f"The run wants: {', '.join(options.text)}.",
            f"The run wants: {', '.join((*options.text, options.label or ''))}.",
        )
        return said[0].removeprefix(f"task.input: DIR/{name}")


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Runs:
    document: dict[str, Any] = {}
    monkeypatch.setattr(bundles, "read_manifest", lambda _: {})
    monkeypatch.setattr(bundles, "read_document", lambda *_: document)
    return Runs(tmp_path, document)


def test_a_bundle_that_does_not_say_how_tables_are_read_is_refused(runs: Runs) -> None:
    with pytest.raises(BundleError, match=r"tagger\.json does not say how tables are read"):
        list(read_inputs("a.csv", runs.folder, PredictTaskConfig(), keep="id", rows=1))


# --- the columns of the run --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "stars,body,more,title\n,b,m,a\n,,m,c\n"),
        ("a.tsv", "title\tbody\na\tb\nc\t\n"),
        ("a.jsonl", '{"title": "a", "body": "b"}\n{"title": "c"}\n'),
        ("a.json", '{"body": ["b", null], "title": ["a", "c"]}'),
    ],
)
def test_all_columns_of_the_run_are_joined_in_its_order(
    runs: Runs, name: str, content: str
) -> None:
    assert runs.texts(OWN, name, content) == ["a b", "c "]


def test_a_missing_column_is_refused_with_the_names_that_are_wanted_and_that_there_are(
    runs: Runs,
) -> None:
    said = runs.refuse(OWN, "a.csv", "title,stars\na,1\n")
    assert said == (
        " has no column 'body'. The run wants: title, body. It has: title, stars. If it is called"
        " something else: 'task.columns={body: NAME}'."
    )
    # Not even a text, where the run was not trained on it.
    assert " has no column 'title'. The run wants: title, body. It has: text." in runs.refuse(
        OWN, "a.csv", "text\na\n"
    )
    only_body = ReadOptions(("body",), format="csv")
    assert "has no column 'body'. The run wants: body. It has: title." in runs.refuse(
        only_body, "b.csv", "title\na\n"
    )


def test_a_run_on_title_and_description_takes_a_text_too(runs: Runs) -> None:
    assert runs.texts(SAMPLE, "a.csv", "text,title,description\na,b,c\n") == ["b c"]
    assert runs.texts(SAMPLE, "a.csv", "text,title\na,b\n") == ["a"]
    assert runs.texts(SAMPLE, "a.csv", "review\na\n", columns={"text": "review"}) == ["a"]
    said = runs.refuse(SAMPLE, "a.csv", "x\na\n")
    assert said.startswith(" has no column 'title'. The run wants: title, description. It has: x.")


def test_columns_are_mapped_by_name_or_by_position(runs: Runs) -> None:
    content = "headline,content,stars\na,b,1\n"
    mapped = {"title": "headline", "body": "content"}
    assert runs.texts(OWN, "a.csv", content, columns=mapped) == ["a b"]
    assert runs.evaluate(OWN, "a.csv", content, columns=mapped) == (["a b"], ["1"])
    places = {"title": "1", "body": "0", "stars": "2"}
    found = runs.evaluate(OWN, "a.csv", "a,b,1\nc,d,2\n", columns=places, header=False)
    assert found == (["b a", "d c"], ["1", "2"])


def test_a_column_that_is_there_twice_is_refused_with_the_way_out(runs: Runs) -> None:
    said = runs.refuse(PLAIN, "a.csv", "text,label,text\na,x,b\n")
    assert said == (
        " has 2 columns 'text'. Say which by its position: 'task.columns={text: 0}' or"
        " 'task.columns={text: 2}'."
    )
    content = "text,label,text\na,x,b\n"
    assert runs.texts(PLAIN, "a.csv", content, columns={"text": "2"}) == ["b"]


# --- the form of the run's table ---------------------------------------------------------------


def test_a_headless_run_reads_headless_files(runs: Runs) -> None:
    assert runs.texts(HEADLESS, "a.csv", "x,a,b\ny,c,d\n") == ["a b", "c d"]
    # A header that is there anyway is no text.
    assert runs.texts(HEADLESS, "a.csv", "label,title,text\nx,a,b\n") == ["a b"]
    assert runs.texts(HEADLESS, "a.csv", "text,title\nb,a\n", header=True) == ["a b"]


def test_a_headless_file_of_another_width_is_answered_with_both_ways_out(runs: Runs) -> None:
    with pytest.raises(DataError) as caught:
        runs.predict(HEADLESS, "a.csv", "a,b\n")
    assert str(caught.value).endswith(
        "a.csv: line 1 has 2 fields, and the run's table had 3 (label, title, text). Say where its"
        " columns are: 'task.columns={title: 0, text: 1}' (from 0), or task.header=true if their"
        " names are in the first row."
    )
    columns = {"title": "0", "text": "1"}
    assert runs.texts(HEADLESS, "a.csv", "a,b\nc,d\n", columns=columns) == ["a b", "c d"]


def test_dialect_encoding_and_missing_values_are_those_of_the_run(runs: Runs) -> None:
    options = ReadOptions(
        format="csv", encoding="cp1252", delimiter=";", quotechar="'", missing=("NA",)
    )
    content = "text;label\n'Schön; und';x\nNA;y\n".encode("cp1252")
    (some,) = runs.predict(options, "a.csv", content)
    assert (some.texts, list(some.errors)) == (["Schön; und", ""], [1])
    said = runs.evaluate(options, "a.csv", content, missing=[])
    assert said == (["Schön; und", "NA"], ["x", "y"])
    json_lines = '{"text": "Schön; und"}\n'
    assert runs.texts(options, "a.jsonl", json_lines) == ["Schön; und"]


def test_a_file_of_another_encoding_or_delimiter_is_said_and_then_read(runs: Runs) -> None:
    content = "text;label\nSchön;x\n".encode("cp1252")
    said = runs.refuse(PLAIN, "a.csv", content, delimiter=";")
    assert "task.encoding=windows-1252" in said
    said = runs.refuse(PLAIN, "a.csv", content, encoding="cp1252")
    assert said.endswith(" The first line has ';' between its fields: task.delimiter=';'.")
    assert runs.texts(PLAIN, "a.csv", content, encoding="cp1252", delimiter=";") == ["Schön"]


# --- structure, and single values --------------------------------------------------------------


@pytest.mark.parametrize("rows", SIZES)
@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("text,label\nok,x\na, b,y\n", ": line 3 has 3 fields, and the first row has 2."),
        ("text,label\nok,x\n,\nb\n", ": line 4 has 1 field, and the first row has 2."),
        ('text,label\nok,x\n"b,y\n', ": a quoted field that begins in line 3 never ends."),
        ('text,label\n"b" c,y\n', ": the quotes in line 2 are broken"),
    ],
)
def test_a_broken_structure_refuses_the_file_before_any_row(
    runs: Runs, rows: int, content: str, said: str
) -> None:
    path = write(runs.folder / "a.csv", content)
    runs.document["input"] = PLAIN.to_document()
    found = read_inputs(str(path), runs.folder, PredictTaskConfig(), keep="id", rows=rows)
    with pytest.raises(DataError) as caught:
        next(found)
    assert f"a.csv{said}" in str(caught.value)
    with pytest.raises(DataError):
        runs.evaluate(PLAIN, "a.csv", content)


@pytest.mark.parametrize("rows", SIZES)
def test_a_value_that_is_no_text_is_an_error_of_its_row_alone(runs: Runs, rows: int) -> None:
    values = ['{"text": "a"}', "{", '"b"', "null", '{"text": ["c", "d"]}', '{"text": " "}',
              '{"text": 7}', '{"text": "\\ud800"}']  # fmt: skip
    found = runs.predict(PLAIN, "a.jsonl", "\n".join(values), rows=rows)
    assert [text for some in found for text in some.texts] == ["a", "", "b", "", "", "", "7", ""]
    why = [some.errors[place] for some in found for place in sorted(some.errors)]
    assert [said[:7] for said in why] == [f"line {number}:" for number in (2, 4)] + [
        *("line 5,", "line 6:", "line 8,")
    ]
    assert why[0].startswith("line 2: it is not JSON (")
    assert why[1] == "line 4: it is no object with the columns as keys"
    assert why[2].startswith("line 5, 'text': ['c', 'd'] is a list of 2 values")
    assert why[3] == "line 6: there is no text"
    assert why[4].startswith("line 8, 'text': '\\ud800' has half of a surrogate pair")


def test_an_empty_text_and_nul_in_a_csv_are_errors_of_their_rows(runs: Runs) -> None:
    (some,) = runs.predict(PLAIN, "a.csv", 'text,label\n,x\nok,y\n"a\0",z\n')
    assert some.texts == ["", "ok", ""]
    assert some.errors == {
        0: "line 2: there is no text",
        2: "line 4, 'text': 'a\\x00' has NUL, which no text has",
    }


# --- what is carried over ----------------------------------------------------------------------


@pytest.mark.parametrize("rows", SIZES)
def test_the_id_or_all_columns_are_carried_over(runs: Runs, rows: int) -> None:
    content = "id,title,description,n\n7,a,b,x\n8,c,,y\n"
    found = runs.predict(SAMPLE, "a.csv", content, rows=rows)
    assert [value for some in found for value in some.kept["id"]] == ["7", "8"]
    assert {*found[0].kept} == {"id"}
    found = runs.predict(SAMPLE, "a.csv", content, keep="all", rows=rows)
    assert [*found[0].kept] == ["id", "title", "description", "n"]
    assert [value for some in found for value in some.kept["n"]] == ["x", "y"]
    assert runs.predict(OWN, "a.csv", content.replace("description", "body"))[0].kept == {}
    mapped = runs.predict(SAMPLE, "a.csv", content, columns={"id": "n"})
    assert mapped[0].kept == {"n": ["x", "y"]}


@pytest.mark.parametrize("rows", SIZES)
def test_columns_that_come_late_are_carried_over_from_the_first_row(runs: Runs, rows: int) -> None:
    content = '{"text": "a"}\n{"text": "b", "late": [1, 2]}\n'
    found = runs.predict(PLAIN, "a.jsonl", content, keep="all", rows=rows)
    assert [value for some in found for value in some.kept["late"]] == ["", '["1", "2"]']


# --- texts a line, and standard input ----------------------------------------------------------


class Input(io.TextIOWrapper):
    """Standard input as Python opens it under some locale."""

    def __init__(self, content: bytes, encoding: str = "utf-8") -> None:
        super().__init__(io.BufferedReader(io.BytesIO(content)), encoding)


def test_a_text_file_has_a_text_a_line_whatever_the_columns_of_the_run(runs: Runs) -> None:
    (some,) = runs.predict(OWN, "a.TXT", b"\xef\xbb\xbfone, two\r\n\nthree")
    assert some.texts == ["one, two", "", "three"]
    assert some.errors == {1: "line 2: there is no text"}


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "ascii"])
def test_standard_input_is_read_like_a_file_whatever_the_locale(
    runs: Runs, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    for content in ("é\n名\n".encode(), "é\n名\n".encode("utf-16")):
        monkeypatch.setattr(sys, "stdin", Input(content, encoding))
        assert runs.texts(OWN, "-", "") == ["é", "名"]
    monkeypatch.setattr(sys, "stdin", Input(b"ok\ncaf\xe9\n", encoding))
    with pytest.raises(DataError, match=r"^standard input is not utf-8 .*windows-1252"):
        runs.texts(OWN, "-", "")


def test_standard_input_without_end_is_no_table(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MOST_PIPED", 2_000_000)
    with Path("/dev/zero").open() as endless, monkeypatch.context() as patch:
        patch.setattr(sys, "stdin", endless)
        with pytest.raises(DataError, match=r"^Standard input has more than 2 MB\."):
            runs.texts(OWN, "-", "", format="csv")


def test_standard_input_may_be_a_table(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Input(b"body,title\nb,a\n"))
    assert runs.texts(OWN, "-", "", format="csv") == ["a b"]
    monkeypatch.setattr(sys, "stdin", Input(b"body,title\nb,a,c\n"))
    with pytest.raises(DataError, match=r"^standard input: line 2 has 3 fields"):
        runs.texts(OWN, "-", "", format="csv")


def test_lines_of_standard_input_are_given_as_they_come(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", Input(b"one\n" * 5000 + b"\xff\n"))
    runs.document["input"] = OWN.to_document()
    found = read_inputs("-", runs.folder, PredictTaskConfig(), keep="id", rows=2)
    assert next(found).texts == ["one", "one"]


def test_a_table_without_its_format_is_no_text_a_line(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", Input(b"\xef\xbb\xbftitle,body\na,b\n"))
    with pytest.raises(DataError, match=r"begins with the names of columns .* task\.format=csv"):
        runs.texts(OWN, "-", "")
    monkeypatch.setattr(sys, "stdin", Input(b"title,body\na,b\n"))
    assert runs.texts(OWN, "-", "", format="txt") == ["title,body", "a,b"]


def test_without_a_standard_input_there_is_nothing_to_read(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(DataError, match=r"^There is no standard input to read from\.$"):
        runs.texts(OWN, "-", "")


# --- labelled rows -----------------------------------------------------------------------------


def test_labels_are_read_as_in_training(runs: Runs) -> None:
    content = "text,label\na, 1 \nb,cafe\u0301\nc,\u200b5\n"
    named = ReadOptions(format="csv", label_names=(("1", "bad"), ("5", "good")))
    assert runs.evaluate(PLAIN, "a.csv", content)[1] == ["1", "café", "5"]
    with pytest.raises(DataError, match=r"the label 'café' is not in data\.label_names, which has"):
        runs.evaluate(named, "a.csv", content)
    content = content.replace("cafe\u0301", "bad")
    assert runs.evaluate(named, "a.csv", content)[1] == ["bad", "bad", "good"]
    lines = json.dumps({"text": "a", "label": 1}) + "\n" + json.dumps({"text": "b", "label": 5.0})
    assert runs.evaluate(PLAIN, "a.jsonl", lines) == (["a", "b"], ["1", "5.0"])


def test_a_row_without_a_label_is_refused_with_its_line(runs: Runs) -> None:
    with pytest.raises(DataError) as caught:
        runs.evaluate(OWN, "a.csv", "title,body,stars\na,b,1\nc,d, \n")
    assert str(caught.value).endswith("a.csv: line 3: there is no label in 'stars'.")
    with pytest.raises(DataError, match=r"no column 'stars'. The run wants: title, body, stars. "):
        runs.evaluate(OWN, "a.csv", "title,body\na,b\n")


def test_a_file_without_rows_cannot_be_scored(runs: Runs) -> None:
    with pytest.raises(DataError, match=r"a\.csv has no rows\."):
        runs.evaluate(PLAIN, "a.csv", "text,label\n")


def test_a_file_that_is_not_there_is_said(runs: Runs) -> None:
    runs.document["input"] = PLAIN.to_document()
    with pytest.raises(DataError, match=r"nowhere\.csv cannot be read: No such file or directory"):
        read_labeled(str(runs.folder / "nowhere.csv"), runs.folder, EvaluateTaskConfig())


def test_what_is_left_out_is_said_with_how_often_it_is_there(
    runs: Runs, caplog: pytest.LogCaptureFixture
) -> None:
    runs.predict(PLAIN, "a.csv", "text,label,note,note\n\na,x,,\n\nb,y,,\n")
    said = [record.getMessage().rpartition("a.csv: ")[2] for record in caplog.records]
    assert sorted(said) == ["Blank lines that were left out: 2", "Columns with the name 'note': 2"]
