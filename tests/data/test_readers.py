from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tagifai.data.readers import (
    make_batches,
    open_output,
    open_writer,
    read_texts,
    read_texts_and_tags,
    refuse_overwriting,
    validate_text,
)
from tagifai.exceptions import DataError
from tagifai.models.tagger import Prediction

ENCODABLE = st.text(st.characters(exclude_categories=["Cs"]))


def file(folder: Path, name: str, content: str | bytes) -> str:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def prediction(text: str, tag: str = "nlp", probability: float = 0.5) -> Prediction:
    return {"input_text": text, "predicted_tag": tag, "probability": probability}


# --- texts -------------------------------------------------------------------------------------


def test_a_text_file_has_a_text_a_line(tmp_path: Path) -> None:
    source = file(tmp_path, "a.txt", b"\xef\xbb\xbfone\r\n\n two \nx\x0cy\xe2\x80\xa8z\nlast")
    assert list(read_texts(source)) == ["one", "", " two ", "x\x0cy\u2028z", "last"]


def test_an_empty_file_has_no_texts(tmp_path: Path) -> None:
    for name in ("a.txt", "a.jsonl"):
        assert list(read_texts(file(tmp_path, name, ""))) == []
    assert list(read_texts(file(tmp_path, "b.csv", "text\n"))) == []


def test_standard_input_has_a_text_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("one\ntwo"))
    assert list(read_texts("-")) == ["one", "two"]


class Stdin(io.TextIOWrapper):
    """Standard input as Python opens it under another locale."""

    def __init__(self, content: bytes, encoding: str, errors: str) -> None:
        super().__init__(io.BytesIO(content), encoding=encoding, errors=errors)


LOCALES = [("utf-8", "strict"), ("utf-8", "surrogateescape"), ("latin-1", "strict"),
           ("ascii", "surrogateescape")]  # fmt: skip


@pytest.mark.parametrize(("encoding", "errors"), LOCALES)
def test_standard_input_is_utf_8_whatever_the_locale(
    monkeypatch: pytest.MonkeyPatch, encoding: str, errors: str
) -> None:
    monkeypatch.setattr(sys, "stdin", Stdin("é\n名\n".encode(), encoding, errors))
    assert list(read_texts("-")) == ["é", "名"]


@pytest.mark.parametrize(("encoding", "errors"), LOCALES)
def test_standard_input_that_is_not_utf_8_is_refused_whatever_the_locale(
    monkeypatch: pytest.MonkeyPatch, encoding: str, errors: str
) -> None:
    monkeypatch.setattr(sys, "stdin", Stdin(b"caf\xe9\n", encoding, errors))
    with pytest.raises(DataError, match=r"^standard input: not UTF-8 after line 0"):
        list(read_texts("-"))


def test_without_a_standard_input_there_is_nothing_to_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(DataError, match=r"^There is no standard input to read from\.$"):
        list(read_texts("-"))


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf"])
def test_a_table_without_a_header_is_refused(tmp_path: Path, content: bytes) -> None:
    source = file(tmp_path, "a.csv", content)
    for read in (read_texts, read_texts_and_tags):
        with pytest.raises(DataError) as caught:
            list(read(source))
        assert str(caught.value) == f"{source} is empty; a CSV table has a header line."


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"text": "\\ud800"}', "the text is not valid Unicode (surrogates not allowed)."),
        ('"a \\udfff b"', "the text is not valid Unicode (surrogates not allowed)."),
        ('{"title": "t", "description": "\\ud83d"}', "the text is not valid Unicode (surrogates"),
        ("[" * 200_000, "not JSON (maximum recursion depth exceeded"),
        ("{]", "not JSON ("),
        ("1" * 5000, "not JSON (Exceeds the limit"),
    ],
    ids=["surrogate", "in a string", "in a description", "deep", "broken", "long number"],
)
def test_a_line_that_is_no_text_is_refused_with_its_number(
    tmp_path: Path, line: str, reason: str
) -> None:
    source = file(tmp_path, "a.jsonl", f'"ok"\n\n{line}\n')
    with pytest.raises(DataError) as caught:
        list(read_texts(source))
    assert str(caught.value).startswith(f"{source}, line 3: {reason}")


def test_a_pair_of_surrogates_is_the_character_that_it_stands_for(tmp_path: Path) -> None:
    assert list(read_texts(file(tmp_path, "a.jsonl", '"\\ud83d\\ude00"'))) == ["\U0001f600"]


@given(st.text(st.characters()))
def test_a_text_is_valid_if_it_has_no_half_of_a_surrogate_pair(text: str) -> None:
    if any("\ud800" <= character <= "\udfff" for character in text):
        with pytest.raises(DataError, match=r"^here: the text is not valid Unicode"):
            validate_text(text, "here")
    else:
        assert validate_text(text, "here") == text


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("text\na\n", ["a"]),
        ("id,text,title,description\n1,a,b,c\n", ["a"]),
        ("title,description\nb,c\n", ["b c"]),
        ("title\nb\n", ["b "]),
        ('text\n"a, ""b""\nc"\n', ['a, "b"\nc']),
        ("text\n\n\na\n", ["a"]),
    ],
)
def test_a_table_has_a_text_or_title_and_description(
    tmp_path: Path, content: str, found: list[str]
) -> None:
    assert list(read_texts(file(tmp_path, "a.CSV", content))) == found


def test_json_lines_are_strings_or_objects_and_blank_lines_are_passed_over(tmp_path: Path) -> None:
    lines = ['"a"', "", '{"text": "b"}', '{"title": "c", "description": "d"}', '{"title": "e"}']
    source = file(tmp_path, "a.jsonl", "\n".join(lines))
    assert list(read_texts(source)) == ["a", "b", "c d", "e "]


@pytest.mark.parametrize(
    ("name", "content", "line", "found"),
    [
        ("a.csv", "name\nx\n", 2, "name"),
        ("a.csv", "title,description\nb,c\nd\n", 3, "title, description"),
        ("a.jsonl", '"a"\n\n7\n', 3, "int"),
        ("a.jsonl", '{"text": 7}\n', 1, "text"),
        ("a.jsonl", '{"title": null, "description": "d"}\n', 1, "title, description"),
        ("a.jsonl", "{}", 1, ": ."),
    ],
)
def test_a_row_without_a_text_is_refused_with_its_line_and_what_it_has(
    tmp_path: Path, name: str, content: str, line: int, found: str
) -> None:
    source = file(tmp_path, name, content)
    with pytest.raises(DataError) as caught:
        list(read_texts(source))
    assert str(caught.value).startswith(f"{source}, line {line}: there is no text")
    assert found in str(caught.value).partition("this one has")[2]


def test_texts_before_a_bad_line_have_been_given_already(tmp_path: Path) -> None:
    found = read_texts(file(tmp_path, "a.jsonl", '"a"\n{\n'))
    assert next(found) == "a"
    with pytest.raises(DataError, match=r"a\.jsonl, line 2: not JSON"):
        next(found)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.txt", b"ok\n\xff\n", r"a\.txt: not UTF-8"),
        ("a.csv", b"text\n\xff\n", r"a\.csv: not UTF-8"),
        ("a.jsonl", b'"\xff"\n', r"a\.jsonl: not UTF-8"),
        ("a.csv", b'text\na\n"x"y\n', r"a\.csv: not a CSV table after line 2"),
        ("a.csv", b'text\na\n"x\n', r"a\.csv: not a CSV table after line 2"),
        ("a.pdf", b"", r"a\.pdf: give a \.txt, \.csv or \.jsonl file, or - for standard input"),
        ("a", b"", "give a .txt, .csv or .jsonl file"),
    ],
)
def test_what_cannot_be_read_is_refused(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    with pytest.raises(DataError, match=reason):
        list(read_texts(file(tmp_path, name, content)))


def test_a_missing_file_and_a_folder_are_refused_with_the_system_s_reason(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.txt cannot be read: No such file or directory\."):
        list(read_texts(str(tmp_path / "a.txt")))
    (tmp_path / "b.csv").mkdir()
    with pytest.raises(DataError, match=r"b\.csv cannot be read: Is a directory\."):
        list(read_texts(str(tmp_path / "b.csv")))


def test_texts_are_read_as_they_are_asked_for() -> None:
    read: list[int] = []

    def counted() -> Iterator[str]:
        for number in range(10):
            read.append(number)
            yield str(number)

    assert next(make_batches(counted(), 3)) == ["0", "1", "2"]
    assert read == [0, 1, 2]


@given(st.lists(st.text(max_size=2)), st.integers(1, 5))
def test_batches_are_the_items_in_order_and_all_but_the_last_are_full(
    items: list[str], size: int
) -> None:
    made = list(make_batches(items, size))
    assert [item for batch in made for item in batch] == items
    assert all(len(batch) == size for batch in made[:-1])
    assert all(1 <= len(batch) <= size for batch in made)


# --- labelled rows -----------------------------------------------------------------------------


def test_labelled_rows_are_texts_and_tags(tmp_path: Path) -> None:
    table = file(tmp_path, "a.csv", "text,tag\na,x\nb,y\n")
    lines = file(tmp_path, "a.jsonl", '{"title": "a", "description": "b", "tag": "x"}\n')
    assert read_texts_and_tags(table) == (["a", "b"], ["x", "y"])
    assert read_texts_and_tags(lines) == (["a b"], ["x"])


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("a.csv", "text,tag\na,x\nb, \n", 3),
        ("a.csv", "text\na\n", 2),
        ("a.jsonl", '{"text": "a", "tag": 1}\n', 1),
        ("a.txt", "a\n", 1),
    ],
)
def test_a_row_without_a_tag_is_refused_with_its_line(
    tmp_path: Path, name: str, content: str, line: int
) -> None:
    with pytest.raises(DataError, match=rf", line {line}: there is no tag; a row needs a string"):
        read_texts_and_tags(file(tmp_path, name, content))


def test_a_file_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.csv has no rows\."):
        read_texts_and_tags(file(tmp_path, "a.csv", "text,tag\n"))


# --- predictions -------------------------------------------------------------------------------


def write(target: Path | None, *parts: list[Prediction]) -> None:
    with open_writer(None if target is None else str(target)) as put:
        for part in parts:
            put(part)


def test_json_is_a_list_over_all_batches(tmp_path: Path) -> None:
    write(tmp_path / "a.json", [prediction("a"), prediction("é")], [], [prediction("c")])
    content = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert json.loads(content) == [prediction("a"), prediction("é"), prediction("c")]
    assert "é" in content


def test_json_lines_and_tables_have_a_row_a_prediction(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", [prediction("a")], [prediction("b", "cv", 0.25)])
    rows = (tmp_path / "a.jsonl").read_text().splitlines()
    assert list(map(json.loads, rows)) == [prediction("a"), prediction("b", "cv", 0.25)]
    write(tmp_path / "a.csv", [prediction('a, "b"')], [prediction("c", "cv", 0.25)])
    expected = 'input_text,predicted_tag,probability\n"a, ""b""",nlp,0.5\nc,cv,0.25\n'
    assert (tmp_path / "a.csv").read_text() == expected


def test_without_predictions_the_file_is_valid_and_empty(tmp_path: Path) -> None:
    for name, content in [
        ("a.json", "[]\n"),
        ("a.jsonl", ""),
        ("a.csv", "input_text,predicted_tag,probability\n"),
    ]:
        write(tmp_path / name)
        assert (tmp_path / name).read_text() == content


def test_without_a_target_json_goes_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    write(None, [prediction("a")])
    captured = capsys.readouterr()
    assert json.loads(captured.out) == [prediction("a")]
    assert captured.err == ""


def test_another_kind_of_target_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.txt: give a \.json, \.jsonl or \.csv file"):
        write(tmp_path / "a.txt")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.csv"])
def test_a_failure_half_way_leaves_the_old_file(tmp_path: Path, name: str) -> None:
    def broken() -> Iterator[list[Prediction]]:
        yield [prediction("new")]
        raise DataError("line 2 is bad")

    (tmp_path / name).write_text("old")
    with pytest.raises(DataError, match="line 2 is bad"), open_writer(str(tmp_path / name)) as put:
        list(map(put, broken()))
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "old"


@pytest.mark.parametrize(
    ("name", "reason"),
    [("file/a.json", "File exists"), ("folder.json", "Is a directory")],
)
def test_an_output_that_cannot_be_written_is_named_with_the_system_s_reason(
    tmp_path: Path, name: str, reason: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder.json").mkdir()
    target = tmp_path / name
    with pytest.raises(DataError) as caught:
        write(target, [prediction("a")])
    assert str(caught.value) == f"{target} cannot be written: {reason}."
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.json"]


def test_a_full_disk_is_named_too_and_the_old_file_is_kept(tmp_path: Path) -> None:
    def put(_predictions: list[Prediction]) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "a.json").write_text("old")
    with (
        pytest.raises(DataError, match=r"a\.json cannot be written: No space left on device\."),
        open_output(tmp_path / "a.json"),
    ):
        put([prediction("new")])
    assert (tmp_path / "a.json").read_text() == "old"


def test_another_error_is_not_taken_for_one_of_writing(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="x"), open_output(tmp_path / "a.json"):
        raise LookupError("x")
    assert list(tmp_path.iterdir()) == []


# --- the input is kept -------------------------------------------------------------------------


def test_the_output_over_the_input_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source = file(tmp_path, "a.csv", "text\na\n")
    (tmp_path / "link.csv").symlink_to(source)
    (tmp_path / "hard.csv").hardlink_to(source)
    (tmp_path / "sub").mkdir()
    for target in (source, "a.csv", "sub/../a.csv", "link.csv", "hard.csv"):
        for pair in ((source, target), (target, source)):
            with pytest.raises(DataError) as caught:
                refuse_overwriting(*pair)
            message = f"{pair[1]} is the input too; task.output needs another name."
            assert str(caught.value) == message


def test_other_outputs_are_not_refused(tmp_path: Path) -> None:
    source, same = (file(tmp_path, name, "text\na\n") for name in ("a.csv", "b.csv"))
    dangling = tmp_path / "dangling.csv"
    dangling.symlink_to(tmp_path / "nowhere.csv")
    for target in (same, str(tmp_path / "new.csv"), str(dangling), None):
        refuse_overwriting(source, target)
    for nothing in (None, "-", str(tmp_path / "nowhere.csv")):
        refuse_overwriting(nothing, same)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.lists(ENCODABLE, max_size=4))
def test_any_text_that_is_written_is_read_back(tmp_path: Path, given_texts: list[str]) -> None:
    target = tmp_path / "a.jsonl"
    write(target, [prediction(text) for text in given_texts])
    rows = [json.loads(line) for line in target.read_text(encoding="utf-8").split("\n")[:-1]]
    assert [row["input_text"] for row in rows] == given_texts
    target.write_text("".join(json.dumps({"text": row["input_text"]}) + "\n" for row in rows))
    assert list(read_texts(str(target))) == given_texts
