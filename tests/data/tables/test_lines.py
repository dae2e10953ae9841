from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tagifai.data.tables.chunks import Reading
from tagifai.data.tables.options import ReadOptions
from tagifai.data.tables.reader import TableFile, read_rows
from tagifai.exceptions import DataError
from tests.data.tables.reading import SIZES, read, read_chunks, refuse, write

# --- texts -------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", SIZES)
def test_a_text_file_has_a_text_a_line(tmp_path: Path, rows: int) -> None:
    content = b'\xef\xbb\xbfone\r\n\n two \nx\x0cy\xe2\x80\xa8z\n"a,b\rc\nlast'
    path = write(tmp_path / "a.txt", content)
    found = read(path, ("text",), setting="task", rows=rows)
    texts = ["one", "", " two ", "x\x0cy\u2028z", '"a,b\rc', "last"]
    assert found == [[text] for text in texts]


def test_a_line_is_a_whole_text_where_several_columns_are_joined(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "one\ntwo\n")
    names = ("title", "body")
    (some,) = read_chunks(path, names, text=names, setting="task")
    assert some.join_texts(names) == ["one", "two"]


def test_a_text_file_has_no_labels(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "one\n")
    said = refuse(path, setting="task")
    assert said.startswith(" has no column 'label'. The run wants: text, label. It has: text.")


def test_a_name_that_says_nothing_is_answered_with_the_option_that_reads_it(
    tmp_path: Path,
) -> None:
    lines = {
        "__label__x a text": "fasttext",
        "x a text": "label_text",
        "x\ta text": "tsv",
        "text,label": "csv",
        '{"text": "a"}': "jsonl",
        "[": "json",
    }
    for line, kind in lines.items():
        for name in ("a.txt", "data"):
            said = refuse(write(tmp_path / name, f"{line}\n"))
            assert said.startswith(": the name does not say which format it is."), line
            assert said.endswith(f"Its first line is {line!r}: it may be data.format={kind}.")


# --- a label and a text ------------------------------------------------------------------------


@pytest.mark.parametrize("rows", SIZES)
def test_the_first_word_of_a_line_is_its_label(tmp_path: Path, rows: int) -> None:
    content = "5 How far is it ?\r\n\n01\tA \t tab\n  x   two  words  \n\n"
    notes: Counter[str] = Counter()
    path = write(tmp_path / "a.all", content)
    found = read(path, format="label_text", rows=rows, notes=notes)
    assert found == [["How far is it ?", "5"], ["A \t tab", "01"], ["two  words", "x"]]
    assert notes == {"Blank lines that were left out": 2}


@pytest.mark.parametrize("rows", SIZES)
def test_fasttext_s_lines_have_a_mark_before_the_label(tmp_path: Path, rows: int) -> None:
    path = write(tmp_path / "a.txt", "__label__x a text\n__label__y\tb __label__\n__label__z\n")
    found = read(path, format="fasttext", rows=rows)
    assert found == [["a text", "x"], ["b __label__", "y"], ["", "z"]]


@pytest.mark.parametrize("rows", SIZES)
@pytest.mark.parametrize(
    ("line", "kind", "said"),
    [
        ("b", "label_text", ": line 3 is 'b': no space after the label."),
        ("b c", "fasttext", ": line 3 has no __label__ at its beginning, and a row has one label."),
        ("__label__b __label__c d", "fasttext", ": line 3 has several labels, and a row has one"),
    ],
)
def test_a_line_of_another_form_is_said_with_its_number(
    tmp_path: Path, rows: int, line: str, kind: str, said: str
) -> None:
    path = write(tmp_path / "a.txt", f"__label__x a\n\n{line}\n")
    assert refuse(path, format=kind, rows=rows).startswith(said)


@pytest.mark.parametrize("kind", ["label_text", "fasttext", "txt"])
def test_an_empty_file_is_empty(tmp_path: Path, kind: str) -> None:
    assert refuse(write(tmp_path / "a.txt", ""), format=kind, setting="task") == " is empty."


def test_the_columns_of_lines_are_text_and_label(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "x a\n")
    said = (
        " has no column 'stars'. It has: label, text. Name the one that is meant: data.label=NAME."
    )
    assert refuse(path, ("text", "stars"), format="label_text", label="stars") == said


# --- two files ---------------------------------------------------------------------------------


def read_pairs(texts: Path, labels: Path, rows: int) -> list[tuple[str, str]]:
    codes = TableFile(labels, "data.label_path: FILE", format="labels")
    file = TableFile(texts, "data.text_path: FILE", labels=codes)
    reading = Reading(ReadOptions(), ("text", "label"), rows=rows)
    return [
        row
        for some in read_rows(file, reading)
        for row in zip(some.columns["text"], some.columns["label"], strict=True)
    ]


@pytest.mark.parametrize("rows", SIZES)
def test_texts_and_labels_stand_in_two_files_line_by_line(tmp_path: Path, rows: int) -> None:
    texts = write(tmp_path / "text", '\ufeffa, b\r\n\n"c\rd\ne\n')
    labels = write(tmp_path / "label", "0\n1\n01\n2")
    found = [("a, b", "0"), ("", "1"), ('"c\rd', "01"), ("e", "2")]
    assert read_pairs(texts, labels, rows) == found


@pytest.mark.parametrize("rows", SIZES)
@pytest.mark.parametrize(("one", "other"), [(9, 7), (7, 9), (7, 0), (0, 7), (20, 1)])
def test_files_of_other_lengths_are_refused_with_both(
    tmp_path: Path, rows: int, one: int, other: int
) -> None:
    texts, labels = write(tmp_path / "t", "a\n" * one), write(tmp_path / "l", "x\n" * other)
    with pytest.raises(DataError) as caught:
        read_pairs(texts, labels, rows)
    said = f"data.text_path: FILE has {one} lines, and the file of its labels has {other}."
    assert str(caught.value) == said


def test_two_empty_files_are_empty(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"FILE is empty\.$"):
        read_pairs(write(tmp_path / "t", ""), write(tmp_path / "l", ""), 10)


# --- folders of documents ----------------------------------------------------------------------


@pytest.mark.parametrize("rows", SIZES)
def test_documents_have_the_names_of_their_folders_as_labels(tmp_path: Path, rows: int) -> None:
    write(tmp_path / "d" / "pos" / "2.txt", "\ufeffgood\r\nreally\n")
    write(tmp_path / "d" / "pos" / "10", "fine")
    write(tmp_path / "d" / "neg" / "1.txt", 'bad, "bad"')
    for hidden in (".git/config", "pos/.hidden", "README"):
        write(tmp_path / "d" / hidden, "x")
    found = read(tmp_path / "d", ("text", "label", "path"), format="folder", rows=rows)
    assert found == [
        ['bad, "bad"', "neg", "neg/1.txt"],
        ["fine", "pos", "pos/10"],
        ["good\r\nreally\n", "pos", "pos/2.txt"],
    ]


def test_a_document_of_another_encoding_is_said_with_its_name(tmp_path: Path) -> None:
    write(tmp_path / "d" / "pos" / "1.txt", "ok")
    write(tmp_path / "d" / "pos" / "2.txt", "ok\nSchön".encode("cp1252"))
    said = refuse(tmp_path / "d", format="folder")
    assert said.startswith("/pos/2.txt is not utf-8 in line 2 (byte 0xf6)")
    assert "data.encoding=windows-1252" in said
    found = read(tmp_path / "d", format="folder", encoding="cp1252")
    assert found == [["ok", "pos"], ["ok\nSchön", "pos"]]


def test_a_folder_without_documents_is_said(tmp_path: Path) -> None:
    write(tmp_path / "d" / "README", "x")
    assert refuse(tmp_path / "d", format="folder").startswith(" has no folders with documents")
